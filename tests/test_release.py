"""What a release says of itself is the same everywhere."""

import re
from pathlib import Path

from omegaconf import OmegaConf

import vig_pyg

ROOT = Path(__file__).parents[1]


def test_a_version_is_one_number():
    project = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    released = re.findall(r"^## \[(\d.+)\] - \d{4}-\d\d-\d\d$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    cited = OmegaConf.load(ROOT / "CITATION.cff")["version"]
    assert vig_pyg.__version__ == project[1] == cited == released[0]


def test_the_changelog_keeps_its_form():
    lines = (ROOT / "CHANGELOG.md").read_text().splitlines()
    assert lines[0] == "# Changelog" and "## [Unreleased]" in lines
    kinds = {line[4:] for line in lines if line.startswith("### ")}
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_paper_is_cited():
    paper = OmegaConf.load(ROOT / "CITATION.cff")["references"][0]
    assert paper["url"] == "https://arxiv.org/abs/2206.00272" and len(paper["authors"]) == 5
