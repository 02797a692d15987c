"""What may be averaged and compared: leftovers of older settings are left out, mixes are refused by name."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from exported import START

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import Cost, StoredResult, StoredScore, Target
from promptarena.benchmark.leaderboard.comparable import unmixed
from promptarena.benchmark.leaderboard.frame import tidy

SETTINGS = {
    "config.n_ctx": "4",
    "recipe.lr": "0.002",
    "provenance.backbone": "b" * 64,
    "provenance.precision": "fp32",
    "provenance.training_version": "3",
    "provenance.transform_version": "1",
    "provenance.method_source": "s" * 64,
}
AVERAGED = ("config.n_ctx", "recipe.lr", "provenance.precision", "provenance.training_version",
            "provenance.transform_version")  # fmt: skip


def run(
    label: str = "coop", seed: int | None = 1, dataset: str = "dtd", day: int = 0, own: bool = False, **changes: str
) -> StoredResult:
    """A run that ended on this day; `changes` replaces settings, with __ for the dot."""
    targets = (Target(dataset, "base"), Target(dataset, "novel"))
    named = {f"provenance.targets.{dataset}/{target.subset}": f"test of {dataset} {own}" for target in targets}
    settings = SETTINGS | named | {"provenance.train_split": f"{dataset} {seed or 0} {own}"}
    settings |= {name.replace("__", "."): value for name, value in changes.items()}
    return StoredResult(
        run_id=f"{label}-{dataset}-{seed}-{day}-{own}",
        run_key=f"key {label} {dataset} {seed} {day} {own}",
        suite="small",
        protocol="base-to-novel",
        method=label,
        dataset=dataset,
        shots=16,
        seed=seed,
        backbone="mini-clip",
        miniature=True,
        scores=tuple(StoredScore(target, 10, 20) for target in targets),
        cost=Cost(1, 1.0, 1, 1.0, 1, 1.0),
        finished_at=START + timedelta(days=day),
        own_splits=(dataset,) if own else (),
        settings=settings,
    )


def changed(name: str) -> dict[str, str]:
    return {name.replace(".", "__"): "77"}


def refusal(*runs: StoredResult) -> str:
    with pytest.raises(UserError) as error:
        unmixed(runs)
    text = str(error.value)
    assert "\n" not in text
    assert "--methods" in text
    assert "delete the runs" in text
    assert "run the comparison again" in text
    return text


def test_runs_that_agree_stay_in_their_order_without_a_word() -> None:
    runs = [run(seed=seed, dataset=name) for seed in (3, 1, 2) for name in ("dtd", "pets")]
    runs += [run("zeroshot", None), run("dear", 1, config__n_ctx="9", recipe__lr="0.1")]
    assert unmixed(runs) == (runs, [])


@pytest.mark.parametrize("name", AVERAGED)
def test_seeds_of_different_settings_are_not_averaged(name: str) -> None:
    text = refusal(run(seed=1), run(seed=2), run(seed=3, day=1, **changed(name)))
    assert text.startswith("cannot average coop on dtd (base-to-novel)")
    assert f"{name} {SETTINGS[name]} in coop dtd seed 1 (run coop-dtd), coop dtd seed 2" in text
    assert f"{name} 77 in coop dtd seed 3" in text


@pytest.mark.parametrize("name", AVERAGED)
def test_older_settings_are_left_out_where_the_newest_cover_all(name: str) -> None:
    old = [run(seed=seed) for seed in (1, 2)]
    new = [run(seed=seed, day=1, **changed(name)) for seed in (1, 2, 3)]
    for order in ([*old, *new], [*new, *old]):
        kept, (note,) = unmixed(order)
        assert {each.run_id for each in kept} == {each.run_id for each in new}
        assert note["protocol"] == "base-to-novel"
        assert "older runs are left out" in note["text"]
        assert all(each in note["text"] for each in (name, SETTINGS[name], "77", "seed 1", "seed 2"))


def test_a_newest_seed_alone_does_not_displace_the_others() -> None:
    assert "recipe.lr" in refusal(run(seed=1), run(seed=2), run(seed=1, day=1, recipe__lr="77"))


def test_newer_runs_that_scored_less_do_not_displace_older_ones() -> None:
    newer = run(day=1, recipe__lr="77")
    assert "recipe.lr" in refusal(run(), replace(newer, scores=newer.scores[:1]))
    hole = replace(newer, scores=newer.scores[:1], unscored={newer.scores[1].target: "no such classes"})
    assert unmixed([run(), hole])[0] == [hole]


def test_recipes_may_differ_between_datasets_shots_protocols_and_methods() -> None:
    runs = [
        run(),
        run(dataset="pets", recipe__lr="1"),
        replace(run(day=1, recipe__lr="2"), shots=4),
        replace(run(day=2, recipe__lr="3"), protocol="few-shot"),
        run("maple", recipe__lr="4"),
    ]
    assert unmixed(runs) == (runs, [])


@pytest.mark.parametrize("name", ["provenance.precision", "provenance.training_version"])
def test_averages_over_datasets_agree_in_the_harness(name: str) -> None:
    assert name in refusal(run(), run(dataset="pets", day=1, **changed(name)))


def test_methods_on_different_weights_are_not_compared() -> None:
    text = refusal(run("zeroshot", None), run("coop", day=1, provenance__backbone="c" * 64))
    assert text.startswith("one leaderboard cannot mix zeroshot, coop on dtd")
    assert "provenance.backbone bbbbbbbbbbbb… in zeroshot dtd (run zeroshot)" in text
    assert "provenance.backbone cccccccccccc… in coop dtd seed 1" in text
    kept, notes = unmixed([run(), run(day=1, provenance__backbone="c")])
    assert [each.finished_at.day for each in kept] == [2]
    assert len(notes) == 1


def test_methods_scored_on_different_images_are_not_compared() -> None:
    other = {"provenance__targets__dtd/base": "another test split"}
    changes = {name.replace("__", "."): value for name, value in other.items()}
    shifted = replace(run("maple", day=1), settings=run("maple").settings | changes)
    assert "provenance.targets.dtd/base" in refusal(run("coop"), shifted)


def test_methods_trained_on_different_draws_of_one_seed_are_not_compared() -> None:
    assert "provenance.train_split" in refusal(run("coop"), run("maple", provenance__train_split="another"))
    assert "provenance.train_split" in refusal(run("zeroshot", None), run("coop", 0, provenance__train_split="x"))


def test_own_splits_are_reported_apart_from_published_ones() -> None:
    runs = [run(), run(own=True, day=1), run("maple", own=True)]
    assert unmixed(runs) == (runs, [])


def test_what_one_run_does_not_record_is_a_difference() -> None:
    bare = replace(run(seed=2, day=1), settings={})
    assert "not recorded" in refusal(run(), bare)


def test_results_without_any_settings_agree() -> None:
    runs = [replace(run(seed=seed), settings={}) for seed in (1, 2)]
    assert unmixed(runs) == (runs, [])


def test_another_version_of_a_method_s_code_is_noted() -> None:
    runs = [run(), run(seed=2, day=1, provenance__method_source="t")]
    kept, (note,) = unmixed(runs)
    assert kept == runs
    assert "coop: runs of different versions of its code" in note["text"]
    rerun = [run(day=2, provenance__method_source="t"), *runs]
    assert unmixed(rerun)[1] == []


def test_many_mixes_are_counted_not_listed() -> None:
    labels = [f"method{number}" for number in range(40)]
    runs = [run(label, seed, day=seed, recipe__lr=str(seed)) for label in labels for seed in (1, 2)]
    text = refusal(*runs)
    assert "and 37 more like it" in text
    assert len(text) < 1200


def test_settings_that_were_cut_short_still_differ() -> None:
    assert "config.template" in refusal(run(config__template="x" * 99), run(seed=2, config__template="x" * 98))


def test_the_frame_holds_only_what_may_be_mixed() -> None:
    runs: list[Any] = [run(), run(day=1, recipe__lr="77")]
    frame = tidy(runs)
    assert set(frame["run_id"]) == {runs[1].run_id}
    (note,) = frame.attrs["notes"]
    assert "older runs are left out" in note["text"]
    with pytest.raises(UserError, match="cannot average"):
        tidy([run(seed=2), *runs])
