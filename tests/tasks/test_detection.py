"""A detector learns, goes on where it stopped, and is kept."""

from copy import copy

import pytest
import torch

from tests.tasks.loading import held_out_batches
from vig_pyg.data.coco import Coco, load_coco
from vig_pyg.data.scenes import write_scenes
from vig_pyg.tasks.average_precision import evaluate
from vig_pyg.tasks.detection import Detection, build_detector, load_detector
from vig_pyg.train import accelerator_for, fit, read_recipe
from vig_pyg.train.run import states

HEADS = ["retinanet", "mask_rcnn"]
TINY = ["epochs=2", "batch=4", "device_batch=2", "head_options.channels=16", "model_options.channels=[8,16,32]"]


@pytest.fixture(scope="module")
def scenes(tmp_path_factory) -> Coco:
    return load_coco(str(write_scenes(tmp_path_factory.mktemp("data") / "scenes", train=8, val=3)))


def train(data, recipe, out, **options):
    torch.manual_seed(recipe.seed)
    model = build_detector(recipe, len(data.classes))
    return fit(model, Detection(data, recipe), recipe, out, accelerator=accelerator_for(recipe, "cpu"), **options)


def test_it_learns_a_few_scenes(scenes, tmp_path):
    few, one = copy(scenes.train), copy(scenes.train)
    few.ids, one.ids = scenes.train.ids[:4] * 120, scenes.train.ids[:1]  # one long epoch
    words = ["epochs=1", "warmup_epochs=0.1", "min_learning_rate=5e-4", "batch=4", "device_batch=4"]
    recipe = read_recipe("scenes", [*words, "learning_rate_batch=4"])
    train(scenes._replace(train=few, test=one), recipe, tmp_path / "run")
    model, categories = load_detector(tmp_path / "run" / "last")
    assert list(categories.items())[3] == (4, "3") and not model.training
    few.ids = scenes.train.ids[:4]
    found = evaluate(model, held_out_batches(Detection, scenes._replace(test=few), 4), 10)
    assert (
        found.figures["box_ap50"] > 0.9
    )  # 1.0 from each of five seeds, on one and two threads, AVX-512, AVX2 and none


class Stop(Exception):
    pass


@pytest.mark.parametrize("head", HEADS)
def test_it_goes_on_where_it_stopped_and_is_kept(head, scenes, tmp_path):
    recipe = read_recipe("scenes" if head == "retinanet" else "scenes_masks", [*TINY, "checkpoint_minutes=1e-9"])
    whole = train(scenes, recipe, tmp_path / "whole")

    def stop(epoch) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(scenes, recipe, tmp_path / "cut", on_epoch=stop)
    assert len(states(tmp_path / "cut")) == 1 and not (tmp_path / "cut" / "last").exists()
    resumed = train(scenes, recipe, tmp_path / "cut", resume=True)
    assert [epoch.loss for epoch in resumed] == [epoch.loss for epoch in whole]
    files = [tmp_path / name / "last" / "model.safetensors" for name in ("whole", "cut")]
    assert files[0].read_bytes() == files[1].read_bytes()
    kinds = ["box"] if head == "retinanet" else ["box", "mask"]
    assert len(whole[0].measured) == 12 * len(kinds) and next(iter(whole[0].measured)) == "box_ap"
    model, _ = load_detector(tmp_path / "cut" / "last")
    figures = evaluate(model, held_out_batches(Detection, scenes, 2), 10).figures
    assert figures == pytest.approx(whole[-1].measured, nan_ok=True)
    card = (tmp_path / "cut" / "last" / "README.md").read_text()
    assert f"{head} with pvig_micro" in card and "box_ap" in card


def test_weights_that_are_no_detector_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="there are no weights"):
        load_detector(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="holds no detector"):
        load_detector(tmp_path)


def test_the_learning_rate_falls_in_steps(scenes, tmp_path):
    recipe = read_recipe("scenes", [*TINY, "epochs=3", "decay_epochs=[1,2]", "warmup_epochs=0", "learning_rate=1e-3"])
    rates: list[float] = []
    history = train(scenes, recipe, None, on_epoch=lambda epoch: rates.append(epoch.learning_rate))
    assert len(history) == 3 and rates == pytest.approx([5e-4, 5e-5, 5e-6])
