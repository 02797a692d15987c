"""A request is checked, and its runs are known, before a record, data or weights are touched."""

from pathlib import Path

import pytest
from e2e_inside import call

from promptarena.benchmark.planning.request import Request


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
    assert not (tmp_path / "results").exists()
