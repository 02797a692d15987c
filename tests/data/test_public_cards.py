"""The cards of the public datasets against the field's figures, the published split files, and trees of their shape."""

import hashlib
import lzma
import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.paths import DATASETS
from promptarena.benchmark.core.subsets import base_classes, novel_classes
from promptarena.benchmark.data.cards import SPLITS, Card, list_cards, load_card
from promptarena.benchmark.data.class_names import readable
from promptarena.benchmark.data.readers.registry import list_split
from promptarena.benchmark.data.readers.split_json import SplitFile
from promptarena.benchmark.planning.suites import load_suite

SHARED = Path(os.environ.get("PROMPTARENA_SHARED", Path(__file__).resolve().parents[3] / "shared"))
PUBLISHED = SHARED / "data" / "splits"
CLASS_NAMES = SHARED / "data" / "classnames"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason=f"the published split files are not in {PUBLISHED}; set PROMPTARENA_SHARED"
)


class Figures(NamedTuple):
    title: str
    folder: str
    base: int
    novel: int
    counts: tuple[int, ...]
    test_base: int
    test_novel: int
    template: str


A_PHOTO = "a photo of a {}."
FIGURES = {
    "imagenet": Figures("ImageNet", "imagenet", 500, 500, (1_281_167, 50_000), 25_000, 25_000, A_PHOTO),
    "caltech101": Figures("Caltech101", "caltech-101", 50, 50, (4_128, 1_649, 2_465), 1_549, 916, A_PHOTO),
    "oxford_pets": Figures(
        "OxfordPets", "oxford_pets", 19, 18, (2_944, 736, 3_669), 1_881, 1_788, "a photo of a {}, a type of pet."
    ),
    "stanford_cars": Figures("StanfordCars", "stanford_cars", 98, 98, (6_509, 1_635, 8_041), 4_002, 4_039, A_PHOTO),
    "oxford_flowers": Figures(
        "Flowers102",
        "oxford_flowers",
        51,
        51,
        (4_093, 1_633, 2_463),
        1_053,
        1_410,
        "a photo of a {}, a type of flower.",
    ),
    "food101": Figures(
        "Food101", "food-101", 51, 50, (50_500, 20_200, 30_300), 15_300, 15_000, "a photo of {}, a type of food."
    ),
    "fgvc_aircraft": Figures(
        "FGVCAircraft",
        "fgvc_aircraft",
        50,
        50,
        (3_334, 3_333, 3_333),
        1_666,
        1_667,
        "a photo of a {}, a type of aircraft.",
    ),
    "sun397": Figures("SUN397", "sun397", 199, 198, (15_880, 3_970, 19_850), 9_950, 9_900, A_PHOTO),
    "dtd": Figures("DTD", "dtd", 24, 23, (2_820, 1_128, 1_692), 864, 828, "{} texture."),
    "eurosat": Figures(
        "EuroSAT", "eurosat", 5, 5, (13_500, 5_400, 8_100), 4_200, 3_900, "a centered satellite photo of {}."
    ),
    "ucf101": Figures("UCF101", "ucf101", 51, 50, (7_639, 1_898, 3_783), 1_934, 1_849, "a photo of a person doing {}."),
}
VARIANTS = {
    "imagenetv2": ("ImageNetV2", "imagenetv2", 1_000, 10_000),
    "imagenet-sketch": ("ImageNet-Sketch", "imagenet-sketch", 1_000, 50_889),
    "imagenet-a": ("ImageNet-A", "imagenet-adversarial", 200, 7_500),
    "imagenet-r": ("ImageNet-R", "imagenet-rendition", 200, 30_000),
}
ZHOU = {
    "caltech101": "Caltech101",
    "oxford_pets": "OxfordPets",
    "stanford_cars": "StanfordCars",
    "oxford_flowers": "OxfordFlowers",
    "food101": "Food101",
    "sun397": "SUN397",
    "dtd": "DescribableTextures",
    "eurosat": "EuroSAT",
    "ucf101": "UCF101",
}
PUBLIC = (*FIGURES, *VARIANTS)


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def published(card: Card) -> tuple[bytes, SplitFile]:
    content = lzma.decompress((PUBLISHED / f"{card.options['split_file']}.xz").read_bytes())
    return content, SplitFile.model_validate_json(content)


class TestFigures:
    @pytest.mark.parametrize("name", FIGURES)
    def test_the_eleven_are_as_the_field_counts_them(self, name: str) -> None:
        card, figures = load_card(name), FIGURES[name]
        assert (card.title, card.options["folder"], card.template) == (figures.title, figures.folder, figures.template)
        assert tuple(card.counts.values()) == figures.counts
        assert tuple(card.counts) == (("train", "test") if name == "imagenet" else SPLITS)
        classes = len(card.class_names)
        assert (len(base_classes(classes)), len(novel_classes(classes))) == (figures.base, figures.novel)
        assert figures.test_base + figures.test_novel == card.counts["test"]

    @pytest.mark.parametrize("name", VARIANTS)
    def test_the_variants_only_test(self, name: str) -> None:
        card = load_card(name)
        assert (card.title, card.options["folder"], len(card.class_names)) == VARIANTS[name][:3]
        assert card.counts == {"test": VARIANTS[name][3]}
        assert card.template == A_PHOTO

    def test_no_other_card_comes_with_files_to_fetch(self) -> None:
        assert {name for name in list_cards() if load_card(name).sources} == set(PUBLIC)


