"""Wrong calls of training, detection, segmentation and studies."""

from __future__ import annotations

import math
import tempfile
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from matplotlib.figure import Figure
from safetensors.torch import save_file
from torch import nn

from tests.reliability.wrong.models import NO_IMAGES, small_pyramid, small_vig
from tests.reliability.wrong.values import NO_COUNT, NO_FLAG, NO_PATH, Call, nodes
from tests.train.training import small_digits
from vig_pyg.detection import mask_rcnn, retinanet
from vig_pyg.segmentation import semantic_fpn
from vig_pyg.study import diversity, draw_neighbors, layer_diversity, neighbors
from vig_pyg.tasks import get_task
from vig_pyg.train import (
    Recipe,
    accelerator_for,
    build_model,
    fit,
    load_data,
    load_digits,
    load_model,
    read_recipe,
)

FOLDER = tempfile.TemporaryDirectory()
NO_DATA = (None, 3, "nowhere", "torch/nothing", "", "tests")
NO_MODEL = (None, "vig_tiny", 3, nn.Linear, torch.ones(2))
NO_RECIPE = (None, "digits", 3, {"epochs": 1}, Recipe)
NO_BACKBONE = ("foo", "", None, 3, nn.Linear(2, 2), "vig_micro", small_vig)
BODY = {"channels": (8, 16, 32), "depths": (1, 1, 1), "k": 3, "heads": 2}
ON_IT = {
    "backbone": NO_BACKBONE,
    "num_classes": NO_COUNT,
    "channels": (*NO_COUNT, 7),
    "frozen_stages": (-1, 9, 1.5, "1", None, True),
    "frozen_norm": NO_FLAG,
    "init": (3, "nowhere.safetensors", "tests", ["weights"]),
    "backbone_options": (3, "k", {"nonsense": 1}, {"k": "nine"}, {3: 3}),
    "nonsense": (1,),
}


def _recipe(**options: Any) -> Recipe:
    words = ("epochs=1", "warmup_epochs=0", "batch=4", "device_batch=4", "workers=0")
    tiny = ("model_options.depth=1", "model_options.channels=8", "model_options.heads=2", "model_options.k=3")
    return read_recipe("digits", [*words, *tiny, *(f"{name}={value}" for name, value in options.items())])


def _saved() -> Path:
    """Return a file of weights."""
    file = Path(FOLDER.name, "weights.safetensors")
    save_file(timm.create_model("vig_micro").state_dict(), file)
    return file


def _training() -> list[Call]:
    recipe, data = _recipe(), small_digits(8, 4)
    model = partial(build_model, recipe, 10, channels=1)
    accelerator = accelerator_for(recipe, "cpu")

    def train(**given: Any) -> None:
        fit(**{"model": model(), "accelerator": accelerator, **given})

    wrong_data = (*NO_DATA, [], data._replace(train=[]), data._replace(classes=["a"]), data.train, data._asdict())
    options = [f"model_options.{word}" for word in ("nonsense=1", "k=nine", "depth=0", "heads=3", "global_pool=''")]
    return [
        Call(
            "load_data",
            load_data,
            {"name": "digits"},
            {"name": NO_DATA, "image_size": (0, -1, 2.5, "32", None, True, (32, 32))},
        ),
        Call("load_digits", load_digits, {"size": 8}, {"size": (*NO_COUNT, (8, 8))}),
        Call(
            "build_model",
            build_model,
            {"recipe": recipe, "classes": 10, "channels": 1},
            {
                "recipe": (*NO_RECIPE, *(_recipe(**dict([o.split("=")])) for o in options)),
                "classes": NO_COUNT,
                "channels": NO_COUNT,
            },
        ),
        Call(
            "build_model of a recipe",
            lambda **fields: build_model(_recipe(**fields), 10),
            {},
            {"model": ("vig_tinny", ""), "conv": ("edgy", "nowhere:Conv"), "init": NO_PATH[2:]},
        ),
        Call(
            "fit",
            train,
            {"data": data, "recipe": recipe},
            {
                "model": NO_MODEL,
                "data": wrong_data,
                "recipe": (*NO_RECIPE, _recipe(batch=64)),
                "out": (3, ["run"]),
                "resume": NO_FLAG,
                "accelerator": ("cpu", 3, torch.device("cpu")),
                "on_look": (3, "look"),
                "on_epoch": (3, "look"),
            },
        ),
        Call(
            "read_recipe",
            read_recipe,
            {"name": "digits"},
            {
                "name": (None, 3, "digit", "", "tests"),
                "overrides": (
                    "epochs=1",
                    3,
                    [3],
                    [None],
                    ["epochs"],
                    ["epochs=ten"],
                    ["epohcs=1"],
                    ["epochs=0"],
                    ["="],
                    [""],
                ),
            },
        ),
        Call(
            "load_model",
            load_model,
            {"weights": _saved(), "model": "vig_micro"},
            {"weights": NO_PATH, "model": ("vig_tinny", 3, None, "pvig_micro"), "trust": NO_FLAG},
        ),
        Call(
            "accelerator_for",
            accelerator_for,
            {"recipe": recipe, "device": "cpu"},
            {"recipe": NO_RECIPE, "device": ("gpu", "meta", "cpu:7", 3.5, "", ["cpu"])},
        ),
        *(
            Call(kind.__name__, kind, {}, {each.name: (object, 1j, math.inf, -7) for each in fields(kind)})
            for kind in (get_task(task).recipe_class for task in ("classify", "detect", "segment"))
        ),
    ]


