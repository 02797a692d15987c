"""What an error says in one line."""

import pytest

from promptarena.benchmark.core.errors import first_line


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("wrong"), "wrong"),
        (ValueError("wrong\nand more"), "wrong"),
        (ValueError(), "ValueError"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_the_first_line_or_the_type(error: BaseException, line: str) -> None:
    assert first_line(error) == line
