"""The reference: a page for every package, with every name that it makes public."""

from __future__ import annotations

import importlib
import inspect
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

# What pages are made of, in the order of the list. A name is described on the first page that has it.
PACKAGES = (
    "vig_pyg.conv",
    "vig_pyg.graph",
    "vig_pyg.models",
    "vig_pyg.blocks",
    "vig_pyg.detection",
    "vig_pyg.segmentation",
    "vig_pyg.tasks",
    "vig_pyg.train",
    "vig_pyg.study",
    "vig_pyg.kernels",
    "vig_pyg",
)
# What public names derive from, return or point to, each where it is defined.
BASES = (
    "vig_pyg.models.vision_gnn.VisionGNN",
    "vig_pyg.models.timm_interface.TimmInterface",
    "vig_pyg.conv.fused.FusedConv",
    "vig_pyg.conv.inputs.check_inputs",
    "vig_pyg.graph.shifts.ShiftGraph",
    "vig_pyg.models.feature_pyramid.FeaturePyramid",
    "vig_pyg.models.feature_pyramid.OnPyramid",
    "vig_pyg.models.export.export",
    "vig_pyg.tasks.classification.ImageTask",
    "vig_pyg.tasks.backbone.BackboneTask",
    "vig_pyg.tasks.backbone.BackboneRecipe",
    "vig_pyg.tasks.backbone.build_on_backbone",
    "vig_pyg.data.masks.SegmentationBatch",
    "vig_pyg.data.multilabel.load_multilabel",
    "vig_pyg.train.run.Progress",
)
# Modules that explain something in their own docstring, each on the page of its package.
EXPLAINED = {"vig_pyg.graph": "vig_pyg.graph.protocol"}


@cache
def homes() -> dict[int, str]:
    """Return by identity of every public object the full name under which it is described."""
    found: dict[int, str] = {}
    for package in PACKAGES:
        module = importlib.import_module(package)
        for name in module.__all__:
            found.setdefault(id(getattr(module, name)), f"{package}.{name}")
    for name in BASES:
        found.setdefault(id(_found(name)), name)
    return found


def _found(name: str) -> Any:
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def home_of(target: str) -> str | None:
    """Return the full name under which what is called ``target`` is described, or a method of it; None if nowhere."""
    parts = target.split(".")
    for cut in range(len(parts) - 1, 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:cut]))
            found = getattr(found, parts[cut])
        except (ImportError, AttributeError):
            continue
        home = homes().get(id(found))
        return home and ".".join([home, *parts[cut + 1 :]])
    return None


def described(package: str, name: str, value: Any) -> str:
    """Return the directive that describes a public name, or a line with a link where another page does."""
    home = homes()[id(value)]
    if home != f"{package}.{name}":
        return f"* :py:obj:`{package}.{name} <{home}>`\n"
    if inspect.isclass(value):
        return f".. autoclass:: {package}.{name}\n   :members:\n   :exclude-members: propagate\n   :show-inheritance:\n"
    kind = "autofunction" if callable(value) else "autodata"
    return f".. {kind}:: {package}.{name}\n"


def page(module: ModuleType) -> str:
    """Return the page of a package: what it says of itself, then its names."""
    package = module.__name__
    values = {name: getattr(module, name) for name in module.__all__}
    own = [name for name, value in values.items() if homes()[id(value)] == f"{package}.{name}"]
    lines = [package, "=" * len(package), "", f".. py:module:: {package}", "", inspect.getdoc(module) or "", ""]
    if package in EXPLAINED:
        lines += [f".. automodule:: {EXPLAINED[package]}", "   :no-members:", ""]
    others = [described(package, name, value) for name, value in values.items() if name not in own]
    if others:
        lines += [".. rubric:: Also here, described elsewhere", "", *others, ""]
    lines += [described(package, name, values[name]) for name in own]
    return "\n".join(lines)


def write(folder: Path) -> None:
    """Write every page, and their list."""
    folder.mkdir(parents=True, exist_ok=True)
    for package in PACKAGES:
        text = page(importlib.import_module(package))
        (folder / f"{package}.rst").write_text(text, encoding="utf-8")
    title = "What these rest on"
    bases = [described(*name.rsplit(".", 1), _found(name)) for name in BASES]
    (folder / "bases.rst").write_text("\n".join([title, "=" * len(title), "", *bases]), encoding="utf-8")
