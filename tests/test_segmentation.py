"""The door to segmentation: what it lists is there, and is the same object as in the module that defines it."""

import inspect
import sys

from vig_pyg import segmentation as door
from vig_pyg.tasks.segmentation import Segmentation


def test_all_that_it_lists_is_what_its_module_defines():
    assert door.Segmentation is Segmentation and door.__all__ == sorted(set(door.__all__))
    for name in door.__all__:
        given = getattr(door, name)
        assert getattr(sys.modules[given.__module__], name) is given and not inspect.ismodule(given)


def test_it_lists_all_that_it_hands_on():
    assert {name for name in vars(door) if not name.startswith("_")} == set(door.__all__)
