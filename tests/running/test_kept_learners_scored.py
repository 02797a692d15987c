"""What is asked later of a finished training is scored from its kept learner: nothing is trained twice."""

import io
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import e2e_record
import numpy as np
import pandas as pd
import pytest
from e2e_world import make_world
from in_process import compared
from mlflow.entities import Run
from sklearn.metrics import roc_auc_score

from promptarena.benchmark.core.keys import file_digest
from promptarena.benchmark.recording import names
from promptarena.benchmark.training.trained_learner import Learned

UNION = "predictions/noisy.union.parquet"


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The suite, and results of base-to-novel without predictions."""
    folder = tmp_path_factory.mktemp("arena")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        suite = make_world(folder / "world")
        compared(suite, folder / "results", "base-to-novel", keep=False)
    return suite, folder / "results"


@pytest.fixture(scope="module")
def later(arena: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the results, to which open-world was added."""
    suite, results = arena
    copy = tmp_path_factory.mktemp("later") / "results"
    shutil.copytree(results, copy)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        comparison, reporter = compared(suite, copy, "open-world")
    assert len(comparison.only_scored()) == len(comparison.missing()) == 2
    assert reporter.again == []
    return copy


def of_protocol(results: Path, protocol: str) -> dict[str, Run]:
    return {run.data.tags["method"]: run for run in e2e_record.runs(results) if run.data.tags["protocol"] == protocol}


def environment(results: Path, run: Run) -> Any:
    return json.loads(e2e_record.read(results, run, "environment.json"))


def test_no_training_step_is_taken(later: Path) -> None:
    trained, scored = of_protocol(later, "base-to-novel"), of_protocol(later, "open-world")
    assert {environment(later, run)["training_steps"] for run in scored.values()} == {"0"}
    assert int(environment(later, trained["coop"])["training_steps"]) > 0
    for method, run in scored.items():
        assert environment(later, run)["learner_of"] == trained[method].info.run_id
        for name in ("cost/train_seconds", "cost/train_images", "cost/trainable_parameters"):
            assert run.data.metrics[name] == trained[method].data.metrics[name]
    assert not list((later / "checkpoints").glob("*/*"))


def test_figures_are_those_of_a_fresh_run(arena: tuple[Path, Path], later: Path, tmp_path: Path) -> None:
    suite, _ = arena
    comparison, _ = compared(suite, tmp_path / "results", "open-world")
    assert comparison.only_scored() == []
    fresh = e2e_record.figures(tmp_path / "results")
    assert fresh == {name: each for name, each in e2e_record.figures(later).items() if "open-world" in name}
    for method, run in of_protocol(tmp_path / "results", "open-world").items():
        theirs = of_protocol(later, "open-world")[method]
        assert e2e_record.read(tmp_path / "results", run, UNION) == e2e_record.read(later, theirs, UNION)


def test_open_world_figures_follow_from_the_predictions(later: Path) -> None:
    for run in of_protocol(later, "open-world").values():
        frame = pd.read_parquet(io.BytesIO(e2e_record.read(later, run, UNION)))
        is_base = (frame["label"] < 2).to_numpy()
        score = frame["base_logit"].to_numpy(dtype=float) - frame["log_sum_exp"].to_numpy()
        right, in_half = (frame["rank"] == 1).to_numpy(), (frame["half_rank"] == 1).to_numpy()
        pairs = [
            (1.0 if base > novel else 0.5 if base == novel else 0.0) * (good and fine)
            for base, good in zip(score[is_base], in_half[is_base], strict=True)
            for novel, fine in zip(score[~is_base], in_half[~is_base], strict=True)
        ]
        expected = {
            "accuracy_union": right.mean(),
            "accuracy_union-base": right[is_base].mean(),
            "accuracy_union-novel": right[~is_base].mean(),
            "auroc": roc_auc_score(is_base, score),
            "openworld_auc": np.mean(pairs),
        }
        found = {name: run.data.metrics[name] for name in expected}
        assert found == pytest.approx({name: 100 * value for name, value in expected.items()}, abs=1e-9)


@pytest.mark.parametrize("fault", ["missing", "damaged", "of another training"])
def test_a_learner_that_cannot_be_used_is_trained_again_and_it_says_so(
    fault: str, arena: tuple[Path, Path], later: Path, tmp_path: Path
) -> None:
    suite, before = arena
    results = tmp_path / "results"
    shutil.copytree(before, results)
    for path in (results / "artifacts").rglob("learned.safetensors"):
        match fault:
            case "missing":
                path.unlink()
            case "damaged":
                path.write_bytes(path.read_bytes()[:-1] + b"?")
            case _:
                learned = Learned.load(path)
                other = replace(learned, origin=learned.origin.model_copy(update={"source": "0" * 64}))
                path.write_bytes(other.content())
                (tag,) = names.FILES.of({path.name: file_digest(path)}).items()
                e2e_record.client(results).set_tag(path.parents[1].name, *tag)
    _, reporter = compared(suite, results, "open-world", methods=("coop",))
    (reason,) = reporter.again
    assert {"missing": "No such file", "damaged": "is damaged: it does not have its digest"}.get(fault, fault) in reason
    run = of_protocol(results, "open-world")["coop"]
    assert int(environment(results, run)["training_steps"]) > 0
    assert run.data.metrics["auroc"] == of_protocol(later, "open-world")["coop"].data.metrics["auroc"]
