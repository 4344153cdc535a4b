"""``vig_tiny`` as a PyG tutorial would write it: knn_graph of torch_cluster, an edge list, messages, torch_scatter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch_cluster import knn
from torch_geometric.nn import MessagePassing
from torch_scatter import scatter

from benchmarks.dense_baseline import Stem


class MaxRelative(MessagePassing):
    """The max-relative operator, message by message."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nn = nn.Sequential(
            nn.Conv1d(2 * channels, 2 * channels, 1, groups=4), nn.BatchNorm1d(2 * channels), nn.GELU()
        )

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Return the new features ``[N, 2C]``."""
        relative = self.propagate(edge_index, x=x)
        return self.nn(torch.stack([x, relative], dim=2).flatten(1).unsqueeze(2)).squeeze(2)

    def message(self, x_i: Tensor, x_j: Tensor) -> Tensor:
        """Return the difference along every edge."""
        return x_j - x_i

    def aggregate(self, inputs: Tensor, index: Tensor, dim_size: int) -> Tensor:
        """Return the maximum of every target's messages."""
        return scatter(inputs, index, dim=0, dim_size=dim_size, reduce="max")


def linear_norm(inputs: int, outputs: int) -> nn.Sequential:
    """Return a linear layer and a batch norm."""
    return nn.Sequential(nn.Linear(inputs, outputs), nn.BatchNorm1d(outputs))


class TextbookViG(nn.Module):
    """The isotropic model for images of 224×224 pixels."""

    def __init__(self, channels: int = 192, depth: int = 12, num_classes: int = 1000) -> None:
        super().__init__()
        self.stem = Stem([3, channels // 8, channels // 4, channels // 2, channels])
        self.pos_embed = nn.Parameter(torch.zeros(1, channels, 14, 14))
        self.k = [int(9 + 9 * i / (depth - 1)) for i in range(depth)]
        self.fc1 = nn.ModuleList(linear_norm(channels, channels) for _ in range(depth))
        self.conv = nn.ModuleList(MaxRelative(channels) for _ in range(depth))
        self.fc2 = nn.ModuleList(linear_norm(2 * channels, channels) for _ in range(depth))
        self.ffn = nn.ModuleList(
            nn.Sequential(linear_norm(channels, 4 * channels), nn.GELU(), linear_norm(4 * channels, channels))
            for _ in range(depth)
        )
        self.head = nn.Sequential(linear_norm(channels, 1024), nn.GELU(), nn.Linear(1024, num_classes))

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits."""
        x = self.stem(images) + self.pos_embed
        count, channels, height, width = x.shape
        nodes = height * width
        x = x.flatten(2).transpose(1, 2).reshape(count * nodes, channels)
        batch = torch.arange(count, device=x.device).repeat_interleave(nodes)
        for i, (fc1, conv, fc2, ffn) in enumerate(zip(self.fc1, self.conv, self.fc2, self.ffn, strict=True)):
            h = fc1(x)
            unit = F.normalize(h.detach(), dim=1)
            dilation = i // 4 + 1
            target, source = knn(unit, unit, self.k[i] * dilation, batch, batch)
            edge_index = torch.stack([source, target])[:, ::dilation]
            x = x + fc2(conv(h, edge_index))
            x = x + ffn(x)
        return self.head(x.view(count, nodes, channels).mean(1))
