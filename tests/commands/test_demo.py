import csv
import inspect
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vig_pyg.commands import app
from vig_pyg.commands.demo import demo

PICTURES = {"operators.png", "operators-curves.png", "operators-graphs.png", "photograph.png"}
OUTPUTS = PICTURES | {
    "report.html",
    "operators.csv",
    "operators.json",
    "operators.md",
    "operators.tex",
    "trials",
    "costs",
}
ARGUMENTS = ["demo", "--epochs", "1", "--seeds", "1", "--conv", "max_relative"]
COMMAND = [sys.executable, "-m", "vig_pyg", "demo", "--epochs", "1"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory):
    out = tmp_path_factory.mktemp("runs") / "demo"
    return out, CliRunner().invoke(app, [*ARGUMENTS, "--conv", "gcn", "--out", str(out)])


def test_the_demo_prints_a_table_and_writes_its_files(finished) -> None:
    out, result = finished
    assert result.exit_code == 0
    assert "max_relative" in result.output and "gcn" in result.output
    assert {path.name for path in out.iterdir()} == OUTPUTS


def test_the_numbers_in_the_table_are_those_of_the_trainings(finished) -> None:
    rows = {row[""]: row for row in csv.DictReader((finished[0] / "operators.csv").open())}
    assert list(rows) == ["max_relative", "gcn"]
    for file in (finished[0] / "trials").glob("*.json"):
        content = json.loads(file.read_text())
        accuracy = 100 * content["epochs"][-1]["measured"]["accuracy"]
        row = rows[content["recipe"]["conv"]]
        assert float(row["accuracy (%)"]) == pytest.approx(accuracy) and float(row["ms per image"]) > 0
        assert f"{accuracy:.2f}" in finished[1].output
    assert float(rows["max_relative"]["parameters (M)"]) == pytest.approx(0.213002)


def test_it_is_a_study_of_operators(finished, tmp_path: Path) -> None:
    words = ["study", "operators", "epochs=1", *ARGUMENTS[3:], "--conv", "gcn"]
    out = ["--device", "cpu", "--jobs", "1", "--out", str(finished[0])]
    before = {file: file.stat().st_mtime_ns for file in (finished[0] / "trials").glob("*.json")}
    assert CliRunner().invoke(app, [*words, *out]).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in (finished[0] / "trials").glob("*.json")} == before


def test_the_report_needs_no_other_file_and_no_network(finished) -> None:
    page = (finished[0] / "report.html").read_text()
    assert page.count('src="data:image/png;base64,') == len(PICTURES)
    assert not re.findall(r'(?:src|href)="(?!data:)', page) and "http" not in page


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--epochs", "0"], "epochs must be at least 1, got 0"),
        (["--seeds", "-1"], "seeds must be at least 1, got -1"),
        (["--conv", "max_relativ"], "did you mean 'max_relative'?"),
        (["--conv", "nowhere:MyConv"], "no module 'nowhere'"),
        (["--device", "abacus"], "device must be cpu, cuda, cuda:0 or the like, got 'abacus'"),
    ],
)
def test_bad_options_give_one_sentence_and_status_2(arguments: list[str], sentence: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["demo", *arguments, "--out", str(tmp_path / "out")])
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.split())
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    result = CliRunner().invoke(app, [*ARGUMENTS, "--out", str(tmp_path / "file" / "demo")])
    assert result.exit_code == 2 and "file" in result.output


def test_an_operator_from_a_file_in_this_folder(tmp_path: Path) -> None:
    (tmp_path / "mymodule.py").write_text(
        "import torch\n"
        "from torch_geometric.nn import MessagePassing\n\n"
        "class MyConv(MessagePassing):\n"
        "    def __init__(self, in_channels, out_channels):\n"
        "        super().__init__(aggr='mean')\n"
        "        self.linear = torch.nn.Linear(in_channels, out_channels)\n\n"
        "    def forward(self, x, edge_index):\n"
        "        return self.linear(self.propagate(edge_index, x=x))\n"
    )
    command = [*COMMAND, "--seeds", "1", "--conv", "mymodule:MyConv"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert {path.name for path in (tmp_path / "runs" / "demo").iterdir()} == OUTPUTS


def test_ctrl_c_leaves_what_is_finished_readable(tmp_path: Path) -> None:
    command = [*COMMAND, "--seeds", "500", "--conv", "max_relative"]
    process = subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=_heed_ctrl_c
    )
    out = tmp_path / "runs" / "demo"
    deadline = time.monotonic() + 120
    while not list(out.glob("trials/*.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode == 130, output
    assert "the same command trains what is missing" in " ".join(output.split())
    [row] = csv.DictReader((out / "operators.csv").open())
    assert int(row["seeds"]) == len(list(out.glob("trials/*.json"))) >= 1
    assert {path.name for path in out.iterdir()} == OUTPUTS
    page = (out / "report.html").read_text()
    assert "interrupted" in page and "no difference is claimed" in page


def _heed_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # jobs in the background inherit that it is ignored


def test_the_demo_compares_the_paper_s_operators():
    assert inspect.signature(demo).parameters["conv"].default == ("max_relative", "edge", "gin", "sage")
