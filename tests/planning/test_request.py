"""A request is checked, and its runs are known, before a record, data or weights are touched."""

from pathlib import Path

import pytest
from e2e_inside import call
from e2e_world import make_world

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.enumeration import enumerate_request
from promptarena.benchmark.planning.request import Request


@pytest.fixture
def suite(tmp_path: Path) -> str:
    return str(make_world(tmp_path / "world", seeds=(1, 2)))


def test_the_runs_of_a_request(suite: str) -> None:
    found = enumerate_request(Request(methods=("zeroshot", "coop"), protocols=("base-to-novel",)), suite)
    assert [(run.method, run.seed) for run in found.runs] == [("zeroshot", None), ("coop", 1), ("coop", 2)]
    assert found.methods_named
    assert not enumerate_request(Request(), suite).methods_named


@pytest.mark.parametrize(
    "request_",
    [
        Request(methods=("coop", "mapel")),
        Request(protocols=("base-to-old",)),
        Request(datasets=("nosy",)),
        Request(methods=("coop",), settings=("coop.n_ctxx=4",)),
        Request(methods=("dear",), ablations=("nothing",)),
        Request(seeds=(-1,)),
    ],
    ids=str,
)
def test_a_wrong_request_is_refused_in_one_line(
    request_: Request, suite: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = {
        "--methods": request_.methods,
        "--protocols": request_.protocols,
        "--datasets": request_.datasets,
        "--set": request_.settings,
        "--ablate": request_.ablations,
        "--seeds": map(str, request_.seeds),
    }
    arguments = [word for option, values in words.items() for value in values for word in (option, value)]
    ended = call("compare", suite, *arguments)
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert (tmp_path / "results").exists() == bool(request_.settings)  # settings are checked with the data


def test_an_unknown_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError):
        enumerate_request(Request(), str(tmp_path / "none.toml"))