class TestClassNames:
    @pytest.mark.parametrize("name", [name for name in FIGURES if name != "imagenet"])
    def test_they_are_the_published_ones(self, name: str) -> None:
        path = CLASS_NAMES / f"{name}.txt"
        if not path.is_file():
            pytest.skip(f"{path} is not there; set PROMPTARENA_SHARED")
        assert load_card(name).class_names == tuple(map(readable, path.read_text(encoding="utf-8").splitlines()))

    def test_imagenets_are_the_published_ones_by_wnid(self) -> None:
        path = CLASS_NAMES / "imagenet.txt"
        if not path.is_file():
            pytest.skip(f"{path} is not there; set PROMPTARENA_SHARED")
        card = load_card("imagenet")
        pairs = [f"{wnid} {name}" for wnid, name in zip(card.class_folders, card.class_names, strict=True)]
        assert pairs == path.read_text(encoding="utf-8").splitlines()

    def test_imagenet_repeats_two_names(self) -> None:
        card = load_card("imagenet")
        assert list(card.class_folders) == sorted(set(card.class_folders))
        repeated = {name for name, times in Counter(card.class_names).items() if times > 1}
        assert repeated == {"missile", "sunglasses"}
        assert [label for label, name in enumerate(card.class_names) if name in repeated] == [657, 744, 836, 837]

    def test_the_variants_names_are_imagenets(self) -> None:
        imagenet = load_card("imagenet")
        called = dict(zip(imagenet.class_folders, imagenet.class_names, strict=True))
        sketch, v2 = load_card("imagenet-sketch"), load_card("imagenetv2")
        assert (sketch.class_folders, sketch.class_names) == (imagenet.class_folders, imagenet.class_names)
        assert v2.class_names == imagenet.class_names
        subsets = [load_card(name) for name in ("imagenet-a", "imagenet-r")]
        for card in subsets:
            assert list(card.class_folders) == sorted(card.class_folders)
            assert card.class_names == tuple(called[wnid] for wnid in card.class_folders)
        assert len(set(subsets[0].class_folders) & set(subsets[1].class_folders)) == 86

    def test_no_file_of_names_is_left_over(self) -> None:
        read = {line for name in PUBLIC for line in (DATASETS / "cards" / f"{name}.toml").read_text().splitlines()}
        for path in (DATASETS / "classes").iterdir():
            assert f'class_file = "../classes/{path.name}"' in read


class TestTrees:
    """Empty files in each layout, read through the card."""

    def test_the_folders_of_imagenetv2_are_numbers(self, tmp_path: Path) -> None:
        folder = tmp_path / "imagenetv2" / "imagenetv2-matched-frequency-format-val"
        touch(folder, *(f"{label}/a.jpeg" for label in range(1000)))
        listing = list_split(load_card("imagenetv2"), "test", tmp_path)
        assert listing.labels == tuple(range(1000))
        assert [key.split("/")[-2] for key in listing.keys] == [str(label) for label in range(1000)]
        assert (listing.class_names[0], listing.class_names[10]) == ("tench", "brambling")

    def test_a_release_of_imagenetv2_in_wnid_folders_is_refused(self, tmp_path: Path) -> None:
        folder = tmp_path / "imagenetv2" / "imagenetv2-matched-frequency-format-val"
        touch(folder, *(f"{wnid}/a.jpeg" for wnid in load_card("imagenet").class_folders))
        with pytest.raises(UserError, match="holds the folder 'n01440764', which is no class"):
            list_split(load_card("imagenetv2"), "test", tmp_path)

    @pytest.mark.parametrize(("name", "inside"), [("imagenet-a", "imagenet-a"), ("imagenet-r", "imagenet-r")])
    def test_the_readme_beside_the_class_folders_is_no_picture(self, tmp_path: Path, name: str, inside: str) -> None:
        card = load_card(name)
        folder = tmp_path / card.options["folder"] / inside
        touch(folder, "README.txt", *(f"{wnid}/a.jpg" for wnid in card.class_folders))
        listing = list_split(card, "test", tmp_path)
        assert listing.labels == tuple(range(200))
        assert listing.class_names == card.class_names

    @needs_published
    @pytest.mark.parametrize("name", ["dtd", "oxford_flowers", "stanford_cars"])
    def test_the_published_split_is_read_through_its_card(self, tmp_path: Path, name: str) -> None:
        card = load_card(name)
        content, split = published(card)
        folder = tmp_path / card.options["folder"]
        images = folder / card.options.get("image_dir", "")
        for parent in {Path(row[0]).parent for listed in SPLITS for row in split.rows(listed)}:
            (images / parent).mkdir(parents=True, exist_ok=True)
        for listed in SPLITS:
            for row in split.rows(listed):
                (images / row[0]).touch()
        (folder / card.options["split_file"]).write_bytes(content)
        for listed in SPLITS:
            listing = list_split(card, listed, tmp_path)
            assert list(zip(listing.keys, listing.labels, strict=True)) == [row[:2] for row in split.rows(listed)]
            assert not listing.own_split


