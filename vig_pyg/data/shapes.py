"""Point clouds of simple things, made from a seed: what each is, and which part of it every point is on."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data

from vig_pyg.checks import check_whole

Points = NDArray[np.float64]
Rng = np.random.Generator


def _box(rng: Rng, count: int, low: tuple[float, ...], high: tuple[float, ...]) -> Points:
    """Return points on the surface of a box between two corners."""
    size = np.subtract(high, low)
    areas = size.prod() / size
    axis = rng.choice(3, count, p=areas / areas.sum())
    points = rng.uniform(0, 1, (count, 3))
    points[np.arange(count), axis] = rng.integers(0, 2, count)
    return points * size + low


def _cone(rng: Rng, count: int, low: float, high: float, bottom: float, top: float) -> Points:
    """Return points on a round body between two heights, of one radius below and another above."""
    share, angle = rng.uniform(0, 1, count), rng.uniform(0, 2 * np.pi, count)
    radius = bottom + (top - bottom) * share
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), low + (high - low) * share], axis=1)


def _ball(rng: Rng, count: int, radius: float, center: tuple[float, ...], upper: bool = False) -> Points:
    """Return points on a ball, or on its upper half."""
    points = rng.normal(size=(count, 3))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    if upper:
        points[:, 2] = np.abs(points[:, 2])
    return radius * points + center


def _ring(rng: Rng, count: int, radius: float, thickness: float, center: tuple[float, ...]) -> Points:
    """Return points on an upright ring."""
    around, across = rng.uniform(0, 2 * np.pi, (2, count))
    far = radius + thickness * np.cos(across)
    return np.stack([far * np.cos(around), thickness * np.sin(across), far * np.sin(around)], axis=1) + center


def _table(rng: Rng, n: int) -> list[Points]:
    half, height, leg = rng.uniform(0.6, 1.0), rng.uniform(0.8, 1.4), 0.08
    feet = [(x, y) for x in (-half, half - leg) for y in (-half, half - leg)]
    legs = [_box(rng, n // 8, (x, y, 0), (x + leg, y + leg, height)) for x, y in feet]
    return [_box(rng, n - 4 * (n // 8), (-half, -half, height), (half, half, height + 0.1)), np.concatenate(legs)]


def _mug(rng: Rng, n: int) -> list[Points]:
    radius, height = rng.uniform(0.4, 0.6), rng.uniform(0.8, 1.2)
    handle = _ring(rng, n // 4, 0.25, 0.06, (radius + 0.2, 0, height / 2))
    return [_cone(rng, n - n // 4, 0, height, radius, radius), handle]


def _lamp(rng: Rng, n: int) -> list[Points]:
    height, wide = rng.uniform(1.0, 1.6), rng.uniform(0.4, 0.6)
    shade = _cone(rng, n - 2 * (n // 4), height, height + 0.5, wide, wide / 2)
    return [shade, _cone(rng, n // 4, 0, height, 0.05, 0.05), _cone(rng, n // 4, 0, 0.08, 0.4, 0.3)]


def _dumbbell(rng: Rng, n: int) -> list[Points]:
    half, radius = rng.uniform(0.6, 0.9), rng.uniform(0.25, 0.4)
    weights = [_ball(rng, n // 3, radius, (0, 0, z)) for z in (-half, half)]
    return [_cone(rng, n - 2 * (n // 3), -half, half, 0.07, 0.07), np.concatenate(weights)]


def _rocket(rng: Rng, n: int) -> list[Points]:
    radius, height = rng.uniform(0.2, 0.3), rng.uniform(1.2, 1.8)
    fins = [_box(rng, n // 8, (x, -0.03, 0), (x + 0.35, 0.03, 0.4)) for x in (-radius - 0.35, radius)]
    nose = _cone(rng, n // 4, height, height + 0.5, radius, 0)
    return [_cone(rng, n - n // 4 - 2 * (n // 8), 0, height, radius, radius), nose, np.concatenate(fins)]


def _mushroom(rng: Rng, n: int) -> list[Points]:
    height, cap = rng.uniform(0.5, 0.9), rng.uniform(0.5, 0.8)
    return [_cone(rng, n // 3, 0, height, 0.2, 0.15), _ball(rng, n - n // 3, cap, (0, 0, height), upper=True)]


SHAPES: dict[str, tuple[Callable[[Rng, int], list[Points]], tuple[str, ...]]] = {
    "table": (_table, ("top", "legs")),
    "mug": (_mug, ("body", "handle")),
    "lamp": (_lamp, ("shade", "pole", "foot")),
    "dumbbell": (_dumbbell, ("bar", "weights")),
    "rocket": (_rocket, ("hull", "nose", "fins")),
    "mushroom": (_mushroom, ("stem", "cap")),
}
PARTS = [f"{name} {part}" for name, (_, parts) in SHAPES.items() for part in parts]


def make_shapes(count: int, points: int = 256, seed: int = 0, noise: float = 0.01) -> list[Data]:
    """Return point clouds of tables, mugs, lamps, dumbbells, rockets and mushrooms in turn.

    Each has proportions of its own, is turned about the vertical axis, stands in the middle and fits into a ball of
    radius 1.

    Args:
        count: How many.
        points: Points of each, in random order.
        seed: Decides everything that is random.
        noise: Standard deviation by which every point is off its surface.

    Returns:
        ``Data`` with ``pos [points, 3]``, ``y [1]`` (the number of its class in :data:`SHAPES`) and ``part [points]``
        (the number of every point's part in :data:`PARTS`).

    Raises:
        TypeError, ValueError: a number is not whole, or there are too few points for the parts (below 16).
    """
    check_whole(count=count)
    check_whole(16, points=points)
    check_whole(0, seed=seed)
    rng = np.random.default_rng(seed)
    return [_cloud(rng, number % len(SHAPES), points, noise) for number in range(count)]


def _cloud(rng: Rng, label: int, points: int, noise: float) -> Data:
    name = list(SHAPES)[label]
    make, parts = SHAPES[name]
    pieces = make(rng, points)
    first = PARTS.index(f"{name} {parts[0]}")
    part = np.repeat(np.arange(first, first + len(parts)), [len(piece) for piece in pieces])
    angle = rng.uniform(0, 2 * np.pi)
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    pos = np.concatenate(pieces) @ turn.T
    pos -= (pos.max(0) + pos.min(0)) / 2
    pos /= np.linalg.norm(pos, axis=1).max()
    order = rng.permutation(points)
    pos = (pos + rng.normal(scale=noise, size=pos.shape))[order]
    return Data(pos=torch.from_numpy(pos).float(), y=torch.tensor([label]), part=torch.from_numpy(part[order]))
