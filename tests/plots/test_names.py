"""Names of methods in figures."""

import pytest

from promptarena.benchmark.plots.names import names_within, shortened
from promptarena.benchmark.plots.style import COLUMN, PAGE


def test_long_names_lose_their_middle_unless_that_confuses_them() -> None:
    long = "dear(attribute_tokens=false, fusion_weight=0.25)"
    names = shortened([long, "coop"])
    assert names["coop"] == "coop"
    assert len(names[long]) == 34
    assert names[long].startswith("dear(attribute")
    assert names[long].endswith("weight=0.25)")
    twins = [f"dear(attribute_tokens={value}, fusion_weight=0.25)" for value in ("false", "wrong")]
    assert len(set(shortened(twins).values())) == 2


@pytest.mark.parametrize("width", [COLUMN, PAGE])
@pytest.mark.parametrize("count", [2, 40])
def test_names_that_differ_only_in_the_middle_are_short_and_differ(width: float, count: int) -> None:
    labels = [f"dear(attribute_tokens=false, fusion_weight={place}, and_more_settings=true)" for place in range(count)]
    names = names_within(labels, width)
    assert len(set(names.values())) == count
    assert max(map(len, names.values())) <= (34 if width == PAGE else 18)
    assert all(f"={place}" in names[label] for place, label in enumerate(labels))
