"""Pictures of nodes without a grid: what is drawn is what ``edge_index`` says."""

import pytest
import timm
import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_sample_image
from torch_geometric.data import Batch, Data

from vig_pyg import SuperpixelGraph
from vig_pyg.study import draw_neighbors, neighbors
from vig_pyg.study.charts import draw_views
from vig_pyg.study.nodes import centers, flat
from vig_pyg.study.views import view


def on_nodes(name="vig_micro", **options):
    torch.manual_seed(0)
    return timm.create_model(name, stem="nodes", num_classes=3, **{"k": 4, **options}).eval()


def cloud(dim: int, count: int = 60) -> Data:
    return Data(pos=torch.rand(count, dim, generator=torch.Generator().manual_seed(dim)))


@pytest.fixture(scope="module")
def superpixels():
    photograph = load_sample_image("china.jpg")[::7, ::7].copy()
    return SuperpixelGraph(200)(photograph)


def drawn(data, graph, nodes):
    axes = Figure().subplots()
    draw_neighbors(axes, data, graph, nodes)
    return axes


def regions(data):
    return data.segments.view(*data.image_size[0])


def squares(axes) -> torch.Tensor:
    """Return the places of the last center's neighbors; their lines are drawn after them."""
    return torch.as_tensor(axes.collections[-2].get_offsets().data).float()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_stars_squares_and_lines_are_at_the_center_and_its_neighbors(dim):
    data, node = cloud(dim), 7
    graph = neighbors(on_nodes(in_chans=dim, pos_dim=dim), data, 2)
    axes, at = drawn(data, graph, [node]), flat(data.pos).float()
    found = graph.edge_index[0][graph.edge_index[1] == node]
    torch.testing.assert_close(squares(axes), at[found])
    torch.testing.assert_close(torch.as_tensor(axes.lines[0].get_xydata()).float(), at[[node]])
    ends = [torch.tensor(line).float() for line in axes.collections[-1].get_segments()]
    assert all(torch.equal(line, at[[other, node]]) for line, other in zip(ends, found.tolist(), strict=True))


@pytest.mark.parametrize("kept", [(), ("image_size",), ("image_size", "segments"), ("grid",)])
def test_y_goes_down_in_an_image_and_up_elsewhere(kept, superpixels):
    given = superpixels.clone()
    given.grid = torch.tensor([[1, given.num_nodes]])
    data = Data(x=given.x, pos=given.pos, **{name: given[name] for name in kept})
    axes = drawn(data, neighbors(on_nodes(in_chans=9), data, 1), [5])
    height = {node: axes.transData.transform(superpixels.pos[node].tolist())[1] for node in range(data.num_nodes)}
    top, bottom = (int(pick(superpixels.pos[:, 1])) for pick in (torch.argmin, torch.argmax))
    assert (height[top] > height[bottom]) == bool(kept)


def test_neighbors_of_a_superpixel_are_its_regions(superpixels):
    graph = neighbors(on_nodes(in_chans=9), superpixels, 1)
    tint = torch.as_tensor(drawn(superpixels, graph, [5]).images[1].get_array())
    found = graph.edge_index[0][graph.edge_index[1] == 5]
    expected = torch.isin(regions(superpixels), found)
    assert torch.equal(tint[..., 3] > 0, expected) and 0 < expected.sum() < expected.numel()


def test_lines_and_squares_are_as_opaque_as_edges_are_heavy():
    pos = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    weight = torch.tensor([0.5, 0.25, 0.0])
    graph = Data(pos=pos, edge_index=torch.tensor([[0, 1, 2], [0, 0, 0]]), edge_weight=weight)
    lines, marks = drawn(Data(pos=pos), graph, [0]).collections[:0:-1]
    assert list(lines.get_alpha()) == pytest.approx([0.8, 0.4, 0]) and list(marks.get_alpha()) == [1, 0.5, 0]


def test_regions_of_a_hypergraph_are_all_nodes_of_its_hyperedges(superpixels):
    graph = neighbors(on_nodes(in_chans=9, k=None, graph="hypergraph"), superpixels, 1)
    tint = torch.as_tensor(drawn(superpixels, graph, [5]).images[1].get_array())
    own = graph.edge_index[0][graph.edge_index[1] == 5]
    nodes = graph.members[0][torch.isin(graph.members[1], own)]
    assert torch.equal(tint[..., 3] > 0, torch.isin(regions(superpixels), nodes)) and 5 in nodes


def test_superpixels_have_their_mean_colors(superpixels):
    axes, node = drawn(superpixels, neighbors(on_nodes(in_chans=9), superpixels, 1), []), 10
    picture = torch.as_tensor(axes.images[0].get_array())
    inside = regions(superpixels) == node
    times = len(picture) // len(inside)
    inside = picture[inside.repeat_interleave(times, 0).repeat_interleave(times, 1)]
    torch.testing.assert_close(inside.float().median(0).values, superpixels.x[node, :3])


def test_pooled_neighbors_are_squares_where_they_are(superpixels):
    graph = neighbors(on_nodes("pvig_micro", in_chans=9), superpixels, 1)
    axes = drawn(superpixels, graph, [3])
    assert len(axes.images) == 1  # no region
    found = graph.edge_index[0][graph.edge_index[1] == 3]
    torch.testing.assert_close(squares(axes), graph.pos_source[found])


def test_points_in_space_are_seen_from_one_side_and_above():
    right, up, away = flat(torch.tensor([[1.0, 0, 0], [0, 0, 1], [0, 1, 0]]))
    assert right[0] > 0.8 and up[0] == 0 and up[1] > 0.9
    assert away[1] > 0  # what is farther away is higher, as seen from above
    turned = torch.stack([right, up, away])
    torch.testing.assert_close(turned.T @ turned, torch.eye(2).double())  # a parallel projection


def test_centers_stay_at_their_place_where_a_pyramid_pools(superpixels):
    seen = view(on_nodes("pvig_micro", in_chans=9), superpixels, "pvig_micro", "noise")
    first, last = seen.graphs[0], seen.graphs[-1]
    assert last.num_nodes < first.num_nodes
    [node] = centers(first, last, [11])
    apart = (last.pos - first.pos[11]).norm(dim=1)
    assert apart[node] == apart.min()
    figure = draw_views([seen], [1, 4], nodes=[11])
    assert f"{last.num_nodes} nodes" in figure.axes[-1].get_title()


def test_the_graph_that_was_given_stays_as_it_was(superpixels):
    before = {key: value.clone() for key, value in superpixels.to_dict().items()}
    view(on_nodes(in_chans=9), superpixels, "", "")
    assert set(superpixels.keys()) == set(before) and all(torch.equal(superpixels[key], before[key]) for key in before)


def test_what_cannot_be_drawn_is_refused(superpixels):
    graph = neighbors(on_nodes(in_chans=9), superpixels, 1)
    with pytest.raises(ValueError, match="there is no node 900: the graph's are 0 to"):
        drawn(superpixels, graph, [900])
    with pytest.raises(ValueError, match=r"up to three dimensions, but pos has shape \[5, 4\]"):
        flat(torch.rand(5, 4))
    with pytest.raises(ValueError, match=r"they have no places \(pos\)"):
        draw_neighbors(Figure().subplots(), Data(x=superpixels.x), graph, [])
    with pytest.raises(ValueError, match=r"one graph can be looked at, got a batch of 2: take batch\[0\]"):
        neighbors(on_nodes(in_chans=9), Batch.from_data_list([superpixels, superpixels]), 1)
