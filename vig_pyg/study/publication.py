"""A run as others get it: weights, configuration, recipe, metrics, and a card that is filled from them."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import torch
from omegaconf import OmegaConf

from vig_pyg.blocks import NodeStem
from vig_pyg.data.digits import load_digits
from vig_pyg.data.transforms import data_config, image_mode, inference_transform
from vig_pyg.files import as_json, write_text, write_whole
from vig_pyg.manifest import SUMS, check, sums_of
from vig_pyg.models.vision_gnn import VisionGNN
from vig_pyg.study.charts import PLACES, draw_views
from vig_pyg.study.views import view
from vig_pyg.tasks.recipes import read_keys
from vig_pyg.tasks.registry import get_task, task_of
from vig_pyg.tasks.results import Trained
from vig_pyg.tasks.weights import CARD, CONFIG, WEIGHTS, plugged, weights_file
from vig_pyg.train.run import METRICS, RECIPE, SETTING

PICTURE = "graph.png"
PLACES_OF_FILES = ("data", "data_root", "init", "teacher")  # keys of a recipe that may name them
NOT_MEASURED = ("epoch", "loss", "learning_rate", "seconds", "waiting")  # columns of metrics
HUB = "hf-hub:"
SEEN = (
    "Images are seen at {input_size}, cropped by {crop_pct}, {interpolation}, with mean {mean} and deviation {std}; "
    "each gets one of the classes above, whatever it shows."
)


class Run(NamedTuple):
    """What a run's folder says of its best weights."""

    recipe: dict[str, Any]
    setting: dict[str, Any]
    rows: list[dict[str, str]]
    """One per epoch, by column."""
    config: dict[str, Any]
    trained: Trained

    @property
    def best(self) -> dict[str, str]:
        """The epoch whose weights are the best: of equal ones the last."""
        score = next(name for name in self.rows[0] if name not in NOT_MEASURED)
        return max(reversed(self.rows), key=lambda row: float(row[score]))


