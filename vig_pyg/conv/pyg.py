"""PyTorch Geometric's own operators under short names, with the heads that they know."""

import torch
from torch_geometric import nn as pyg

from vig_pyg.conv.registry import register_conv


@register_conv("gcn")
def gcn(in_channels: int, out_channels: int) -> pyg.GCNConv:
    """Kipf and Welling's graph convolution, 2017."""
    return pyg.GCNConv(in_channels, out_channels)


@register_conv("gat")
def gat(in_channels: int, out_channels: int, heads: int = 1) -> pyg.GATConv:
    """Graph attention, Veličković et al., 2018."""
    return pyg.GATConv(in_channels, _per_head(out_channels, heads), heads)


@register_conv("gatv2")
def gatv2(in_channels: int, out_channels: int, heads: int = 1) -> pyg.GATv2Conv:
    """Dynamic graph attention, Brody et al., 2022."""
    return pyg.GATv2Conv(in_channels, _per_head(out_channels, heads), heads)


@register_conv("transformer")
def transformer(in_channels: int, out_channels: int, heads: int = 1) -> pyg.TransformerConv:
    """Scaled dot-product attention along edges, Shi et al., 2021."""
    return pyg.TransformerConv(in_channels, _per_head(out_channels, heads), heads)


@register_conv("graph")
def graph(in_channels: int, out_channels: int) -> pyg.GraphConv:
    """Higher-order graph convolution, Morris et al., 2019, with the maximum of neighbors."""
    return pyg.GraphConv(in_channels, out_channels, aggr="max")


@register_conv("sage_mean")
def sage_mean(in_channels: int, out_channels: int) -> pyg.SAGEConv:
    """GraphSAGE with the mean of neighbors, Hamilton et al., 2017."""
    return pyg.SAGEConv(in_channels, out_channels, aggr="mean")


@register_conv("sage_max")
def sage_max(in_channels: int, out_channels: int) -> pyg.SAGEConv:
    """GraphSAGE with a projection and the maximum of neighbors, Hamilton et al., 2017."""
    return pyg.SAGEConv(in_channels, out_channels, aggr="max", project=True)


@register_conv("pna")
def pna(in_channels: int, out_channels: int) -> pyg.PNAConv:
    """Principal neighborhood aggregation, Corso et al., 2020.

    Its degree scalers are constants on a graph in which every node has ``k`` neighbors, so only ``identity``
    is taken.
    """
    return pyg.PNAConv(in_channels, out_channels, ["mean", "min", "max", "std"], ["identity"], deg=torch.tensor([0, 1]))


@register_conv("resgated")
def resgated(in_channels: int, out_channels: int) -> pyg.ResGatedGraphConv:
    """Residual gated graph convolution, Bresson and Laurent, 2017."""
    return pyg.ResGatedGraphConv(in_channels, out_channels)


@register_conv("gen")
def gen(in_channels: int, out_channels: int) -> pyg.GENConv:
    """Softmax aggregation of DeeperGCN, Li et al., 2020."""
    return pyg.GENConv(in_channels, out_channels)


@register_conv("tag")
def tag(in_channels: int, out_channels: int) -> pyg.TAGConv:
    """Topology-adaptive convolution over two hops, Du et al., 2017."""
    return pyg.TAGConv(in_channels, out_channels, K=2)


def _per_head(out_channels: int, heads: int) -> int:
    if out_channels % heads:
        raise ValueError(f"heads={heads} must divide {out_channels} output channels")
    return out_channels // heads
