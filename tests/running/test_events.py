"""Events as lines of JSON."""

import io
import json
from types import SimpleNamespace
from typing import Any

from record_runs import plan, result

from promptarena.benchmark.running.events import JsonEvents, Silent
from promptarena.benchmark.running.launcher import RunFailedError

RUN = plan("small")


def test_every_event_is_a_line() -> None:
    out = io.StringIO()
    comparison: Any = SimpleNamespace(
        suite=SimpleNamespace(name="small"), runs=(RUN,), notes=("a note",), failed=(),
        done=list, missing=lambda: [RUN], elsewhere=list,
    )  # fmt: skip
    with JsonEvents(out) as events:
        events.planned(comparison, 2)
        events.started(RUN)
        events.epoch(RUN, {"epoch": 1, "loss": 0.5})
        events.finished(RUN, result())
        events.failed(RUN, RunFailedError("two\nlines", "", users_fault=True))
        events.taken(RUN)
    said = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in said] == ["planned", "started", "epoch", "finished", "failed", "taken"]
    assert (said[0]["runs"], said[0]["missing"], said[0]["notes"]) == (1, 1, ["a note"])
    assert all((line["key"], line["label"], line["seed"]) == (RUN.key, "coop", 1) for line in said[1:])
    assert said[2]["curve"]["loss"] == 0.5
    novel = {"dataset": "dtd", "subset": "novel", "reading": "", "correct": 20, "total": 80}
    assert novel in said[3]["scores"]
    assert said[4]["error"] == "two\nlines"


def test_silence(capsys: Any) -> None:
    with Silent() as silent:
        silent.started(RUN)
        silent.finished(RUN, result())
    assert capsys.readouterr() == ("", "")
