"""The names of the boards."""

import pytest

from promptarena.benchmark.analysis.boards import OF_SEVERAL, SUBJECTS
from promptarena.benchmark.analysis.names import BOARDS, check_boards
from promptarena.benchmark.core.errors import UserError


def test_every_name_is_a_board() -> None:
    assert set(BOARDS) == {*SUBJECTS, *OF_SEVERAL}
    check_boards(BOARDS)


def test_a_mistyped_name_gets_near_ones() -> None:
    with pytest.raises(UserError, match=r"unknown board 'calibratoin'; did you mean calibration\?"):
        check_boards(["calibratoin"])
