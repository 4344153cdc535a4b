"""MobileViG and its successors: inverted residuals and graphs on rows and columns, in stages."""

from collections.abc import Mapping, Sequence
from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD
from timm.layers import calculate_drop_path_rates
from timm.models import generate_default_cfgs, register_model
from torch import nn

from vig_pyg.blocks import FFN, Block, ConvStem, Downsample, Grapher, Head, InvertedResidual
from vig_pyg.checks import check_flags, check_shares, check_whole, check_whole_lists
from vig_pyg.conv.linear import Act, Norm
from vig_pyg.conv.registry import ConvFactory, options_of
from vig_pyg.graph.registry import GraphLike, build_graph, takes
from vig_pyg.models.published import build_published, published_cfg
from vig_pyg.models.schedule import given_conv_options, given_options, per_block, per_stage
from vig_pyg.models.vision_gnn import Readout, VisionGNN

Depths = Sequence[tuple[int, int]]


class MobileViG(VisionGNN):
    r"""A Vision GNN of inverted residuals and graph blocks in turn, without absolute positions: any image size.

    Every stage holds some inverted residuals, then some blocks of Grapher and FFN, whose links are mostly fixed (Munir
    et al., "MobileViG", 2023; "GreedyViG", 2024; "AdaptViG", 2026; Avery et al., "MobileViGv2", 2024).

    Args:
        in_chans: Channels of the images.
        num_classes: Number of classes; 0 makes no head: the pooled features are returned.
        channels: Width ``D`` of every stage.
        depths: Number of inverted residuals and of graph blocks of every stage.
        steps: Step of the graph in every stage, see :class:`~vig_pyg.graph.AxialGraph`; None for the graph's own.
        hidden: Width of the head's hidden layer.
        conv: Operator, one or one per stage.
        conv_options: What else operators take; where there are several, each gets those that it names.
        k: Neighbors: one number, or one per graph block; None for 9. For graphs that have a use for it.
        dilation: Likewise; None for 1.
        heads: Heads of the operator's update.
        graph: Graph, one or one per stage.
        graph_options: What else graphs take; where there are several, each gets those that it names.
        expansion: The operator returns ``expansion · D`` channels.
        cpe: Side of the window of conditional positions, None for none.
        layer_scale: What the scales of graph blocks start from, None for none; those of inverted residuals always are.
        drop_path_rate: Stochastic depth of the last block; rises from zero over all blocks.
        drop_path_slip: Let inverted residuals not count as steps of that rise, as MobileViGv2's code does.
        distilled: Add a second classifier, which learns from a teacher (:meth:`set_distilled_training`).

    The other arguments are those of :class:`~vig_pyg.PyramidViG`.

    Raises:
        ValueError: an option has no such value, or does not fit the others.
    """

    _no_split_modules = ("Block", "InvertedResidual")

    def __init__(
        self,
        in_chans: int = 3,
        num_classes: int = 1000,
        *,
        channels: Sequence[int] = (48, 96, 192, 384),
        depths: Depths = ((2, 2), (2, 2), (6, 2), (2, 2)),
        steps: Sequence[int] | None = None,
        hidden: int = 768,
        conv: str | ConvFactory | Sequence[str | ConvFactory] = "max_relative",
        conv_options: Mapping[str, Any] | None = None,
        k: int | Sequence[int] | None = None,
        dilation: int | Sequence[int] | None = None,
        heads: int = 1,
        graph: GraphLike | Sequence[GraphLike] = "axial",
        graph_options: Mapping[str, Any] | None = None,
        expansion: int = 1,
        cpe: int | None = 7,
        layer_scale: float | None = 1e-5,
        norm: Norm = "batch",
        act: Act = "gelu",
        readout: Readout = "mean",
        stochastic: bool = False,
        epsilon: float = 0.2,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.0,
        drop_path_slip: bool = False,
        distilled: bool = True,
        global_pool: str = "avg",
    ) -> None:
        check_whole(in_chans=in_chans, heads=heads)
        check_flags(drop_path_slip=drop_path_slip)
        check_shares(drop_rate=drop_rate, drop_path_rate=drop_path_rate, epsilon=epsilon)
        check_whole_lists(channels=channels)
        stages = len(channels)
        locals_, linked = _counts(depths, stages)
        options = given_options(graph, graph_options, k, dilation, stochastic, step=steps)
        options |= {"stochastic": stochastic, "epsilon": epsilon}
        graphs, convs = per_stage("graph", graph, stages), per_stage("conv", conv, stages)
        conv_options = given_conv_options(convs, conv_options)
        ks = per_block("k", 9 if k is None else k, sum(linked))
        dilations = per_block("dilation", 1 if dilation is None else dilation, sum(linked))
        rates: Any = calculate_drop_path_rates(drop_path_rate, sum(locals_) + sum(linked))  # one per block
        layers: list[nn.Module] = []
        ends, rate, index = [], 0, 0
        for stage, width in enumerate(channels):
            if stage > 0:
                layers.append(Downsample(channels[stage - 1], width, norm))
            for _ in range(locals_[stage]):
                layers.append(InvertedResidual(width, 4, norm, act, rates[rate]))
                rate += not drop_path_slip
            own = {name: value for name, value in options.items() if takes(graphs[stage], name)}
            if steps is not None and takes(graphs[stage], "step"):
                own["step"] = per_stage("steps", steps, stages)[stage]
            for block in range(linked[stage]):
                grapher = Grapher(
                    width,
                    build_graph(graphs[stage], ks[index], dilations[index], **{"block": block, **own}),
                    convs[stage],
                    heads,
                    conv_options=options_of(convs[stage], conv_options),
                    expansion=expansion,
                    cpe=cpe,
                    norm=norm,
                    act=act,
                    drop_path=rates[rate],
                    layer_scale=layer_scale,
                )
                ffn = FFN(width, 4, norm, act, drop_path=rates[rate], layer_scale=layer_scale)
                layers.append(Block(grapher, ffn))
                rate, index = rate + 1, index + 1
            ends.append(len(layers) - 1)
        super().__init__(
            ConvStem(in_chans, channels[0], 4, norm, act, refine=False),
            layers,
            Head(channels[-1], num_classes, hidden, act, drop_rate, distilled),
            grid=None,
            out_indices=ends,
            in_chans=in_chans,
            channels=(channels[0], channels[-1]),
            readout=readout,
            global_pool=global_pool,
        )

    def set_distilled_training(self, enable: bool = True) -> None:
        """Return, in training, the pair of what both classifiers say instead of its mean, as timm's DeiT does.

        Raises:
            ValueError: the model has one classifier.
        """
        check_flags(enable=enable)
        if enable and self.head.fc2_dist is None:
            raise ValueError("this model has one classifier, and none that learns from a teacher: distilled=True")
        self.head.distilled_training = enable


