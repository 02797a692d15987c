"""How predictions are kept in the record: a Parquet file for each target, whose SHA-256 is a tag of the run."""

import hashlib
import re
from collections.abc import Mapping
from typing import cast

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.open_world import union_scores
from promptarena.benchmark.core.predictions import Predictions, from_parquet
from promptarena.benchmark.core.runs import RunResult, Subset, Target
from promptarena.benchmark.recording import names

FOLDER = "predictions"
"""The folder of these files among a run's artifacts, and among the files of an exported run."""

FILE_PATTERN = rf"{FOLDER}/([a-z0-9_-]+)\.([a-z-]+)\.parquet"
"""What the names of these files look like: the dataset's and the subset's are in them."""


def file_name(target: Target) -> str:
    """The name of a target's file: predictions/DATASET.SUBSET.parquet."""
    return f"{FOLDER}/{target.dataset}.{target.subset}.parquet"


def target_of(name: str) -> Target | None:
    """The target whose file has this name; None for a name of another form."""
    found = re.fullmatch(FILE_PATTERN, name)
    return Target(found[1], cast(Subset, found[2])) if found else None


def prediction_files(predictions: Mapping[Target, bytes]) -> dict[str, bytes]:
    """The files of a run by name."""
    return {file_name(target): content for target, content in predictions.items()}


def prediction_tags(predictions: Mapping[Target, bytes]) -> dict[str, str]:
    """The tags that name the SHA-256 of each file."""
    return {
        names.PREDICTIONS.of(target): hashlib.sha256(content).hexdigest() for target, content in predictions.items()
    }


def read_predictions(content: bytes, digest: str, name: str) -> tuple[Predictions, ...]:
    """Read the predictions for a target, of each reading.

    Args:
        content: The file.
        digest: The SHA-256 that the record or the export names.
        name: What the file is called in errors.

    Returns:
        As `from_parquet`.

    Raises:
        UserError: The file is damaged, or holds something else.
    """
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{name} is damaged: it does not have its digest; delete the run to have it run again")
    return from_parquet(content, name)


def check_predictions(result: RunResult) -> None:
    """Check that the predictions of a run are those that its scores count.

    With a fitted temperature two logits may become equal, so of such predictions only the images are counted. Of
    images of other datasets nothing is.

    Args:
        result: What came out of the run.

    Raises:
        ValueError: They are not: other right answers or images of a class, another target, or other readings.
    """
    for target, content in result.predictions.items():
        name = file_name(target)
        try:
            found = from_parquet(content, name)
        except UserError as error:
            raise ValueError(str(error)) from error
        counted = {each.reading: each.counts() for each in found}
        scored = {
            score.reading: (score.correct, score.total) for score in result.scores if score.target == target.scored_as
        }
        derived = {score for each in found if each.halves for score in union_scores(each)}
        if target.scored_as != target:
            derived = set()
            counted = {reading: ((), total) for reading, (_, total) in counted.items()} if target.scored_as else {}
            scored = {reading: ((), total) for reading, (_, total) in scored.items()}
        if counted != scored or any(each.target != target for each in found) or not derived <= set(result.scores):
            raise ValueError(f"{name} does not hold the predictions that the scores count")
