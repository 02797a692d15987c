"""The view in which MLflow's own pages open: a suite's methods with their headline means as columns that sort."""

import json
import urllib.parse
from collections.abc import Iterable

from promptarena.benchmark.core.protocol_table import DEFAULT_PROTOCOL, protocol_info
from promptarena.benchmark.recording.names import LEVEL

VIEW = "leaderboard"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Tag of an experiment; MLflow reads from it what a shared view shows."""

FIRST_CHOICE = f"{DEFAULT_PROTOCOL}/{protocol_info(DEFAULT_PROTOCOL).headline}_pct"


def view_state(headlines: Iterable[str], earlier: str | None) -> str:
    """Make the view of a suite's methods.

    Args:
        headlines: The names of the metrics that become columns.
        earlier: The tag's value up to now, whose columns are kept; None if there is none.

    Returns:
        The tag's value.
    """
    known = json.loads(earlier)["selectedColumns"] if earlier else ["attributes.`Created`"]
    columns = list(dict.fromkeys([*known, *map(_metric, headlines)]))
    order = _metric(FIRST_CHOICE)
    state = {
        "searchFilter": f'tags.{LEVEL.name} = "method"',
        "orderByKey": order if order in columns else columns[-1],
        "orderByAsc": False,
        "selectedColumns": columns,
    }
    return json.dumps(state)


def view_address(experiment_id: str) -> str:
    """The address of the page that shows the view.

    Args:
        experiment_id: The id of the suite's experiment.

    Returns:
        The address below that of MLflow's server.
    """
    words = urllib.parse.urlencode({"workflowType": "machine_learning", "viewStateShareKey": VIEW})
    return f"/#/experiments/{experiment_id}/runs?{words}"


def _metric(name: str) -> str:
    return f"metrics.`{name}`"