@needs_published
class TestPublishedSplits:
    @pytest.mark.parametrize("name", ZHOU)
    def test_the_figures_are_those_of_the_file(self, name: str) -> None:
        card, figures = load_card(name), FIGURES[name]
        assert card.options["split_file"] == f"split_zhou_{ZHOU[name]}.json"
        content, split = published(card)
        assert hashlib.sha256(content).hexdigest() == card.options["split_sha256"]
        assert tuple(len(split.rows(listed)) for listed in SPLITS) == figures.counts
        rows = [row for listed in SPLITS for row in split.rows(listed)]
        assert len({path for path, _, _ in rows}) == len(rows)
        names = {label: readable(called) for _, label, called in rows}
        assert tuple(names[label] for label in range(len(names))) == card.class_names
        for label, called in {(row[1], row[2]) for row in rows}:
            assert names[label] == readable(called)
        for listed in SPLITS:
            assert {row[1] for row in split.rows(listed)} == set(names)

    @pytest.mark.parametrize("name", ZHOU)
    def test_the_test_images_fall_into_base_and_novel_as_published(self, name: str) -> None:
        card, figures = load_card(name), FIGURES[name]
        labels = [row[1] for row in published(card)[1].test]
        base, novel = base_classes(len(card.class_names)), novel_classes(len(card.class_names))
        assert sum(label in base for label in labels) == figures.test_base
        assert sum(label in novel for label in labels) == figures.test_novel


class TestSources:
    def test_a_download_has_a_name_of_its_own_on_any_disk(self) -> None:
        names = Counter(
            name.lower()
            for card in PUBLIC
            for name in {file.name for source in load_card(card).sources for file in source.files}
        )
        assert [name for name, times in names.items() if times > 1] == []

    @pytest.mark.parametrize("name", ZHOU)
    def test_a_source_of_the_split_gives_the_cards_split(self, name: str) -> None:
        card = load_card(name)
        files = [file for source in card.sources for file in source.files if file.split]
        assert files
        for file in files:
            assert (file.name, file.place) == (card.options["split_file"], card.options["split_file"])
            assert file.checksum == f"sha256:{card.options['split_sha256']}"
            assert [url.split(":")[0] for url in file.urls] == ["https", "gdrive"]

    @pytest.mark.parametrize("name", [name for name in PUBLIC if name != "imagenet"])
    def test_one_source_is_the_copy_on_the_hub_at_a_fixed_revision(self, name: str) -> None:
        (mirror,) = (source for source in load_card(name).sources if "unofficial" in source.title)
        (file,) = mirror.files
        (url,) = file.urls
        assert url.startswith("hf:zhengli97/prompt_learning_dataset@ceb3112337fb6e1bf71534e355ca5569b63f19a6/")
        assert file.take == "*"

    @pytest.mark.parametrize("name", PUBLIC)
    def test_what_comes_from_elsewhere_has_a_checksum(self, name: str) -> None:
        for source in load_card(name).sources:
            if "unofficial" not in source.title:
                unchecked = {file.name for file in source.files if file.checksum is None}
                assert unchecked <= {"UCF-101-midframes.zip"}

    def test_imagenet_is_built_from_files_that_only_a_person_can_get(self) -> None:
        (source,) = load_card("imagenet").sources
        assert source.build == "imagenet"
        for file in source.files:
            assert not file.urls
            assert file.by_hand is not None
            assert "register" in file.by_hand


class TestSuite:
    def test_the_fifteen_stand_in_the_fields_order(self) -> None:
        suite = load_suite("clip-15")
        assert suite.datasets == tuple(FIGURES)
        assert (suite.source, suite.targets, suite.variants) == ("imagenet", tuple(FIGURES)[1:], tuple(VARIANTS))
        assert suite.protocols == ("base-to-novel", "cross-dataset", "domain-generalization")
        assert (suite.shots, suite.few_shot_shots, suite.seeds) == (16, (1, 2, 4, 8, 16), (1, 2, 3))

    def test_recipes_are_the_published_ones(self) -> None:
        suite = load_suite("clip-15")
        assert (suite.training.lr_multiplier, suite.training.adaptive_lr_multiplier) == (1.0, 1.0)
        assert (suite.training.max_epochs, suite.training.augment, suite.miniature) == (None, True, False)
        assert (suite.backbone.architecture, suite.backbone.pretrained) == ("ViT-B-16-quickgelu", "openai")

    def test_the_miniature_mirrors_them_one_to_one(self) -> None:
        mini, clip = load_suite("mini"), load_suite("clip-15")
        assert {mini.card(name).mirrors for name in mini.dataset_names} == set(clip.dataset_names)
