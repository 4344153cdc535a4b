"""What a model on nodes without a grid is called with."""

from torch import Tensor
from torch_geometric.data import Data

from vig_pyg.checks import check_kind
from vig_pyg.graph.checks import check_matrix
from vig_pyg.graph.points import PointLayout
from vig_pyg.kernels.linear import is_autocasting


def read_nodes(inputs: object, channels: int, pos_dim: int, like: Tensor) -> tuple[Tensor, PointLayout]:
    """Return the features of a graph's or batch's nodes and their layout; without ``x``, the places are features.

    Args:
        inputs: ``Data`` or a ``Batch``.
        channels: Width that the features must have.
        pos_dim: How many coordinates a place must have; 0 where ``pos`` is left alone.
        like: A parameter of the model's.

    Raises:
        TypeError: they are no graph, or their numbers not of the model's type.
        ValueError: features or places are missing, of another width or on another device, or a graph has no nodes.
    """
    check_kind("a PyG Data or Batch with x, pos and batch, as the stem takes nodes", Data, inputs=inputs)
    assert isinstance(inputs, Data)
    x, pos = inputs.x if inputs.x is not None else inputs.pos, inputs.pos if pos_dim else None
    check_matrix("x", x)
    if x.size(1) != channels:
        raise ValueError(f"nodes must have {channels} features (in_chans), got {x.size(1)}")
    if x.dtype != like.dtype and not is_autocasting(x.device.type):
        raise TypeError(f"nodes must be {like.dtype} as the model's weights are, got {x.dtype}")
    if x.device != like.device:
        raise ValueError(f"nodes are on {x.device}, but the model on {like.device}: move them together")
    if len(x) == 0:
        raise ValueError("there must be at least one node, got none")
    if pos_dim and (not isinstance(pos, Tensor) or pos.dim() != 2 or pos.shape != (len(x), pos_dim)):
        got = list(pos.shape) if isinstance(pos, Tensor) else "none"
        raise ValueError(f"pos must have shape [{len(x)}, {pos_dim}] (pos_dim={pos_dim}), got {got}")
    layout = PointLayout(inputs.batch, pos, len(x))
    if inputs.batch is not None and layout.num_graphs != inputs.num_graphs:
        raise ValueError(f"there are {inputs.num_graphs} graphs, but only {layout.num_graphs} have nodes")
    return x, layout
