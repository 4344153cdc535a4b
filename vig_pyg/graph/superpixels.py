"""Images as graphs of superpixels."""

import math
import warnings
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.transforms import BaseTransform

from vig_pyg.checks import check_whole
from vig_pyg.graph.knn import knn_graph
from vig_pyg.graph.patches import read_image
from vig_pyg.graph.pyg_internals import OWN_LENGTH
from vig_pyg.graph.regions import most_similar, region_borders, region_features

Method = Literal["slic", "felzenszwalb"]
EdgeKind = Literal["region", "knn", "benchmark", "benchmark-positions"]


class SuperpixelData(Data):
    """``Data`` whose ``segments [H·W]`` name the node of every pixel, row by row.

    Images of any sizes make one batch: their segments follow each other and, as edges are, are renumbered to the
    nodes of the batch. So ``out[batch.segments]`` is what every pixel gets from what every node got, and
    ``data.segments.view(*data.image_size[0])`` is the map of one image.
    """

    def __inc__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return what to add to numbers of nodes when graphs are batched."""
        return self.num_nodes if key == "segments" else super().__inc__(key, value, *args, **kwargs)

    def __cat_dim__(self, key: str, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return the axis along which values of several graphs are joined."""
        return OWN_LENGTH if key == "segments" else super().__cat_dim__(key, value, *args, **kwargs)


torch.serialization.add_safe_globals([SuperpixelData])  # as PyG does for Data: files of data sets name it


