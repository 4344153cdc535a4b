"""The pages of the site: their code runs, their commands have the options shown, their tables say what is."""

import inspect
import re
from pathlib import Path

import nbformat
import pytest
import torch

import vig_pyg
from docs import cheatsheets, figures, gallery, reference
from tests.test_readme import commands_in, test_commands_have_the_options_that_are_shown
from vig_pyg.conv import AttentionConv
from vig_pyg.models.names import list_ours

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {
    str(path.relative_to(DOCS)): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if not {"_build", "generated"} & set(path.relative_to(DOCS).parts)
}
BLOCKS = {name: re.findall(r"^```python\n(.*?)^```", text, re.S | re.M) for name, text in PAGES.items()}
COMMANDS = [(name, command) for name, text in PAGES.items() for command in commands_in(text)]


@pytest.mark.parametrize("name", [name for name, blocks in BLOCKS.items() if blocks])
def test_the_code_of_a_page_runs_from_top_to_bottom(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}
    for block in BLOCKS[name]:
        try:
            exec(compile(block, name, "exec"), names)
        except ModuleNotFoundError as missing:  # captum is nobody's dependency
            assert missing.name == "captum"


@pytest.mark.parametrize(("name", "command"), COMMANDS)
def test_the_commands_of_a_page_have_the_options_that_are_shown(name, command):
    test_commands_have_the_options_that_are_shown(command)


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_includes_is_there(name):
    """Sphinx refuses what is missing as well; this says it without building the site."""
    place = DOCS / name
    for target, options in re.findall(r"^```\{(?:literal)?include\} (\S+)\n((?::.*\n)*)", PAGES[name], re.M):
        source = (place.parent / target).resolve()
        if "generated" in source.parts:
            continue
        text = source.read_text(encoding="utf-8")
        for mark in re.findall(r'^:(?:start-after|start-at|end-before): "(.*)"$', options, re.M):
            assert mark in text, f"{target} has no {mark!r}"


