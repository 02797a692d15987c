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
