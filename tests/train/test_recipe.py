from dataclasses import fields

import pytest
import yaml

from vig_pyg.train.recipe import RECIPES, Recipe, list_recipes, read_recipe

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
    "weight_averaging": 0.99996,
}


def test_deit_is_the_papers_table():
    recipe = read_recipe("deit")
    assert {key: getattr(recipe, key) for key in TABLE_3} == TABLE_3


@pytest.mark.parametrize("name", list_recipes())
def test_a_recipe_survives_writing_and_reading(name, tmp_path):
    recipe = read_recipe(name, ["model_options.k=5"])
    recipe.save(tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == recipe
    assert set(yaml.safe_load((RECIPES / f"{name}.yaml").read_text())) <= {field.name for field in fields(Recipe)}


def test_the_learning_rate_scales_with_the_batch():
    assert read_recipe("deit", ["batch=256"]).scaled_learning_rate == pytest.approx(2.5e-4)


def test_overrides_have_the_type_of_their_field():
    recipe = read_recipe("digits", ["epochs=3", "drop_path=null", "compile=true", "conv=edge"])
    assert (recipe.epochs, recipe.drop_path, recipe.compile, recipe.conv) == (3, None, True, "edge")


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("epoch=3", "a recipe has no key 'epoch': did you mean epochs?"),
        ("learning-rate=3", "did you mean learning_rate?"),
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
        match=r"there is no recipe 'diet': take coco_1x, deit, .* or a YAML file",
    ):
        read_recipe("diet")


def test_a_file_that_is_no_yaml_is_refused(tmp_path):
    (tmp_path / "recipe.yaml").write_text("epochs: [1\n")
    with pytest.raises(ValueError, match="is no recipe in YAML"):
        read_recipe(tmp_path / "recipe.yaml")
