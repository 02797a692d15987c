"""Any images, classified from the command line by a learner in a file."""

import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from e2e_inside import call, complaint
from e2e_world import COLOURS, make_world
from odd_pictures import KINDS, noise

from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.training.evaluation import evaluate
from promptarena.benchmark.training.trained_learner import Learned


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A suite and the file of a learner of all classes of its dataset `noisy`."""
    folder = tmp_path_factory.mktemp("arena")
    path = make_world(folder / "world")
    suite = load_suite(path)
    source = suite.backbone
    backbone = load_backbone(source.given_architecture, source.given_weights, device="cpu")
    method = load_registry().get("zeroshot")
    classes = Data(None).classes(suite.card("noisy"), "all", "test")
    learner = method.learner(backbone, method.learner.config_type(), classes, torch.Generator())
    (folder / "it.safetensors").write_bytes(Learned.of(learner, classes, "zeroshot", method.source).content())
    return path, folder / "it.safetensors"


def frame(*arguments: str | Path) -> pd.DataFrame:
    ended = call("predict", *arguments, "--format", "csv")
    assert ended.code == 0, ended.err
    return pd.read_csv(io.StringIO(ended.out))


def test_a_dataset_s_own_images_get_the_predictions_of_an_evaluation(arena: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = arena
    pictures = path.parent / "pictures" / "noisy" / "test"
    found = frame(file, pictures, "--suite", path, "--top", "4")
    suite, learned = load_suite(path), Learned.load(file)
    source = suite.backbone
    learner = learned.learner(
        load_backbone(source.given_architecture, source.given_weights, device="cpu"), load_registry()
    )
    test, classes = Data(None).test(suite.card("noisy")), learned.origin.classes
    evaluated = evaluate(learner, Target("noisy", "all"), classes, test, 4, ArrayCache(tmp_path), keep=True)
    (kept,) = evaluated.predictions
    shares = np.exp(kept.logits.astype(float) - kept.log_sum_exp[:, None])
    for key, top, probabilities in zip(kept.images, kept.top, shares, strict=True):
        rows = found[found["image"].str.endswith(key.removeprefix("noisy/").split("pictures/noisy/")[-1])]
        assert rows["label"].tolist() == top.tolist()
        assert rows["probability"].tolist() == pytest.approx(probabilities.tolist(), abs=1e-5)
    assert len(found) == 4 * len(kept)


def test_odd_files_are_listed_and_the_others_are_classified(arena: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = arena
    good = sorted((path.parent / "pictures" / "noisy" / "test" / "red").iterdir())
    (tmp_path / "cut.png").write_bytes(good[0].read_bytes()[:60])
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "whole.png").write_bytes(good[0].read_bytes())
    ended = call("predict", file, tmp_path, tmp_path / "nowhere.png", "--suite", path, "--format", "json")
    assert ended.code == 0
    assert [Path(row["image"]).name for row in json.loads(ended.out)] == ["whole.png"]
    said = ended.err.splitlines()
    assert [name for name in ("cut.png", "text.jpg", "nowhere.png") if any(name in line for line in said)] == [
        "cut.png",
        "text.jpg",
        "nowhere.png",
    ]
    only_bad = call("predict", file, tmp_path / "text.jpg", "--suite", path)
    assert only_bad.code == 2


def test_images_of_other_commands_and_batches_have_no_part_in_it(arena: tuple[Path, Path], tmp_path: Path) -> None:
    """As many images as before, but others: what is kept of images must not be theirs."""
    path, file = arena
    test = path.parent / "pictures" / "noisy" / "test"
    one, other = (frame(file, test / colour / "0.png", "--suite", path, "--top", "4") for colour in ("red", "blue"))
    assert one["probability"].tolist() != other["probability"].tolist()
    many, colours = tmp_path / "many", sorted(COLOURS)
    many.mkdir()
    for number in range(220):
        colour = colours[number // 110]
        (many / f"{number:03d}.png").write_bytes((test / colour / "1.png").read_bytes())
    found = frame(file, many, "--suite", path)
    alone = [frame(file, test / colour / "1.png", "--suite", path) for colour in colours[:2]]
    for number, probability in enumerate(found["probability"]):
        assert probability == pytest.approx(alone[number // 110]["probability"][0], abs=1e-5)
    assert abs(alone[0]["probability"][0] - alone[1]["probability"][0]) > 1e-4


def test_a_folder_of_every_kind_of_image_is_classified_and_what_is_odd_is_said(
    arena: tuple[Path, Path], tmp_path: Path
) -> None:
    path, file = arena
    for number, (kind, make) in enumerate(KINDS.items()):
        ending = {"animated": "gif", "TIFF": "tif"}.get(kind, "jpg")
        (tmp_path / f"{number:02d}.{ending}").write_bytes(make(noise((200, 30, 30), (90, 60), number)))
    (tmp_path / "broken.gif").write_bytes(b"GIF89a")
    (tmp_path / "notes.txt").write_text("no image")
    ended = call("predict", file, tmp_path, "--suite", path, "--format", "csv")
    assert ended.code == 0
    assert len(pd.read_csv(io.StringIO(ended.out))) == len(KINDS)
    said = " ".join(ended.err.split())
    assert "1 files are left out by their endings (.txt)" in said
    assert "broken.gif cannot be decoded" in said
    assert "viewers show 2 images otherwise" in said
    assert "1 turned by EXIF" in said
    shown = call("predict", file, tmp_path, "--suite", path, "--as-shown", "--format", "csv")
    assert shown.code == 0
    assert "viewers show" not in shown.err
    assert shown.out != ended.out


def test_other_class_names_come_from_a_file_or_a_dataset(arena: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = arena
    image = path.parent / "pictures" / "noisy" / "test" / "red" / "0.png"
    (tmp_path / "names.txt").write_text("red\n\n blue \ncat\n")
    named = frame(file, image, "--suite", path, "--classes", tmp_path / "names.txt", "--top", "9")
    assert set(named["class"]) == {"red", "blue", "cat"}
    assert named["probability"].sum() == pytest.approx(1.0, abs=1e-5)
    of_dataset = frame(file, image, "--suite", path, "--dataset", "faded", "--top", "9")
    assert set(of_dataset["class"]) == set(COLOURS)


def test_parquet_goes_to_a_file(arena: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = arena
    image = path.parent / "pictures" / "noisy" / "test" / "red" / "0.png"
    ended = call("predict", file, image, "--suite", path, "--format", "parquet", "--out", tmp_path / "it.parquet")
    assert ended.code == 0, ended.err
    assert pd.read_parquet(tmp_path / "it.parquet")["rank"].tolist() == [1]


def test_mistakes_are_one_line(arena: tuple[Path, Path], tmp_path: Path) -> None:
    path, file = arena
    (tmp_path / "empty.txt").write_text("\n")
    (tmp_path / "folder").mkdir()
    image = path.parent / "pictures" / "noisy" / "test" / "red" / "0.png"
    assert "name a file with --out" in complaint("predict", file, image, "--suite", path, "--format", "parquet")
    assert "names no class" in complaint("predict", file, image, "--suite", path, "--classes", tmp_path / "empty.txt")
    assert "holds no images" in complaint("predict", file, tmp_path / "folder", "--suite", path)
    assert "unknown dataset 'nosy'" in complaint("predict", file, image, "--suite", path, "--dataset", "nosy")
    assert "cannot read a learner" in complaint("predict", tmp_path / "x.safetensors", image, "--suite", path)
