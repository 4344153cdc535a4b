"""Regions of an image, numbered pixel by pixel: what each looks like, and which are neighbors."""

import torch
from torch import Tensor
from torch_geometric.utils import coalesce, scatter


def region_features(image: Tensor, regions: Tensor) -> tuple[Tensor, Tensor]:
    """Return the features ``x [N, 2·C + 3]`` and the centroids ``(x, y)`` ``[N, 2]`` of regions.

    The features are the mean of every channel, its standard deviation, the share of the image's area, the
    eccentricity of the ellipse with the same second moments (0 is a circle, 1 a line) and the extent, the share of
    its bounding box that the region fills.

    Args:
        image: ``[C, H, W]``.
        regions: The region of every pixel, ``[H, W]``, from 0 on without gaps.
    """
    place, pixels = regions.flatten(), image.flatten(1).T
    count = place.bincount().to(pixels).view(-1, 1)

    def mean(values: Tensor) -> Tensor:
        return scatter(values, place, reduce="sum") / count

    color = mean(pixels)
    spread = mean((pixels - color[place]).square()).sqrt()
    rows, columns = (axis.flatten() for axis in torch.meshgrid(*map(torch.arange, regions.shape), indexing="ij"))
    points = torch.stack([columns, rows], 1).to(pixels) + 0.5
    center = mean(points)
    x, y = (points - center[place]).T
    xx, yy, xy = mean(torch.stack([x * x, y * y, x * y], 1)).T
    # Eigenvalues of the covariance [[xx, xy], [xy, yy]]: half ± root.
    half, root = (xx + yy) / 2, ((xx - yy).square() / 4 + xy.square()).sqrt()
    eccentricity = (2 * root / (half + root)).nan_to_num(0).clamp(max=1).sqrt()  # one pixel has no direction
    most, least = (scatter(points, place, reduce=reduce) for reduce in ("max", "min"))
    extent = count / (most - least + 1).prod(1, keepdim=True)
    return torch.cat([color, spread, count / len(place), eccentricity[:, None], extent], 1), center


def region_borders(regions: Tensor) -> tuple[Tensor, Tensor]:
    """Return edges ``[2, E]`` between regions that touch, in both directions and sorted, and their borders' lengths.

    Regions touch where a pixel of one is beside, above or below a pixel of the other; the length of their border
    ``[E]`` is the number of such pairs of pixels.

    Args:
        regions: The region of every pixel, ``[H, W]``.
    """
    beside = torch.stack([regions[:, :-1].flatten(), regions[:, 1:].flatten()])
    below = torch.stack([regions[:-1].flatten(), regions[1:].flatten()])
    pairs = torch.cat([beside, below], 1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    both = torch.cat([pairs, pairs.flip(0)], 1)
    return coalesce(both, torch.ones(both.size(1), dtype=torch.long), reduce="sum")


def most_similar(features: list[Tensor], k: int) -> tuple[Tensor, Tensor]:
    r"""Return edges ``[2, N·k]`` from every node to the ``k`` most similar others, and the similarities ``[N·k]``.

    :math:`A_{ij} = \exp(-\sum_f (\lVert f_i - f_j \rVert / \sigma^f_i)^2)`, where :math:`\sigma^f_i` is the mean
    distance to the ``k`` nearest others, made symmetric as :math:`(A + A^\top) / 2`. Where there are ``k`` others or
    fewer, all are linked. Memory grows with N².

    Args:
        features: Matrices ``[N, …]``, one for every term of the sum.
        k: Edges of every node.
    """
    k = min(k, len(features[0]) - 1)
    if k == 0:
        return torch.empty(2, 0, dtype=torch.long), features[0].new_empty(0)
    exponent = torch.zeros(())
    for feature in features:
        distance = torch.cdist(feature, feature, compute_mode="donot_use_mm_for_euclid_dist")
        sigma = distance.topk(k + 1, largest=False).values.sum(1, keepdim=True) / k  # the node itself adds zero
        exponent = exponent + (distance / (sigma + 1e-8)).square()
    similarity = (-exponent).exp()
    similarity = (similarity + similarity.T) / 2
    similarity.fill_diagonal_(-1)  # never among the most similar
    values, others = similarity.sort(dim=1, descending=True, stable=True)
    nodes = torch.arange(len(others)).repeat_interleave(k)
    return torch.stack([nodes, others[:, :k].flatten()]), values[:, :k].flatten()
