"""The warning about methods that training made worse than zero-shot CLIP on the classes they were trained on."""

from collections.abc import Mapping

import pytest
from score_frames import DATASETS, frame_of

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.build import BoardQuery

Given = Mapping[str | Label, tuple[float, float, float]]


def warnings(accuracies: Given, protocol: str = "base-to-novel", **common: object) -> list[str]:
    """The warnings of a board on which each method has these base accuracies on three datasets, and 50 on novel."""
    few = protocol == "few-shot"
    rows = [
        (method, DATASETS[place][0], 1, {"all": accuracy} if few else {"base": accuracy, "novel": 50.0})
        for method, each in accuracies.items()
        for place, accuracy in enumerate(each)
    ]
    query = BoardQuery(frame_of(rows, protocol, **common), protocol, DATASETS[:3], shots=(16,) if few else ())
    return [note for note in query.board.notes if note.startswith("Warning")]


def test_it_names_the_method_and_its_datasets() -> None:
    assert warnings({"zeroshot": (70, 70, 70), "coop": (60, 80, 69), "maple": (71, 72, 73)}) == [
        "Warning: coop was trained, but ends below zeroshot on the classes it was trained on in 2 of 3 datasets "
        "(Data 0, Data 2); check its recipe and its seeds"
    ]


@pytest.mark.parametrize(
    "given",
    [
        {"zeroshot": (70, 70, 70), "coop": (60, 80, 70)},  # one dataset, and one equal figure
        {"coop": (60, 60, 60), "maple": (70, 70, 70)},  # no zero-shot to compare with
        {Label("zeroshot", (("template", "x"),)): (70, 70, 70), "coop": (60, 60, 60)},  # another zero-shot
    ],
)
def test_there_is_none_without_several_datasets_or_without_zeroshot(given: Given) -> None:
    assert warnings(given) == []


def test_a_method_that_trains_nothing_is_not_warned_about() -> None:
    given: Given = {"zeroshot": (70, 70, 70), "ensemble": (60, 60, 60)}
    assert warnings(given, trainable_parameters=0) == []
    assert len(warnings(given)) == 1


def test_few_shot_counts_all_classes() -> None:
    assert len(warnings({"zeroshot": (70, 70, 70), "coop": (60, 60, 60)}, "few-shot")) == 1
