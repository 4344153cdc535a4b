"""What a graph links, as lists."""

import torch

from vig_pyg.graph import NodeLayout
from vig_pyg.graph.edges import edge_list

LAYOUT = NodeLayout.from_sizes([(4, 5), (4, 5), (3, 3)])


def neighbors(edges, node):
    """Return the sources of the edges to a node."""
    source, target = edge_list(edges)
    return sorted(source[target == node].tolist())


def of(graph, layout=LAYOUT):
    """Return the edges of nodes without features."""
    return graph(torch.zeros(layout.num_nodes, 2), layout)
