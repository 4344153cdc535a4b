"""Guesses are the largest probabilities, and every file has a line of its own."""

import csv
import json

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms.functional import to_tensor

from vig_pyg.tasks.classification import Classification
from vig_pyg.tasks.classify import predict, write_predictions

CLASSES = ["a", "b", "c", "d"]


@pytest.fixture
def files(tmp_path):
    for number, color in enumerate([(255, 0, 0), (0, 128, 255)]):
        Image.new("RGB", (2, 2), color).save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    return [tmp_path / name for name in ("0.png", "broken.png", "1.png")]


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 4))


@pytest.mark.parametrize("batch", [1, 2, 8])
def test_guesses_are_those_of_the_softmax(batch, model, files):
    found = list(predict(model, CLASSES, files, to_tensor, top=3, batch=batch))
    assert [prediction.path for prediction in found] == files
    assert found[1].guesses == [] and "is no image that can be read" in found[1].error
    for prediction in (found[0], found[2]):
        logits = model(to_tensor(Image.open(prediction.path))[None])[0].exp()
        shares = dict(zip(CLASSES, (logits / logits.sum()).tolist(), strict=True))
        best = sorted(shares.items(), key=lambda pair: -pair[1])[:3]
        assert [name for name, _ in prediction.guesses] == [name for name, _ in best]
        assert [share for _, share in prediction.guesses] == pytest.approx([share for _, share in best])


def test_files_hold_what_was_found(model, files, tmp_path):
    said = []
    found = list(predict(model, CLASSES, files, to_tensor, top=2))
    for name in ("found.csv", "found.jsonl"):
        said.clear()
        written = write_predictions(iter(found), tmp_path / name, 2, lambda path, words: said.append(words))
        assert written == f"Written to {tmp_path / name}."
    rows = list(csv.DictReader((tmp_path / "found.csv").open()))
    lines = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    for prediction, row, line, words in zip(found, rows, lines, said, strict=True):
        assert row["file"] == line["file"] == str(prediction.path) and row["error"] == (prediction.error or "")
        assert [(guess["class"], guess["share"]) for guess in line["guesses"]] == prediction.guesses
        assert words.startswith(row["class1"] or "does not decode: ")


def test_wrong_numbers_and_places_are_refused(model, tmp_path):
    for wrong in ({"top": 0}, {"batch": 0}):
        with pytest.raises(ValueError, match="top and batch must be at least 1, got"):
            next(predict(model, CLASSES, [], to_tensor, **wrong))
    with pytest.raises(ValueError, match=r"--out must end in .csv or .jsonl, got 'found.txt'"):
        Classification.place(type(tmp_path)("found.txt"))
    assert Classification.place(None) is None
