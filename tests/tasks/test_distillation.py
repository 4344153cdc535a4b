"""A second classifier learns what a teacher guesses, and the first what the labels say."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from timm.data import Mixup
from torch import nn

from tests.data.written_folders import write_images
from tests.train.training import small_digits
from vig_pyg.data.labeled import ImageTensorDataset, load_data
from vig_pyg.tasks.classification import Classification
from vig_pyg.tasks.distillation import Teacher, distilled, load_teacher, renormalize, train_both
from vig_pyg.train import ClassificationData, LabeledBatch, accelerator_for, build_model, fit, read_recipe

SCRIPT = Path(__file__).parents[1] / "train" / "training.py"
DIGITS = [str(digit) for digit in range(10)]
MICRO = (
    "model=mobilevig_tiny",
    "model_options.channels=[16,32]",
    "model_options.depths=[[1,1],[1,1]]",
    "model_options.steps=[2,2]",
    "model_options.hidden=64",
    "drop_path=0.0",
)
BRIEF = ("epochs=4", "warmup_epochs=1", "batch=48", "device_batch=48")


def trained(data: ClassificationData, out: Path, *words: str, **options) -> nn.Module:
    recipe = read_recipe("digits", [*MICRO, *BRIEF, *words])
    torch.manual_seed(recipe.seed)
    model = build_model(recipe, 10, 1)
    fit(model, data, recipe, out, accelerator=accelerator_for(recipe, "cpu"), **options)
    return model


@pytest.fixture(scope="module")
def teacher(tmp_path_factory) -> Path:
    """Return the run of a classifier that takes every digit for the next."""
    out = tmp_path_factory.mktemp("runs") / "teacher"
    data = load_data("digits")
    parts = [ImageTensorDataset(part.images, (part.labels + 1) % 10) for part in (data.train, data.test)]
    trained(data._replace(train=parts[0], test=parts[1]), out)
    return out


def both_heads(model: nn.Module, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the logits of both classifiers from the layers themselves."""
    features = model.eval().forward_head(model.forward_features(images), pre_logits=True)
    return model.head.fc2(features), model.head.fc2_dist(features)


@torch.no_grad()
def test_one_classifier_learns_the_labels_and_the_other_the_guesses_of_the_teacher(teacher, tmp_path):
    with torch.enable_grad():
        student = trained(load_data("digits"), tmp_path / "run", f"teacher={teacher}")
    images, labels = load_data("digits").test.images, load_data("digits").test.labels
    taught = load_teacher(str(teacher), DIGITS, 1)
    assert (taught(images).argmax(1) == (labels + 1) % 10).float().mean() > 0.8
    first, second = both_heads(student, images)
    assert (first.argmax(1) == labels).float().mean() > 0.8
    assert (second.argmax(1) == taught(images).argmax(1)).float().mean() > 0.8
    # In evaluation, and so in what is kept, the mean of both.
    kept = timm.create_model(f"local-dir:{tmp_path / 'run' / 'last'}", pretrained=True).eval()
    torch.testing.assert_close(kept(images), (first + second) / 2)
    assert f"learned from `{teacher}`" in (tmp_path / "run" / "last" / "README.md").read_text()


