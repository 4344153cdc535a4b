import math
import re
from dataclasses import dataclass, fields, replace
from typing import Any

import pytest
import yaml

from vig_pyg.tasks import get_task, list_tasks
from vig_pyg.tasks.recipe import Recipe, Rule, check_range, check_type, key, require, rule_of
from vig_pyg.tasks.recipes import RECIPES, list_recipes, read_recipe

# The paper's Table 3.
TABLE_3 = {
    "epochs": 300,
    "optimizer": "adamw",
    "batch": 1024,
    "learning_rate": 1e-3,
    "warmup_epochs": 20,
    "weight_decay": 0.05,
    "label_smoothing": 0.1,
    "repeated_augmentation": 3,
    "rand_augment": "rand-m9-mstd0.5-inc1",
    "mixup": 0.8,
    "cutmix": 1.0,
    "random_erasing": 0.25,
    "ema_decay": 0.99996,
}


def test_deit_is_the_papers_table():
    recipe = read_recipe("deit")
    assert {key: getattr(recipe, key) for key in TABLE_3} == TABLE_3


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_survives_writing_and_reading(name, tmp_path):
    recipe = read_recipe(name, ["model_options.k=5"])
    recipe.save(tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe
    written = set(yaml.safe_load((RECIPES / f"{name}.yaml").read_text())) - {"like"}
    assert written <= {field.name for field in fields(recipe)}


# What the authors' main.py says, and WiGNet's command; the learning rate at their 16 and 8 devices of 128 images.
OF_SUCCESSORS = TABLE_3 | {"warmup_epochs": 20, "drop_path": 0.1, "min_learning_rate": 1e-5, "device_batch": 128}
DISTILLED = {"teacher": "regnety_160.deit_in1k", "teacher_share": 0.5, "batch": 2048, "learning_rate": 2e-3}
ALONE = {"teacher": None, "repeated_augmentation": 1, "batch": 1024, "learning_rate": 2e-3}


@pytest.mark.parametrize(
    ("name", "model", "own", "rate"),
    [
        ("mobilevig", "mobilevig_tiny", DISTILLED, 4e-3),
        ("mobilevigv2", "mobilevigv2_tiny", DISTILLED, 4e-3),
        ("greedyvig", "greedyvig_small", DISTILLED, 4e-3),
        ("adaptvig", "adaptvig_small", DISTILLED, 4e-3),
        ("wignet", "wignet_tiny", ALONE, 2e-3),
    ],
)
def test_recipes_of_successors_are_their_authors(name, model, own, rate):
    recipe, wanted = read_recipe(name), OF_SUCCESSORS | own | {"model": model, "data": "imagenet"}
    assert {key: getattr(recipe, key) for key in wanted} == wanted
    assert recipe.scaled_learning_rate == pytest.approx(rate)


def test_a_recipe_like_another_changes_what_it_says(tmp_path):
    (tmp_path / "own.yaml").write_text("like: scenes\nepochs: 2\n")
    base = read_recipe("scenes")
    assert read_recipe(tmp_path / "own.yaml") == replace(base, epochs=2)
    (tmp_path / "own.yaml").write_text("like: scenes\nmodel: pvig_tiny\n")
    assert read_recipe(tmp_path / "own.yaml") == replace(base, model="pvig_tiny", model_options={})
    (tmp_path / "own.yaml").write_text("like: scenes\nmodel: pvig_tiny\nmodel_options: {k: 5}\n")
    assert read_recipe(tmp_path / "own.yaml").model_options == {"k": 5}
    for wrong in ("diet", "[deit]", "null", str(tmp_path / "own.yaml")):
        (tmp_path / "own.yaml").write_text(f"like: {wrong}\n")
        with pytest.raises(ValueError, match=r"own.yaml is like no recipe: like must be adaptvig, coco_1x, .*, got "):
            read_recipe(tmp_path / "own.yaml")
    with pytest.raises(ValueError, match="a recipe has no key 'like'"):
        read_recipe("digits", ["like=deit"])


def test_the_learning_rate_scales_with_the_batch():
    assert read_recipe("deit", ["batch=256"]).scaled_learning_rate == pytest.approx(2.5e-4)


def test_overrides_have_the_type_of_their_field():
    recipe = read_recipe("digits", ["epochs=3", "drop_path=null", "compile=true", "conv=edge"])
    assert (recipe.epochs, recipe.drop_path, recipe.compile, recipe.conv) == (3, None, True, "edge")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("epoch=3", "a recipe has no key 'epoch' (did you mean 'epochs'?)"),
        ("learning-rate=3", "did you mean 'learning_rate'?"),
        ("epochs=many", "epochs: Value 'many'"),
        ("epochs=0", "epochs must be at least 1, got 0"),
        ("batch=-4", "batch must be at least 1, got -4"),
        ("label_smoothing=2", "label_smoothing must be between 0 and 1, got 2"),
        ("precision=int8", "precision must be one of no, bf16, fp16, got 'int8'"),
        ("image_size=0", "image_size must be at least 1, got 0"),
        ("epochs", "'epochs' is no override: write key=value"),
    ],
)
def test_a_wrong_override_is_one_sentence(override, sentence):
    with pytest.raises(ValueError) as error:
        read_recipe("digits", [override])
    assert sentence in str(error.value) and "\n" not in str(error.value)


