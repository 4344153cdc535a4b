"""A dense Vision GNN after the paper's Algorithm 1, to measure against.

Feature maps are ``[B, C, N, 1]``, linear layers 1×1 convolutions; the features of both ends of every edge are gathered,
subtracted and reduced, as the library that Algorithm 1 imports does. Names follow the published layout, so that
``vig_pyg.load_checkpoint(ours, baseline.state_dict())`` copies the weights.
"""

from collections import OrderedDict
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vig_pyg.graph.position import grid_places, sincos_embedding


def conv_norm(inputs: int, outputs: int, groups: int = 1, act: bool = False) -> nn.Sequential:
    """Return a 1×1 convolution, a batch norm and, if asked for, an activation."""
    layers: list[nn.Module] = [nn.Conv2d(inputs, outputs, 1, groups=groups), nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.GELU()) if act else nn.Sequential(*layers)


def dense_knn(x: Tensor, y: Tensor, k: int, dilation: int, relative_pos: Tensor | None) -> Tensor:
    """Return the neighbors ``[B, N, k]`` of ``x [B, C, N, 1]`` among ``y [B, C, M, 1]``."""
    with torch.no_grad():
        x = F.normalize(x, dim=1).squeeze(3).transpose(1, 2)
        y = F.normalize(y, dim=1).squeeze(3).transpose(1, 2)
        distance = (x * x).sum(2, keepdim=True) - 2 * x @ y.transpose(1, 2) + (y * y).sum(2).unsqueeze(1)
        if relative_pos is not None:
            distance = distance + relative_pos
        return (-distance).topk(k * dilation).indices[:, :, ::dilation]


def gather(x: Tensor, index: Tensor) -> Tensor:
    """Return the features of ``x [B, C, M, 1]`` at ``index [B, N, k]`` as ``[B, C, N, k]``."""
    batch, channels, nodes, _ = x.shape
    rows = (index + torch.arange(batch, device=x.device).view(-1, 1, 1) * nodes).reshape(-1)
    flat = x.transpose(1, 2).reshape(batch * nodes, channels)
    return flat[rows].view(*index.shape, channels).permute(0, 3, 1, 2).contiguous()


class DenseConv(nn.Module):
    """One of the four operators on gathered edges."""

    def __init__(self, conv: str, channels: int) -> None:
        super().__init__()
        self.conv = conv
        if conv == "sage":
            self.nn1 = conv_norm(channels, channels, 4, act=True)
            self.nn2 = conv_norm(2 * channels, 2 * channels, 4, act=True)
        elif conv == "gin":
            self.eps = nn.Parameter(torch.zeros(1))
            self.nn = conv_norm(channels, 2 * channels, 4, act=True)
        else:
            self.nn = conv_norm(2 * channels, 2 * channels, 4, act=True)

    def forward(self, x: Tensor, y: Tensor, index: Tensor) -> Tensor:
        """Return the new features ``[B, 2C, N, 1]`` of ``x``, whose neighbors are in ``y``."""
        x_j = gather(y, index)
        if self.conv == "gin":
            return self.nn((1 + self.eps) * x + x_j.sum(-1, keepdim=True))
        if self.conv == "sage":
            return self.nn2(torch.cat([x, self.nn1(x_j).amax(-1, keepdim=True)], dim=1))
        center = torch.arange(x.size(2), device=x.device).view(1, -1, 1).expand_as(index)
        x_i = gather(x, center)
        if self.conv == "edge":
            return self.nn(torch.cat([x_i, x_j - x_i], dim=1)).max(-1, keepdim=True).values
        relative = (x_j - x_i).max(-1, keepdim=True).values
        return self.nn(torch.cat([x.unsqueeze(2), relative.unsqueeze(2)], dim=2).flatten(1, 2))