def _counts(depths: Depths, stages: int) -> tuple[list[int], list[int]]:
    """Return how many inverted residuals and graph blocks every stage has.

    Raises:
        TypeError, ValueError: these are not a pair of whole numbers for every stage, one of them above zero.
    """
    if not isinstance(depths, list | tuple) or not all(isinstance(d, list | tuple) and len(d) == 2 for d in depths):
        raise TypeError(f"depths must hold a pair (inverted residuals, graph blocks) per stage, got {depths!r}")
    if len(depths) != stages:
        raise ValueError(f"depths must have one entry per stage, got {len(depths)} for {stages}")
    for pair in depths:
        check_whole(0, **{"every number in depths": pair[0]})
        check_whole(0 if pair[0] else 1, **{"the number of blocks of a stage": pair[1]})
    return [pair[0] for pair in depths], [pair[1] for pair in depths]


# Of these files the names of two are known; none of them was ever fetched by the authors of this library.
HUB = "https://huggingface.co/SLDGroup"


def _cfg(url: str = "", **paper: str) -> dict[str, Any]:
    classifiers = ("head.fc2", "head.fc2_dist")
    pixels = {"mean": IMAGENET_DEFAULT_MEAN, "std": IMAGENET_DEFAULT_STD, "pool_size": (7, 7)}
    return published_cfg(url, classifier=classifiers, **pixels, **paper)