@pytest.mark.parametrize("name", PAGES)
def test_links_between_pages_lead_to_pages(name):
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)(?:#[^)]*)?\)", PAGES[name]):
        file = ((DOCS / name).parent / target).resolve()
        stored = gallery.EXAMPLES / file.name if "gallery" in file.parts else file
        assert stored.is_file(), f"{target} is not there"


def test_operators_of_the_cheatsheet_are_those_that_are_registered_and_marks_are_true():
    rows = {row["operator"].strip("`"): row for row in cheatsheets.operators()}
    assert {"max_relative", "edge", "gin", "sage", "gcn", "pna"} <= set(rows) <= set(vig_pyg.list_convs())
    weighted = {name for name, row in rows.items() if row["edge weights"]}
    assert weighted == {"gin", "hypergraph", "max_relative", "sage", "gcn", "graph", "tag"}
    assert {name for name, row in rows.items() if row["edge attributes"]} == {"edge"}
    assert not rows["gcn"]["bipartite"] and rows["gat"]["heads"] and not rows["gat"]["no row per edge"]


def test_the_largest_tensor_is_found():
    assert cheatsheets.largest(vig_pyg.MaxRelativeConv(8, 8).eval()) < 0.1
    assert cheatsheets.largest(AttentionConv(8, 8).eval()) >= 1

    class Gather(torch.nn.Module):
        def forward(self, x, edge_index):
            return x[edge_index.as_tensor()[0]].repeat(1, 2)

    assert cheatsheets.largest(Gather()) == 2


def test_graphs_of_the_cheatsheet_are_those_that_are_registered_and_marks_are_true():
    rows = {row["graph"].strip("`"): row for row in cheatsheets.graphs()}
    assert {"knn", "static", "grid", "random", "window"} <= set(rows) <= set(vig_pyg.list_graphs())
    blind = {name for name, row in rows.items() if not row["looks at features"]}
    assert blind == {"axial", "complete", "cross", "grid", "log", "random"}
    assert rows["knn"]["neighbors"] == "9" and rows["complete"]["neighbors"] == "196"
    irregular = {name for name, row in rows.items() if row["irregular nodes"]}
    assert irregular == {"knn", "static", "cluster", "threshold", "hypergraph", "complete"}  # as the page of ideas says
    assert rows["gated"]["edge weights"] and not rows["knn"]["edge weights"]


def test_models_of_the_cheatsheet_are_as_large_as_it_says():
    studied = {row["name"]: row["parameters (M)"] for row in cheatsheets.results("study-models-cpu")}
    ours = [name for name in list_ours() if "micro" not in name]
    assert set(ours) <= set(studied)
    for name in ours:
        assert cheatsheets.counted(name) == pytest.approx(studied[name], abs=1e-6), name
    assert len(cheatsheets.models()) == len(studied)


def test_a_table_is_markdown():
    assert cheatsheets.markdown([{"a": "1", "b": ""}]) == "| a | b |\n| --- | --- |\n| 1 |  |\n"


def test_diversity_is_a_share_of_size():
    assert figures.share_of_size(torch.ones(6, 4)) == 0
    apart = torch.cat([torch.eye(4), -torch.eye(4)])
    assert figures.share_of_size(apart) == pytest.approx(1, rel=0.03)


def test_the_figure_of_graphs_has_a_row_for_each_of_the_study():
    names = [label.get_text() for label in figures.choice().axes[0].get_yticklabels()]
    assert set(vig_pyg.list_graphs()) & set(names) and len(names) == len(cheatsheets.results("study-graphs-cpu")) / 2


def test_every_public_name_is_in_the_reference(tmp_path):
    reference.write(tmp_path)
    pages = {path.stem: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()}
    listed = PAGES["reference.md"]
    assert all(f"generated/reference/{page}\n" in listed for page in pages)
    for package in reference.PACKAGES:
        for name in __import__(package, fromlist=["__all__"]).__all__:
            assert re.search(rf"{re.escape(f'{package}.{name}')}\b", pages[package]), f"{package}.{name}"


def test_names_lead_to_where_they_are_described():
    assert reference.home_of("vig_pyg.MaxRelativeConv") == "vig_pyg.conv.MaxRelativeConv"
    assert reference.home_of("vig_pyg.conv.max_relative.MaxRelativeConv") == "vig_pyg.conv.MaxRelativeConv"
    assert reference.home_of("vig_pyg.ViG.forward_graphs") == "vig_pyg.models.ViG.forward_graphs"
    assert reference.home_of("vig_pyg.nothing") is None


def test_the_gallery_has_every_notebook_with_a_picture(tmp_path):
    gallery.write(tmp_path)
    cards = (tmp_path / "cards.md").read_text(encoding="utf-8")
    for path in gallery.notebooks():
        notebook = nbformat.read(path, as_version=4)
        assert gallery.title(notebook) in cards and f"/generated/gallery/{path.stem}\n" in cards
        assert (tmp_path / f"{path.stem}.png").read_bytes().startswith(b"\x89PNG")


def test_options_that_other_code_is_translated_to_exist():
    known = {"features_only", "out_indices"}
    for model in (vig_pyg.ViG, vig_pyg.PyramidViG, vig_pyg.MobileViG):
        known |= set(inspect.signature(model).parameters)
    tables = PAGES["guides/moving.md"].split("## Options renamed")[1]
    cells = [line.split("|")[2] for line in tables.splitlines() if line.startswith("|")]
    given = [word for cell in cells for word in re.findall(r"\b(\w+)=", cell)]
    assert len(given) > 25 and set(given) <= known


def test_models_that_other_code_is_translated_to_exist():
    names = PAGES["guides/moving.md"].split("## Names of models")[1].split("## Options renamed")[0]
    here = [line.split("|")[2] for line in names.splitlines() if line.startswith("| `") or line.startswith("| mm")]
    assert {word for cell in here for word in re.findall(r"`(\w+)`", cell)} <= set(list_ours())