class SuperpixelGraph(BaseTransform):
    r"""Turns an image into a graph: its superpixels are nodes.

    ============================ ============================================= ===================================
    ``edges``                    linked are                                    ``edge_attr``
    ============================ ============================================= ===================================
    ``"region"``                 superpixels that touch, in both directions    length of the common border in
                                                                               pixels, difference of mean colors
    ``"knn"``                    each to the ``k`` others whose centroids are  distance of centroids in pixels,
                                 nearest, from neighbor to node                difference of mean colors
    ``"benchmark"``              each to the ``k`` others most similar in      similarity
                                 place and color, from node to neighbor
    ``"benchmark-positions"``    the same, in place only                       similarity
    ============================ ============================================= ===================================

    The last two are the graphs of Dwivedi et al., "Benchmarking Graph Neural Networks" (2020), whose MNIST and CIFAR10
    use places only: :math:`A_{ij} = \exp(-(\lVert c_i - c_j \rVert / \sigma_i)^2 - (\lVert f_i - f_j \rVert /
    \sigma'_i)^2)` of centroids ``c`` and mean colors ``f``, :math:`\sigma_i` the mean distance to the ``k`` nearest
    others, and then :math:`(A + A^\top) / 2`. Where there are no more than ``k`` others, all are linked. (The release's
    code takes the nine most similar and leaves out one, whichever numpy's partition puts last; here are the eight.)

    Args:
        n_segments: About how many superpixels SLIC makes, 75 by default. Only with ``method="slic"``.
        method: A segmentation of scikit-image, ``"slic"`` or ``"felzenszwalb"``.
        edges: As above.
        k: Neighbors of every node, 8 by default. Not with ``edges="region"``.
        **options: What the function of this name in ``skimage.segmentation`` takes: ``compactness`` of SLIC (10 by
            default for three channels, which are compared as Lab; 0.1 for others, which are compared as they are),
            ``scale``, ``sigma`` and ``min_size`` of Felzenszwalb.

    Called with whatever :class:`~vig_pyg.graph.PatchGraph` takes.

    Returns:
        :class:`SuperpixelData` with ``x [N, 2·C + 3]``, whose columns are of every superpixel

        - ``C`` means of a channel, in the image's units: 0 to 1 for bytes,
        - ``C`` standard deviations of a channel, likewise: 0 to 0.5 for bytes,
        - its share of the image's area: above 0 to 1, ``1 / N`` on average and so the smallest column by far; times
          ``num_nodes`` it is the area relative to the mean superpixel,
        - the eccentricity of the ellipse with the same second moments: 0 (a circle) to 1 (a line),
        - the share of its bounding box that it fills: above 0 to 1;

        ``pos [N, 2]`` (centroid ``(x, y)`` in pixels; the first pixel is at ``(0.5, 0.5)``, and models take it in units
        of the mean spacing), ``edge_index [2, E]``, ``edge_attr [E, 2 or 1]``, ``segments [H·W]`` (the node of every
        pixel), ``image_size [[H, W]]`` and, given a label, ``y [1]``; in single precision, whatever the image is in,
        and computed in double. What else ``Data`` holds is handed on.

    Raises:
        ModuleNotFoundError: scikit-image is not installed.
        ValueError: a parameter is out of range or has no meaning beside the others; the image has no pixels, or one
            that is not finite.
        TypeError: a parameter is not a whole number; the image is none.
    """

    def __init__(
        self,
        n_segments: int | None = None,
        method: Method = "slic",
        edges: EdgeKind = "region",
        k: int | None = None,
        **options: Any,
    ) -> None:
        for name, word, words in (("method", method, get_args(Method)), ("edges", edges, get_args(EdgeKind))):
            if word not in words:
                raise ValueError(f"{name} must be one of {', '.join(words)}, got {word!r}")
        if method != "slic" and n_segments is not None:
            raise ValueError(f"{method} does not take n_segments={n_segments}: give it scale=…, larger for fewer")
        if edges == "region" and k is not None:
            raise ValueError(f"edges='region' links what touches and does not take k={k}: use edges='knn'")
        self.n_segments = 75 if n_segments is None else n_segments
        self.method, self.edges, self.options = method, edges, options
        self.k = 8 if k is None else k
        check_whole(n_segments=self.n_segments, k=self.k)
        for name, value in options.items():  # which scikit-image takes without a word
            numbers = np.asarray(value, dtype=object).ravel().tolist()
            if any(isinstance(number, int | float) and not 0 <= number < math.inf for number in numbers):
                raise ValueError(f"{name} of {method} must be finite and not negative, got {value!r}")
        try:
            self._segment(torch.zeros(3, 2, 2))
        except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise ValueError(f"{method} of scikit-image does not take {options}: {reason}") from None

    def forward(self, image: Any) -> SuperpixelData:
        """Return the graph of one image."""
        tensor, rest = read_image(image)
        pixels = tensor.detach().cpu().double()
        if not pixels.isfinite().all():
            raise ValueError("an image must be finite, but it holds NaN or infinity")
        segments = self._segment(pixels)
        x, pos = region_features(pixels, segments)
        edge_index, edge_attr = self._link(segments, pos, x[:, : len(pixels)])
        made = {"x": x.float(), "pos": pos.float(), "edge_index": edge_index, "edge_attr": edge_attr.float()}
        made |= {"segments": segments.flatten(), "image_size": torch.tensor([segments.shape])}
        return SuperpixelData(**rest | made).to(tensor.device)

    def _segment(self, pixels: Tensor) -> Tensor:
        """Return the superpixel of every pixel of ``[C, H, W]``, ``[H, W]``, numbered without gaps."""
        try:
            from skimage import segmentation
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "SuperpixelGraph needs scikit-image: pip install 'vig_pyg[superpixels]', or scikit-image itself"
            ) from error
        array = pixels.permute(1, 2, 0).contiguous().numpy()
        if self.method == "slic":
            compactness = 10 if len(pixels) == 3 else 0.1
            options = {"compactness": compactness} | self.options
            found = segmentation.slic(array, self.n_segments, start_label=0, channel_axis=-1, **options)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Got image with third dimension", RuntimeWarning)  # it is meant so
                found = segmentation.felzenszwalb(array, channel_axis=-1, **self.options)
        numbers = np.unique(found, return_inverse=True)[1]
        return torch.from_numpy(numbers.reshape(found.shape))

    def _link(self, segments: Tensor, pos: Tensor, color: Tensor) -> tuple[Tensor, Tensor]:
        """Return edges ``[2, E]`` and their features ``[E, F]``."""
        if self.edges.startswith("benchmark"):
            edge_index, similarity = most_similar([pos, color] if self.edges == "benchmark" else [pos], self.k)
            return edge_index, similarity[:, None]
        if self.edges == "region":
            edge_index, length = region_borders(segments)
        else:
            edge_index = _nearest(pos, self.k)
            length = (pos[edge_index[0]] - pos[edge_index[1]]).norm(dim=1)
        difference = (color[edge_index[0]] - color[edge_index[1]]).norm(dim=1)
        return edge_index, torch.stack([length.to(color), difference], 1)

    def __repr__(self) -> str:  # PyG's data sets compare it with what they were made by: all that changes a graph
        given: dict[str, Any] = {"n_segments": self.n_segments} if self.method == "slic" else {}
        given |= {"method": self.method, "edges": self.edges}
        given |= ({} if self.edges == "region" else {"k": self.k}) | self.options
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in given.items())})"


def _nearest(pos: Tensor, k: int) -> Tensor:
    k = min(k, len(pos) - 1)
    return knn_graph(pos, k, loop=False).as_tensor() if k else torch.empty(2, 0, dtype=torch.long)