V1 = {"paper_ids": "arXiv:2307.00395", "paper_name": "MobileViG: Graph-Based Sparse Attention for Mobile Vision"}
V2 = {"paper_ids": "arXiv:2406.05850", "paper_name": "Scaling Graph Convolutions for Mobile Vision"}
GREEDY = {"paper_ids": "arXiv:2405.06849", "paper_name": "GreedyViG: Dynamic Axial Graph Construction"}
ADAPT = {"paper_ids": "arXiv:2511.09942", "paper_name": "AdaptViG: Adaptive Vision GNN with Exponential Decay Gating"}

default_cfgs = generate_default_cfgs(
    {
        "mobilevig_tiny.in1k": _cfg(**V1),
        "mobilevig_small.in1k": _cfg(f"{HUB}/MobileViG/resolve/main/MobileViG_S_78_2.pth.tar", **V1),
        "mobilevig_medium.in1k": _cfg(**V1),
        "mobilevig_base.in1k": _cfg(**V1),
        "mobilevigv2_tiny.in1k": _cfg(**V2),
        "mobilevigv2_small.in1k": _cfg(**V2),
        "mobilevigv2_medium.in1k": _cfg(**V2),
        "mobilevigv2_base.in1k": _cfg(**V2),
        "greedyvig_small.in1k": _cfg(f"{HUB}/GreedyViG/resolve/main/S_GreedyViG_81_1.pth", **GREEDY),
        "greedyvig_medium.in1k": _cfg(**GREEDY),
        "greedyvig_base.in1k": _cfg(**GREEDY),
        "adaptvig_small.in1k": _cfg(**ADAPT),
        "adaptvig_medium.in1k": _cfg(**ADAPT),
        "adaptvig_base.in1k": _cfg(**ADAPT),
    }
)

# What the variants of a family share.
FAMILIES: dict[str, dict[str, Any]] = {
    "mobilevig": {
        "graph": "axial",
        "steps": (2, 2, 2, 2),
        "conv_options": {"floor": True, "reverse": True},
        "expansion": 2,
        "cpe": None,
        "layer_scale": None,
    },
    "mobilevigv2": {"graph": "cross", "steps": (8, 8, 4, 2), "conv_options": {"floor": True}},
    "greedyvig": {"graph": "greedy", "steps": (8, 4, 2, 1), "conv_options": {"floor": True}},
    "adaptvig": {
        "graph": ("gated", "gated", "gated", "complete"),
        "conv": ("max_relative", "max_relative", "max_relative", "attention"),
        "steps": (8, 4, 2, 1),
        "conv_options": {"floor": True},
    },
}


def _create(variant: str, pretrained: bool, given: dict[str, Any], **numbers: Any) -> MobileViG:
    kwargs = {**FAMILIES[variant.partition("_")[0]], **numbers}
    if "graph" in given:  # the family's steps are for its own graph, unless the other takes some, too
        graphs = given["graph"] if isinstance(given["graph"], list | tuple) else [given["graph"]]
        if not any(takes(graph, "step") for graph in graphs):
            del kwargs["steps"]
    if "conv" in given:
        del kwargs["conv_options"]
    kwargs.update(given)
    return build_published(MobileViG, variant, pretrained, tuple(range(len(kwargs["channels"]))), **kwargs)


