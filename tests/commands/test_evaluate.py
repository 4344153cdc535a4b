"""``vig-pyg eval``, as a person types it; test_detect.py and test_segment.py have the other tasks."""

import csv
from pathlib import Path

import numpy as np
import pytest

from tests.commands.test_commands import call
from vig_pyg.commands.evaluate import evaluate_


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