class DenseGrapher(nn.Module):
    """Algorithm 1's Grapher module."""

    def __init__(self, conv: str, channels: int, k: int, dilation: int, pool: int, relative_pos: Tensor | None) -> None:
        super().__init__()
        self.k, self.dilation, self.pool = k, dilation, pool
        self.fc1 = conv_norm(channels, channels)
        self.graph_conv = nn.ModuleDict({"gconv": DenseConv(conv, channels)})  # as it is published
        self.fc2 = conv_norm(2 * channels, channels)
        self.register_buffer("relative_pos", relative_pos, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature map ``[B, C, H, W]``."""
        shortcut = x
        batch, channels, height, width = x.shape
        x = self.fc1(x)
        y = F.avg_pool2d(x, self.pool, self.pool) if self.pool > 1 else x
        x, y = x.reshape(batch, channels, -1, 1).contiguous(), y.reshape(batch, channels, -1, 1).contiguous()
        x = self.graph_conv["gconv"](x, y, dense_knn(x, y, self.k, self.dilation, self.relative_pos))
        return self.fc2(x).reshape(batch, channels, height, width) + shortcut


class DenseFFN(nn.Module):
    """Algorithm 1's feed-forward network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = conv_norm(channels, 4 * channels)
        self.fc2 = conv_norm(4 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the new feature map."""
        return self.fc2(F.gelu(self.fc1(x))) + x


def downsample(inputs: int, outputs: int) -> nn.Module:
    """Return a 3×3 convolution of stride 2, under its published name."""
    conv = nn.Sequential(nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs))
    return nn.Sequential(OrderedDict(conv=conv))


class Stem(nn.Module):
    """3×3 convolutions; all but the last have stride 2 and an activation."""

    def __init__(self, widths: list[int]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(widths):
            layers += [nn.Conv2d(inputs, outputs, 3, 2, 1), nn.BatchNorm2d(outputs), nn.GELU()]
        last = widths[-1]
        self.convs = nn.Sequential(*layers, nn.Conv2d(last, last, 3, 1, 1), nn.BatchNorm2d(last))

    def forward(self, x: Tensor) -> Tensor:
        """Return the feature map."""
        return self.convs(x)


class DenseViG(nn.Module):
    """``vig_tiny`` (``pyramid=False``) or ``pvig_tiny`` for images of 224×224 pixels."""

    def __init__(self, conv: str = "max_relative", pyramid: bool = False, num_classes: int = 1000) -> None:
        super().__init__()
        widths, depths, pools = ([48, 96, 240, 384], [2, 2, 6, 2], [4, 2, 1, 1]) if pyramid else ([192], [12], [1])
        depth, first = sum(depths), widths[0]
        ks = [9] * depth if pyramid else [int(9 + 9 * i / 11) for i in range(depth)]
        side = 56 if pyramid else 14
        self.stem = Stem([3, first // 2, first] if pyramid else [3, first // 8, first // 4, first // 2, first])
        self.pos_embed = nn.Parameter(torch.zeros(1, first, side, side))
        layers: list[nn.Module] = []
        block = 0
        for stage, channels in enumerate(widths):
            if stage:
                layers.append(downsample(widths[stage - 1], channels))
                side //= 2
            table = relative_table(side, channels, pools[stage]) if pyramid else None
            for _ in range(depths[stage]):
                grapher = DenseGrapher(conv, channels, ks[block], block // 4 + 1, pools[stage], table)
                layers.append(nn.Sequential(grapher, DenseFFN(channels)))
                block += 1
        self.backbone = nn.Sequential(*layers)
        hidden = [nn.Conv2d(widths[-1], 1024, 1), nn.BatchNorm2d(1024), nn.GELU(), nn.Dropout(0.0)]
        self.prediction = nn.Sequential(*hidden, nn.Conv2d(1024, num_classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of images ``[B, 3, 224, 224]``."""
        x = self.backbone(self.stem(x) + self.pos_embed)
        return self.prediction(F.adaptive_avg_pool2d(x, 1)).flatten(1)


def relative_table(side: int, channels: int, pool: int) -> Tensor:
    """Return the published table of relative positions, made of all pairs and then resized along its keys."""
    embedding = sincos_embedding(grid_places(side, side), channels)
    table = -2 * embedding @ embedding.T / channels
    if pool > 1:
        table = F.interpolate(table[None, None], (side**2, side**2 // pool**2), mode="bicubic")[0, 0]
    return table.float()
