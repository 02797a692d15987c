"""A kept plan is the plan that would be made, and counts only while everything that decides it is as it was."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from e2e_world import make_world

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning import kept_plans
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.running.comparison import kept_plan, made_plan
from promptarena.benchmark.running.execution import ExecutionConfig

REQUEST = Request(methods=("coop", "zeroshot"), settings=("coop.n_ctx=4",), seeds=(1, 2))


@pytest.fixture
def place(tmp_path: Path) -> ExecutionConfig:
    return ExecutionConfig(str(make_world(tmp_path / "world")), tmp_path / "results", tmp_path / "cache", device="cpu")


def test_what_is_kept_is_what_was_made(place: ExecutionConfig) -> None:
    assert kept_plan(REQUEST, place) is None
    made = made_plan(REQUEST, place).plan
    kept = kept_plan(REQUEST, place)
    assert kept is not None
    assert kept.plan == made
    assert len(made.runs) > 5
    assert made.workloads[made.runs[0].key].eval_images > 0


def _image(place: ExecutionConfig) -> None:
    next((Path(place.suite).parent / "pictures" / "noisy").rglob("test/*/*.png")).unlink()


def _more_images(place: ExecutionConfig) -> None:
    image = next((Path(place.suite).parent / "pictures" / "noisy").rglob("train/*/*.png"))
    shutil.copy(image, image.with_name("another.png"))


def _template(place: ExecutionConfig) -> None:
    card = Path(place.suite).parent / "plain.toml"
    card.write_text(card.read_text().replace("a photo of", "a picture of"))


def _suite(place: ExecutionConfig) -> None:
    suite = Path(place.suite)
    suite.write_text(suite.read_text().replace("max_epochs = 2", "max_epochs = 3"))


@pytest.mark.parametrize("change", [_image, _more_images, _template, _suite])
def test_a_change_of_the_data_or_the_suite_ends_it(
    place: ExecutionConfig, change: Callable[[ExecutionConfig], None]
) -> None:
    card = Path(place.suite).parent / "noisy.toml"
    text = card.read_text()
    if "[counts]" in text:  # without counts, another number of images is no mistake
        card.write_text(text[: text.index("[counts]")])
    made_plan(REQUEST, place)
    assert kept_plan(REQUEST, place) is not None
    change(place)
    assert kept_plan(REQUEST, place) is None


def test_another_code_request_precision_or_folder_has_another_plan(
    place: ExecutionConfig, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made_plan(REQUEST, place)
    assert kept_plan(replace(REQUEST, seeds=(1,)), place) is None
    assert kept_plan(replace(REQUEST, settings=("coop.class_token_position=front",)), place) is None
    assert kept_plan(REQUEST, replace(place, precision="bf16")) is None
    with monkeypatch.context() as elsewhere:
        elsewhere.chdir(tmp_path / "world")
        assert kept_plan(REQUEST, place) is None
    monkeypatch.setattr(kept_plans, "_code", lambda: "another")
    assert kept_plan(REQUEST, place) is None


def test_a_file_that_a_method_reads_is_part_of_it(place: ExecutionConfig, tmp_path: Path) -> None:
    sentences = tmp_path / "sentences.json"
    sentences.write_text("{}")
    request = Request(methods=("coprompt",), settings=(f"coprompt.sentences={sentences}",))
    made_plan(request, place)
    assert kept_plan(request, place) is not None
    sentences.write_text('{"red": []}')
    assert kept_plan(request, place) is None
    sentences.unlink()
    assert kept_plan(request, place) is None


def test_plans_with_other_methods_are_not_kept(place: ExecutionConfig, tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text("from promptarena.methods.zeroshot import ZeroShot\n\n\nclass Mine(ZeroShot):\n    pass\n")
    with_plugin = replace(place, plugins=(plugin,))
    made_plan(Request(methods=("mine",)), with_plugin)
    assert kept_plan(Request(methods=("mine",)), with_plugin) is None


@pytest.mark.parametrize("damage", ["", "{}", None])
def test_a_damaged_file_does_not_count(place: ExecutionConfig, damage: str | None) -> None:
    made_plan(REQUEST, place)
    (file,) = (place.cache / "plans").glob("*.json")
    file.write_text(file.read_text().replace('"shots":2', '"shots":3') if damage is None else damage)
    assert kept_plan(REQUEST, place) is None


def test_bad_precisions_are_refused(place: ExecutionConfig) -> None:
    made_plan(REQUEST, place)
    with pytest.raises(UserError, match="unknown precision"):
        kept_plan(REQUEST, replace(place, precision="fp8"))  # type: ignore[arg-type]
