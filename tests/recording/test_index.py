"""Which recorded run stands for a key: the newest finished one, else the one to resume."""

from types import SimpleNamespace
from typing import Any

import pytest

from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.index import index_of
from promptarena.benchmark.recording.owner import Owner


def run(number: int, status: str, key: str | None = "k", **tags: str) -> Any:
    """A run as MLflow gives it: begun at `number`, and ended at once."""
    info = SimpleNamespace(run_id=f"r{number}", status=status, start_time=number, end_time=number)
    return SimpleNamespace(info=info, data=SimpleNamespace(tags=({} if key is None else names.RUN_KEY.of(key)) | tags))


ALIVE = Owner.current().tags()
DEAD = Owner(Owner.current().host, 2**22 + 1, 1.0, 1.0).tags()


@pytest.mark.parametrize(
    ("runs", "standing"),
    [
        ([run(1, "FINISHED"), run(2, "FINISHED"), run(3, "FAILED")], ("r2", "finished", 1)),
        ([run(1, "RUNNING", **ALIVE), run(2, "RUNNING", **DEAD)], ("r1", "running", 0)),
        ([run(1, "RUNNING", **DEAD), run(2, "FAILED")], ("r2", "failed", 0)),
        ([run(1, "FAILED"), run(2, "RUNNING", **DEAD)], ("r2", "running", 0)),
    ],
)
def test_the_run_that_stands_for_a_key(runs: list[Any], standing: tuple[str, str, int]) -> None:
    for order in (runs, runs[::-1]):
        found = index_of(order)["k"]
        assert (found.run_id, found.status, found.duplicates) == standing


def test_keys_do_not_mix_and_runs_without_one_are_left_out() -> None:
    found = index_of([run(1, "FINISHED", "a"), run(2, "FAILED", "b", error="why"), run(3, "FINISHED", None)])
    assert {key: (each.run_id, each.error) for key, each in found.items()} == {"a": ("r1", None), "b": ("r2", "why")}
