"""What is handed in comes out as it was; what is damaged or of another version counts as not there, with a line."""

import pickle
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_runs import COST, result

from promptarena.benchmark.core.runs import Cost, RunResult, Score, Target
from promptarena.benchmark.running.launcher import RunFailedError
from promptarena.benchmark.running.outbox import Outbox

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
COUNTS = st.integers(0, 2**62)
FLOATS = st.floats(allow_nan=False)
TARGETS = st.builds(Target, TEXTS, st.sampled_from(("base", "novel", "all", "union", "union-auroc")))
RESULTS = st.builds(
    RunResult,
    st.lists(st.builds(Score, TARGETS, st.tuples(COUNTS), st.tuples(COUNTS), TEXTS), max_size=3).map(tuple),
    st.builds(Cost, COUNTS, FLOATS, COUNTS, FLOATS, COUNTS, FLOATS),
    st.lists(st.dictionaries(TEXTS, FLOATS), max_size=3).map(tuple),
    st.dictionaries(TARGETS, TEXTS, max_size=3),
    st.dictionaries(TEXTS, st.binary(max_size=9), max_size=3),
    st.dictionaries(TEXTS, TEXTS, max_size=3),
    st.dictionaries(TARGETS, st.binary(max_size=9), max_size=3),
)


def test_what_is_handed_in_comes_out_until_it_is_removed(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    assert (outbox.files(), outbox.outcome("a"), outbox.curves("a")) == (frozenset(), None, [])
    outbox.post_start("a")
    outbox.post_curves("a", [{"epoch": 1.0, "loss": 0.5}])
    outbox.post_outcome("a", result(files={"x": b"\x00"}))
    outbox.post_outcome("b", RunFailedError("no memory", "Traceback", users_fault=True))
    assert outbox.files() == {"a.started", "a.curves", "a.outcome", "b.outcome"}
    assert outbox.curves("a") == [{"epoch": 1.0, "loss": 0.5}]
    found = outbox.outcome("b")
    assert isinstance(found, RunFailedError)
    assert (str(found), found.details, found.users_fault) == ("no memory", "Traceback", True)
    outbox.remove("a")
    outbox.remove("a")
    assert outbox.files() == {"b.outcome"}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RESULTS)
def test_every_result_comes_out_as_it_was(tmp_path: Path, handed: RunResult) -> None:
    outbox = Outbox(tmp_path)
    outbox.post_outcome("a", handed)
    assert outbox.outcome("a") == handed


def test_a_damaged_file_is_not_there_wherever_it_is_damaged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    outbox, path = Outbox(tmp_path), tmp_path / "outbox" / "a.outcome"
    outbox.post_outcome("a", result(files={"x": b"\x00\x01"}))
    whole = path.read_bytes()
    for place in range(0, len(whole), 37):
        path.write_bytes(whole[:place])
        assert outbox.outcome("a") is None
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert outbox.outcome("a") is None
    (record,) = caplog.records
    assert record.getMessage() == f"{path} is damaged or of another version; its run is run again"
    path.rename(path.with_name("b.outcome"))
    (path.with_name("b.outcome")).write_bytes(whole)
    assert outbox.outcome("b") is None, "it is of another run"


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    """Versions before wrote pickles, which can run code."""
    (tmp_path / "outbox").mkdir()
    made = tmp_path / "made"
    for ending in ("outcome", "curves"):
        (tmp_path / "outbox" / f"a.{ending}").write_bytes(pickle.dumps(_Runs(made)))
    outbox = Outbox(tmp_path)
    assert (outbox.outcome("a"), outbox.curves("a")) == (None, [])
    assert not made.exists()


class _Runs:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.touch, (self.path,)


def test_costs_are_numbers_of_the_same_kind(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path)
    outbox.post_outcome("a", result())
    found = outbox.outcome("a")
    assert isinstance(found, RunResult)
    assert found.cost == COST
    assert type(found.scores[0].correct[0]) is int
