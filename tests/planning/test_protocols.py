"""Protocols: what is trained, on which seeds, and what is scored."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.core.runs import Target
from promptarena.benchmark.planning.protocols import enumerate_runs
from promptarena.benchmark.planning.suites import BackboneSource, Suite

SUITE = Suite(
    name="toy",
    title="Toy",
    backbone=BackboneSource(config=Path("a.json"), weights=Path("w.safetensors")),
    datasets=("things", "birds", "cars"),
    source="things",
    targets=("birds", "cars"),
    variants=("things-v2", "things-sketch"),
    protocols=("base-to-novel", "cross-dataset", "domain-generalization"),
    shots=16,
    few_shot_shots=(1, 4),
    seeds=(1, 2),
)
METHODS = {"zeroshot": False, "coop": True}


def test_base_to_novel_trains_each_dataset_on_base_and_scores_both_sides() -> None:
    runs, notes = enumerate_runs(SUITE, {"coop": True}, protocols=["base-to-novel"])
    assert notes == ()
    assert [(run.dataset, run.seed) for run in runs] == [(d, s) for d in SUITE.datasets for s in (1, 2)]
    for run in runs:
        assert (run.subset, run.shots) == ("base", 16)
        assert run.targets == (Target(run.dataset, "base"), Target(run.dataset, "novel"))


@pytest.mark.parametrize(
    ("protocol", "scored"),
    [("cross-dataset", SUITE.targets), ("domain-generalization", SUITE.variants)],
)
def test_transfer_trains_once_per_seed_on_the_source_and_scores_it_first(protocol: str, scored: tuple[str]) -> None:
    runs, _ = enumerate_runs(SUITE, {"coop": True}, protocols=[protocol])
    assert [run.seed for run in runs] == [1, 2]
    for run in runs:
        assert (run.dataset, run.subset, run.shots) == ("things", "all", 16)
        assert run.targets == tuple(Target(name, "all") for name in ("things", *scored))


def test_few_shot_trains_all_classes_for_every_number_of_shots() -> None:
    runs, _ = enumerate_runs(SUITE, {"coop": True}, protocols=["few-shot"], datasets=["birds"])
    assert [(run.shots, run.seed) for run in runs] == [(1, 1), (1, 2), (4, 1), (4, 2)]
    assert {(run.subset, run.targets) for run in runs} == {("all", (Target("birds", "all"),))}


def test_defaults_are_the_suites() -> None:
    runs, _ = enumerate_runs(SUITE, METHODS)
    assert {run.protocol for run in runs} == set(SUITE.protocols)
    assert {run.suite for run in runs} == {"toy"}
    assert len(runs) == (3 + 1 + 1) * (1 + 2)
    assert len(set(runs)) == len(runs)


def test_a_method_without_randomness_runs_once_without_a_seed() -> None:
    runs, _ = enumerate_runs(SUITE, {"zeroshot": False}, protocols=["base-to-novel"], seeds=[1, 2, 3])
    assert [run.seed for run in runs] == [None, None, None]


def test_seed_zero_is_kept_and_duplicates_are_dropped() -> None:
    runs, _ = enumerate_runs(
        SUITE,
        {"coop": True},
        protocols=["base-to-novel", "base-to-novel"],
        seeds=[0, 0, 5],
        datasets=["cars", "cars"],
        shots=[2, 2],
    )
    assert [(run.dataset, run.seed, run.shots) for run in runs] == [("cars", 0, 2), ("cars", 5, 2)]


def test_the_filter_keeps_the_source_of_a_transfer_protocol() -> None:
    runs, _ = enumerate_runs(SUITE, {"coop": True}, protocols=["cross-dataset"], seeds=[1], datasets=["cars"])
    assert runs[0].dataset == "things"
    assert runs[0].targets == (Target("things", "all"), Target("cars", "all"))


def test_a_protocol_without_a_requested_target_is_left_out_with_a_note() -> None:
    runs, notes = enumerate_runs(SUITE, {"coop": True}, datasets=["birds"])
    assert {run.protocol for run in runs} == {"base-to-novel", "cross-dataset"}
    assert notes == ("domain-generalization is left out: none of birds is a dataset it scores",)


def test_datasets_keep_the_suites_order() -> None:
    runs, _ = enumerate_runs(SUITE, {"zeroshot": False}, protocols=["base-to-novel"], datasets=["cars", "things"])
    assert [run.dataset for run in runs] == ["things", "cars"]


def test_overrides_go_to_their_method_sorted() -> None:
    runs, _ = enumerate_runs(
        SUITE, METHODS, protocols=["base-to-novel"], overrides={"coop": {"n_ctx": "16", "csc": "true"}}
    )
    labels = {run.method: run.label for run in runs}
    assert labels == {"zeroshot": "zeroshot", "coop": "coop(csc=true, n_ctx=16)"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"protocols": ["base2novel"]}, "unknown protocol 'base2novel'; did you mean base-to-novel?"),
        ({"datasets": ["bird"]}, "unknown dataset 'bird'; did you mean birds?"),
        ({"overrides": {"coops": {}}}, "unknown method 'coops'; did you mean coop?"),
        ({"seeds": [-1]}, "seeds must not be negative, got -1"),
        ({"shots": [0]}, "shots must be at least 1, got 0"),
    ],
)
def test_mistakes_are_reported(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match="^" + message.replace("?", r"\?")):
        enumerate_runs(SUITE, METHODS, **arguments)  # type: ignore[arg-type]


def test_a_protocol_the_suite_has_no_datasets_for_is_an_error() -> None:
    alone = SUITE.model_copy(update={"source": None})
    with pytest.raises(UserError, match="suite 'toy' cannot run cross-dataset: it names no source"):
        enumerate_runs(alone, METHODS, protocols=["cross-dataset"])


@given(
    st.sets(st.sampled_from(SUITE.dataset_names)), st.sets(st.sampled_from(list(PROTOCOLS))), st.sets(st.integers(0, 9))
)
def test_any_choice_gives_different_runs_with_targets(datasets: set[str], protocols: set[str], seeds: set[int]) -> None:
    runs, notes = enumerate_runs(
        SUITE, METHODS, protocols=sorted(protocols), seeds=sorted(seeds), datasets=sorted(datasets)
    )
    assert len(set(runs)) == len(runs)
    assert all(run.targets for run in runs)
    assert {run.protocol for run in runs} | {note.split()[0] for note in notes} == set(protocols or SUITE.protocols)
