"""What there is to compare: suites, methods and published figures; and the check of a method of one's own."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.planning.suites import load_suite as _load_suite

if TYPE_CHECKING:
    import pandas as pd

    from promptarena.benchmark.plugins.learner import Learner


def load_suite(suite: str | Path = "mini") -> Suite:
    """Load a suite: its datasets, protocols, methods, seeds and backbone.

    Args:
        suite: A built-in suite's name, or the path of a suite's TOML file.

    Returns:
        The suite.

    Raises:
        UserError: There is no such suite, or its file is wrong.

    >>> load_suite("mini").source
    'things'
    """
    return _load_suite(str(suite))


def methods(plugins: Sequence[str | Path] = ()) -> "pd.DataFrame":
    """List the methods: built-in, of installed packages, and of the files given.

    Args:
        plugins: Python files that define methods.

    Returns:
        One row per method, from the oldest to the newest, indexed by its name: title, paper, venue, year, url, parity,
        trains (False if one run without a seed says it all), parameters (trainable, on the miniature's CLIP with 100
        classes; missing if they cannot be counted) and origin.

    Raises:
        UserError: A file cannot be used.

    >>> methods().loc["coop", "venue"]
    'IJCV'
    """
    import pandas as pd

    from promptarena.benchmark.planning.listed_methods import listed_methods

    cards, _ = listed_methods([Path(path) for path in plugins])
    columns = ["title", "paper", "venue", "year", "url", "parity", "trains", "parameters", "origin"]
    rows = [[getattr(card, column) for column in columns] for card in cards.values()]
    frame = pd.DataFrame(rows, columns=columns, index=pd.Index(cards, name="method"))
    return frame.astype({"parameters": "Int64"})


def published() -> "pd.DataFrame":
    """Load the published figures, one row per figure, with its paper and table.

    Returns:
        The rows of the files in `results/published`; docs/published.md describes the columns.

    >>> bool((published()["method"] == "coop").any())
    True
    """
    from promptarena.benchmark.published.load import load_published

    return load_published()


def check_method(method: "type[Learner]") -> "pd.DataFrame":
    """Check a method against the rules of the plugin interface, on a small world of drawn images.

    Args:
        method: The method's class.

    Returns:
        One row per rule: rule, passed (missing if the rule does not apply), seen, fix. An exception of the method is
        not raised; it counts as a broken rule.

    >>> from promptarena.methods.zeroshot import ZeroShot
    >>> bool(check_method(ZeroShot)["passed"].dropna().all())
    True
    """
    import pandas as pd

    from promptarena.benchmark.contract.kit import check

    rows = [(each.rule, each.passed, each.seen, each.fix) for each in check(method)]
    return pd.DataFrame(rows, columns=["rule", "passed", "seen", "fix"])
