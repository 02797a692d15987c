"""What there is to compare, from Python."""

from pathlib import Path

import pytest

import promptarena as pa
from promptarena.methods.zeroshot import ZeroShot


def test_methods_are_the_registered_ones_with_those_of_a_file(tmp_path: Path) -> None:
    plugin = tmp_path / "mine.py"
    plugin.write_text(
        "from promptarena.methods.zeroshot import ZeroShot\n\n\nclass Mine(ZeroShot):\n"
        '    """Zero-shot."""\n\n    about = ZeroShot.about\n'
    )
    listed = pa.methods([plugin])
    assert {"coop", "mine", "zeroshot"} <= set(listed.index)
    assert listed.loc["coop", "parameters"] > 0
    assert (listed["year"].diff().dropna() >= 0).all()
    assert not listed.loc["zeroshot", "trains"]


def test_a_check_has_one_row_per_rule() -> None:
    checked = pa.check_method(ZeroShot)
    assert checked["rule"].is_unique
    assert not (checked["passed"] == False).any()  # noqa: E712  (a frame, in which some are missing)


def test_what_there_is_not_is_one_line() -> None:
    with pytest.raises(pa.UserError, match="minni"):
        pa.load_suite("minni")
    with pytest.raises(pa.UserError, match=r"none.py"):
        pa.methods(["none.py"])