def test_options_of_a_model_are_left_out_for_another(tmp_path):
    own = read_recipe("scenes").model_options
    assert own["stride"] == 4 and read_recipe("scenes", ["model=pvig_micro", "epochs=2"]).model_options == own
    assert read_recipe("scenes", ["model=resnet50"]).model_options == {}
    assert read_recipe("scenes", ["model=pvig_tiny", "model_options.k=6"]).model_options == {"k": 6}


def test_a_missing_recipe_names_those_there_are():
    with pytest.raises(
        FileNotFoundError,
        match=r"there is no recipe 'diet': take adaptvig, coco_1x, deit, .* or a YAML file",
    ):
        read_recipe("diet")


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "recipe.yaml").write_text("epochs: [1\n")
    with pytest.raises(ValueError, match="is no recipe in YAML"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("clip_gradient=-1", "clip_gradient must be above 0, got -1"),
        ("layer_decay=-1", "layer_decay must be above 0 and at most 1, got -1"),
        ("layer_decay=nan", "layer_decay must be a finite number or null, got nan"),
        ("layer_decay=5", "layer_decay must be above 0 and at most 1, got 5"),
        ("warmup_learning_rate=nan", "warmup_learning_rate must be a finite number, got nan"),
        ("learning_rate=inf", "learning_rate must be a finite number, got inf"),
        ("learning_rate=1e999", "learning_rate must be a finite number, got inf"),
        ("decay_epochs=[-1]", r"decay_epochs must be at least 1, got [-1]"),
        ("decay_epochs=[3,2]", r"decay_epochs must be a rising list, got [3, 2]"),
        ("crop_scale=5", "crop_scale must be above 0 and at most 1, got 5"),
        ("epochs=1.5", "epochs: Value '1.5'"),
        ("epochs=99999999999999999999", "epochs must be at most 1e+06, got 99999999999999999999"),
        ("seed=-1", "seed must be at least 0, got -1"),
        ("image_size=100000", "image_size=100000 needs 120 GB for a single image: lower it"),
        ("mixup=nan", "mixup must be a finite number, got nan"),
        ("task=detect mixup=.8", "mixup is for the task classify, not for detect"),
        ("task=segment min_size=400", "min_size is for the task detect, not for segment"),
        ("head=mask_rcnn", "head is for the task detect, not for classify"),
        ("task=draw", "no task is called 'draw'; known are classify, detect, graphs, multilabel, segment"),
    ],
)
def test_a_value_out_of_its_range_or_task_is_one_sentence(override, sentence, tmp_path):
    (tmp_path / "own.yaml").write_text("batch: 4")
    with pytest.raises(ValueError, match="^" + re.escape(sentence)):
        read_recipe(tmp_path / "own.yaml", override.split())


@pytest.mark.parametrize("written", ["001", "2024_10", "no", "1e5", "0x10", "null-island", "~", "[1"])
def test_text_stays_as_it_is_written(written, tmp_path):
    by_word = read_recipe("digits", [f"data={written}", f"model={written}"])
    (tmp_path / "own.yaml").write_text(
        f"data: '{written}'\nmodel: {written if written not in '~[1' else repr(written)}"
    )
    by_file = read_recipe(tmp_path / "own.yaml")
    assert (by_word.data, by_word.model) == (by_file.data, by_file.model) == (written, written)
    by_word.save(tmp_path / "kept.yaml")
    assert read_recipe(tmp_path / "kept.yaml") == by_word


def test_an_operator_called_no_is_no_truth_value():
    assert read_recipe("digits", ["conv=no"]).conv == "no"
    assert read_recipe("digits", ["conv=null"]).conv is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("epochs", 1.5),
        ("epochs", True),
        ("epochs", "3"),
        ("compile", 1),
        ("data", 1),
        ("conv", False),
        ("learning_rate", float("nan")),
        ("decay_epochs", [1.5]),
        ("decay_epochs", 3),
        ("model_options", None),
    ],
)
def test_a_value_of_another_type_is_refused_in_python_too(key, value):
    with pytest.raises(ValueError, match=f"{key} must be .*, got {re.escape(repr(value))}"):
        Recipe(**{key: value})


