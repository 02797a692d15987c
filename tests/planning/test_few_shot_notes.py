"""Few-shot splits: repeated ones are left out, and classes with too few images are named."""

from dataclasses import replace
from pathlib import Path

from record_runs import plan
from worlds import Listed, suite

from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.planning.few_shot_notes import FEWEST, fewest_notes, without_repeated_splits


def runs(*shots: int, seed: int = 1) -> list[PlannedRun]:
    first = plan("world", protocol="few-shot")
    return [
        replace(
            first,
            key=f"{count}/{seed}",
            spec=replace(first.spec, dataset="birds", subset="all", shots=count, seed=seed),
        )
        for count in shots
    ]


def test_only_a_number_of_shots_that_gives_new_images_is_run(tmp_path: Path) -> None:
    planned = runs(16, 2, 8) + runs(8, seed=2)
    kept, notes = without_repeated_splits(planned, suite(tmp_path), Listed())
    assert [run.key for run in kept] == ["2/1", "8/1", "8/2"]
    assert notes == ("birds: 16 shots are left out (few-shot); they are the same training images as 8.",)


def test_the_smallest_class_is_named_once_for_each_number_of_shots() -> None:
    planned = [replace(run, provenance={FEWEST: fewest}) for run, fewest in zip(runs(8, 8, 16), (3, 1, 5), strict=True)]
    few = fewest_notes([*planned, *runs(4)])
    assert [line.split(",")[0] for line in few] == ["birds: 8 shots are requested", "birds: 16 shots are requested"]
    assert "only 1 training image;" in few[0]
    assert "only 5 training images;" in few[1]
