"""``vig-pyg eval``, as a person types it; test_detect.py and test_segment.py have the other tasks."""

import csv
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from timm.models import generate_default_cfgs, register_model
from torchvision import transforms

import vig_pyg
from tests.commands.test_commands import call, done
from tests.models.published import published_state
from vig_pyg.commands.evaluate import chosen, evaluate_
from vig_pyg.models.published import build_published, published_cfg


def test_eval_counts_as_the_run_did(run, tmp_path):
    status, output = call("eval", run / "last", "--out", tmp_path / "eval", "--device", "cpu")
    assert status == 0
    rows = list(csv.reader((run / "metrics.csv").open()))
    assert f"top-1 {100 * float(rows[-1][2]):.2f} %" in output
    counts = np.array([[int(cell) for cell in row[1:]] for row in list(csv.reader(open_csv(tmp_path)))[1:]])
    assert counts.sum() == 359
    assert counts.trace() / 359 == pytest.approx(float(rows[-1][2]))
    assert (tmp_path / "eval" / "confusion.png").stat().st_size > 1000


def open_csv(folder: Path):
    return (folder / "eval" / "confusion.csv").read_text().splitlines()


def test_the_command_is_a_function_too(run, tmp_path):
    assert call("eval", run, "--out", tmp_path / "typed", "--device", "cpu")[0] == 0
    evaluate_(run, out=tmp_path / "called", device="cpu")
    typed, called = ((tmp_path / name / "classes.csv").read_text() for name in ("typed", "called"))
    assert typed == called


# The published number's command ###############################################################

default_cfgs = generate_default_cfgs({"thin_vig.in1k": published_cfg("https://host/thin_vig.pth", num_classes=3)})


@register_model
def thin_vig(pretrained=False, **kwargs):
    numbers = {"channels": 16, "depth": 1, **kwargs}
    return build_published(vig_pyg.ViG, "thin_vig", pretrained, (0,), **numbers)


def prepared(image, crop, mean, deviation):
    """The definition, written with torchvision: the shorter side becomes 224 / crop, the middle is cut out."""
    steps = [transforms.Resize(int(224 / crop), transforms.InterpolationMode.BICUBIC), transforms.CenterCrop(224)]
    return transforms.Compose([*steps, transforms.ToTensor(), transforms.Normalize(mean, deviation)])(image)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder where weights lie as they were placed by hand, and images whose classes these weights guess."""
    root, random = tmp_path_factory.mktemp("published"), np.random.default_rng(0)
    waves = [random.uniform(0, 255, (4, 5, 3)).astype(np.uint8) for _ in range(40)]
    images = [Image.fromarray(wave).resize((300, 260), Image.Resampling.BICUBIC) for wave in waves]
    torch.manual_seed(0)
    model = timm.create_model("thin_vig")
    batch = torch.stack([prepared(image, 0.9, (0.5,) * 3, (0.5,) * 3) for image in images])
    usual = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    wrong = torch.stack([prepared(image, 0.875, *usual) for image in images])
    for norm in (part for part in model.modules() if isinstance(part, torch.nn.BatchNorm2d | torch.nn.BatchNorm1d)):
        norm.momentum = 1.0  # the statistics of one batch
    with torch.no_grad():
        model.train()(batch)
        logits, others = model.eval()(batch), model(wrong)
    (root / "hub" / "checkpoints").mkdir(parents=True)
    torch.save(published_state(model), root / "hub" / "checkpoints" / "thin_vig.pth")
    best = logits.topk(2).values
    sure = (best[:, 0] - best[:, 1] > 1e-3).nonzero().flatten().tolist()
    for number in sure:
        file = root / "imagenet" / "val" / f"n{int(logits[number].argmax())}" / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        images[number].save(file)
    share = (logits.argmax(1) == others.argmax(1))[sure].double().mean().item()
    return root, len(sure), share


def test_published_weights_get_the_preparation_of_the_release(published, tmp_path, monkeypatch):
    root, count, share_with_the_usual_preparation = published
    monkeypatch.setenv("TORCH_HOME", str(root))
    words = ("--data", root / "imagenet", "--out", tmp_path, "--device", "cpu", "--workers", 0)
    told = done("eval", "--model", "thin_vig", "--pretrained", *words)
    assert f"the published thin_vig on the {count} held-out images" in told and "top-1 100.00 %" in told
    assert "crop_pct 0.9, interpolation bicubic, mean (0.5, 0.5, 0.5), std (0.5, 0.5, 0.5)" in told
    assert share_with_the_usual_preparation < 0.95  # the pitfall


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "there are no weights: give the folder of a run or a file, or --model NAME --pretrained"),
        (["--pretrained"], "--pretrained is for the name of a model"),
        (["RUN", "--model", "vig_tiny", "--pretrained"], "and no other weights"),
        (["--model", "vig_micro", "--pretrained"], "no weights of vig_micro were published"),
        (["--model", "thin_vig", "--pretrained"], "the weights tell 3 classes apart, but digits has 10"),
    ],
)
def test_weights_are_given_once(words, sentence, run, published, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(published[0]))
    status, output = call("eval", *(run if word == "RUN" else word for word in words), "--device", "cpu")
    assert status == 2 and sentence in output, output


def test_weights_are_called_what_they_are(run):
    kind, trained, name = chosen(run, None, False, None, False)
    assert kind.verb == "Classifies" and len(trained.classes) == 10 and name == str(run)
