"""Classifiers: built by a recipe, and kept in timm's layout."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import timm
from timm.models import get_pretrained_cfg
from torch import nn

from vig_pyg.checks import check_flags, check_kind, check_whole, refused
from vig_pyg.conv.registry import get_conv
from vig_pyg.data.labeled import ClassificationData
from vig_pyg.data.transforms import data_config
from vig_pyg.graph.registry import get_graph
from vig_pyg.manifest import check
from vig_pyg.models.checkpoint import checkpoint_filter_fn, load_checkpoint, read_checkpoint
from vig_pyg.models.names import check_model_name
from vig_pyg.registry import refuse_imports
from vig_pyg.tasks.recipe import Recipe
from vig_pyg.tasks.results import Epoch, Trained, Weights
from vig_pyg.tasks.timm_internals import write_model_config
from vig_pyg.tasks.weights import CONFIG, model_card, plugged, trained_on, weights_config, weights_file, write_weights

# Keywords of timm.create_model that say where weights are, what data there are, or that make no classifier.
NOT_OF_THE_ARCHITECTURE = {
    *("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir"),
    *("num_classes", "in_chans", "features_only", "out_indices", "device", "dtype"),
    *("scriptable", "exportable", "no_jit"),
}


def build_model(recipe: Recipe, classes: int, channels: int = 3) -> nn.Module:
    """Return the model of a recipe, for so many classes and channels, with its first weights.

    Where the weights to start from tell another number of classes apart, the classifier starts anew.

    Raises:
        ValueError: timm knows no model of that name (the sentence names the nearest), an option does not fit, or the
            weights to start from are of another model.
        FileNotFoundError: there are no weights to start from.
    """
    check_kind("a Recipe", Recipe, recipe=recipe)
    check_whole(classes=classes, channels=channels)
    check_model_name(recipe.model)
    options, image_size = model_keywords(recipe), getattr(recipe, "image_size", None)
    if options.get("global_pool", "avg") == "":
        raise ValueError("model_options.global_pool must name a pooling, got '': a classifier needs one")
    known = get_pretrained_cfg(recipe.model)
    fixed = known is not None and known.fixed_input_size and "img_size" not in options
    if fixed and recipe.data == "digits" and image_size is None:
        raise ValueError(f"{recipe.model} takes images of one size and digits have any: add image_size=32")
    _say_once(options, img_size=image_size, drop_path_rate=recipe.drop_path)
    options = {"num_classes": classes, "in_chans": channels, "drop_path_rate": drop_path_rate(recipe), **options}
    # What takes images of any size, or knows no stochastic depth, need not be told.
    optional = {"img_size"} if recipe.drop_path is not None else {"img_size", "drop_path_rate"}
    model = _create(recipe.model, options, optional - set(recipe.model_options))
    if recipe.init is not None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # another number of classes is what fine-tuning is for
            load_checkpoint(model, weights_file(recipe.init))
    return model


def model_keywords(recipe: Recipe) -> dict[str, Any]:
    """Return what a recipe says of the architecture, and once, as keywords; refuse the rest by a ValueError."""
    options = dict(recipe.model_options)
    if wrong := NOT_OF_THE_ARCHITECTURE.intersection(options):
        raise ValueError(
            f"model_options.{min(wrong)} is no option of the architecture: init=WEIGHTS starts from weights, and the "
            "data say how many classes and channels there are"
        )
    _say_once(options, conv=recipe.conv, graph=recipe.graph, graph_options=recipe.graph_options or None)
    return options


def _say_once(options: dict[str, Any], **said: Any) -> None:
    """Add what a recipe says to the options of its model, which may not say anything else."""
    for name, value in said.items():
        if value is not None and options.setdefault(name, value) != value:
            raise ValueError(f"the recipe says {value!r} and model_options.{name} {options[name]!r}: leave one out")


def _create(name: str, options: dict[str, Any], optional: set[str]) -> nn.Module:
    """Build a model, without the optional options that it does not know."""
    try:
        with refused(f"{name} does not take these options"):
            return timm.create_model(name, **options)
    except ValueError as error:
        for option in optional:
            if f"unexpected keyword argument '{option}'" in str(error):
                return _create(name, {k: v for k, v in options.items() if k != option}, optional - {option})
        raise


def drop_path_rate(recipe: Recipe) -> float:
    """Return the rate of stochastic depth: the paper's, unless the recipe says another."""
    if recipe.drop_path is not None:
        return recipe.drop_path
    return 0.3 if recipe.model.endswith("_base") else 0.1


