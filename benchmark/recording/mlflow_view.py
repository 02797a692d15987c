"""The view in which MLflow's own pages open: the methods of one comparison, with their headline means as columns that
sort."""

import json
import urllib.parse
from collections.abc import Sequence

from promptarena.benchmark.recording.names import DATASETS, LEVEL, PARENT

VIEW = "leaderboard"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Tag of an experiment; MLflow reads from it what a shared view shows."""


def view_state(comparison_id: str, columns: Sequence[str]) -> str:
    """Make the view of a comparison's methods, best first.

    Args:
        comparison_id: The comparison's run id. Methods of other comparisons have other datasets or seeds.
        columns: The names of the metrics that become columns; rows are sorted by the first.

    Returns:
        The tag's value.
    """
    shown = [f"metrics.`{name}`" for name in columns]
    state = {
        "searchFilter": f'tags.{LEVEL.name} = "method" AND tags.`{PARENT.name}` = "{comparison_id}"',
        "orderByKey": shown[0],
        "orderByAsc": False,
        "selectedColumns": [*shown, f"tags.`{DATASETS.name}`"],
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
