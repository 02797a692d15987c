"""The simulation of a comparison's length: within Graham's bound, and exact where nothing is left to chance."""

from hypothesis import given
from hypothesis import strategies as st
from schedule_runs import run

from promptarena.benchmark.running.makespan import simulate
from promptarena.benchmark.running.schedule import Schedule

SIZES = st.lists(st.floats(0.1, 100), min_size=1, max_size=40)


@given(SIZES, st.integers(1, 9))
def test_a_length_lies_between_the_bound_and_twice_it(sizes: list[float], workers: int) -> None:
    runs = [run("abc"[number % 3], number) for number in range(len(sizes))]
    by_key = {each.key: size for each, size in zip(runs, sizes, strict=True)}
    found = simulate(Schedule(runs, by_key, workers), workers)
    assert found.bound * (1 - 1e-9) <= found.length <= (found.work / workers + 2 * found.longest) * (1 + 1e-9)
    if workers == 1:
        assert abs(found.length - sum(sizes)) < 1e-6


def test_a_training_that_protocols_share_is_one_piece() -> None:
    runs = [run("a", 1, protocol, training="shared") for protocol in ("cross-dataset", "domain-generalization")]
    found = simulate(Schedule(runs, {each.key: 3.0 for each in runs}, 2), 2)
    assert (found.length, found.longest, found.bound) == (6.0, 6.0, 6.0)
