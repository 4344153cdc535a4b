"""Point clouds of things follow from a seed, and are what they are said to be."""

import pytest
import torch

from vig_pyg.data.shapes import PARTS, SHAPES, make_shapes


@pytest.fixture(scope="module")
def clouds():
    return make_shapes(12, points=256, seed=3)


def test_the_seed_decides(clouds):
    again, other = make_shapes(12, points=256, seed=3), make_shapes(12, points=256, seed=4)
    assert all(torch.equal(a.pos, b.pos) for a, b in zip(clouds, again, strict=True))
    assert not any(torch.equal(a.pos, b.pos) for a, b in zip(clouds, other, strict=True))


def test_classes_come_in_turn_with_their_own_parts(clouds):
    assert [int(cloud.y) for cloud in clouds] == 2 * list(range(6))
    for cloud in clouds:
        name = list(SHAPES)[int(cloud.y)]
        assert {PARTS[i] for i in cloud.part.tolist()} == {f"{name} {part}" for part in SHAPES[name][1]}


def test_clouds_fit_into_a_ball(clouds):
    for cloud in clouds:
        assert cloud.pos.shape == (256, 3) and cloud.part.shape == (256,)
        assert 0.95 < cloud.pos.norm(dim=1).max() < 1.06  # and the noise


def test_things_are_turned_about_the_vertical_axis_only():
    tables = [cloud for cloud in make_shapes(60, seed=0) if cloud.y == 0]
    tops = torch.cat([cloud.pos[cloud.part == PARTS.index("table top")] for cloud in tables])
    legs = torch.cat([cloud.pos[cloud.part == PARTS.index("table legs")] for cloud in tables])
    assert tops[:, 2].min() > legs[:, 2].mean()


def test_without_noise_points_are_on_their_surfaces():
    ball = next(cloud for cloud in make_shapes(6, noise=0.0) if list(SHAPES)[int(cloud.y)] == "mushroom")
    cap = ball.pos[ball.part == PARTS.index("mushroom cap")].double()
    ones = torch.cat([2 * cap, torch.ones(len(cap), 1, dtype=torch.double)], dim=1)
    solution = torch.linalg.lstsq(ones, cap.square().sum(1, keepdim=True)).solution  # of a sphere's equation
    radius = (solution[3] + solution[:3].square().sum()).sqrt()
    distance = (cap - solution[:3].T).norm(dim=1)
    torch.testing.assert_close(distance, radius.expand_as(distance), rtol=1e-4, atol=1e-4)


def test_too_few_points_are_refused():
    with pytest.raises(ValueError, match="points must be at least 16, got 15"):
        make_shapes(1, points=15)
