"""What to run: numbers that no run can have are refused, and a run's name says what the user changed."""

import pickle
from dataclasses import replace

import pytest
from record_runs import plan

from promptarena.benchmark.core.errors import UserError

SPEC = plan("small").spec


@pytest.mark.parametrize("change", [{"shots": 0}, {"shots": -1}, {"shots": 2**63}, {"seed": -1}, {"seed": 2**63}])
def test_numbers_that_no_run_can_have_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(UserError, match=next(iter(change)).rstrip("s")):
        replace(SPEC, **change)


def test_zero_is_a_seed_and_the_largest_number_is_kept() -> None:
    assert replace(SPEC, seed=0, shots=2**63 - 1).seed == 0


def test_the_label_says_what_the_user_changed() -> None:
    assert SPEC.label == "coop"
    assert replace(SPEC, overrides=(("n_ctx", "16"),)).label == "coop(n_ctx=16)"


def test_plans_travel_between_processes() -> None:
    planned = plan("small")
    assert pickle.loads(pickle.dumps(planned)) == planned
