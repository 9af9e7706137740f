"""Recipes: typed, and every mistake in one line that names the file."""

from pathlib import Path

import pytest

from convert import ConvertError, recipe
from convert.int8 import ranges

MODELS = Path(__file__).parents[2] / "models"
GOOD = """
name = "tiny"
[source]
kind = "tfjs"
file = "a.tgz"
sha256 = "00"
origin = "npm pack a"
model = "model.json"
[card]
task = "detect"
head = "ssd"
labels = ["person"]
licence = "MIT"
input = { size = [48, 32] }
[calibrate]
rules = ["mse"]
"""


def load(tmp_path, text):
    path = tmp_path / "tiny.recipe.toml"
    path.write_text(text)
    return recipe.load(path)


def test_a_recipe_is_typed_and_the_front_ends_keys_are_its_own(tmp_path):
    read = load(tmp_path, GOOD)
    assert read.card.input.size == (48, 32)
    assert read.archive().origin == "npm pack a"
    assert read.options() == {"model": "model.json"}
    assert read.calibrate.images == 64


def test_ranges_lie_beside_the_recipe():
    assert recipe.ranges_file(Path("models/a.recipe.toml")) == Path("models/a.ranges.json")


@pytest.mark.parametrize("path", sorted(MODELS.glob("*.recipe.toml")), ids=lambda p: p.name)
def test_recipes_in_the_tree_load(path):
    assert recipe.load(path).name.startswith(path.name.removesuffix(recipe.SUFFIX))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name =", "nome =", "Object contains unknown field `nome`|missing required field `name`"),
        ('head = "ssd"\n', "", r"missing required field `head` - at `\$\.card`"),
        ('file = "a.tgz"\n', "", "missing required field `file`"),
        ("[48, 32]", '"large"', r"Expected `array`, got `str` - at `\$\.card\.input\.size`"),
        ('"detect"', '"guess"', r"Invalid enum value 'guess' - at `\$\.card\.task`"),
        ('["mse"]', '["median"]', f"calibrate.rules: 'median'; there are: {', '.join(ranges.RULES)}"),
        ('["mse"]', "[]", r"calibrate.rules: '\(none\)'; there are"),
        ("[card]", "[card", "Expected"),
    ],
)
def test_mistakes_are_one_line_with_file_and_key(tmp_path, old, new, message):
    with pytest.raises(ConvertError, match=message) as caught:
        load(tmp_path, GOOD.replace(old, new))
    assert str(caught.value).startswith(f"recipe {tmp_path / 'tiny.recipe.toml'}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_recipe_is_named(tmp_path):
    with pytest.raises(ConvertError, match=r"no\.recipe\.toml: No such file"):
        recipe.load(tmp_path / "no.recipe.toml")