def read_run(folder: Path, trust: bool = False) -> Run:
    """Return what is in a run's folder, its weights loaded.

    Raises:
        FileNotFoundError: it is no run, or has no best weights.
        ValueError: a file is damaged, or a module would have to be imported.
    """
    for name in (RECIPE, SETTING, METRICS):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder} is no finished run: it has no {name}")
    check(folder / RECIPE)
    config = weights_file(folder).with_name(CONFIG)
    trained = get_task(task_of(folder, trust)).load(folder, trust=trust)
    with (folder / METRICS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    if not rows:
        raise ValueError(f"{folder / METRICS} is damaged: it has no epoch")
    setting, kept = json.loads((folder / SETTING).read_text()), json.loads(config.read_text())
    return Run(_without_paths(read_keys(folder / RECIPE)), setting, rows, kept, trained)


def write_publication(
    folder: Path, out: Path, name: str, license: str | None = None, trust: bool = False
) -> list[Path]:
    """Write what a run came to into an empty folder; return the files.

    Absolute paths of this machine are left out, and so are the data: the picture shows a built-in image.

    Args:
        folder: Of the run.
        out: A folder that is empty or not there.
        name: By which others load it: ``hf-hub:NAME``; anything else is a folder.
        license: Of the weights, as model hubs name them, such as ``mit``.
        trust: Import what the run names as ``"module:Name"``.

    Raises:
        FileExistsError: ``out`` holds something.
        FileNotFoundError, ValueError: as :func:`read_run`.
    """
    run = read_run(folder, trust)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise FileExistsError(f"{out} is not empty: choose another folder")
    out.mkdir(parents=True, exist_ok=True)
    kept = run.config | ({"recipe": _without_paths(run.config["recipe"])} if "recipe" in run.config else {})
    write_text(out / CONFIG, as_json(kept))
    shutil.copyfile(weights_file(folder), out / WEIGHTS)
    shutil.copyfile(folder / METRICS, out / METRICS)
    write_whole(out / RECIPE, lambda path: path.write_text(OmegaConf.to_yaml(OmegaConf.create(run.recipe))))
    drawn = draw_graph(run.trained, out / PICTURE)
    write_text(out / CARD, card(run, name, license, drawn))
    write_text(out / SUMS, sums_of([out / CONFIG, out / WEIGHTS, out / RECIPE]))
    return sorted(out.iterdir())


def draw_graph(trained: Trained, path: Path) -> bool:
    """Draw the graphs of a model's first and last block in a built-in image; return whether it has any.

    The image is a held-out digit for a model of gray images of digits, else a photograph of scikit-learn's.
    """
    model = trained.model
    if not isinstance(model, VisionGNN) or isinstance(model.stem, NodeStem):
        return False
    size = data_config(model)["input_size"]
    if trained.classes == list("0123456789") and size[0] == 1:
        image, source = load_digits(size[1]).test_images[0], "a held-out digit"
    else:
        from PIL import Image
        from sklearn.datasets import load_sample_image

        photograph = Image.fromarray(load_sample_image("china.jpg")).convert(image_mode(model))
        image, source = inference_transform(model)(photograph), "a photograph of scikit-learn's"
    with torch.no_grad():
        seen = view(model, image, str(trained.config.get("architecture", "model")), source)
    figure = draw_views([seen], sorted({1, len(seen.graphs)}), list(PLACES), [])
    write_whole(path, lambda partial: figure.savefig(partial, dpi=110, format="png", bbox_inches="tight"))
    return True


def card(run: Run, name: str, license: str | None = None, picture: bool = False) -> str:
    """Return the model card of a run, in Markdown with the header that model hubs read."""
    recipe, best = SimpleNamespace(**run.recipe), run.best
    kind = get_task(str(run.config.get("task", "classify")))
    classifier = "architecture" in run.config
    figures = [column for column in best if column not in NOT_MEASURED]
    tags = [*(["image-classification", "timm"] if classifier else []), "vig_pyg", "graph-neural-network"]
    header = [f"license: {license}"] if license else []
    header += [f"tags: [{', '.join(tags)}]", f"library_name: {'timm' if classifier else 'vig_pyg'}"]
    seen = data_config(run.trained.model) if classifier else None
    parts = {
        "Model": f"{plugged(recipe)}, a graph neural network on {kind.noun}s."  # type: ignore[arg-type]
        + (f"\n\n![Patches and their neighbors in the first and the last block]({PICTURE})" if picture else ""),
        "Figures": f"On the held-out {kind.noun}s of {recipe.data}, after epoch {best['epoch']} of {recipe.epochs}, "
        f"the best of them, chosen by the same {kind.noun}s:\n\n"
        + table({c: f"{float(best[c]):.4f}" for c in figures}),
        "Load": loading(name, classifier, str(run.config.get("task"))),
        "Data": f"{recipe.data}, {len(run.trained.classes)} classes: {_listed(run.trained.classes)}.",
        "Recipe": f"Seed {recipe.seed}. `vig-pyg train --recipe {RECIPE}` repeats it; `{METRICS}` has every epoch.\n\n"
        f"```yaml\n{OmegaConf.to_yaml(OmegaConf.create(run.recipe))}```",
        "Machine": table(machine(run.setting, sum(float(row["seconds"]) for row in run.rows))),
        "Limits": f"Measured on the held-out {kind.noun}s above and on nothing else. "
        + ("What is no class above is not found." if seen is None else SEEN.format(**seen)),
        "License": f"{license}, of the weights." if license else "None is stated for these weights; vig_pyg is MIT.",
    }
    text = "\n\n".join(f"## {title}\n\n{content}" for title, content in parts.items())
    return "---\n{}\n---\n# {} on {}\n\n{}\n".format("\n".join(header), kind.title(recipe), recipe.data, text)


def machine(setting: Mapping[str, Any], seconds: float) -> dict[str, str]:
    """Return on what a run was trained, by name."""
    versions = setting.get("versions", {})
    said = {name: str(setting[name]) for name in ("processor", "cores", "gpu", "date", "python") if setting.get(name)}
    said |= {package: str(version) for package, version in versions.items() if version}
    return {**said, "minutes of training": f"{seconds / 60:.1f}"}


def loading(name: str, classifier: bool, task: str) -> str:
    """Return how others load a model, from the hub or from a folder wherever it comes to lie, as Markdown."""
    name = name if name.startswith(HUB) else "PATH/TO/THIS/FOLDER"
    if classifier:
        lines = ["import timm", "import vig_pyg  # registers the models", ""]
        source = name if name.startswith(HUB) else f"local-dir:{name}"
        lines += [f'model = timm.create_model("{source}", pretrained=True).eval()']
    else:
        lines = ["from vig_pyg.tasks import get_task", ""]
        place = f'snapshot_download("{name.removeprefix(HUB)}")' if name.startswith(HUB) else f'"{name}"'
        lines = ["from huggingface_hub import snapshot_download", *lines] if name.startswith(HUB) else lines
        lines += [f'model = get_task("{task}").load({place}).model']
    return "```python\n{}\n```".format("\n".join(lines))


def table(cells: Mapping[str, str]) -> str:
    """Return names and values as a table in Markdown."""
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in cells.items())])


def send(folder: Path, name: str) -> str:
    """Send a folder to the hub as ``name``; return its address.

    Raises:
        OSError: the hub cannot be reached, or does not know who you are.
    """
    from huggingface_hub import HfApi

    hub = HfApi()
    address = hub.create_repo(name, exist_ok=True)
    hub.upload_folder(repo_id=name, folder_path=folder, commit_message="Publish a run of vig_pyg")
    return str(address)


def _listed(classes: list[str], most: int = 20) -> str:
    return ", ".join(classes[:most]) + (", …" if len(classes) > most else "")


def _without_paths(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return a recipe whose absolute paths are names: they say nothing elsewhere."""
    paths = {key: recipe[key] for key in PLACES_OF_FILES if isinstance(recipe.get(key), str)}
    return recipe | {key: Path(path).name for key, path in paths.items() if Path(path).is_absolute()}
