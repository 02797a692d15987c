"""The runs that a request stands for."""

from pathlib import Path

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.enumeration import enumerate_request
from promptarena.benchmark.planning.request import Request


def test_the_runs_of_a_request(suite: str) -> None:
    found = enumerate_request(Request(methods=("zeroshot", "coop"), protocols=("base-to-novel",)), suite)
    assert [(run.method, run.seed) for run in found.runs] == [("zeroshot", None), ("coop", 1), ("coop", 2)]
    assert found.methods_named
    assert not enumerate_request(Request(), suite).methods_named


def test_an_unknown_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        enumerate_request(Request(), str(tmp_path / "none.toml"))


def test_a_misspelled_method_in_the_suite_is_refused(suite: str) -> None:
    with Path(suite).open("a") as file:
        file.write("\n[training.own_lr_multipliers]\ncop = 2.0\n")
    with pytest.raises(UserError, match="unknown method 'cop'"):
        enumerate_request(Request(), suite)


def test_crops_on_the_device_are_a_setting_that_labels_show(suite: str) -> None:
    request = Request(methods=("zeroshot", "coop"), protocols=("base-to-novel",), seeds=(1,), augment_on_device=True)
    found = enumerate_request(request, suite)
    assert [run.label for run in found.runs] == ["zeroshot", "coop(recipe.augmentation=crop-on-device)"]


def test_the_users_own_setting_stays(suite: str) -> None:
    setting = "coop.recipe.augmentation=randaugment"
    request = Request(methods=("coop", "maple"), seeds=(1,), settings=(setting,), augment_on_device=True)
    runs = enumerate_request(request, suite).runs
    assert {run.label for run in runs} == {
        "coop(recipe.augmentation=randaugment)",
        "maple(recipe.augmentation=crop-on-device)",
    }


def test_crops_on_the_device_where_nothing_is_cropped_are_refused(suite: str) -> None:
    with pytest.raises(UserError, match=r"no method trains on random crops in suite .+ \(zeroshot\)"):
        enumerate_request(Request(methods=("zeroshot",), augment_on_device=True), suite)
    with pytest.raises(UserError, match="in suite mini"):
        enumerate_request(Request(methods=("coop",), augment_on_device=True), "mini")
