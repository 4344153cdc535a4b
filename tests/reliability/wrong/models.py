"""Wrong calls of models."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import timm
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

import vig_pyg
from tests.reliability.wrong.values import (
    NO_ACT,
    NO_CONV,
    NO_COUNT,
    NO_FLAG,
    NO_GRAPH,
    NO_IMAGE_SIZE,
    NO_NORM,
    NO_PATH,
    NO_SHARE,
    Call,
)

NO_WORD = ("", "other", None, 3, True, ["mean"])
NO_CLASSES = (-1, 2.5, "3", None, True, [3])
NO_NUMBERS = (
    0,
    -1,
    2.5,
    "3",
    True,
    {"a": 1},
    [],
    [3, 3, 3],
    [3, 0],
    [3, "3"],
    [3, None],
    [2.5, 3],
    (True, 3),
    [[3, 3]],
)
SHARED = {
    "img_size": NO_IMAGE_SIZE,
    "in_chans": NO_COUNT,
    "num_classes": NO_CLASSES,
    "stride": (*NO_COUNT, 3, 64),
    "conv": NO_CONV,
    "k": NO_NUMBERS,
    "dilation": NO_NUMBERS,
    "heads": (*NO_COUNT, 3),
    "graph": NO_GRAPH,
    "graph_options": (3, "k", [("k", 3)], {"nonsense": 1}, {"k": 3}, {"backend": "denze"}, {3: 3}),
    "grapher_fc": NO_FLAG,
    "ffn": NO_FLAG,
    "norm": NO_NORM,
    "act": NO_ACT,
    "stem": NO_WORD,
    "readout": NO_WORD,
    "stochastic": NO_FLAG,
    "epsilon": NO_SHARE,
    "drop_rate": NO_SHARE,
    "dropout": NO_SHARE,
    "drop_path_rate": NO_SHARE,
    "global_pool": ("other", None, 3, True, ["avg"]),
    "nonsense": (1,),
}
STAGES = (None, 3, "88", [], [8], [8, 8, 8], [8, 0], [8, -8], [8, 2.5], [8, "8"], [8, None], [True, 8], {8: 8})
NO_IMAGES = (
    None,
    "cat.png",
    3,
    [[1.0]],
    torch.ones(3, 16, 16),
    torch.ones(1, 1, 3, 16, 16),
    torch.ones(2, 1, 16, 16),
    torch.ones(2, 16, 16, 3),
    torch.ones(0, 3, 16, 16),
    torch.ones(2, 3, 0, 16),
    torch.ones(2, 3, 4, 4),
    torch.ones(2, 3, 16, 16).byte(),
    torch.ones(2, 3, 16, 16).long(),
    torch.ones(2, 3, 16, 16).bool(),
    torch.ones(2, 3, 16, 16).double(),
    torch.ones(2, 3, 16, 16).half(),
    torch.ones(2, 3, 16, 16, dtype=torch.complex64),
    torch.ones(2, 3, 16, 16, device="meta"),
    torch.ones(2, 3, 16, 16).to_sparse(),
    torch.ones(2, 3, 16, 16).numpy(),
    [torch.ones(3, 16, 16)],
)


def small_vig(**options: Any) -> nn.Module:
    """Return a ViG of two blocks for images of 16×16 pixels."""
    numbers = {"img_size": 16, "num_classes": 3, "channels": 8, "depth": 2, "stride": 4, "k": 3, "heads": 2}
    return vig_pyg.ViG(**{**numbers, **options}).eval()


def small_pyramid(**options: Any) -> nn.Module:
    """Return a Pyramid ViG of two stages for images of 16×16 pixels."""
    numbers = {"img_size": 16, "num_classes": 3, "channels": (8, 16), "depths": (1, 1), "pools": (2, 1), "stride": 2}
    return vig_pyg.PyramidViG(**{**numbers, "k": 3, "heads": 2, **options}).eval()


def no_batches() -> list[Any]:
    """Return batches that are none of images."""
    x, grid = torch.rand(256, 3), torch.tensor([[16, 16]])
    other_grids = (
        None,
        [[16, 16]],
        "16×16",
        grid[0],
        grid[:, :1],
        grid.float(),
        grid - 1,
        -grid,
        0 * grid,
        grid[:0],
        grid.to("meta"),
    )
    other_x = (None, "x", x.tolist(), x[1:], x[:, :2], x[:0], x.double(), x.long(), x[None], x.flatten(), x.to("meta"))
    made = [
        Data(x=x),
        Data(grid=grid),
        Data(),
        *(Data(x=x, grid=g) for g in other_grids),
        *(Data(x=o, grid=grid) for o in other_x),
    ]
    small = Data(x=x[:16], grid=torch.tensor([[4, 4]]))
    return [*made, small, Batch.from_data_list([Data(x=x)])]


def _of(model: Callable[..., nn.Module], method: str, **model_options: Any) -> Callable[..., Any]:
    """Return what calls a method of a new model."""
    return lambda **arguments: getattr(model(**model_options), method)(**arguments)


def _given(values: Sequence[Any]) -> list[Any]:
    """Return what timm passes on: None is for it what is not given."""
    return [value for value in values if value is not None]


def _constructors() -> list[Call]:
    isotropic = {"channels": (*NO_COUNT, 7), "depth": NO_COUNT}
    stages = {"channels": STAGES, "depths": STAGES, "pools": STAGES}
    timms = [(name, _given(values)[:5]) for name, values in SHARED.items()]
    create, rest = (
        partial(timm.create_model, "vig_micro"),
        {"channels": _given((*NO_COUNT, 7)), "depth": _given(NO_COUNT)},
    )
    return [
        Call("ViG", small_vig, {}, {**SHARED, **isotropic}),
        Call("PyramidViG", small_pyramid, {}, {**SHARED, **stages, "relative": NO_FLAG}),
        Call(
            "create_model vig_micro",
            create,
            {"depth": 1, "channels": 8},
            {**dict(timms), **rest, "device": ("gpu", 3.5), "dtype": ("float32", 3)},
        ),
        Call(
            "create_model pvig_micro",
            partial(timm.create_model, "pvig_micro"),
            {"depths": (1, 1, 1)},
            {name: _given(values)[:5] for name, values in stages.items()},
        ),
    ]


def _calls_of(name: str, model: Callable[..., nn.Module]) -> list[Call]:
    images = torch.rand(2, 3, 16, 16)
    built = model()
    maps: Sequence[Any] = built.forward_features(images).detach()
    assert isinstance(maps, Tensor)
    no_maps = (None, "x", maps[0], maps[:, :-1], maps[:0], maps.double(), maps.long(), maps.to("meta"), maps.tolist())
    no_indices = ("last", 2.5, 0, 9, [9], [-9], ["0"], [2.5], True, [[0]], {0: 1})
    pools = ("other", 3, True, ["avg"])
    return [
        Call(name, built, {"inputs": images}, {"inputs": [*NO_IMAGES, *no_batches()]}),
        Call(
            f"{name}.forward_graphs", built.forward_graphs, {"inputs": images}, {"inputs": [*NO_IMAGES, *no_batches()]}
        ),
        Call(f"{name}.forward_features", built.forward_features, {"inputs": images}, {"inputs": NO_IMAGES}),
        Call(f"{name}.forward_head", built.forward_head, {"x": maps}, {"x": no_maps, "pre_logits": NO_FLAG}),
        Call(
            f"{name}.forward_intermediates",
            built.forward_intermediates,
            {"x": images},
            {
                "x": NO_IMAGES,
                "indices": no_indices,
                "norm": NO_FLAG,
                "stop_early": NO_FLAG,
                "output_fmt": ("NHWC", "NLC", None, 3),
                "intermediates_only": NO_FLAG,
            },
        ),
        Call(
            f"{name}.reset_classifier",
            _of(model, "reset_classifier"),
            {"num_classes": 3},
            {"num_classes": NO_CLASSES, "global_pool": pools},
        ),
        Call(
            f"{name}.prune_intermediate_layers",
            _of(model, "prune_intermediate_layers"),
            {"indices": 1},
            {"indices": no_indices, "prune_norm": NO_FLAG, "prune_head": NO_FLAG},
        ),
        Call(f"{name}.set_grad_checkpointing", _of(model, "set_grad_checkpointing"), {}, {"enable": NO_FLAG}),
        Call(f"{name}.group_matcher", _of(model, "group_matcher"), {}, {"coarse": NO_FLAG}),
    ]


def _features() -> list[Call]:
    create = partial(timm.create_model, "pvig_micro", features_only=True)
    return [
        Call(
            "create_model features_only",
            create,
            {"out_indices": (0, 1)},
            {"out_indices": ("last", [9], [-9], ["0"], [2.5], 9)},
        )
    ]


def _weights() -> list[Call]:
    state = small_vig().state_dict()
    some = dict(list(state.items())[1:])
    other = small_vig(channels=16).state_dict()
    contents = ({}, {"a": 1}, {"state_dict": {}}, {"model": 3}, [], some, other, {**state, "more": torch.ones(1)})
    spoiled = (
        {name: w.tolist() for name, w in state.items()},
        {name: w.to("meta") for name, w in state.items()},
        {name: w.to(torch.complex64) for name, w in state.items()},
    )
    return [
        Call(
            "load_checkpoint",
            vig_pyg.load_checkpoint,
            {"model": small_vig(), "checkpoint": state},
            {
                "model": (None, "vig_tiny", nn.Linear(2, 2), vig_pyg.ViG, small_pyramid()),
                "checkpoint": (*NO_PATH, *contents, *spoiled, torch.ones(3)),
            },
        ),
        Call(
            "fuse_for_inference",
            vig_pyg.fuse_for_inference,
            {"model": small_vig()},
            {"model": (None, "vig_tiny", 3, vig_pyg.ViG, torch.ones(3), {})},
        ),
    ]


def _patches() -> list[Call]:
    built = small_vig(stem="patch", graph="static")
    image = torch.rand(3, 16, 16)
    patches = vig_pyg.PatchGraph(4, 3)

    def changed(**changes: Any) -> Batch:
        return Batch.from_data_list([Data(**{**patches(image).to_dict(), **changes})])

    edges = patches(image).edge_index
    wrong = (edges + 1, -edges - 1, edges[0], edges.float(), edges.byte(), edges[:1], edges.to("meta"), "edges")
    narrow = changed(x=torch.rand(16, 47))
    nan = math.nan * image
    return [
        Call(
            "ViG of patches",
            built,
            {"inputs": changed()},
            {"inputs": [*(changed(edge_index=e) for e in wrong), narrow]},
        ),
        Call("image to PatchGraph", patches, {"data": image}, {"data": (nan,)}),
    ]


def model_calls() -> list[Call]:
    """Return the calls."""
    of_vig, of_pyramid = _calls_of("ViG()", small_vig), _calls_of("PyramidViG()", small_pyramid)
    return [*_constructors(), *of_vig, *of_pyramid, *_features(), *_weights(), *_patches()]
