"""Tables in Markdown."""

from dataclasses import replace

from boards import BOARD

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.leaderboard.formats.render import render


def test_markdown() -> None:
    assert (
        render(BOARD, "md")
        == r"""## Base-to-novel generalization

### Average over 11 datasets

| Method   |            Base |   Novel |
|:---------|----------------:|--------:|
| coop     | **80.47 ±0.50** | 9 of 11 |
| a\_b & c |    <u>74.21</u> |       – |

### DTD

| Method   |         Base |           Novel |
|:---------|-------------:|----------------:|
| coop     |  70.00 (2/3) | **80.47 ±0.50** |
| a\_b & c | <u>74.21</u> |    <u>74.21</u> |

### Cost, mean over runs

| Method   |   Parameters |   Training s |
|:---------|-------------:|-------------:|
| coop     |        8,192 |         12.3 |
| a\_b & c |            0 |            – |

Mean ± spread; 95 % interval.

- coop: 1 run\_missing
"""
    )


def test_a_name_is_no_markup() -> None:
    label = Label("&#x202e;<b>[x](y)")
    rows = tuple(replace(row, name=label) for row in BOARD.tables[0].rows)
    board = replace(BOARD, tables=(replace(BOARD.tables[0], rows=rows),))
    assert r"\&\#x202e;\<b\>\[x\](y)" in render(board, "md")