@register_model
def mobilevig_tiny(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViG-Ti: 5.3 M parameters, 0.7 GMAC."""
    numbers = {"channels": (42, 84, 168, 256), "depths": ((2, 0), (2, 0), (6, 0), (0, 2)), "hidden": 512}
    return _create("mobilevig_tiny", pretrained, kwargs, **numbers)


@register_model
def mobilevig_small(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViG-S: 7.3 M parameters, 1.0 GMAC."""
    numbers = {"channels": (42, 84, 176, 256), "depths": ((3, 0), (3, 0), (9, 0), (0, 3)), "hidden": 512}
    return _create("mobilevig_small", pretrained, kwargs, **numbers)


@register_model
def mobilevig_medium(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViG-M: 14.1 M parameters, 1.5 GMAC."""
    numbers = {"channels": (42, 84, 224, 400), "depths": ((3, 0), (3, 0), (9, 0), (0, 3))}
    return _create("mobilevig_medium", pretrained, kwargs, **numbers)


@register_model
def mobilevig_base(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViG-B: 26.9 M parameters, 2.8 GMAC."""
    numbers = {"channels": (42, 84, 240, 464), "depths": ((5, 0), (5, 0), (15, 0), (0, 5))}
    return _create("mobilevig_base", pretrained, kwargs, **numbers)


@register_model
def mobilevigv2_tiny(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViGv2-Ti: 5.7 M parameters, 0.6 GMAC."""
    numbers = {"channels": (32, 64, 128, 256), "depths": ((2, 0), (2, 2), (6, 2), (2, 2)), "hidden": 512}
    return _create("mobilevigv2_tiny", pretrained, kwargs, **numbers)


@register_model
def mobilevigv2_small(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViGv2-S: 7.8 M parameters, 0.9 GMAC."""
    numbers = {"channels": (32, 64, 128, 256), "depths": ((3, 0), (3, 3), (9, 3), (3, 3)), "hidden": 512}
    return _create("mobilevigv2_small", pretrained, kwargs, **numbers)


@register_model
def mobilevigv2_medium(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViGv2-M: 15.5 M parameters, 1.6 GMAC."""
    numbers = {"channels": (32, 64, 192, 384), "depths": ((3, 0), (3, 3), (9, 3), (3, 3)), "hidden": 512}
    return _create("mobilevigv2_medium", pretrained, kwargs, **numbers)


@register_model
def mobilevigv2_base(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """MobileViGv2-B: 27.9 M parameters, 3.6 GMAC."""
    numbers = {"channels": (64, 128, 256, 512), "depths": ((3, 0), (3, 3), (9, 3), (3, 3))}
    return _create("mobilevigv2_base", pretrained, kwargs, **numbers)


@register_model
def greedyvig_small(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """GreedyViG-S: 12.0 M parameters, 1.6 GMAC."""
    numbers = {"channels": (48, 96, 192, 384), "depths": ((2, 2), (2, 2), (6, 2), (2, 2))}
    return _create("greedyvig_small", pretrained, kwargs, **numbers)


@register_model
def greedyvig_medium(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """GreedyViG-M: 21.9 M parameters, 3.1 GMAC."""
    numbers = {"channels": (56, 112, 224, 448), "depths": ((3, 3), (3, 3), (9, 3), (3, 3))}
    return _create("greedyvig_medium", pretrained, kwargs, **numbers)


@register_model
def greedyvig_base(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """GreedyViG-B: 30.9 M parameters, 5.1 GMAC."""
    numbers = {"channels": (64, 128, 256, 512), "depths": ((4, 4), (4, 4), (12, 4), (3, 3))}
    return _create("greedyvig_base", pretrained, kwargs, **numbers)


@register_model
def adaptvig_small(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """AdaptViG-S: 8.7 M parameters, 1.1 GMAC."""
    numbers = {"channels": (32, 64, 128, 256), "depths": ((3, 3), (3, 3), (9, 3), (3, 3))}
    return _create("adaptvig_small", pretrained, kwargs, **numbers)


@register_model
def adaptvig_medium(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """AdaptViG-M: 18.1 M parameters, 2.9 GMAC."""
    numbers = {"channels": (48, 96, 192, 320), "depths": ((4, 4), (4, 4), (12, 4), (4, 4))}
    return _create("adaptvig_medium", pretrained, kwargs, **numbers)


@register_model
def adaptvig_base(pretrained: bool = False, **kwargs: Any) -> MobileViG:
    """AdaptViG-B: 27.0 M parameters, 3.8 GMAC."""
    numbers = {"channels": (48, 96, 192, 384), "depths": ((5, 5), (5, 5), (15, 5), (5, 5))}
    return _create("adaptvig_base", pretrained, kwargs, **numbers)