def load_model(weights: str | Path, model: str | None = None, trust: bool = False) -> tuple[nn.Module, list[str]]:
    """Return a classifier with its weights, in evaluation mode, and the names of its classes.

    Args:
        weights: A folder that :func:`save_weights` or a run wrote, or a file.
        model: What a file without a ``config.json`` beside it holds the weights of: a name that timm knows.
        trust: Import what ``config.json`` names as ``"module:Name"``.

    Raises:
        FileNotFoundError: there are no such weights.
        ValueError: they are damaged, it is not known which model they are of, they are of another, or their operator
            would have to be imported.
    """
    return load_trained(weights, model, trust)[:2]


def load_trained(weights: str | Path, model: str | None, trust: bool) -> Trained:
    """Return what :func:`load_model` does, with the configuration beside the weights."""
    check_flags(trust=trust)
    file = weights_file(weights)
    if config := weights_config(file):
        known_as = config.get("architecture")
        if known_as is None:
            raise ValueError(f"{file} holds no classifier: it was trained for the task {config.get('task')!r}")
        if model not in (None, known_as):
            raise ValueError(f"{file} holds weights of {known_as}, not of {model}: leave out --model")
        check_model_name(known_as)
        check(file)
        if not trust:
            refuse_imports(config, file.parent / CONFIG)
        else:  # timm then takes them from the configuration
            for key, get in {"conv": get_conv, "graph": get_graph}.items():
                if word := config.get("model_args", {}).get(key):
                    get(word)
        try:
            built = timm.create_model(f"local-dir:{file.parent}", pretrained=True)
        except ValueError:
            raise
        except Exception as error:  # damaged weights and options can make timm raise anything
            reason = str(error).splitlines()[-1].strip()
            raise ValueError(f"{file.parent} holds no model that can be read ({reason})") from error
        names = config.get("label_names")
    elif model is None:
        raise ValueError(f"{file} does not say which model it is of: add --model")
    else:
        check_model_name(model)
        state = checkpoint_filter_fn(read_checkpoint(file), timm.create_model(model))
        known = len(state["head.fc2.weight"]) if "head.fc2.weight" in state else 1000
        built, names = load_checkpoint(timm.create_model(model, num_classes=known), file), None
    known = int(built.num_classes)  # type: ignore[arg-type]
    if names is not None and not (isinstance(names, list) and len(names) == known):
        raise ValueError(f"{file.with_name(CONFIG)} must name {known} classes, got label_names={names!r}")
    return Trained(built.eval(), [str(name) for name in names or range(known)], config)


def load_published(model: str) -> Trained:
    """Return a classifier of a name that timm knows with the weights that were published for it.

    Raises:
        ValueError: there is no such model, it has no published weights, or their file is damaged.
        ConnectionError: they are not here and cannot be fetched; says where to place them.
    """
    check_model_name(model)
    known = get_pretrained_cfg(model)
    if known is None or not known.has_weights:
        raise ValueError(f"no weights of {model} were published: leave out --pretrained and give weights")
    built = timm.create_model(model, pretrained=True).eval()
    names = known.label_names or range(int(built.num_classes))  # type: ignore[arg-type]
    return Trained(built, [str(name) for name in names], {})


def save_weights(
    model: nn.Module, weights: Weights, folder: Path, recipe: Recipe, data: ClassificationData, history: Sequence[Epoch]
) -> None:
    """Write a model for ``timm.create_model("local-dir:…")``: weights, configuration and a card."""
    prepared = data_config(model, getattr(recipe, "image_size", None))
    top1, top5 = history[-1].measured.values()
    teacher = getattr(recipe, "teacher", None)
    taught = f" Its second classifier learned from `{teacher}`." if teacher else ""
    text = f"""# {recipe.model} on {data.name}

{plugged(recipe)}, a graph neural network on images, {trained_on(recipe, data, history)}{taught}
Accuracy on the {len(data.test)} held-out images: {100 * top1:.2f} %, top five {100 * top5:.2f} %.

```python
import timm
import vig_pyg  # registers the models

model = timm.create_model("local-dir:PATH/TO/THIS/FOLDER", pretrained=True).eval()
```
"""
    card = model_card("image-classification, timm", text)
    write_weights(folder, weights, lambda path: write_model_config(path, model, data.classes, prepared), card)
