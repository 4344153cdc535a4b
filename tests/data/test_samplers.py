from collections import Counter

import pytest

from vig_pyg.data.samplers import EpochSampler, OnceSampler


def drawn(size: int = 50, **options) -> list:
    sampler = EpochSampler(size, batch=12, device_batch=options.pop("device_batch", 12), seed=0, **options)
    return list(sampler)


def test_an_epoch_shows_every_image_at_most_once_in_whole_batches():
    numbers = [number for number, _ in drawn()]
    assert len(numbers) == 48 == len(set(numbers)) and max(numbers) < 50


def test_epochs_differ_and_are_repeatable():
    sampler = EpochSampler(50, 12, 12, seed=0)
    first = list(sampler)
    assert list(sampler) == first == drawn()
    sampler.epoch = 1
    assert list(sampler) != first


def test_an_epoch_can_be_entered_at_any_update():
    sampler = EpochSampler(50, 12, 12, seed=0)
    whole = list(sampler)
    sampler.first_update = 3
    assert list(sampler) == whole[36:] and len(sampler) == 12


@pytest.mark.parametrize(("processes", "device_batch"), [(2, 6), (2, 3), (3, 4), (4, 1)])
def test_processes_share_the_same_batches(processes, device_batch):
    parts = [drawn(device_batch=device_batch, rank=r, processes=processes) for r in range(processes)]
    share = 12 // processes
    for update in range(4):
        together = [draw for part in parts for draw in part[update * share : (update + 1) * share]]
        assert sorted(together) == sorted(drawn()[update * 12 : (update + 1) * 12])


def test_repeated_augmentation_draws_an_image_with_several_seeds():
    draws = drawn(repeats=3)
    assert Counter(Counter(number for number, _ in draws).values()) == {3: 16}
    assert len({seed for _, seed in draws}) == 48


@pytest.mark.parametrize("processes", [1, 2, 3])
def test_every_image_is_tested_once_and_all_processes_draw_equally_many(processes):
    parts = [[number for number, _ in OnceSampler(7, rank, processes)] for rank in range(processes)]
    assert len({len(part) for part in parts}) == 1
    assert sorted(number for part in parts for number in part if number >= 0) == list(range(7))
