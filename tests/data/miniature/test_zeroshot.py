import pytest

from promptarena.benchmark.core.paths import MINIATURE
from tools.miniature.zeroshot_table import ELEVEN, VARIANTS, Row, means, shortfalls, table


def perfect():
    rows = {name: Row(name, 40, 70.0, 75.0, 75.0) for name in ELEVEN}
    return rows | {name: Row(name, 100, 60.0, 70.0, 70.0) for name in VARIANTS}


def test_good_rows_have_no_shortfall():
    assert shortfalls(perfect()) == []
    assert means(perfect()) == (75, 75)


@pytest.mark.parametrize(
    ("name", "row", "message"),
    [
        ("things", Row("things", 100, 61.0, 75.0, 75.0), "things: 61.0 is below 62"),
        ("food", Row("food", 48, 20.0, 75.0, 75.0), "food: 20.0 is below 15 times chance"),
        ("flags", Row("flags", 40, 70.0, 96.0, 75.0), "flags: base 96.0 is above 95"),
        ("things-sketch", Row("things-sketch", 100, 29.0, 70.0, 70.0), "things-sketch: 29.0 is not within 30"),
        ("things-v2", Row("things-v2", 100, 71.0, 70.0, 70.0), "things-v2: 71.0 is not within 50"),
    ],
)
def test_each_shortfall_is_reported(name, row, message):
    assert any(message in line for line in shortfalls(perfect() | {name: row}))


@pytest.mark.slow
def test_the_shipped_checkpoint_meets_every_limit():
    assert shortfalls(table(MINIATURE / "model")) == []
