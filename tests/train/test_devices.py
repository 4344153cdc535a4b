"""Which device trains, in which precision, and how processes share a batch."""

import pytest
import torch

from vig_pyg.train import read_recipe
from vig_pyg.train.devices import accelerator_for, images_at_once


@pytest.mark.parametrize(
    ("processes", "batch", "most", "at_once"), [(1, 24, 128, 24), (1, 24, 10, 8), (2, 24, 10, 6), (1, 1024, 100, 64)]
)
def test_a_process_takes_the_most_images_that_divide_its_share(processes, batch, most, at_once):
    assert images_at_once(read_recipe("digits", [f"batch={batch}", f"device_batch={most}"]), processes) == at_once


def test_a_batch_that_cannot_be_shared_is_refused():
    with pytest.raises(ValueError, match="batch=48 cannot be shared by 5 processes: take a multiple of them"):
        images_at_once(read_recipe("digits"), 5)


@pytest.mark.parametrize(("batch", "at_once"), [(1021, 1), (262, 2)])
def test_a_batch_that_would_go_in_small_pieces_is_refused(batch, at_once):
    sentence = f"batch={batch} divides into parts of {at_once}, far fewer than device_batch=128 .* a multiple of 128$"
    with pytest.raises(ValueError, match=sentence):
        images_at_once(read_recipe("digits", [f"batch={batch}", "device_batch=128"]), 1)


def test_a_precision_that_accelerate_is_set_to_must_be_the_recipes(monkeypatch):
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "bf16")
    with pytest.raises(ValueError, match="accelerate is set to mixed_precision=bf16, but the recipe says precision=no"):
        accelerator_for(read_recipe("digits"), "cpu")
    assert accelerator_for(read_recipe("digits", ["precision=bf16"]), "cpu").mixed_precision == "bf16"


def test_a_device_with_a_number_is_the_one_that_trains(monkeypatch):
    chosen = []
    monkeypatch.setattr(torch.cuda, "set_device", chosen.append)
    with pytest.raises(ValueError, match="device 'cuda:1' was asked for, but accelerate takes"):
        accelerator_for(read_recipe("digits"), "cuda:1")  # no GPU here
    assert chosen == [torch.device("cuda:1")]


def test_half_precision_on_a_cpu_is_refused_instead_of_computed_in_float32():
    with pytest.raises(ValueError, match="precision=fp16 needs a GPU"):
        accelerator_for(read_recipe("digits", ["precision=fp16"]), "cpu")
