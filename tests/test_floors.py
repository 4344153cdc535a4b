"""The house: imports point down its floors in no circle, no file is long, and tests mirror the tree."""

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
TESTED = [file for file in MODULES if file.stem not in ("__init__", "__main__")]
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


HANDED_ON = {  # by module, the modules from which it imports names
    name_of(file): {
        alias.asname or alias.name: node.module
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    for file in MODULES
}


def origins(module: str, name: str) -> Iterator[str]:
    """Yield the modules through which a name comes into a module, from that to the one that defines it."""
    yield module
    source = HANDED_ON.get(module, {}).get(name, module)
    if source != module:
        yield from origins(source, name)


def named_in(test: Path) -> Iterator[str]:
    """Yield the modules that a test imports, and those whose names it takes from a folder that hands them on."""
    for node in ast.walk(ast.parse(test.read_text())):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield f"{node.module}.{alias.name}"
                yield from origins(str(node.module), alias.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "vig_pyg":
            yield from origins("vig_pyg", node.attr)


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


@pytest.mark.parametrize("file", TESTED, ids=name_of)
def test_every_module_has_a_file_of_tests_that_names_it(file):
    own, place = name_of(file), file.relative_to(HOUSE)
    test = Path(__file__).parent / place.with_name(f"test_{place.name}")
    named = test.is_file() and own in named_in(test)
    assert named, f"tests/{place.with_name(test.name)} must be there and import from {own}"
