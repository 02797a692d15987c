"""Further predictions of finished runs: with a fitted temperature, and for images of other datasets."""

import io
import shutil
from pathlib import Path
from typing import Any

import e2e_record
import numpy as np
import pandas as pd
import pytest
import torch
from e2e_inside import call
from e2e_world import make_world
from in_process import compared
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax

from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.predictions import Predictions, from_parquet
from promptarena.benchmark.core.runs import StoredResult, Target
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.views import View
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.recording.predictions import file_name
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.training.trained_learner import Learned

Arena = tuple[Path, Path, dict[str, Any]]


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    """The suite, the results after further predictions were made, and the figures before."""
    folder = tmp_path_factory.mktemp("further")
    suite, results = make_world(folder / "world"), folder / "results"
    compared(suite, results, "base-to-novel")
    before = e2e_record.figures(results)
    ended = predicted(suite, results, "--temperature", "--far")
    assert ended.code == 0, ended.err
    return suite, results, before


def predicted(suite: Path, results: Path, *options: str) -> Any:
    words = ("--suite", suite, "--results", results, "--out", results.parent / "files", "--device", "cpu")
    return call("predictions", *words, *options)


def stored_of(results: Path) -> dict[str, StoredResult]:
    return {each.method: each for each in Record.open(RecordPlace(results)).results("small")}


def kept(results: Path, method: str, target: Target) -> Predictions:
    stored = stored_of(results)[method]
    content = Record.open(RecordPlace(results)).content(stored.run_id, file_name(target))
    (found,) = from_parquet(content, "it")
    return found


def test_runs_keep_them_beside_the_others_and_their_figures_stay(arena: Arena) -> None:
    _, results, before = arena
    assert e2e_record.figures(results) == before
    subsets = ["base", "base-tempered", "far", "novel", "novel-tempered"]
    for stored in stored_of(results).values():
        assert sorted(target.subset for target in stored.predictions) == subsets
        written = {path.name for path in (results.parent / "files" / stored.run_id).iterdir()}
        assert written == {f"noisy.{subset}.parquet" for subset in subsets}
    assert not list((results / "checkpoints").glob("*/*"))


@pytest.mark.parametrize("method", ["zeroshot", "coop"])
def test_the_temperature_is_best_for_the_training_images_and_divides_all_logits(arena: Arena, method: str) -> None:
    path, results, _ = arena
    suite, stored = load_suite(path), stored_of(results)[method]
    (file,) = (results / "artifacts").rglob(f"{stored.run_id}/artifacts/learned.safetensors")
    source = suite.backbone
    backbone = load_backbone(source.given_architecture, source.given_weights, device="cpu")
    learner = Learned.load(file).learner(backbone, load_registry())
    card = suite.card("noisy")
    shots, _ = Data(None).few_shot(card, "base", 2, stored.seed or 0)
    with torch.inference_mode():
        images = View(shots.images, backbone, ArrayCache(results.parent / "own")).batch(range(len(shots.labels)))
        classifier = learner.classifier(learner.prompts(Data(None).classes(card, "base", "train")))
        logits = learner.logits(images, classifier).double().numpy()
    rows = np.arange(len(shots.labels))

    def loss(t: float) -> float:
        return float(-log_softmax(logits / t, axis=1)[rows, shots.labels].mean())

    expected = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-10}).fun
    for subset in ("base", "novel"):
        plain = kept(results, method, Target("noisy", subset))  # type: ignore[arg-type]
        cooled = kept(results, method, plain.target.tempered)
        assert loss(cooled.temperature) == pytest.approx(expected, abs=1e-6)
        assert cooled.temperature != 1
        assert (cooled.images.tolist(), cooled.labels.tolist()) == (plain.images.tolist(), plain.labels.tolist())
        np.testing.assert_allclose(cooled.logits, plain.logits / cooled.temperature, rtol=1e-6)
        exact = plain.logits.astype(float) / cooled.temperature  # of both classes
        np.testing.assert_allclose(cooled.log_sum_exp, np.logaddexp.reduce(exact, axis=1), atol=1e-5)


def test_far_images_are_those_of_other_datasets_and_other_classes(arena: Arena) -> None:
    path, results, _ = arena
    keys = [kept(results, method, Target("noisy", "far")).images.tolist() for method in ("zeroshot", "coop")]
    assert keys[0] == keys[1]
    of_dataset = [key.split("/")[0] for key in keys[0]]
    assert {name: of_dataset.count(name) for name in of_dataset} == {"plain": 6, "faded": 6}
    trained = Data(None).classes(load_suite(path).card("noisy"), "base", "train").names
    assert not any(f"/{name}/" in key for name in trained for key in keys[0])
    assert kept(results, "coop", Target("noisy", "far")).classes == trained


def test_what_is_there_is_not_made_again_and_boards_are_made_of_it(arena: Arena) -> None:
    suite, results, _ = arena
    again = predicted(suite, results, "--temperature", "--far")
    assert (again.code, again.out.count("scored again")) == (0, 0)
    shown = call("leaderboard", suite, "--results", results, "--boards", "temperature", "far-ood", "--format", "csv")
    assert shown.code == 0, shown.err
    assert {"temperature", "far-ood"} <= set(pd.read_csv(io.StringIO(shown.out))["part"])


def test_they_travel_with_exports(arena: Arena, tmp_path: Path) -> None:
    suite, results, _ = arena
    assert call("export", suite, "--out", tmp_path / "export", "--results", results).code == 0
    assert call("import", tmp_path / "export", "--results", tmp_path / "results").code == 0
    ours, theirs = stored_of(results), stored_of(tmp_path / "results")
    assert {name: each.predictions for name, each in ours.items()} == {
        name: each.predictions for name, each in theirs.items()
    }


def test_a_suite_without_other_classes_says_so(arena: Arena, tmp_path: Path) -> None:
    suite, results, _ = arena
    shutil.copytree(results, tmp_path / "results")
    compared(suite, tmp_path / "results", "few-shot")
    ended = predicted(suite, tmp_path / "results", "--far")
    assert ended.code == 2
    assert "no other dataset of the suite has images of other classes" in ended.err


@pytest.mark.parametrize(
    ("options", "methods"),
    [
        ((), {"zeroshot", "coop"}),
        (("--methods", "coop", "--protocols", "base-to-novel", "--datasets", "noisy"), {"coop"}),
        (("--protocols", "base-to-novel", "few-shot"), {"zeroshot", "coop"}),
    ],
)
def test_runs_are_chosen_by_protocol_method_and_dataset(
    arena: Arena, tmp_path: Path, options: tuple[str, ...], methods: set[str]
) -> None:
    suite, results, _ = arena
    found = call("predictions", "--suite", suite, "--results", results, "--out", tmp_path, *options)
    assert found.code == 0, found.err
    assert {folder.name for folder in tmp_path.iterdir()} == {stored_of(results)[name].run_id for name in methods}


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (("--protocols", "few-shot"), "no finished run has all of this at once"),
        (("--datasets", "plain"), "no finished run has all of this at once"),
        (("--protocols", "few-shots"), "few-shot"),
        (("--methods", "maple"), "recorded method"),
        (("--datasets", "noise"), "noisy"),
    ],
)
def test_a_choice_that_meets_no_run_is_one_line(
    arena: Arena, tmp_path: Path, options: tuple[str, ...], line: str
) -> None:
    suite, results, _ = arena
    refused = call("predictions", "--suite", suite, "--results", results, "--out", tmp_path / "none", *options)
    assert refused.code == 2
    assert line in refused.err
    assert len(refused.err.strip().splitlines()) == 1
    assert not (tmp_path / "none").exists()
