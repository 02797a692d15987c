"""Suites: defaults, how cards are found, and the message for a wrong one."""

from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.suites import layout_of, list_suites, load_suite

GOOD = """
name = "yard"
title = "My yard"
datasets = ["birds"]
[backbone]
architecture = "ViT-B-16-quickgelu"
pretrained = "openai"
"""

CARD = """
name = "{name}"
title = "A card"
reader = "folder"
template = "a photo of a {{}}."
licence = "CC0-1.0"
citation = "none"
description = "none"
[counts]
{counts}
[options]
folder = "pictures"
"""


@pytest.fixture
def yard(tmp_path: Path) -> Path:
    write_card(tmp_path, "birds")
    return tmp_path


def write_card(folder: Path, name: str, counts: str = "train = 4\ntest = 2") -> None:
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.toml").write_text(CARD.format(name=name, counts=counts), encoding="utf-8")


def write(folder: Path, text: str) -> Path:
    path = folder / "yard.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_small_suite_has_the_fields_defaults(yard: Path) -> None:
    suite = load_suite(write(yard, GOOD))
    assert suite.protocols == ("base-to-novel",)
    assert (suite.shots, suite.few_shot_shots, suite.seeds) == (16, (1, 2, 4, 8, 16), (1, 2, 3))
    assert (suite.training.lr_multiplier, suite.training.max_epochs, suite.miniature) == (1.0, None, False)
    assert suite.card("birds").path == yard / "birds.toml"
    with pytest.raises(UserError, match=r"unknown dataset 'bird'; did you mean birds\?"):
        suite.card("bird")


def test_paths_are_relative_to_the_suites_file(yard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_card(yard / "cards", "trees", "test = 2")
    text = GOOD.replace('["birds"]', '["birds"]\nsource = "birds"\nvariants = ["cards/trees.toml"]').replace(
        'architecture = "ViT-B-16-quickgelu"\npretrained = "openai"',
        'config = "model.json"\nweights = "model/w.safetensors"',
    )
    monkeypatch.chdir(write(yard, text).parent)
    suite = load_suite("yard.toml")
    assert suite.variants == ("trees",)
    assert suite.dataset_names == ("birds", "trees")
    assert suite.card("trees").path == yard / "cards" / "trees.toml"
    assert suite.backbone.config == yard / "model.json"
    assert suite.backbone.weights == yard / "model" / "w.safetensors"


def test_a_card_beside_the_suite_goes_before_a_built_in_one(yard: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built_in = yard / "built-in"
    write_card(built_in, "birds")
    write_card(built_in, "trees")
    monkeypatch.setattr("promptarena.benchmark.data.cards._CARDS", built_in)
    suite = load_suite(write(yard, GOOD.replace('["birds"]', '["birds", "trees"]')))
    assert [suite.card(name).built_in for name in suite.datasets] == [False, True]


def test_two_cards_of_one_name_are_refused(yard: Path) -> None:
    write_card(yard / "cards", "birds")
    path = write(yard, GOOD.replace('["birds"]', '["birds", "cards/birds.toml"]'))
    with pytest.raises(UserError, match="two cards are called 'birds'"):
        load_suite(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('["birds"]', '["birdz"]', "unknown dataset 'birdz'"),
        ('["birds"]', '["birds", "birds"]', "field 'datasets' names one thing twice"),
        (
            '["birds"]',
            '["birds"]\nprotocols = ["base2novel"]',
            "field 'protocols.0' is \"base2novel\": input should be",
        ),
        ('["birds"]', '["birds"]\nprotocols = ["cross-dataset"]', "protocol 'cross-dataset' needs the field 'source'"),
        ('["birds"]', '["birds"]\nseeds = [-1]', "field 'seeds.0' is -1"),
        ('["birds"]', '["birds"]\nseeds = []', "field 'seeds' is []"),
        ('["birds"]', '["birds"]\nshots = 0', "field 'shots' is 0"),
        ('["birds"]', '["birds"]\nshotz = 4', "did you mean 'shots'?"),
        ('["birds"]', '["birds"]\nsource = "birds"\ntargets = ["birds"]', "the source is scored anyway"),
        ('pretrained = "openai"', "", "give either pretrained"),
        ('pretrained = "openai"', 'pretrained = "openai"\nconfig = "a.json"', "give either architecture"),
        ('"openai"\n', '"openai"\n[training]\nlr_multiplier = 0', "field 'training.lr_multiplier' is 0"),
        ('"openai"\n', '"openai"\n[training]\nmax_epoch = 1', "'training.max_epoch'; did you mean 'max_epochs'?"),
        ('"openai"\n', '"openai"\n[training]\nmax_epochs = 0', "field 'training.max_epochs' is 0"),
        ('name = "yard"', 'name = "garden"', "field 'name' is 'garden', but the file is called 'yard'"),
    ],
)
def test_a_mistake_is_reported_in_one_line_with_the_file(yard: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    path = write(yard, GOOD.replace(old, new))
    with pytest.raises(UserError) as error:
        load_suite(path)
    assert str(error.value).startswith(f"{path}: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_trained_dataset_needs_train_images(yard: Path) -> None:
    write_card(yard, "birds", "test = 2")
    with pytest.raises(UserError, match="dataset 'birds' has no train images"):
        load_suite(write(yard, GOOD))


def test_an_unknown_suite_brings_near_ones() -> None:
    with pytest.raises(UserError, match=r"unknown suite 'minni'; did you mean mini\?"):
        load_suite("minni")


def test_the_miniature_mirrors_the_field_in_order() -> None:
    assert "mini" in list_suites()
    suite = load_suite("mini")
    assert suite.miniature
    assert [suite.card(name).mirrors for name in suite.datasets] == [
        "imagenet",
        "caltech101",
        "oxford_pets",
        "stanford_cars",
        "oxford_flowers",
        "food101",
        "fgvc_aircraft",
        "sun397",
        "dtd",
        "eurosat",
        "ucf101",
    ]
    assert suite.source == suite.datasets[0]
    assert suite.targets == suite.datasets[1:]
    assert len(suite.dataset_names) == 15
    assert suite.backbone.config is not None
    assert suite.backbone.config.is_file()


def test_a_suite_with_a_limit_has_a_name_and_a_title_of_its_own() -> None:
    full, cut = load_suite("mini"), load_suite("mini@20")
    assert (full.limit, cut.limit) == (None, 20)
    assert cut.name == "mini-limit-20"
    assert cut.title == f"{full.title}, at most 20 test images per dataset"
    assert cut.datasets == full.datasets
    assert layout_of(cut).barred == "at most 20 test images per dataset"


@pytest.mark.parametrize("limit", [0, 1])
def test_a_limit_leaves_each_half_an_image(limit: int) -> None:
    with pytest.raises(UserError, match="give at least 2"):
        load_suite(f"mini@{limit}")


def test_no_suite_may_have_the_name_of_one_with_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "yard-limit-5.toml"
    path.write_text(
        'name = "yard-limit-5"\ntitle = "Yard"\ndatasets = ["food"]\nbackbone = { pretrained = "mini" }\n',
        encoding="utf-8",
    )
    with pytest.raises(UserError, match="choose another"):
        load_suite(path)


def test_a_suite_has_one_limit() -> None:
    with pytest.raises(UserError, match="give one limit"):
        load_suite("mini@20@10")
