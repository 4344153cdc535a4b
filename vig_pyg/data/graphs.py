"""Graphs of many images, made in parallel: as a list, or once and for all in a folder."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader, Dataset
from torch_geometric.data import Data, InMemoryDataset
from tqdm import tqdm

from vig_pyg.checks import check_flags, check_kind, check_whole
from vig_pyg.graph.patches import pixel_data


def graphs_of(images: Any, transform: Callable[[Data], Data], *, workers: int = 0, log: bool = True) -> list[Data]:
    """Return the graph of every image.

    Args:
        images: What has a length and gives by number an image or a pair ``(image, label)``: a list, a tensor
            ``[N, C, H, W]``, a data set of torchvision's, or one of ``Data`` of pixels.
        transform: :class:`~vig_pyg.graph.SuperpixelGraph`, :class:`~vig_pyg.graph.PatchGraph` or a PyG ``Compose`` that
            begins with one. It is given what :func:`~vig_pyg.graph.image_data` makes of each.
        workers: Processes that work on it; 0 for this one.
        log: Show a progress bar.

    Raises:
        TypeError: ``images`` has no length, ``transform`` cannot be called, or an option is of another type.
        TypeError, ValueError: an image cannot be a graph; the sentence begins with its number.
    """
    if not hasattr(images, "__len__") or not hasattr(images, "__getitem__") or isinstance(images, Mapping):
        raise TypeError(f"images must have a length and give each by its number, got {type(images).__name__}")
    check_kind("callable", Callable, transform=transform)
    check_whole(0, workers=workers)
    check_flags(log=log)
    loader = DataLoader(_Graphs(images, transform), batch_size=None, num_workers=workers)
    return [pickle.loads(graph) for graph in tqdm(loader, desc="Graphs of images", unit="image", disable=not log)]


class _Graphs(Dataset):
    """The graph of every image, as bytes: tensors from other processes would each keep a file open."""

    def __init__(self, images: Any, transform: Callable[[Data], Data]) -> None:
        self.images, self.transform = images, transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, number: int) -> bytes:
        image = self.images[number]
        try:
            return pickle.dumps(self.transform(pixel_data(image)))
        except (TypeError, ValueError) as error:
            raise type(error)(f"image {number}: {error}") from error


class GraphDataset(InMemoryDataset):
    """A PyG data set of the graphs of images, made once, in parallel, and read from its folder from then on.

    ``GraphDataset("data/mnist-superpixels", MNIST("data"), SuperpixelGraph(75), workers=4)``

    Args:
        root: The folder, one for each set of images.
        images: As in :func:`graphs_of`.
        pre_transform: What makes a graph of an image, as ``transform`` in :func:`graphs_of`. PyG warns where the folder
            was made with another.
        transform: What is done to a graph whenever it is taken.
        workers: Processes that work on it; 0 for this one.
        log: Show a progress bar.
        force_reload: Make the graphs again.

    Raises:
        TypeError, ValueError: as :func:`graphs_of`; the folder holds more graphs or fewer than there are images.
        NotADirectoryError: the folder, or one that it is in, is a file.
    """

    processed_file_names = "graphs.pt"

    def __init__(
        self,
        root: str | Path,
        images: Any,
        pre_transform: Callable[[Data], Data],
        transform: Callable[[Data], Data] | None = None,
        *,
        workers: int = 0,
        log: bool = True,
        force_reload: bool = False,
    ) -> None:
        check_kind("a folder", str | Path, root=root)
        check_kind("callable or None", Callable | None, transform=transform)
        check_flags(log=log, force_reload=force_reload)
        file = next((place for place in (Path(root), *Path(root).parents) if place.is_file()), None)
        if file is not None:
            raise NotADirectoryError(f"{root} cannot be a folder: {file} is a file")
        self.images, self.workers = images, workers
        super().__init__(str(root), transform, pre_transform, log=log, force_reload=force_reload)
        self.load(self.processed_paths[0])
        del self.images
        if len(self) != len(images):
            raise ValueError(
                f"{root} holds {len(self)} graphs, but there are {len(images)} images: give another folder, or "
                "force_reload=True to make it again"
            )

    def process(self) -> None:
        """Make the graphs and write them."""
        graphs = graphs_of(self.images, self.pre_transform, workers=self.workers, log=self.log)
        if not graphs:
            raise ValueError("there are no images: give at least one")
        self.save(graphs, self.processed_paths[0])
