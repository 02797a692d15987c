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
