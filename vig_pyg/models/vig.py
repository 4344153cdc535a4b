"""ViG: isotropic Vision GNN (paper, Section 3.2 and Table 1)."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from timm.layers import calculate_drop_path_rates, to_2tuple
from timm.models import generate_default_cfgs, register_model

from vig_pyg.blocks import FFN, Block, Grapher, Head, NodeStem, build_stem
from vig_pyg.checks import check_flags, check_shares, check_size, check_whole
from vig_pyg.conv.linear import Act, Norm
from vig_pyg.conv.registry import ConvFactory
from vig_pyg.graph.registry import GraphLike, build_graph, takes
from vig_pyg.models.published import RELEASE, build_published, digits_cfg, published_cfg
from vig_pyg.models.schedule import given_conv_options, given_options, growing_dilation, linear_steps, per_block
from vig_pyg.models.vision_gnn import Readout, VisionGNN


class ViG(VisionGNN):
    r"""An isotropic Vision GNN: all blocks work on the same nodes at the same width.

    Args:
        img_size: Size of the images it is made for; others work too, with positions interpolated.
        in_chans: Channels of the images.
        num_classes: Number of classes; 0 makes no head: the pooled features are returned.
        channels: Width ``D`` of the nodes.
        depth: Number of blocks.
        stride: Side in pixels of what becomes one node.
        conv: Operator: a registered name (:func:`vig_pyg.list_convs`), ``"module:Name"`` or a factory.
        conv_options: More keywords of the operator.
        k: Neighbors: one number, or one per block; None for 9 to 18 rising with depth, as in the paper.
        dilation: One number, or one per block; None for ``min(l // 4 + 1, 196 // 18)`` in block ``l``.
        heads: Heads of the operator's update (paper, Eq. 5).
        graph: A registered name (:func:`vig_pyg.list_graphs`), ``"module:Name"``, a class, factory, function or
            module, see :mod:`vig_pyg.graph.protocol`. ``"knn"`` is rebuilt in every block; ``"static"`` is built once,
            or takes the edges of the ``Batch``.
        graph_options: More keywords of the graph.
        grapher_fc: Linear layers around the operator (paper, Table 7).
        ffn: An FFN after every Grapher (paper, Table 7).
        norm: ``"batch"``, ``"layer"`` or a factory ``channels -> module``.
        act: An activation of timm's by name, or a factory.
        stem: ``"conv"``, ``"patch"`` for patches and one linear layer, or ``"nodes"`` for nodes without a grid,
            ``Data(x, pos, batch)`` with ``in_chans`` features.
        pos_dim: Coordinates of the places of such nodes; 0 where they have none.
        readout: ``"mean"`` of the last nodes, ``"accumulated"`` over stem and blocks, or ``"nodes"`` for the logits of
            every node.
        stochastic: Draw random ones of the ``k·dilation`` neighbors in training, with probability ``epsilon``.
        epsilon: That probability.
        drop_rate: Dropout before the classifier.
        dropout: Dropout after every Grapher and FFN.
        drop_path_rate: Stochastic depth of the last block; rises linearly from zero.
        global_pool: ``"avg"``, ``"max"``, ``"avgmax"`` (the mean of both), or ``""`` to return the feature map.

    Raises:
        ValueError: an option has no such value, or does not fit the others.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        *,
        channels: int = 192,
        depth: int = 12,
        stride: int = 16,
        conv: str | ConvFactory = "max_relative",
        conv_options: Mapping[str, Any] | None = None,
        k: int | Sequence[int] | None = None,
        dilation: int | Sequence[int] | None = None,
        heads: int = 4,
        graph: GraphLike = "knn",
        graph_options: Mapping[str, Any] | None = None,
        grapher_fc: bool = True,
        ffn: bool = True,
        norm: Norm = "batch",
        act: Act = "gelu",
        stem: Literal["conv", "patch", "nodes"] = "conv",
        pos_dim: int = 2,
        readout: Readout = "mean",
        stochastic: bool = False,
        epsilon: float = 0.2,
        drop_rate: float = 0.0,
        dropout: float = 0.0,
        drop_path_rate: float = 0.0,
        global_pool: str = "avg",
    ) -> None:
        check_size(img_size=img_size)
        check_whole(in_chans=in_chans, channels=channels, depth=depth, stride=stride, heads=heads)
        check_flags(grapher_fc=grapher_fc, ffn=ffn)
        check_shares(drop_rate=drop_rate, dropout=dropout, drop_path_rate=drop_path_rate)
        conv_options = given_conv_options([conv], conv_options)
        options = given_options(graph, graph_options, k, dilation, stochastic)
        ks = per_block("k", linear_steps(9, 18, depth) if k is None else k, depth)
        dilations = per_block("dilation", growing_dilation(depth, 196 // 18) if dilation is None else dilation, depth)
        drop_paths: Any = calculate_drop_path_rates(drop_path_rate, depth)  # one per block
        blocks = [
            Block(
                Grapher(
                    channels,
                    build_graph(
                        graph, ks[i], dilations[i], stochastic=stochastic, epsilon=epsilon, **{"block": i, **options}
                    ),
                    conv,
                    heads,
                    conv_options=conv_options,
                    fc=grapher_fc,
                    norm=norm,
                    act=act,
                    dropout=dropout,
                    drop_path=drop_paths[i],
                ),
                FFN(channels, 4, norm, act, dropout, drop_paths[i]) if ffn else None,
            )
            for i in range(depth)
        ]
        stem_module = build_stem(stem, in_chans, channels, stride, norm, act, pos_dim)
        super().__init__(
            stem_module,
            blocks,
            Head(channels, num_classes, act=act, dropout=drop_rate),
            grid=None if isinstance(stem_module, NodeStem) else stem_module.grid(*to_2tuple(img_size)),
            out_indices=range(depth),
            in_chans=in_chans,
            channels=(channels, channels),
            readout=readout,
            global_pool=global_pool,
        )


default_cfgs = generate_default_cfgs(
    {
        "vig_tiny.in1k": published_cfg(f"{RELEASE}/vig/vig_ti_74.5.pth"),
        "vig_small.in1k": published_cfg(f"{RELEASE}/vig/vig_s_80.6.pth"),
        "vig_base.in1k": published_cfg(f"{RELEASE}/vig/vig_b_82.6.pth"),
        "vig_micro.digits": digits_cfg("vig_micro", pool_size=(8, 8)),
        "vig_micro.untrained*": published_cfg(num_classes=10, input_size=(3, 32, 32), pool_size=(8, 8), crop_pct=1.0),
    }
)


def _create_vig(variant: str, pretrained: bool, given: dict[str, Any], **numbers: Any) -> ViG:
    kwargs = {**numbers, **given}
    check_whole(depth=kwargs["depth"])
    return build_published(ViG, variant, pretrained, min(4, kwargs["depth"]), **kwargs)


@register_model
def vig_tiny(pretrained: bool = False, **kwargs: Any) -> ViG:
    """ViG-Ti: 7.2 M parameters, 1.3 GMAC."""
    return _create_vig("vig_tiny", pretrained, kwargs, channels=192, depth=12)


@register_model
def vig_small(pretrained: bool = False, **kwargs: Any) -> ViG:
    """ViG-S: 22.7 M parameters, 4.5 GMAC."""
    return _create_vig("vig_small", pretrained, kwargs, channels=320, depth=16)


@register_model
def vig_base(pretrained: bool = False, **kwargs: Any) -> ViG:
    """ViG-B: 86.8 M parameters, 17.6 GMAC."""
    return _create_vig("vig_base", pretrained, kwargs, channels=640, depth=16)


@register_model
def vig_micro(pretrained: bool = False, **kwargs: Any) -> ViG:
    """A small ViG for images of 32×32 pixels: 8×8 nodes, 4 blocks of width 48."""
    k = {"k": 9} if takes(kwargs.get("graph", "knn"), "k") else {}
    return _create_vig("vig_micro", pretrained, kwargs, img_size=32, channels=48, depth=4, stride=4, **k)
