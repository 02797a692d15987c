"""A learner that is handed on: its tensors and its card."""

from pathlib import Path

import pytest
from e2e_inside import call
from huggingface_hub import ModelCard
from PIL import Image

import promptarena as pa
from promptarena.benchmark.backbone.loading import identify
from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.training.trained_learner import Learned
from promptarena.sharing import export_learner


@pytest.fixture
def run_id(results: pa.Results) -> str:
    return str(results.frame.query("method == 'zeroshot'")["run_id"].iloc[0])


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.effect_noise((60, 40), 90).convert("RGB").save(path)
    return path


@pytest.fixture
def card(run_id: str, folder: Path, tmp_path: Path) -> Path:
    return export_learner(run_id, tmp_path / "handed on", results=folder / "results")


def test_the_card_has_what_the_hub_and_a_stranger_need(card: Path, results: pa.Results, tmp_path: Path) -> None:
    read = ModelCard.load(card)
    assert read.data.get("library_name") == "promptarena"
    assert read.data.pipeline_tag == "zero-shot-image-classification"
    assert {each.task_type for each in read.data.eval_results} == {read.data.pipeline_tag}
    frame = results.frame.query("method == 'zeroshot'")
    percents = {row.target_subset: 100 * row.value for row in frame.itertuples()}
    assert {each.dataset_config: each.metric_value for each in read.data.eval_results} == pytest.approx(percents)
    source = pa.load_suite("mini").backbone
    weights = identify(source.given_architecture, source.given_weights, tmp_path / "cache")
    for words in (weights.digest, "CC-BY-4.0", "16 images of each of 5 classes", "a photo of", "never compare"):
        assert words in read.text
    assert all(f"{value:.2f}" in read.text for value in percents.values())


def test_the_folder_is_loaded_and_predicts_as_the_run_does(card: Path, run_id: str, folder: Path, image: Path) -> None:
    ours = pa.load_learner(run_id, results=folder / "results").predict(image, top=3)
    for given in (card.parent, card.parent / "learned.safetensors"):
        assert pa.load_learner(given).predict(image, top=3).equals(ours)


def test_another_backbone_is_refused_in_one_line(card: Path) -> None:
    path = card.parent / "learned.safetensors"
    learned = Learned.load(path)
    path.write_bytes(Learned(learned.origin.model_copy(update={"backbone": "0" * 64}), learned.tensors).content())
    with pytest.raises(pa.UserError, match="was trained on other weights \\(000000000000\\)") as refused:
        pa.load_learner(card.parent)
    assert "\n" not in str(refused.value)


def test_nothing_is_overwritten_and_the_same_is_written_again(
    card: Path, run_id: str, folder: Path, tmp_path: Path
) -> None:
    before = {path.name: file_digest(path) for path in card.parent.iterdir()}
    assert set(before) == {"README.md", "learned.safetensors"}
    export_learner(run_id[:12], card.parent, results=folder / "results")
    assert {path.name: file_digest(path) for path in card.parent.iterdir()} == before
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(pa.UserError, match=r"README\.md is of something else"):
        export_learner(run_id, tmp_path, results=folder / "results")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"README.md"}


def test_the_command(run_id: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("export", "--learner", run_id, "--results", folder / "results", "--out", "out")
    ended = call(*words)
    assert (ended.code, ended.err, ended.out) == (0, "", "The learner and its card are in out.\n")
    for more, reason in ((("--check",), "leave out --check"), (("--learner", "0" * 32), "unknown finished run")):
        ended = call(*words, *more)
        assert ended.code == 2
        assert reason in ended.err
        assert len(ended.err.splitlines()) == 1


def test_a_damaged_learner_is_refused(
    run_id: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptarena.benchmark.recording.record import Record

    damaged = tmp_path / "learned.safetensors"
    damaged.write_bytes(b"other")
    monkeypatch.setattr(Record, "artifact", lambda *words: damaged)
    with pytest.raises(pa.UserError, match="is damaged"):
        export_learner(run_id, tmp_path / "out", results=folder / "results")
    assert not (tmp_path / "out").exists()
