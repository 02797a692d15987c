"""Who is given which runs: the seeds of a method together, the longest first, and no worker left idle for it."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st
from schedule_runs import run

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.running.schedule import Schedule


def drawn(schedule: Schedule) -> list[list[PlannedRun]]:
    taken = []
    while schedule:
        taken.append(schedule.take())
    return taken


def equal_costs(runs: list[PlannedRun], size: float = 1.0) -> dict[str, float]:
    return {each.key: size for each in runs}


def test_one_worker_is_given_the_seeds_of_a_method_on_a_dataset_together() -> None:
    runs = [run(method, seed, dataset=name) for seed in (1, 2, 3) for method in ("a", "b") for name in ("food", "cars")]
    for group in drawn(Schedule(runs, equal_costs(runs), 1)):
        assert len({(each.spec.method, each.spec.dataset) for each in group}) == 1
        assert sorted(each.spec.seed or 0 for each in group) == [1, 2, 3]


def test_runs_that_share_a_training_are_given_to_one_worker_in_order() -> None:
    runs = [
        run("a", seed, protocol, training=f"shared {seed}")
        for protocol in ("cross-dataset", "domain-generalization")
        for seed in (1, 2, 3)
    ]
    for workers in (1, 2, 5):
        for group in drawn(Schedule(runs, equal_costs(runs), workers)):
            counts = Counter(each.train_key for each in group)
            assert set(counts.values()) == {2}
            for training in counts:
                first, second = (each.spec.protocol for each in group if each.train_key == training)
                assert (first, second) == ("cross-dataset", "domain-generalization")


def test_the_longest_group_is_given_out_first() -> None:
    runs = [run(method, seed) for method in ("short", "long", "middle") for seed in (1, 2)]
    sizes = {each.key: {"short": 1.0, "long": 9.0, "middle": 4.0}[each.spec.method] for each in runs}
    assert [group[0].spec.method for group in drawn(Schedule(runs, sizes, 1))] == ["long", "middle", "short"]


def test_one_group_is_divided_among_the_workers() -> None:
    runs = [run("a", seed) for seed in range(4)]
    assert [len(group) for group in drawn(Schedule(runs, equal_costs(runs), 2))] == [2, 1, 1]
    assert [len(group) for group in drawn(Schedule(runs, equal_costs(runs), 4))] == [1, 1, 1, 1]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 5), st.floats(0.1, 100)), max_size=30),
    st.integers(1, 6),
)
def test_all_runs_are_given_out_once_and_none_is_more_than_a_workers_share(
    listed: list[tuple[str, int, float]], workers: int
) -> None:
    sized = {run(method, seed).key: (run(method, seed), size) for method, seed, size in listed}
    sizes = {key: size for key, (_, size) in sized.items()}
    schedule, left = Schedule([each for each, _ in sized.values()], sizes, workers), sum(sizes.values())
    given_out = []
    while schedule:
        group = schedule.take()
        taken = sum(sizes[each.key] for each in group)
        assert len(group) == 1 or taken <= left / workers * (1 + 1e-9)
        left -= taken
        given_out += [each.key for each in group]
    assert sorted(given_out) == sorted(sizes)


def test_what_comes_back_is_given_out_again_together_or_alone() -> None:
    runs = [run("a", seed) for seed in range(3)]
    schedule = Schedule(runs, equal_costs(runs), 1)
    taken = schedule.take()
    schedule.put_back(taken[1:], alone=False)
    again = schedule.take()
    assert again == taken[1:]
    assert not schedule
    schedule.put_back(again, alone=True)
    assert drawn(schedule) == [[each] for each in again]
    schedule.put_back([], alone=False)
    assert not schedule
