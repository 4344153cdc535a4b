"""Which images a process sees in an epoch, and in which order."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch.utils.data import Sampler


class Draw(NamedTuple):
    """An image by number, and the seed of its augmentation (None for none)."""

    number: int
    seed: int | None


class EpochSampler(Sampler[Draw]):
    """Draws whole batches for all processes, in an order and with seeds that follow from the seed and the epoch alone.

    So an epoch can be entered at any update, by any number of loading processes, and shows the same. A batch is split
    over the processes in turn; what does not fill a last batch is left out.

    Args:
        size: Images there are.
        batch: Images per update, over all processes.
        device_batch: Images of it that a process takes at once; divides ``batch / processes``.
        seed: Of the order and of the augmentation.
        repeats: So often an image is drawn, one after the other; an epoch stays as long (repeated augmentation).
        rank: This process.
        processes: How many there are.
    """

    def __init__(
        self, size: int, batch: int, device_batch: int, seed: int, repeats: int = 1, rank: int = 0, processes: int = 1
    ) -> None:
        self.size, self.batch, self.device_batch, self.seed, self.repeats = size, batch, device_batch, seed, repeats
        self.rank, self.processes = rank, processes
        self.epoch, self.first_update = 0, 0

    @property
    def updates(self) -> int:
        """Updates in an epoch."""
        return self.size // self.batch

    def __len__(self) -> int:
        """Images that this process still draws in the epoch."""
        return (self.updates - self.first_update) * self.batch // self.processes

    def __iter__(self) -> Iterator[Draw]:
        generator = torch.Generator().manual_seed(hash((self.seed, self.epoch)) % 2**63)
        order = torch.randperm(self.size, generator=generator).repeat_interleave(self.repeats)[: self.size]
        seeds = torch.randint(2**31, (self.size,), generator=generator)
        drawn = torch.stack([order, seeds], dim=1)[: self.updates * self.batch]
        drawn = drawn.view(self.updates, -1, self.processes, self.device_batch, 2)[self.first_update :, :, self.rank]
        return (Draw(number, seed_) for number, seed_ in drawn.reshape(-1, 2).tolist())


class OnceSampler(Sampler[Draw]):
    """Draws every image once, split over the processes. All draw equally many: the last ones nothing, number −1."""

    def __init__(self, size: int, rank: int = 0, processes: int = 1) -> None:
        self.size, self.rank, self.processes = size, rank, processes

    def __len__(self) -> int:
        """Images that this process draws."""
        return -(-self.size // self.processes)

    def __iter__(self) -> Iterator[Draw]:
        for number in range(self.rank, len(self) * self.processes, self.processes):
            yield Draw(number if number < self.size else -1, None)
