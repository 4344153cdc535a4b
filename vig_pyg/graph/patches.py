"""Images as PyG ``Data``: a pixel graph without edges, or a graph of patches."""

from numbers import Number, Real
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from vig_pyg.checks import check_flags, check_whole
from vig_pyg.graph.checks import Backend, check_search
from vig_pyg.graph.knn import knn_graph
from vig_pyg.graph.layout import NodeLayout


def image_data(image: Any, y: int | Tensor | None = None) -> Data:
    """Return an image as ``Data`` whose nodes are its pixels, so that images of different sizes make one batch.

    ``model(Batch.from_data_list([image_data(a), image_data(b)]))`` gives the logits of both; PyG's ``DataLoader``
    makes such batches of a data set that returns ``image_data(image, label)``. All images of one have the same
    channels: take ``image.convert("RGB")`` where some are gray.

    Args:
        image: A tensor ``[C, H, W]``, an array ``[H, W]`` or ``[H, W, C]``, or a PIL image.
        y: Its label, if any.

    Returns:
        ``Data`` with ``x [H·W, C]`` and ``grid [[H, W]]``.

    Raises:
        TypeError: the image is none of these.
        ValueError: its shape is none of these.
    """
    tensor = to_tensor(image)
    data = Data(x=tensor.flatten(1).T.contiguous(), grid=torch.tensor([tensor.shape[1:]]))
    if y is not None:
        data.y = _label(y)
    return data


class PatchGraph(BaseTransform):
    r"""Turns an image into a graph: its patches are nodes, each linked to its ``k`` nearest in feature space.

    The features of a node are the pixel values of its patch, channel by channel; a ViG with ``stem="patch"`` of
    the same patch size takes a batch of such graphs where it else takes images.

    Args:
        patch_size: Side of a patch in pixels. Rows and columns beyond the last whole patch are left out.
        k: Neighbors of every node, itself among them.
        dilation: As in :func:`~vig_pyg.graph.knn_graph`.
        cosine: Compare directions only, as ViG does.
        backend: As in :func:`~vig_pyg.graph.knn_graph`.

    Called with a PIL image, an array ``[H, W]`` or ``[H, W, C]``, a tensor ``[C, H, W]``, a pair ``(image, label)``
    as torchvision's datasets give it, or what :func:`image_data` makes of these, as PyG's ``Compose`` needs it.

    Returns:
        ``Data`` with ``x [N, C·p²]``, ``pos [N, 2]`` (center ``(x, y)`` in pixels), ``edge_index [2, N·k]``,
        ``grid [[rows, columns]]`` and, given a label, ``y [1]``. What else ``Data`` holds is handed on.

    Raises:
        ValueError: a parameter is out of range; the image is smaller than a patch, or has fewer than ``k`` patches.
        TypeError: the image is none of the above.
    """

    def __init__(
        self,
        patch_size: int,
        k: int = 9,
        *,
        dilation: int = 1,
        cosine: bool = True,
        backend: Backend = "auto",
    ) -> None:
        check_whole(patch_size=patch_size)
        check_search(k, dilation, backend)
        check_flags(cosine=cosine)
        self.patch_size = patch_size
        self.k = k
        self.dilation = dilation
        self.cosine = cosine
        self.backend: Backend = backend

    def forward(self, image: Any) -> Data:
        """Return the graph of one image."""
        tensor, rest = read_image(image)
        height, width = tensor.shape[1:]
        rows, columns = height // self.patch_size, width // self.patch_size
        if rows * columns == 0:
            raise ValueError(f"an image of {height}×{width} pixels is smaller than a patch of {self.patch_size}")
        inside = tensor[None, :, : rows * self.patch_size, : columns * self.patch_size]
        x = F.unfold(inside, self.patch_size, stride=self.patch_size)[0].T.contiguous()
        edge_index = knn_graph(
            x, self.k, loop=True, cosine=self.cosine, dilation=self.dilation, backend=self.backend
        ).as_tensor()  # a plain tensor, as datasets are stored and collated
        if rows * columns < self.k:
            raise ValueError(
                f"k={self.k} neighbors need at least {self.k} nodes, but an image of {height}×{width} pixels has "
                f"{rows * columns} patches of {self.patch_size}: use larger images, smaller patches or a smaller k"
            )
        layout = NodeLayout.uniform(1, rows, columns)
        pos = layout.pos() * self.patch_size
        return Data(**rest | {"x": x, "pos": pos, "edge_index": edge_index, "grid": torch.tensor([[rows, columns]])})

    def __repr__(self) -> str:  # PyG's data sets compare it with what they were made by: all that changes a graph
        search = f"k={self.k}, dilation={self.dilation}, cosine={self.cosine}"
        return f"{type(self).__name__}(patch_size={self.patch_size}, {search})"


