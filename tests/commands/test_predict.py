"""``vig-pyg predict``, as a person types it; test_detect.py and test_segment.py have the other tasks."""

import csv
import json
from pathlib import Path

import pytest
from PIL import Image
from sklearn.datasets import load_digits

from tests.commands.test_commands import call
from vig_pyg.commands.predict import SHOWN


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_predict_reads_folders_and_names_what_does_not_decode(run, suffix, tmp_path):
    photos = tmp_path / "photos"
    photos.mkdir()
    for number in range(3):
        digit = Image.fromarray((load_digits().images[number] * 15).astype("uint8"))
        digit.resize((32, 32), Image.Resampling.BICUBIC).save(photos / f"{number}.png")
    (photos / "broken.png").write_bytes(b"no image")
    out = tmp_path / f"found.{suffix}"
    status, output = call("predict", run, photos, "--top", 3, "--batch", 2, "--out", out, "--device", "cpu")
    assert status == 0, output
    if suffix == "csv":
        rows = list(csv.DictReader(out.open()))
        assert [Path(row["file"]).name for row in rows] == ["0.png", "1.png", "2.png", "broken.png"]
        shares = [float(rows[0][f"share{place}"]) for place in (1, 2, 3)]
        assert rows[3]["error"] and not rows[0]["error"]
    else:
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        shares = [guess["share"] for guess in rows[0]["guesses"]]
        assert "error" in rows[3] and len(rows) == 4
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1
    status, output = call("predict", run, photos / "*.png", "--top", 2, "--device", "cpu")
    assert status == 0 and "does not decode" in output


def test_the_screen_shows_the_first_of_many(run, tmp_path):
    for number in range(SHOWN + 2):
        Image.new("L", (8, 8), number).save(tmp_path / f"{number}.png")
    status, output = call("predict", run, tmp_path, "--device", "cpu")
    assert status == 0 and "… and 2 more: --out predictions.csv writes all." in output


def test_options_of_another_task_are_refused(run):
    status, output = call("predict", run, "x.png", "--score", 0.3, "--device", "cpu")
    assert status == 2 and "--score 0.3 changes nothing: these weights are of the task classify" in output
