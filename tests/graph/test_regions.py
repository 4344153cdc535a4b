import math
from itertools import product

import numpy as np
import pytest
import torch
from skimage.measure import label, regionprops

from vig_pyg.graph.regions import most_similar, region_borders, region_features


def random_regions(height, width, seed):
    """Connected regions and scattered ones, numbered without gaps."""
    random = np.random.default_rng(seed)
    blocks = random.integers(0, 3, (height, width))
    numbers = (
        label(blocks, connectivity=1, background=-1) - 1 if seed % 2 else np.unique(blocks, return_inverse=True)[1]
    )
    return torch.from_numpy(numbers.reshape(height, width))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("height", "width"), [(1, 1), (1, 9), (7, 1), (8, 13)])
def test_regions_touch_where_pixels_are_neighbors(height, width, seed):
    regions = random_regions(height, width, seed)
    borders: dict[tuple[int, int], int] = {}
    for row, column, (down, right) in product(range(height), range(width), [(0, 1), (1, 0), (0, -1), (-1, 0)]):
        if 0 <= row + down < height and 0 <= column + right < width:
            pair = (int(regions[row, column]), int(regions[row + down, column + right]))
            if pair[0] != pair[1]:
                borders[pair] = borders.get(pair, 0) + 1
    edge_index, length = region_borders(regions)
    assert list(zip(*edge_index.tolist(), strict=True)) == sorted(borders)
    assert length.tolist() == [borders[pair] for pair in sorted(borders)]


def test_corners_do_not_touch():
    edge_index, length = region_borders(torch.tensor([[0, 1], [2, 3]]))
    assert edge_index.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3], [1, 2, 0, 3, 0, 3, 1, 2]]
    assert length.tolist() == [1] * 8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("channels", [1, 3, 5])
def test_features_are_those_of_scikit_image(channels, seed):
    regions = random_regions(17, 12, seed)
    image = torch.rand(channels, 17, 12, dtype=torch.float64)
    x, pos = region_features(image, regions)
    found = regionprops(regions.numpy() + 1, image.permute(1, 2, 0).numpy())
    assert len(x) == len(pos) == len(found) == int(regions.max()) + 1
    for node, center, region in zip(x, pos, found, strict=True):
        pixels = image[:, regions == region.label - 1].numpy()
        row, column = region.centroid
        shape = [region.area / regions.numel(), region.eccentricity, region.extent]
        expected = np.concatenate([pixels.mean(1), pixels.std(1), shape])
        np.testing.assert_allclose(node, expected, atol=1e-7)
        np.testing.assert_allclose(center, [column + 0.5, row + 0.5])


def similar_by_definition(features, k):
    """The formula, number by number."""
    nodes = len(features[0])
    distances = [[[math.dist(a, b) for b in f.tolist()] for a in f.tolist()] for f in features]
    sigmas = [[sum(sorted(row)[: k + 1]) / k + 1e-8 for row in d] for d in distances]
    one_way = [
        [math.exp(-sum((d[i][j] / s[i]) ** 2 for d, s in zip(distances, sigmas, strict=True))) for j in range(nodes)]
        for i in range(nodes)
    ]
    matrix = [[(one_way[i][j] + one_way[j][i]) / 2 for j in range(nodes)] for i in range(nodes)]
    edges = {}
    for i in range(nodes):
        for j in sorted((j for j in range(nodes) if j != i), key=lambda j: -matrix[i][j])[:k]:
            edges[i, j] = matrix[i][j]
    return edges


@pytest.mark.parametrize("widths", [(2,), (2, 3)])
@pytest.mark.parametrize(("nodes", "k"), [(30, 8), (10, 8), (9, 8), (12, 3)])
def test_the_graph_of_benchmarking_gnns_is_its_formula(nodes, k, widths):
    features = [torch.rand(nodes, width, dtype=torch.float64) for width in widths]
    edge_index, similarity = most_similar(features, k)
    expected = similar_by_definition(features, k)
    found = dict(zip(zip(*edge_index.tolist(), strict=True), similarity.tolist(), strict=True))
    assert found == pytest.approx(expected)
    assert edge_index.size(1) == nodes * k


@pytest.mark.parametrize("nodes", [1, 2, 5])
def test_few_nodes_are_all_linked(nodes):
    edge_index, similarity = most_similar([torch.rand(nodes, 2)], 8)
    assert sorted(zip(*edge_index.tolist(), strict=True)) == [
        (i, j) for i in range(nodes) for j in range(nodes) if i != j
    ]
    assert len(similarity) == nodes * (nodes - 1)
    assert (similarity > 0).all()


def test_nodes_of_one_color_are_never_linked_to_themselves():
    color = torch.tensor([[0.0]] * 12 + [[1.0]] * 2, dtype=torch.float64)
    edge_index, _ = most_similar([torch.rand(14, 2, dtype=torch.float64), color], 8)
    assert (edge_index[0] != edge_index[1]).all()
