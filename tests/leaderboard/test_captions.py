"""The caption of a table says how its figures came about."""

from board_results import results_of, sides

from promptarena.benchmark.leaderboard.build import BoardQuery
from promptarena.benchmark.leaderboard.frame import tidy


def test_the_caption_says_how_the_figures_came_about() -> None:
    runs = results_of([("coop", "dtd", seed, sides("dtd", 1, 1)) for seed in (1, 2, 3)])
    caption = BoardQuery(tidy(runs), "base-to-novel", [("dtd", "DTD")]).board.caption
    for words in (
        "mini-clip",
        "seeds 1, 2, 3 (n = 3)",
        "sample standard deviation",
        "Student t",
        "last-step",
        "16 training",
    ):
        assert words in caption
    assert "never be compared" not in caption
    small = results_of([("coop", "dtd", 1, sides("dtd", 1, 1))], miniature=True)
    assert (
        "never be compared with published" in BoardQuery(tidy(small), "base-to-novel", [("dtd", "DTD")]).board.caption
    )
