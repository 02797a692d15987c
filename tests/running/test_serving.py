"""A worker's side: what it says fails by its reason."""

from types import SimpleNamespace

import pytest
from record_runs import plan

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.running.serving import Served, failure_of


@pytest.mark.parametrize(
    ("error", "text", "users_fault"),
    [(UserError("no data"), "no data", True), (ValueError("a\nb"), "ValueError: a b", False)],
)
def test_an_error_travels_as_one_line_with_its_traceback(error: Exception, text: str, users_fault: bool) -> None:
    failure = failure_of(error)
    assert (str(failure), failure.users_fault) == (text, users_fault)
    assert type(error).__name__ in failure.details


@pytest.mark.parametrize(
    ("error", "reported"),
    [(RuntimeError("vmap cannot\nbatch it"), True), (MemoryError(), True), (UserError("no data"), False)],
)
def test_seeds_that_fail_together_are_left_to_be_trained_alone_with_a_line(
    error: Exception, reported: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """What is the user's to mend is reported by each run alone."""
    runs = [plan("small", seed=1), plan("small", seed=2)]

    def fail(*_: object) -> None:
        raise error

    served = Served(SimpleNamespace(), lambda report: None)  # type: ignore[arg-type]
    vars(served)["_runner"] = SimpleNamespace(together=lambda runs: [0, 1], train_together=fail)
    assert served._train_together(runs) == {}
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == reported
    assert all("one by one" in line and type(error).__name__ in line and "\n" not in line for line in lines)
