"""What a neighbor search does not accept is refused in one sentence."""

import pytest
import torch

from tests.graph.searched import batch_of
from vig_pyg.graph import KNNGraph, NodeLayout, knn_graph, radius_graph
from vig_pyg.graph.checks import graph_sizes

X = torch.zeros(6, 3)
NAN_ROW_4 = X.index_fill(0, torch.tensor([4]), torch.nan)
LAYOUT = NodeLayout.uniform(1, 2, 3)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"x": torch.zeros(6)}, ValueError, r"x must have shape \[nodes, channels\], got \[6\]"),
        ({"x": torch.zeros(2, 3, 4)}, ValueError, r"got \[2, 3, 4\]"),
        ({"x": torch.tensor(1.0)}, ValueError, r"got \[\]"),
        ({"x": X.long()}, TypeError, r"x must hold floating point numbers, got torch\.int64"),
        ({"x": X.bool()}, TypeError, r"got torch\.bool"),
        ({"x": NAN_ROW_4}, ValueError, "x must be finite, but row 4 holds NaN"),
        ({"x": X.index_fill(0, torch.tensor([2]), -torch.inf)}, ValueError, "row 2 holds NaN or infinity"),
        ({"x": None}, TypeError, "x must be a tensor, got NoneType"),
        ({"x": X + 0j}, TypeError, r"got torch\.complex64"),
        ({"x": X.to(torch.float8_e4m3fn)}, TypeError, r"got torch\.float8_e4m3fn"),
        ({"x": X.to_sparse()}, TypeError, r"x must be a dense tensor, got torch\.sparse_coo"),
        ({"x": X.to("meta")}, ValueError, "x is on the meta device, which holds no values"),
        ({"x": X[:, :0]}, ValueError, r"x must have at least one channel, got \[6, 0\]"),
        ({"position": X + 0j}, TypeError, r"the position of x must hold floating point numbers, got torch\.complex64"),
        ({"position": X[:, :0]}, ValueError, "the position of x must have at least one channel"),
        ({"epsilon": "much"}, TypeError, "epsilon must be a number, got 'much'"),
        ({"epsilon": 1j}, TypeError, "epsilon must be a number, got 1j"),
        ({"epsilon": torch.nan}, ValueError, "between 0 and 1, got nan"),
        ({"loop": "no"}, TypeError, "loop must be True or False, got 'no'"),
        ({"cosine": None}, TypeError, "cosine must be True or False, got None"),
        ({"stochastic": 3}, TypeError, "stochastic must be True or False, got 3"),
        ({"batch": torch.tensor([1, 1, 1, 0, 0, 0]).byte()}, ValueError, "sorted, but falls at position 3"),
        ({"batch": torch.zeros(6) + 0j}, TypeError, r"batch must hold integers, got torch\.complex64"),
        ({"batch": torch.zeros(6).long().to("meta")}, ValueError, "batch is on meta and the nodes on cpu"),
        ({"batch": torch.tensor([0, 0, 0, 10**12, 10**12, 10**12])}, ValueError, "from 0 on, below 16777216, got 10+"),
        ({"k": 0}, ValueError, "k must be at least 1, got 0"),
        ({"k": -3}, ValueError, "got -3"),
        ({"flow": "both"}, ValueError, "flow must be one of source_to_target, target_to_source, got 'both'"),
        ({"num_workers": 0}, ValueError, "num_workers must be at least 1, got 0"),
        ({"num_workers": "many"}, TypeError, "num_workers must be a whole number, got 'many'"),
        ({"batch_size": 0}, ValueError, "batch_size must be at least 1, got 0"),
        ({"batch_size": 2.0}, TypeError, r"batch_size must be a whole number, got 2\.0"),
        ({"batch_size": 3}, ValueError, "batch_size=3 needs batch: without it there is one graph"),
        ({"batch": batch_of([2, 2, 2]), "batch_size": 2}, ValueError, "from 0 on, below 2, got 2"),
        ({"y": X, "batch_size": 2, "batch": batch_of([3, 3])}, ValueError, "batch_size=2 needs batch_y"),
        ({"dilation": 0}, ValueError, "dilation must be at least 1, got 0"),
        ({"dilation": -2}, ValueError, "got -2"),
        ({"epsilon": 1.5}, ValueError, r"between 0 and 1, got 1\.5"),
        ({"epsilon": -0.1}, ValueError, r"got -0\.1"),
        ({"backend": "faiss"}, ValueError, "one of auto, dense, blockwise, fused, kdtree, torch_cluster, got 'faiss'"),
        ({"batch": torch.tensor([0, 0, 1, 0, 1, 1])}, ValueError, "sorted, but falls at position 3"),
        ({"batch": torch.zeros(5).long()}, ValueError, r"batch must have shape \[6\], .* got \[5\]"),
        ({"batch": torch.zeros(6, 1).long()}, ValueError, r"got \[6, 1\]"),
        ({"batch": torch.tensor([-1, -1, 0, 0, 0, 0])}, ValueError, "batch must not be negative, got -1"),
        ({"batch": torch.zeros(6)}, TypeError, r"batch must hold integers, got torch\.float32"),
        ({"batch": torch.zeros(6).bool()}, TypeError, r"got torch\.bool"),
        ({"y": torch.zeros(4, 2)}, ValueError, "x has 3 channels and y has 2"),
        ({"y": torch.zeros(4)}, ValueError, r"y must have shape \[nodes, channels\], got \[4\]"),
        ({"y": NAN_ROW_4}, ValueError, "y must be finite, but row 4"),
        ({"y": X, "loop": True}, ValueError, "loop=True has no meaning between two sets"),
        ({"y": X, "batch_y": torch.zeros(5).long()}, ValueError, r"batch_y must have shape \[6\], .* got \[5\]"),
        ({"y": X, "batch_y": batch_of([3, 3])}, ValueError, "y is in 2 graphs but x in 1"),
        ({"batch_y": torch.zeros(6).long()}, ValueError, "batch_y and position_y describe y"),
        ({"position": torch.zeros(5, 2)}, ValueError, "the position of x has 5 rows, but there are 6 nodes"),
        ({"position": torch.zeros(6)}, ValueError, r"the position of x must have shape .* got \[6\]"),
        ({"position": NAN_ROW_4}, ValueError, "the position of x must be finite, but row 4"),
        ({"position": X, "y": X}, ValueError, "must be given together"),
        ({"position": X, "y": X, "position_y": X[:, :2]}, ValueError, "3 wide and position_y 2"),
        ({"position": X, "backend": "torch_cluster"}, ValueError, "'torch_cluster' cannot add positions"),
        ({"position": X, "backend": "kdtree"}, ValueError, "'kdtree' cannot add positions"),
    ],
)
def test_bad_input_is_refused_in_one_sentence_that_names_it(arguments, kind, message):
    with pytest.raises(kind, match=message) as error:
        knn_graph(**{"x": X, "k": 2, **arguments})
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 140


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"r": -1}, ValueError, "r must be a number of at least 0, got -1"),
        ({"r": torch.nan}, ValueError, "got nan"),
        ({"r": True}, ValueError, "got True"),
        ({"r": "1"}, TypeError, "r must be a number, got '1'"),
        ({"max_num_neighbors": 0}, ValueError, "max_num_neighbors must be at least 1, got 0"),
        ({"max_num_neighbors": None}, TypeError, "max_num_neighbors must be a whole number, got None"),
        ({"loop": 1}, TypeError, "loop must be True or False, got 1"),
        ({"flow": 1}, ValueError, "flow must be one of"),
        ({"num_workers": -1}, ValueError, "num_workers must be at least 1, got -1"),
        ({"batch_size": 3}, ValueError, "batch_size=3 needs batch"),
        ({"x": NAN_ROW_4}, ValueError, "x must be finite, but row 4 holds NaN"),
        ({"x": X[0]}, ValueError, r"x must have shape \[nodes, channels\], got \[3\]"),
        ({"batch": batch_of([3, 3]).flip(0)}, ValueError, "sorted, but falls at position 3"),
    ],
)
def test_what_is_no_radius_graph_is_refused_in_one_sentence(arguments, kind, message):
    with pytest.raises(kind, match=message) as error:
        radius_graph(**{"x": X, "r": 1.0, **arguments})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"k": 0}, "k must be at least 1, got 0"),
        ({"dilation": -1}, "dilation must be at least 1, got -1"),
        ({"epsilon": 2}, "between 0 and 1, got 2"),
        ({"backend": "fast"}, "got 'fast'"),
    ],
)
def test_a_module_that_cannot_be_is_refused_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        KNNGraph(**{"k": 3, **options})


