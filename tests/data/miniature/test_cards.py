import pytest

from promptarena.benchmark.data.cards import list_cards, load_card
from promptarena.benchmark.data.miniature.options import labels_of
from promptarena.benchmark.data.miniature.pack import load_pack
from tools.miniature.zeroshot_table import ELEVEN, VARIANTS

ALL = (*ELEVEN, *VARIANTS)
CLASSES = {
    "things": 100,
    "household": 50,
    "mammals": 36,
    "vehicles": 36,
    "plants": 24,
    "food": 48,
    "flags": 40,
    "places": 48,
    "textures": 16,
    "digits": 10,
    "actions": 44,
    **dict.fromkeys(VARIANTS, 100),
}
MIRRORED = {
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
    "imagenetv2",
    "imagenet-sketch",
    "imagenet-a",
    "imagenet-r",
}


def test_each_of_the_fields_datasets_is_mirrored_once():
    assert set(ALL) <= set(list_cards())
    mirrors = [load_card(name).mirrors for name in ALL]
    assert sorted(mirrors) == sorted(MIRRORED)


@pytest.mark.parametrize("name", ALL)
def test_counts_classes_and_options_agree(name):
    card = load_card(name)
    assert card.reader == "miniature"
    assert len(card.class_names) == len(set(card.class_names)) == len(card.options["concepts"]) == CLASSES[name]
    expected = {split: many * CLASSES[name] for split, many in card.options["per_class"].items()}
    assert card.counts == expected
    for split, count in expected.items():
        labels = labels_of(card.options, name, split)
        assert len(labels) == count
        assert (labels == sorted(labels)).all()
    assert set(card.counts) == ({"test"} if name in VARIANTS else {"train", "val", "test"})


@pytest.mark.parametrize("name", [name for name in ALL if name not in {"textures", "digits"}])
def test_class_names_are_those_of_the_concepts_in_order(name):
    card = load_card(name)
    names = [load_pack().concepts[key].name for key in card.options["concepts"]]
    assert list(card.class_names) == names


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_variant_has_the_classes_of_the_source(variant):
    card, source = load_card(variant), load_card("things")
    assert card.class_names == source.class_names
    assert card.template == source.template
    assert card.options["concepts"] == source.options["concepts"]


@pytest.mark.parametrize("name", ALL)
def test_no_dataset_draws_in_a_pretraining_style(name):
    styles = set(load_card(name).options.get("styles", ()))
    assert styles.isdisjoint(load_pack().style_names("pretrain"))
