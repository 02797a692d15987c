"""What MLflow's own pages show of a record: the view in which they open, the datasets of runs, and logged models.

The view has the methods of one comparison, with their headline means as columns that sort. Each learner is a logged
model, whose metrics name the dataset that they were measured on, so that MLflow ranks models by dataset.
"""

import json
import re
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from promptarena.benchmark.core.runs import PlannedRun, RunResult, Target
from promptarena.benchmark.recording.names import DATASETS, LEVEL, PARENT, PROTOCOL, SUITE
from promptarena.benchmark.recording.schema import headline_scores

VIEW = "leaderboard"
VIEW_TAG = f"mlflow.sharedViewState.{VIEW}"
"""Tag of an experiment; MLflow reads from it what a shared view shows."""


if TYPE_CHECKING:
    from mlflow import MlflowClient

MODEL_TYPE = "prompt learner"
EXTERNAL = "mlflow.model.isExternal"
"""MLflow's tag of a model whose files are not kept in MLflow's form."""
DIGEST_CHARACTERS = 36
"""MLflow's limit on the digest of a dataset."""


@dataclass(frozen=True)
class DatasetRow:
    """A dataset of a run, under MLflow's own names; `context` says what it is for: "training" or "evaluation"."""

    name: str
    digest: str
    source_type: str
    source: str
    context: str


@dataclass(frozen=True)
class ModelRow:
    """A learner as a logged model, under MLflow's own names."""

    name: str
    params: Mapping[str, str]
    tags: Mapping[str, str]


def training_split(planned: PlannedRun) -> DatasetRow | None:
    """The few-shot split that a run is trained on; None where its plan names none."""
    split, spec = planned.provenance.get("train_split"), planned.spec
    if not isinstance(split, str):
        return None
    source = {"subset": spec.subset, "shots": spec.shots, "seed": spec.seed, "sha256": split}
    return _row(spec.dataset, split, source, "training")


def test_sets(planned: PlannedRun) -> dict[Target, DatasetRow]:
    """The test images of a run's targets, by what has scores; those that the plan gives no digest are left out."""
    digests = planned.provenance.get("targets")
    found: dict[Target, DatasetRow] = {}
    for target in planned.spec.targets:
        name = f"{target.dataset}/{target.subset}"
        digest = digests.get(name) if isinstance(digests, Mapping) else None
        if isinstance(digest, str):
            row = _row(name, digest, {"subset": target.subset, "split": "test", "sha256": digest}, "evaluation")
            found |= dict.fromkeys(target.parts, row)
    return found


def datasets_of(planned: PlannedRun) -> list[DatasetRow]:
    """All datasets of a run, each once."""
    split = training_split(planned)
    return list(dict.fromkeys([*([split] if split else []), *test_sets(planned).values()]))


def _row(name: str, digest: str, source: Mapping[str, object], context: str) -> DatasetRow:
    return DatasetRow(name, digest[:DIGEST_CHARACTERS], "promptarena", json.dumps(source), context)


def model_of(planned: PlannedRun) -> ModelRow:
    """The learner of a run as a logged model."""
    spec = planned.spec
    facts = {"label": spec.label, "method": spec.method, "trained_on": f"{spec.dataset}/{spec.subset}"}
    facts |= {
        "protocol": spec.protocol,
        "shots": str(spec.shots),
        "seed": "none" if spec.seed is None else str(spec.seed),
    }
    # MLflow refuses these characters in a model's name.
    name = re.sub(r"[/:.%\"']", "_", spec.label)[:250]
    return ModelRow(name, facts, {EXTERNAL: "true", **SUITE.of(spec.suite), **PROTOCOL.of(spec.protocol)})


def measured_on(planned: PlannedRun, result: RunResult) -> dict[str, DatasetRow]:
    """The test images that a run's metrics were measured on, by the metric's name; none for further readings.

    Args:
        planned: The run.
        result: What came out of it.
    """
    rows = test_sets(planned)
    found = headline_scores(result).items()
    return {name: rows[score.target] for name, score in found if not score.reading and score.target in rows}


def log_datasets(client: "MlflowClient", run_id: str, planned: PlannedRun) -> None:
    """Name the images of training and tests as a run's inputs.

    Args:
        client: MLflow's client; the caller holds the record's lock, as MLflow's rows of datasets are unique.
        run_id: The run's id.
        planned: The run.
    """
    from mlflow.entities import Dataset, DatasetInput, InputTag

    inputs = [
        DatasetInput(
            Dataset(each.name, each.digest, each.source_type, each.source),
            [InputTag("mlflow.data.context", each.context)],
        )
        for each in datasets_of(planned)
    ]
    if inputs:
        client.log_inputs(run_id, inputs)


def begin_model(client: "MlflowClient", experiment: str, run_id: str, planned: PlannedRun) -> str:
    """Make the learner of a run a logged model, which is pending until `end_model`.

    Args:
        client: MLflow's client.
        experiment: The id of the run's experiment.
        run_id: The run's id.
        planned: The run.

    Returns:
        The model's id.
    """
    row = model_of(planned)
    made = client.create_logged_model(experiment, row.name, run_id, dict(row.tags), dict(row.params), MODEL_TYPE)
    return str(made.model_id)


def end_model(client: "MlflowClient", run_id: str, model_id: str) -> None:
    """Say that a logged model is ready, and which run made it."""
    from mlflow.entities import LoggedModelOutput, LoggedModelStatus

    client.log_outputs(run_id, [LoggedModelOutput(model_id, 0)])
    client.finalize_logged_model(model_id, LoggedModelStatus.READY)


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