@pytest.mark.parametrize("k", [3.0, True, "3"])
def test_a_number_of_neighbors_that_is_not_whole_is_refused(k):
    with pytest.raises(TypeError, match="k must be a whole number"):
        knn_graph(torch.randn(5, 3), k)


def test_features_of_two_precisions_are_refused():
    with pytest.raises(TypeError, match=r"y is torch\.float64 and x is torch\.float32"):
        knn_graph(torch.randn(5, 3), 2, y=torch.randn(5, 3).double())


@pytest.mark.parametrize(
    ("x", "layout", "message"),
    [
        (X.long(), LAYOUT, r"x must hold floating point numbers, got torch\.int64"),
        (X + 0j, LAYOUT, r"got torch\.complex64"),
        (X[:, 0], LAYOUT, r"x must have shape \[nodes, channels\], got \[6\]"),
        (X[:, :0], LAYOUT, "x must have at least one channel"),
        (X[:4], LAYOUT, r"the layout has 6 nodes, but x has shape \[4, 3\]"),
        ((X, X, X), LAYOUT, "x must be a tensor, got tuple"),
        (X, 6, "layout must be a NodeLayout, a PointLayout, a batch vector or None, got 6"),
        (X, NodeLayout(()), "the layout holds no images"),
        ((X, X[:, :2]), (LAYOUT, LAYOUT), "3 channels of .* and 2 channels"),
        ((X, X.double()), (LAYOUT, LAYOUT), r"torch\.float32 on cpu and .* torch\.float64 on cpu"),
        ((X, X.repeat(2, 1)), (LAYOUT, NodeLayout.uniform(2, 2, 3)), "must hold the same images"),
    ],
)
def test_the_module_refuses_nodes_that_do_not_fit_in_one_sentence(x, layout, message):
    with pytest.raises((TypeError, ValueError), match=message):
        KNNGraph(2)(x, layout)


@pytest.mark.parametrize("position", [3, X])
def test_a_position_of_another_kind_is_refused_at_once(position):
    with pytest.raises(TypeError, match="position must be a RelativePosition or None"):
        KNNGraph(2, position=position)


def test_graphs_are_counted_the_empty_ones_in_between_too():
    assert graph_sizes("batch", None, X) == [6]
    assert graph_sizes("batch", torch.tensor([0, 0, 3, 3, 3, 4], dtype=torch.uint8), X) == [2, 0, 0, 3, 1]
    with pytest.raises(ValueError, match="batch must not be negative, got -1"):
        graph_sizes("batch", torch.tensor([-1, 0, 0, 0, 0, 0]), X)
