"""No figure here is timed: the measured tables are planted, as the committed ones are."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest

check = importlib.import_module("tools.speed.check")
ABOUT = "A machine; {} thread(s), ViT-B-16-quickgelu, float32, random weights."
TEXT = check.Table("Texts", ["contexts", "cumulative", "CPU ratio"], [["4", "yes", "2.0x"]], ABOUT.format(1))
HEADERS = ["method", "classes", "batch", "naive CPU s", "fresh CPU ratio", "fresh wall ratio"]


def table(*ratios: str, method: str = "coop", title: str = "A step", threads: int = 1, wall: str = "2.0x") -> Any:
    rows = [[method, str(20 + number), "8", "1.0", cell, wall] for number, cell in enumerate(ratios)]
    return check.Table(title, HEADERS, rows, ABOUT.format(threads))


def checked(now: Any, then: Any, name: str = "steps") -> Any:
    return check.check({name: now}, {name: then})


def test_a_ratio_that_fell_by_more_than_fifteen_percent_has_a_line() -> None:
    found = checked(table("1.69x (1.6-1.8)", "8.51x", "30.0x"), table("2.0x (1.9-2.1)", "10.0x", "20.0x"))
    assert found.compared == 3
    assert [str(fall) for fall in found.fallen] == [
        "steps: coop, 20, 8, fresh CPU ratio: 1.69x (1.6-1.8), committed 2.0x (1.9-2.1)"
    ]


@pytest.mark.parametrize("cell", ["nanx (nan-nan)", "-", "0.0x"])
def test_a_ratio_that_is_no_number_has_fallen(cell: str) -> None:
    assert len(checked(table(cell), table("2.0x")).fallen) == 1


def test_ratios_of_the_clock_are_not_compared() -> None:
    assert checked(table("2.0x", wall="0.1x"), table("2.0x")) == (1, [])


@pytest.mark.parametrize("other", [{"title": "Another step"}, {"threads": 2}, {"method": "maple"}])
def test_other_work_is_not_compared(other: dict[str, Any]) -> None:
    assert checked(table("1.0x"), table("9.0x", **other)) == (0, [])


def test_tables_without_the_naive_path_are_not_compared() -> None:
    assert checked(table("1.0x"), table("9.0x"), "seeds") == (0, [])


def test_what_the_committed_table_does_not_have_is_not_compared() -> None:
    assert checked(table("2.0x", "0.1x"), table("2.0x", "-")) == (1, [])


def test_the_committed_tables_are_read_with_all_their_ratios() -> None:
    found = check.committed_tables(check.COMMITTED)
    assert set(found) == set(check.AGAINST_NAIVE)
    for name, committed in found.items():
        alone = check.check({name: committed}, found)
        assert alone.compared > 0, name
        assert alone.fallen == []
    assert check.check(found, found).compared > 100


def test_only_what_falls_twice_has_fallen_and_each_row_is_measured_again_once() -> None:
    then = table("2.0x", "10.0x", "20.0x")
    first = checked(table("1.0x", "1.0x", "20.0x"), then).fallen
    asked: list[tuple[str, int]] = []

    def measured(method: str, classes: int) -> dict[str, Any]:
        asked.append((method, classes))
        return {"steps": table("1.9x", "5.0x", "1.0x")}  # the last fell now, but not before

    assert check.fallen_again(first, {"steps": then}, {"steps": measured}) == first[1:]
    assert asked == [("coop", 20), ("coop", 21)]


def test_what_cannot_be_measured_alone_has_fallen() -> None:
    first = check.check({"text": TEXT._replace(rows=[["4", "yes", "1.0x"]])}, {"text": TEXT}).fallen
    assert check.fallen_again(first, {"text": TEXT}, {}) == first != []


def test_a_second_measurement_of_something_else_takes_nothing_back() -> None:
    then = table("2.0x")
    first = checked(table("1.0x"), then).fallen
    other = {"steps": table("9.0x", title="Another step")}
    assert check.fallen_again(first, {"steps": then}, {"steps": lambda *_: other}) == first != []


def speed(monkeypatch: pytest.MonkeyPatch, measured: str, *arguments: object, later: str | None = None) -> None:
    """The command, with a part that shows a planted table; `later` is measured the second time."""
    main, ratios = importlib.import_module("tools.speed.__main__"), iter((measured, later or measured))
    monkeypatch.setattr(main, "World", lambda name: type("Planted", (), {"ours": type("Model", (), {"name": name})}))
    monkeypatch.setattr(
        main, "steps", lambda *given: given[-1].show("steps", "A step", HEADERS, table(next(ratios)).rows, "A note.")
    )
    monkeypatch.setattr(sys, "argv", ["speed.py", "steps", *map(str, arguments)])
    main.main()


@pytest.mark.parametrize(("measured", "later", "code"), [("1.71x", None, 0), ("1.69x", None, 1), ("1.69x", "2.0x", 0)])
def test_the_command_ends_with_1_if_a_ratio_fell_twice(
    measured: str,
    later: str | None,
    code: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    speed(monkeypatch, "2.0x", "--out", tmp_path)  # what is committed
    capsys.readouterr()
    with pytest.raises(SystemExit) as ended:  # --out must not replace it before
        speed(monkeypatch, measured, "--check", tmp_path, "--out", tmp_path, later=later)
    assert ended.value.code == code
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == f"1 ratios compared, {code} fell by more than 15 %"
    assert sum("committed 2.0x" in line for line in lines) == code


def test_a_check_that_compares_nothing_does_not_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        speed(monkeypatch, "2.0x", "--check", tmp_path)
    assert ended.value.code == 2
    assert "no row of" in capsys.readouterr().err


@pytest.mark.parametrize("words", [("floor",), ("seeds",), ("runs", "--quick"), ("all", "--quick")])
def test_what_cannot_be_checked_is_refused_before_it_is_measured(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["speed.py", *words, "--check"])
    with pytest.raises(SystemExit) as ended:
        importlib.import_module("tools.speed.__main__").main()
    assert ended.value.code == 2
    assert "--check" in capsys.readouterr().err.splitlines()[-1]
