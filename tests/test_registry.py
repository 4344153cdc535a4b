"""Words find what was registered under them; what graphs and operators add is in their own folders."""

import sys
from collections import OrderedDict

import pytest

from vig_pyg.registry import Registry, nearest, parameters, refuse_imports, refuse_saved_import


@pytest.fixture
def fruits() -> Registry:
    fruits = Registry("apple", "conv")

    @fruits.register("boskoop", "bosk")
    def boskoop(size, color="red"):
        return size, color

    return fruits


def test_a_name_an_alias_and_a_path_find_a_factory(fruits):
    assert fruits.find("boskoop") is fruits.find("bosk") and fruits.names() == ["boskoop"]
    assert fruits.find("collections:OrderedDict") is OrderedDict


def test_an_unknown_word_is_refused_with_the_nearest(fruits):
    with pytest.raises(ValueError, match=r"no apple is called 'boskop' \(did you mean 'boskoop'\?\); known are"):
        fruits.find("boskop")


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        (":Name", "must name a module and what is in it"),
        ("no_such_module:Name", "no module 'no_such_module' can be imported from here"),
        ("collections:NoSuchName", "the module 'collections' has no 'NoSuchName'"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(path, sentence, fruits):
    with pytest.raises(ValueError, match=sentence):
        fruits.find(path)


@pytest.mark.parametrize("name", ["", "a:b", None])
def test_a_name_is_a_word(name, fruits):
    with pytest.raises(ValueError, match="the name of an apple must be a word without ':'"):
        fruits.register(name)


def test_a_name_that_is_taken_is_refused_and_nothing_changes(fruits):
    with pytest.raises(ValueError, match="the name 'bosk' is taken"):
        fruits.register("elstar", "bosk")(OrderedDict)
    assert fruits.names() == ["boskoop"]


def test_an_option_that_a_factory_does_not_name_is_refused(fruits):
    boskoop = fruits.find("boskoop")
    assert parameters(boskoop) == ["size", "color"]
    fruits.check_options("boskoop", boskoop, ["size", "color"])
    with pytest.raises(TypeError, match=r"has no option 'colour' \(did you mean 'color'\?\); it has size, color"):
        fruits.check_options("boskoop", boskoop, ["colour"])


def test_a_hint_is_given_only_where_a_word_is_near():
    assert nearest("egde", ["edge", "gin"]) == " (did you mean 'edge'?)" and nearest("xyz", ["edge"]) == ""


@pytest.mark.parametrize("held", [{"conv": "a:B"}, {"options": {"graph": "a:B"}}, {"all": [{"task": ["x", "a:B"]}]}])
def test_what_a_file_would_import_is_refused_at_any_depth(held):
    refuse_imports(held, "file.yaml", trusted=["a:B"])
    with pytest.raises(ValueError, match=r"file.yaml names the \w+ 'a:B', whose module would be imported and executed"):
        refuse_imports(held, "file.yaml")


def test_what_is_no_word_of_a_registry_may_have_a_colon():
    refuse_imports({"data": "wds:shards", "conv": "edge", "workers": 3}, "file.yaml")


def test_a_saved_path_is_taken_only_once_its_module_is_imported():
    assert "collections" in sys.modules
    refuse_saved_import({"pretrained_model_args": {"conv": "collections:OrderedDict"}})
    refuse_saved_import({})
    with pytest.raises(ValueError, match=r"the weights' config.json names the graph 'no_such_module:Name'"):
        refuse_saved_import({"pretrained_model_args": {"graph": "no_such_module:Name"}})