def _on_a_backbone() -> list[Call]:
    sizes = {"min_size": (*NO_COUNT[:-1], "800"), "max_size": (*NO_COUNT, 8), "group_norm": NO_FLAG}
    words = {"score_thresh": ("half", None, -1, math.nan), "detections_per_img": NO_COUNT}
    of_masks = {"box_score_thresh": ("half", None, -1, math.nan), "box_detections_per_img": NO_COUNT}
    right = {"backbone": "pvig_micro", "num_classes": 3, "channels": 8, "backbone_options": BODY}
    small = {**right, "min_size": 32, "max_size": 64}
    return [
        Call("retinanet", retinanet, small, {**ON_IT, **sizes, **words}),
        Call("mask_rcnn", mask_rcnn, small, {**ON_IT, **sizes, **of_masks}),
        Call("semantic_fpn", semantic_fpn, right, ON_IT),
    ]


def _detecting() -> list[Call]:
    options = {"channels": 8, "backbone_options": BODY, "min_size": 32, "max_size": 64}
    detector, of_masks = retinanet("pvig_micro", 3, **options), mask_rcnn("pvig_micro", 3, **options)
    image = torch.rand(3, 32, 32)
    boxes, labels = torch.tensor([[1.0, 1.0, 9.0, 9.0]]), torch.tensor([1])
    target = {"boxes": boxes, "labels": labels}
    masks = torch.ones(1, 32, 32, dtype=torch.uint8)
    images = [
        *NO_IMAGES[:4],
        [None],
        [image[0]],
        [image[:1]],
        [image.byte()],
        [image.long()],
        [image.to("meta")],
        [image[None]],
        [],
        [image[:, :0]],
    ]
    changes = [
        *(
            {"boxes": each}
            for each in (
                None,
                boxes[0],
                boxes[:, :3],
                boxes.flip(1),
                boxes * math.nan,
                boxes.tolist(),
                boxes.long(),
                boxes.to("meta"),
            )
        ),
        *(
            {"labels": each}
            for each in (None, labels.float(), labels + 2, labels - 2, labels[:0], labels[None], [1], labels.to("meta"))
        ),
    ]
    targets = [[{**target, **change}] for change in changes]
    others = [None, [], [target, target], [None], [{}], [{"boxes": boxes}], [{"labels": labels}], "targets", target]
    no_masks = (None, masks[0], masks[:, :8], masks.repeat(2, 1, 1), masks.tolist(), masks.to("meta"))
    segmenter = semantic_fpn("pvig_micro", 3, channels=8, backbone_options=BODY).eval()
    wrong = [*NO_IMAGES[:-1], [None], [image[0]], [image[:1]], [image.to("meta")], [image.byte()], []]
    return [
        Call(
            "detector",
            detector.train(),
            {"images": [image], "targets": [target]},
            {"images": images, "targets": [*others, *targets]},
        ),
        Call(
            "detector in evaluation",
            lambda images: detector.eval()(images),
            {"images": [image]},
            {"images": images[:-2]},
        ),
        Call(
            "detector of masks",
            of_masks.train(),
            {"images": [image], "targets": [{**target, "masks": masks}]},
            {"targets": [*([{**target, "masks": each}] for each in no_masks), [target]]},
        ),
        Call("segmenter", segmenter, {"images": torch.rand(2, 3, 16, 16)}, {"images": wrong}),
    ]


def _studying() -> list[Call]:
    x, vig, image = nodes(), small_vig(), torch.rand(3, 16, 16)
    graph = neighbors(vig, image, 1)
    spoiled = (x * math.nan, x[0], x[None], x[:0], x.to("meta"), x.to(torch.complex64), None, "x", [["a"]])
    images = [*NO_IMAGES[:-1]]
    draw = partial(draw_neighbors, Figure().subplots())
    no_image = (None, "cat", image[0], image[None], image[:2], image.to("meta"), image.tolist(), image.numpy())
    return [
        Call("diversity", diversity, {"x": x}, {"x": spoiled, "tolerance": (-1, 0, math.nan, "1e-3", None, True)}),
        Call(
            "layer_diversity",
            layer_diversity,
            {"model": vig, "images": image[None]},
            {
                "model": (*NO_MODEL[:-1], nn.Linear(2, 2)),
                "images": images,
                "layers": ([3], ["blocks"], [], 3, "blocks", [vig.head], [nn.Linear(2, 2)]),
            },
        ),
        Call(
            "neighbors",
            neighbors,
            {"model": vig, "image": image, "block": 1},
            {
                "model": (*NO_MODEL[:-1], nn.Linear(2, 2)),
                "image": (*no_image, image[:1], image[:, :2]),
                "block": (0, 3, -1, 1.5, "1", None, True),
            },
        ),
        Call(
            "draw_neighbors",
            draw,
            {"image": image, "graph": graph, "nodes": [1, 5]},
            {
                "image": no_image,
                "graph": (None, "graph", type(graph)(), type(graph)(x=x)),
                "nodes": (None, 3, [99], [-1], ["1"], [1.5]),
            },
        ),
        Call(
            "layer_diversity of a pyramid",
            layer_diversity,
            {"model": small_pyramid(), "images": image[None]},
            {"images": images[4:6]},
        ),
    ]


def task_calls() -> list[Call]:
    """Return the calls."""
    return [*_training(), *_on_a_backbone(), *_detecting(), *_studying()]
