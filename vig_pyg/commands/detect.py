"""What ``vig-pyg eval`` and ``vig-pyg predict`` do with detectors."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from rich.table import Table
from torchvision.io import write_png

from vig_pyg.commands.app import console, progress_bar
from vig_pyg.commands.held_out import HeldOut, name_broken
from vig_pyg.data.coco import load_coco
from vig_pyg.data.folders import distinct_images
from vig_pyg.files import write_csv, write_whole
from vig_pyg.tasks.average_precision import FIGURES, Found, evaluate
from vig_pyg.tasks.detect import coco_results, draw, predict
from vig_pyg.tasks.detection import held_out_batches
from vig_pyg.tasks.detector_weights import load_detector


def evaluate_detector(asked: HeldOut) -> None:
    """Print COCO's figures on held-out images, and write them and the AP of every class.

    Raises:
        ValueError: the data has other classes than the detector.
    """
    model, categories = load_detector(asked.weights, asked.image_size, asked.trust)
    images, out = load_coco(asked.data, asked.data_root, model.finds_masks), asked.out
    if images.train.categories != categories:
        raise ValueError(f"{asked.weights} finds {len(categories)} classes, and those of {asked.data} are others")
    batches = held_out_batches(images, asked.batch, asked.workers)
    model.to(asked.device)
    found = asked.measure(images, partial(evaluate, model, batches, len(images.classes), asked.device))
    per_class = zip(images.classes, found.per_class, strict=True)
    write_csv(out / "classes.csv", [("class", "box_ap"), *per_class])
    write_whole(out / "figures.json", lambda path: path.write_text(json.dumps(found.figures, indent=1) + "\n"))
    console.print(as_table(found))
    name_broken(found.broken)
    console.print(f"{found.images:,} images. Written to {out}: figures.json, classes.csv.")


def as_table(found: Found) -> Table:
    """Return COCO's figures for the screen, in percent."""
    table = Table("figure")
    kinds = [kind for kind in ("box", "mask") if f"{kind}_ap" in found.figures]
    for kind in kinds:
        table.add_column(kind, justify="right")
    for name in FIGURES:
        shares = [found.figures[f"{kind}_{name}"] for kind in kinds]
        table.add_row(name, *("–" if share < 0 else f"{100 * share:.1f}" for share in shares))
    return table


def predict_objects(
    weights: Path, places: list[str], batch: int, score: float, out: Path, device: str, trust: bool = False
) -> None:
    """Write what is found in image files in COCO's result format, and a picture of each.

    Images are numbered by their files' names where all of these are numbers, as COCO's are, else by their place.

    Raises:
        ValueError: two files have one name, or ``score`` is no share.
    """
    if not 0 <= score <= 1:
        raise ValueError(f"--score must be between 0 and 1, got {score}")
    model, categories = load_detector(weights, trust=trust)
    names, numbers = list(categories.values()), list(categories)
    files = distinct_images(places)
    by_name = all(path.stem.isdecimal() for path in files) and len({int(path.stem) for path in files}) == len(files)
    console.print(f"Looks for {len(names)} classes of objects in {', '.join(places)} by {weights}, on {device}.")
    out.mkdir(parents=True, exist_ok=True)
    results: list[dict[str, Any]] = []
    pictures = 0
    with progress_bar() as bar:
        task = bar.add_task("images", total=len(files), note="")
        found = predict(model.to(device), files, batch=batch, device=device)
        for place, prediction in enumerate(bar.track(found, task_id=task), start=1):
            path = prediction.path
            if prediction.error is not None:
                bar.console.print(f"does not decode: {path} ({prediction.error})", markup=False)
                continue
            image_id = int(path.stem) if by_name else place
            results += [{**result, "file_name": path.name} for result in coco_results(prediction, image_id, numbers)]
            picture = draw(prediction, names, score)
            write_whole(out / f"{path.stem}.png", lambda file, picture=picture: write_png(picture, str(file)))  # type: ignore[misc]
            pictures += 1
    write_whole(out / "detections.json", lambda file: file.write_text(json.dumps(results) + "\n"))
    console.print(f"{len(results):,} objects. Written to {out}: detections.json, and {pictures:,} pictures.")