def pixel_data(image: Any) -> Data:
    """Return an image or a pair ``(image, label)`` as :func:`image_data` does, and ``Data`` as it is."""
    if isinstance(image, Data):
        return image
    return image_data(*image) if isinstance(image, tuple) and len(image) == 2 else image_data(image)


def read_image(image: Any) -> tuple[Tensor, dict[str, Any]]:
    """Return an image ``[C, H, W]`` as :func:`to_tensor` does, and by name what is known of it beside its pixels.

    Args:
        image: What :func:`pixel_data` takes.

    Raises:
        TypeError, ValueError: it is none of these, or ``Data`` of something else.
    """
    data = pixel_data(image)
    x, grid = data.x, data.get("grid")
    if data.edge_index is not None or not isinstance(x, Tensor) or not isinstance(grid, Tensor):
        raise TypeError(f"Data must be the pixels of an image, as image_data(image, label) makes it, got {data}")
    if x.dim() != 2 or grid.shape != (1, 2) or len(x) != grid.prod():
        raise ValueError(f"Data must have one row of x per pixel of one image, got {data} with grid={grid.tolist()}")
    rest = {key: value for key, value in data if key not in ("x", "grid", "num_nodes")}
    return to_tensor(x.T.unflatten(1, grid[0].tolist())), rest


def _label(y: Any) -> Tensor:
    if not isinstance(y, Real | Tensor | np.ndarray) or (label := torch.as_tensor(y)).numel() != 1:
        raise TypeError(f"a label must be one number, got {y!r}")
    return label.view(1)


def to_tensor(image: Any) -> Tensor:
    """Return a PIL image, an array ``[H, W]`` or ``[H, W, C]`` or a tensor ``[C, H, W]`` as floats ``[C, H, W]``.

    Whole numbers of 8 and of 16 bits become 0 to 1, the former as torchvision's ``to_tensor`` has it.

    Raises:
        TypeError: it is none of these.
        ValueError: its shape is none of these, or its pixels are numbers of colors in a palette.
    """
    if isinstance(image, Tensor):
        tensor = image
    elif isinstance(image, np.ndarray) or hasattr(image, "getbands"):  # the latter marks a PIL image
        if getattr(image, "mode", "") in ("P", "PA"):
            raise ValueError(f"an image of mode {image.mode} holds numbers of colors: take image.convert('RGB')")
        array = np.asarray(image)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"an image array must hold real numbers, got {array.dtype}")
        if array.ndim not in (2, 3):
            raise ValueError(f"an image array must have shape [H, W] or [H, W, C], got {list(array.shape)}")
        tensor = torch.from_numpy(np.atleast_3d(array).transpose(2, 0, 1).copy())
    elif isinstance(image, Number):
        raise TypeError(
            f"an image must be a PIL image, an array or a tensor, got {image!r}; if it is a label: PyG's Compose "
            "applies transforms to each of a pair, so give it image_data(image, label)"
        )
    else:
        raise TypeError(f"an image must be a PIL image, an array or a tensor, got {type(image).__name__}")
    if tensor.dim() != 3:
        raise ValueError(f"an image tensor must have shape [C, H, W], got {list(tensor.shape)}")
    if 0 in tensor.shape:
        raise ValueError(f"an image must have at least one channel and one pixel, got {list(tensor.shape)}")
    if tensor.is_complex() or tensor.layout != torch.strided or tensor.is_meta:
        kind = f"{tensor.dtype} in {tensor.layout} on {tensor.device}"
        raise TypeError(f"an image must be a dense tensor of real numbers that has values, got {kind}")
    if tensor.dtype in (torch.uint8, torch.uint16):
        return tensor.float() / torch.iinfo(tensor.dtype).max
    return tensor if tensor.is_floating_point() else tensor.float()