def test_every_number_of_a_recipe_has_a_range():
    for each in [each for task in list_tasks() for each in fields(get_task(task).recipe_class)]:
        if "int" in str(each.type) or "float" in str(each.type):
            assert rule_of(each).low >= 0, each.name


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (["epochs="], "epochs= lacks a value"),
        (["=3"], "'=3' is no override"),
        (["sync_batch_norm=2"], "sync_batch_norm must be true or false, got 2"),
        (["decay_epochs={a: 1}"], "decay_epochs must be a list of whole numbers, got {'a': 1}"),
        (["model_options=[1]"], r"model_options must be a mapping, got \[1\]"),
        (["shift=32"], "shift must be less than the 32 pixels of an image's side, got 32"),
        (["data=photos", "shift=2"], "shift=2 changes nothing: it is for the built-in digits"),
        (["flip=0.5"], "flip changes nothing: digits are only moved, by shift"),
        (["data=photos", "shift=0", "rand_augment=rand-m9-zz"], "rand_augment must be in timm's notation"),
        (["data=photos", "shift=0", "rand_augment=rand-m99"], "rand_augment must be in timm's notation"),
        (["head=retinanet"], "head is for the task detect, not for classify"),
    ],
)
def test_what_changes_nothing_or_is_of_another_kind_is_refused(changes, sentence):
    with pytest.raises(ValueError, match=sentence):
        read_recipe("digits", changes)


@pytest.mark.parametrize("text", ["null: 2", "[1]: 2", "1: 2", "model_options: [1]", "gradient_checkpointing: 1"])
def test_a_file_with_other_keys_or_kinds_is_refused(text, tmp_path):
    (tmp_path / "recipe.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"a recipe has no key|is no recipe in YAML|must be a mapping|true or false"):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_file_that_is_no_text_is_no_recipe(tmp_path):
    (tmp_path / "recipe.yaml").write_bytes(b"\x89PNG")
    with pytest.raises(ValueError, match=r"recipe\.yaml is no recipe in YAML: it is no text"):
        read_recipe(tmp_path / "recipe.yaml")


def test_a_mapping_may_be_typed_as_a_whole():
    recipe = read_recipe("digits", ["model_options={depth: 2, k: 3}", "model_options.k=4"])
    assert recipe.model_options == {"depth": 2, "k": 4}


# Rules ##############################################################################################


@pytest.mark.parametrize(
    ("rule", "right", "wrong", "wanted"),
    [
        (Rule(1, 5), [1, 5, 2.5, [1, 2], "text", None], [0, 0.99, [1, 0]], "at least 1"),
        (Rule(1, 5), [], [5.01, math.inf], "at most 5"),
        (Rule(1, above=True), [1.01], [1, 0], "above 1"),
        (Rule(0, 1), [0, 1, 0.5], [-0.1, 1.1], "between 0 and 1"),
        (Rule(0, 1, above=True), [1, 0.1], [0, 1.1], "above 0 and at most 1"),
        (Rule(words=("a", "b")), ["a", "b"], ["c"], "one of a, b"),
    ],
)
def test_what_would_be_right_is_said_of_what_is_not(rule, right, wrong, wanted):
    assert [rule.violation(value) for value in right] == [None] * len(right)
    assert [rule.violation(value) for value in wrong] == [wanted] * len(wrong)


@pytest.mark.parametrize(
    ("kind", "right", "wrong", "wanted"),
    [
        (int, [1], [True, 1.0, "1", None], "a whole number"),
        (float, [1, 1.5], [math.nan, math.inf, "1", True], "a finite number"),
        (int | None, [1, None], [1.5], "a whole number or null"),
        (bool, [True], [1], "true or false"),
        (list[int], [[], [1]], [[1.5], 1], "a list of whole numbers"),
        (dict[str, Any], [{}], [[]], "a mapping"),
    ],
)
def test_a_type_is_that_of_yaml(kind, right, wrong, wanted):
    for value in right:
        check_type("name", value, kind)
    for value in wrong:
        with pytest.raises(ValueError, match=f"^name must be {wanted}, got "):
            check_type("name", value, kind)


@dataclass
class Keys:
    image_size: int | None = key(None, 1, 8192)
    options: dict = key({})
    plain: int = 3


def test_a_key_has_its_default_and_its_rule():
    size, options, plain = fields(Keys)
    assert Keys() == Keys(None, {}, 3) and Keys().options is not Keys().options
    assert (rule_of(size), rule_of(options), rule_of(plain)) == (Rule(1, 8192), Rule(), Rule())
    check_range(size, None), check_range(size, 8192)
    with pytest.raises(ValueError, match="image_size must be at least 1, got 0"):
        check_range(size, 0)
    with pytest.raises(ValueError, match="image_size=100000 needs 120 GB for a single image: lower it"):
        check_range(size, 100_000)


def test_what_is_required_is_named():
    require(True, "shift", 3, "less")
    with pytest.raises(ValueError, match="shift must be less, got 'x'"):
        require(False, "shift", "x", "less")
