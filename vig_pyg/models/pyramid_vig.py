"""Pyramid ViG: Vision GNN in stages of falling resolution (paper, Section 3.2 and Table 2)."""

from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any, Literal

from timm.layers import calculate_drop_path_rates, to_2tuple
from timm.models import generate_default_cfgs, register_model
from torch import nn

from vig_pyg.blocks import FFN, Block, Downsample, Grapher, Head, NodeDownsample, NodeStem, build_stem
from vig_pyg.checks import check_flags, check_shares, check_size, check_whole, check_whole_lists
from vig_pyg.conv.linear import Act, Norm
from vig_pyg.conv.registry import ConvFactory
from vig_pyg.graph.position import RelativePosition
from vig_pyg.graph.registry import GraphLike, build_graph
from vig_pyg.models.published import RELEASE, build_published, digits_cfg, published_cfg
from vig_pyg.models.schedule import given_conv_options, given_options, growing_dilation, per_block
from vig_pyg.models.vision_gnn import Readout, VisionGNN


class PyramidViG(VisionGNN):
    r"""A Vision GNN whose stages halve height and width and widen the nodes.

    Neighbors are ranked by feature distance plus relative position; in early stages they are looked for among
    average-pooled nodes.

    Args:
        img_size: Size of the images it is made for; others work too, with positions interpolated.
        in_chans: Channels of the images.
        num_classes: Number of classes; 0 makes no head: the pooled features are returned.
        channels: Width ``D`` of every stage.
        depths: Number of blocks of every stage.
        pools: Side of the window that is averaged into one source, for every stage.
        stride: Side in pixels of what becomes one node of the first stage.
        relative: Add the relative position to the distance.
        k: Neighbors: one number, or one per block; None for 9.
        dilation: One number, or one per block; None for ``min(l // 4 + 1, 49 // 9)`` in block ``l``.

    The other arguments are those of :class:`~vig_pyg.ViG`; ``readout="accumulated"`` sums over the last stage, and
    ``drop_path_rate`` rises over all blocks.

    Raises:
        ValueError: an option has no such value, or does not fit the others.
    """

    def __init__(
        self,
        img_size: int | tuple[int, int] = 224,
        in_chans: int = 3,
        num_classes: int = 1000,
        *,
        channels: Sequence[int] = (48, 96, 240, 384),
        depths: Sequence[int] = (2, 2, 6, 2),
        pools: Sequence[int] = (4, 2, 1, 1),
        stride: int = 4,
        relative: bool = True,
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
        check_whole(in_chans=in_chans, stride=stride, heads=heads)
        check_flags(relative=relative, grapher_fc=grapher_fc, ffn=ffn)
        check_shares(drop_rate=drop_rate, dropout=dropout, drop_path_rate=drop_path_rate)
        check_whole_lists(channels=channels, depths=depths, pools=pools)
        if not len(channels) == len(depths) == len(pools) > 0:
            raise ValueError(
                f"channels, depths and pools must have one entry per stage, got {len(channels)}, {len(depths)}, "
                f"{len(pools)}"
            )
        conv_options = given_conv_options([conv], conv_options)
        shared = given_options(graph, graph_options, k, dilation, stochastic)
        depth = sum(depths)
        ks = per_block("k", 9 if k is None else k, depth)
        dilations = per_block("dilation", growing_dilation(depth, 49 // 9) if dilation is None else dilation, depth)
        drop_paths: Any = calculate_drop_path_rates(drop_path_rate, depth)  # one per block
        stem_module = build_stem(stem, in_chans, channels[0], stride, norm, act, pos_dim)
        grid = first_grid = None if isinstance(stem_module, NodeStem) else stem_module.grid(*to_2tuple(img_size))
        layers: list[nn.Module] = []
        index = 0
        for stage, width in enumerate(channels):
            if stage > 0:
                layers.append((NodeDownsample if grid is None else Downsample)(channels[stage - 1], width, norm))
                grid = None if grid is None else (-(-grid[0] // 2), -(-grid[1] // 2))
            position = RelativePosition(width, grid, pools[stage]) if relative else None
            for block in range(depths[stage]):
                options = {"position": position, "stochastic": stochastic, "epsilon": epsilon, "block": block, **shared}
                grapher = Grapher(
                    width,
                    build_graph(graph, ks[index], dilations[index], **options),
                    conv,
                    heads,
                    conv_options=conv_options,
                    pool=pools[stage],
                    fc=grapher_fc,
                    norm=norm,
                    act=act,
                    dropout=dropout,
                    drop_path=drop_paths[index],
                )
                layers.append(Block(grapher, FFN(width, 4, norm, act, dropout, drop_paths[index]) if ffn else None))
                index += 1
        super().__init__(
            stem_module,
            layers,
            Head(channels[-1], num_classes, act=act, dropout=drop_rate),
            grid=first_grid,
            # a stage's last block comes before the downsampling into the next, of which there is one per stage
            out_indices=[stage + blocks - 1 for stage, blocks in enumerate(accumulate(depths))],
            in_chans=in_chans,
            channels=(channels[0], channels[-1]),
            readout=readout,
            global_pool=global_pool,
        )


default_cfgs = generate_default_cfgs(
    {
        "pvig_tiny.in1k": published_cfg(f"{RELEASE}/pyramid-vig/pvig_ti_78.5.pth.tar", pool_size=(7, 7)),
        "pvig_small.in1k": published_cfg(f"{RELEASE}/pyramid-vig/pvig_s_82.1.pth.tar", pool_size=(7, 7)),
        "pvig_medium.in1k": published_cfg(f"{RELEASE}/pyramid-vig/pvig_m_83.1.pth.tar", pool_size=(7, 7)),
        "pvig_medium.in21k": published_cfg(
            f"{RELEASE}/pyramid-vig/pvig_m_im21k_90e.pth", pool_size=(7, 7), num_classes=21841
        ),
        "pvig_base.in1k": published_cfg(f"{RELEASE}/pyramid-vig/pvig_b_83.66.pth.tar", pool_size=(7, 7), crop_pct=0.95),
        "pvig_micro.digits": digits_cfg("pvig_micro", pool_size=(4, 4)),
        "pvig_micro.untrained*": published_cfg(num_classes=10, input_size=(3, 32, 32), pool_size=(4, 4), crop_pct=1.0),
    }
)


def create_pvig(variant: str, pretrained: bool, given: dict[str, Any], **numbers: Any) -> PyramidViG:
    """Build a variant of so many numbers, which what is given replaces."""
    kwargs = {**numbers, **given}
    check_whole_lists(depths=kwargs["depths"])
    return build_published(PyramidViG, variant, pretrained, tuple(range(len(kwargs["depths"]))), **kwargs)


@register_model
def pvig_tiny(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-Ti: 10.7 M parameters, 1.7 GMAC."""
    return create_pvig("pvig_tiny", pretrained, kwargs, channels=(48, 96, 240, 384), depths=(2, 2, 6, 2))


@register_model
def pvig_small(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-S: 27.3 M parameters, 4.5 GMAC."""
    return create_pvig("pvig_small", pretrained, kwargs, channels=(80, 160, 400, 640), depths=(2, 2, 6, 2))


@register_model
def pvig_medium(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-M: 49.5 M parameters, 8.8 GMAC."""
    return create_pvig("pvig_medium", pretrained, kwargs, channels=(96, 192, 384, 768), depths=(2, 2, 16, 2))


@register_model
def pvig_base(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """Pyramid ViG-B: 93.0 M parameters, 16.8 GMAC."""
    return create_pvig("pvig_base", pretrained, kwargs, channels=(128, 256, 512, 1024), depths=(2, 2, 18, 2))


@register_model
def pvig_micro(pretrained: bool = False, **kwargs: Any) -> PyramidViG:
    """A small Pyramid ViG for images of 32×32 pixels: three stages of 16×16, 8×8 and 4×4 nodes."""
    numbers = {"channels": (32, 64, 128), "depths": (1, 2, 1), "pools": (2, 1, 1)}
    return create_pvig("pvig_micro", pretrained, kwargs, img_size=32, stride=2, **numbers)
