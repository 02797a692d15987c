"""The suite for one's own images, and the small CLIP as a backbone by its name."""

from pathlib import Path

import pytest
from PIL import Image

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.data.new_card import new_card
from promptarena.benchmark.planning.new_suite import new_suite
from promptarena.benchmark.planning.suites import Suite, load_suite


def suite_of(folder: Path, classes: int, change: tuple[str, str] = ("", "")) -> Suite:
    for label in range(classes):
        (folder / "birds" / f"class {label}").mkdir(parents=True)
        for number in range(4):
            Image.new("RGB", (8, 8)).save(folder / "birds" / f"class {label}" / f"{number}.png")
    new = new_card(folder / "birds", folder)
    name, text = new_suite(new)
    assert change[0] in text
    new.path.write_text(new.text, encoding="utf-8")
    (folder / f"{name}.toml").write_text(text.replace(*change), encoding="utf-8")
    return load_suite(folder / f"{name}.toml")


def test_it_takes_the_small_clip_and_its_rates_and_is_labelled(tmp_path: Path) -> None:
    suite, mini = suite_of(tmp_path, 4), load_suite("mini")
    assert (suite.name, suite.datasets, suite.protocols) == ("birds-suite", ("birds",), ("base-to-novel",))
    assert suite.miniature
    assert (suite.backbone, suite.training) == (mini.backbone, mini.training)


def test_three_classes_have_no_two_halves(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, 3)
    assert (suite.protocols, suite.few_shot_shots) == (("few-shot",), (16,))


def test_openais_clip_is_one_line(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, 4)
    text = (tmp_path / f"{suite.name}.toml").read_text(encoding="utf-8")
    text = text.replace("backbone = { pre", "# backbone = { pre").replace("# backbone = { arch", "backbone = { arch")
    (tmp_path / f"{suite.name}.toml").write_text(text, encoding="utf-8")
    changed = load_suite(tmp_path / f"{suite.name}.toml")
    assert changed.backbone.pretrained == "openai"
    assert not changed.miniature
    assert changed.training == type(suite.training)()


def test_own_training_settings_are_kept(tmp_path: Path) -> None:
    suite = suite_of(tmp_path, 4, ("datasets", "training = { max_epochs = 2 }\ndatasets"))
    assert (suite.training.max_epochs, suite.training.lr_multiplier) == (2, 1.0)


def test_the_small_clip_has_one_architecture(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="leave the other fields out"):
        suite_of(tmp_path, 4, ("{ pretrained", '{ architecture = "ViT-B-16", pretrained'))