class Pair(nn.Module):
    """A student of two linear classifiers."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = (nn.Linear(1024, 10, dtype=torch.float64) for _ in range(2))

    def set_distilled_training(self, enable: bool) -> None:
        self.distilled_training = enable

    def forward(self, images: torch.Tensor):
        first, second = self.first(images.flatten(1)), self.second(images.flatten(1))
        return (first, second) if self.training and self.distilled_training else (first + second) / 2


@pytest.mark.parametrize("mixes", [True, False])
def test_the_loss_is_that_of_deit(mixes, teacher):
    words = [f"teacher={teacher}", "teacher_share=0.3", "label_smoothing=0.2"]
    recipe = read_recipe("digits", [*words, *(["mixup=0.8", "cutmix=1.0"] if mixes else [])])
    data = load_data("digits")
    torch.manual_seed(1)
    task, student = Classification(data, recipe), Pair()
    student.eval()
    task.example = lambda _: torch.zeros(2, 1, 32, 32)
    task.prepare(student, torch.device("cpu"))
    task.teacher.double()
    student.train()
    images, labels = data.train.images[:8].double(), data.train.labels[:8]
    np.random.seed(3)
    loss = task.loss(student, LabeledBatch(images.clone(), labels, []), torch.device("cpu"))

    targets = torch.full((8, 10), 0.2 / 10, dtype=torch.float64)
    targets[range(8), labels] += 0.8
    if mixes:
        np.random.seed(3)
        images, targets = Mixup(0.8, 1.0, label_smoothing=0.2, num_classes=10)(images.clone(), labels)
        targets = targets.double()
    guesses = load_teacher(str(teacher), DIGITS, 1).double()(images).argmax(1)
    first, second = (head(images.flatten(1)).log_softmax(1) for head in (student.first, student.second))
    by_labels = -(targets * first).sum(1).mean()
    by_teacher = -torch.stack([second[number, guess] for number, guess in enumerate(guesses)]).mean()
    torch.testing.assert_close(loss, 0.7 * by_labels + 0.3 * by_teacher, rtol=1e-7, atol=0)


def test_shares_of_the_loss():
    logits = torch.tensor([[0.0, 0.0]])
    for share in (0.25, 1.0):
        loss = distilled(torch.tensor(3.0), logits, torch.tensor([1]), share)
        assert loss.item() == pytest.approx(3 * (1 - share) + share * np.log(2))


def test_a_teacher_never_changes_and_takes_no_gradient():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm2d(1), nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))
    teacher, images = Teacher(model.train(), nn.Identity()), torch.randn(4, 1, 4, 4, requires_grad=True)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert torch.equal(teacher(images), teacher(images)) and not teacher(images).requires_grad
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(weight.requires_grad for weight in teacher.parameters())


def test_images_are_normalized_as_the_teacher_knows_them():
    pixels = torch.rand(2, 3, 4, 4)
    settings = [{"mean": (0.5, 0.4, 0.3), "std": (0.5, 0.2, 0.1)}, {"mean": (0.48, 0.45, 0.4), "std": (0.2, 0.3, 0.4)}]
    student, teacher = (
        (pixels - torch.tensor(each["mean"]).view(3, 1, 1)) / torch.tensor(each["std"]).view(3, 1, 1)
        for each in settings
    )
    torch.testing.assert_close(renormalize(*settings)(student), teacher)
    assert torch.equal(renormalize(settings[0], settings[0])(student), student)


def test_a_teacher_of_images_sees_them_as_it_was_trained(tmp_path):
    write_images(tmp_path / "images", 10)
    small = ("batch=8", "device_batch=8", "workers=0", "image_size=32", "epochs=1", "warmup_epochs=0")
    data, task = load_data(str(tmp_path / "images")), None
    for name, words in {"taught": ("model=resnet10t",), "student": (*MICRO, f"teacher={tmp_path / 'taught'}")}.items():
        recipe = read_recipe("finetune", [*small, *words])
        torch.manual_seed(0)
        model, task = build_model(recipe, 2), Classification(data, recipe)
        settings = {"vig": (0.5, 0.5), "resnet": (0.1, 0.2)}["vig" if name == "student" else "resnet"]
        model.pretrained_cfg |= {"mean": (settings[0],) * 3, "std": (settings[1],) * 3}
        fit(model, task, recipe, tmp_path / name, accelerator=accelerator_for(recipe, "cpu"))
    seen = task.teacher.normalize(torch.full((1, 3, 2, 2), (0.7 - 0.5) / 0.5))  # a gray of 0.7
    torch.testing.assert_close(seen, torch.full((1, 3, 2, 2), (0.7 - 0.1) / 0.2))


def test_timms_distilled_models_learn_from_a_teacher(teacher):
    student = timm.create_model(
        "deit_tiny_distilled_patch16_224",
        **{"img_size": 32, "patch_size": 16, "embed_dim": 24, "depth": 1, "num_heads": 2},
        **{"in_chans": 1, "num_classes": 10},
    )
    before = student.head_dist.weight.detach().clone()
    recipe = read_recipe("digits", [*BRIEF, "epochs=1", "warmup_epochs=0", f"teacher={teacher}", "teacher_share=1.0"])
    fit(student, small_digits(), recipe, accelerator=accelerator_for(recipe, "cpu"))
    assert student.distilled_training and not torch.equal(student.head_dist.weight, before)
    fit(student, small_digits(), read_recipe("digits", [*BRIEF, "epochs=1", "warmup_epochs=0"]))
    assert not student.distilled_training  # without a teacher, the mean of both learns the labels


def test_an_interrupted_training_goes_on_as_if_it_was_not(teacher, tmp_path):
    class Stopped(Exception):
        pass

    def stop(_):
        raise Stopped

    words = ("epochs=2", "batch=24", "device_batch=12", "mixup=0.8", "ema_decay=0.9", "checkpoint_minutes=1e-9")
    words += (f"teacher={teacher}",)
    trained(small_digits(), tmp_path / "whole", *words)
    with pytest.raises(Stopped):
        trained(small_digits(), tmp_path / "parts", *words, on_epoch=stop)
    trained(small_digits(), tmp_path / "parts", *words, resume=True)
    files = [tmp_path / run / "last" / "model.safetensors" for run in ("whole", "parts")]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_two_processes_learn_as_one(teacher, tmp_path):
    words = ["optimizer=sgd", "learning_rate=0.02", "shift=0", "epochs=1", "warmup_epochs=0", "batch=24"]
    words += [*MICRO, "ema_decay=null", "sync_batch_norm=true", "device_batch=24", f"teacher={teacher}"]
    recipe, out = read_recipe("digits", words), tmp_path / "two"
    torch.manual_seed(recipe.seed)
    one = fit(build_model(recipe, 10, 1), small_digits(), recipe, accelerator=accelerator_for(recipe, "cpu"))
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(SCRIPT.parents[2])}
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [sys.executable, *launch, str(SCRIPT), str(out), *words]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stderr
    assert json.loads((out / "history.json").read_text())[0]["loss"] == pytest.approx(one[0].loss, rel=1e-3)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("teacher=nowhere",), "the teacher 'nowhere' is neither a model that timm knows nor the folder of a run"),
        (("teacher=vig_micro",), "there are no published weights of the teacher vig_micro: give the folder of a run"),
        (
            ("teacher=regnety_160.deit_in1k",),
            "the teacher regnety_160.deit_in1k tells 1000 classes apart, but the data have 10: give the folder",
        ),
        (("teacher=regnety_160.deit",), "there is no model called 'regnety_160.deit'"),
        (("teacher=FILE",), "does not say which model it is of: give the folder that a run wrote"),
        (("teacher=RUN", "model=vig_micro"), "vig_micro has one classifier, and none that learns from a teacher"),
        (("teacher=RUN", *MICRO, "model_options.distilled=false"), "this model has one classifier, and none that"),
    ],
)
def test_what_does_not_fit_is_refused_before_the_training(words, sentence, teacher, tmp_path):
    torch.save({"weight": torch.ones(1)}, tmp_path / "weights.pth")
    words = [word.replace("RUN", str(teacher)).replace("FILE", str(tmp_path / "weights.pth")) for word in words]
    recipe = read_recipe("digits", [*BRIEF, *(words if len(words) > 1 else [*MICRO, *words])])
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(sentence)):
        fit(build_model(recipe, 10, 1), small_digits(), recipe, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_classes_and_channels_of_the_teacher_are_those_of_the_data(teacher):
    with pytest.raises(ValueError, match=r"tells other classes apart than the data have: 10, not 3$"):
        load_teacher(str(teacher), ["a", "b", "c"], 1)
    named = [*DIGITS[:8], "nine", "eight"]
    assert load_teacher(str(teacher), named, 1).num_classes == 10  # the teacher's have numbers for names
    data = small_digits()
    colored = [ImageTensorDataset(part.images.expand(-1, 3, -1, -1), part.labels) for part in (data.train, data.test)]
    data = data._replace(train=colored[0], test=colored[1], channels=3)
    recipe = read_recipe("digits", [*MICRO, *BRIEF, f"teacher={teacher}"])
    with pytest.raises(ValueError, match=r"the teacher .* does not take the student's images: images must have"):
        fit(build_model(recipe, 10, 3), data, recipe)


def test_other_names_of_the_teachers_classes_are_refused(tmp_path, teacher):
    for file in (teacher / "best").iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"label_names": [*DIGITS[:8], "nine", "eight"]}))
    (tmp_path / "SHA256SUMS").unlink(missing_ok=True)
    with pytest.raises(ValueError, match="apart than the data have: 'nine' where they have 'eight'"):
        load_teacher(str(tmp_path), [*DIGITS[:8], "eight", "nine"], 1)


def test_weights_that_cannot_be_fetched_are_said(monkeypatch):
    def fail(*_, **__):
        raise ConnectionError("no way out\nof here")

    monkeypatch.setattr(timm, "create_model", fail)
    with pytest.raises(
        ValueError, match=r"^the weights of the teacher resnet18\.a1_in1k cannot be fetched: no way out$"
    ):
        load_teacher("resnet18.a1_in1k", [str(number) for number in range(1000)], 3)


def test_a_loss_without_what_it_needs_is_refused(teacher):
    recipe = read_recipe("digits", [*MICRO, f"teacher={teacher}"])
    task, model = Classification(small_digits(), recipe), build_model(recipe, 10, 1)
    batch = LabeledBatch(torch.zeros(2, 1, 32, 32), torch.tensor([0, 1]), [])
    with pytest.raises(ValueError, match="mobilevig_tiny must have two classifiers to learn from a teacher"):
        task.loss(model, batch, torch.device("cpu"))
    task.prepare(model, torch.device("cpu"))
    train_both(model, False, "mobilevig_tiny")
    with pytest.raises(ValueError, match="mobilevig_tiny must have two classifiers to learn from a teacher"):
        task.loss(model, batch, torch.device("cpu"))
