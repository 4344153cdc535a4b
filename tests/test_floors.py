"""The house: imports point down its floors, no two modules import each other, and no file is long."""

import ast
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "vig_pyg"
# From the ground up; folders of one floor do not import each other.
FLOORS = (
    {"checks", "files", "machine", "manifest", "registry"},
    {"kernels"},
    {"graph"},
    {"conv"},
    {"blocks"},
    {"models"},
    {"data"},
    {"tasks"},
    {"train", "detection", "segmentation"},
    {"study"},
    {"commands"},
)
MODULES = sorted(HOUSE.rglob("*.py"))
LONGEST = 350


def name_of(file: Path) -> str:
    parts = file.relative_to(HOUSE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {name_of(file) for file in MODULES}


def imported(file: Path) -> Iterator[str]:
    """Yield the modules of the library that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("vig_pyg"):
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield inner if inner in NAMES else str(node.module)


def floor_of(module: str) -> int:
    room = module.split(".")[1]
    return next(number for number, rooms in enumerate(FLOORS) if room in rooms)


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_imports_point_down(file):
    own = name_of(file)
    if own in ("vig_pyg", "vig_pyg.cli", "vig_pyg.__main__"):  # the doors
        return
    for other in imported(file):
        if other in ("vig_pyg", "vig_pyg.cli"):
            continue
        same_room = other.split(".")[1] == own.split(".")[1]
        assert same_room or floor_of(other) < floor_of(own), f"{own} imports {other}, which is not below it"


def test_no_two_modules_import_each_other_however_far_round():
    edges = {name_of(file): set(imported(file)) - {name_of(file)} for file in MODULES}
    done: set[str] = set()

    def visit(module: str, path: tuple[str, ...]) -> None:
        assert module not in path, " → ".join([*path[path.index(module) :], module])
        if module not in done:
            for other in edges[module]:
                visit(other, (*path, module))
            done.add(module)

    for module in edges:
        if module not in ("vig_pyg", "vig_pyg.cli"):
            visit(module, ())


@pytest.mark.parametrize("file", MODULES, ids=name_of)
def test_no_file_is_long(file):
    assert len(file.read_text().splitlines()) <= LONGEST


def test_the_floors_are_those_of_the_guide():
    guide = (HOUSE.parent / "CONTRIBUTING.md").read_text()
    rows = [room for floor in FLOORS for room in floor if (HOUSE / room).is_dir()]
    places = [guide.index(f"    {room}/") for room in rows]
    assert all(lower > upper for lower, upper in pairwise(places)), "the guide lists folders from the top down"
