"""The record: one MLflow store holds every run, its curves, its scores and the tables made from them.

Runs form a hierarchy, comparison -> method -> run, in one experiment per suite. A run is RUNNING from `begin` on; all
it produced is written before it becomes FINISHED, and only FINISHED runs count.
"""

import json
import os
import re
import shutil
import tempfile
import time
import traceback
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from promptarena.benchmark.errors import UserError
from promptarena.benchmark.keys import digest
from promptarena.benchmark.record_index import (
    Owner,
    RecordedRun,
    StoredResult,
    cost_of,
    index_of,
    results_of,
    unscored_of,
)
from promptarena.benchmark.record_store import Store, explained, open_store
from promptarena.benchmark.record_values import (
    check_result,
    curves_of,
    facets,
    metrics_of,
    params_of,
    plan_document,
    planned_run,
    run_name,
    scores_of,
)
from promptarena.benchmark.record_view import VIEW_TAG, view_address, view_state
from promptarena.benchmark.spec import PlannedRun, RunResult

if TYPE_CHECKING:
    from mlflow.entities import Metric, Run

# MLflow's limits on one request and on one value.
BATCH_METRICS = 1000
BATCH_PARAMS = 100
TAG_CHARACTERS = 8000
DATASET_DIGEST_CHARACTERS = 36
PAGE_RUNS = 1000

PARENT = "mlflow.parentRunId"


class Parents(NamedTuple):
    """The run ids a run hangs under: its comparison and, in that, its method."""

    comparison: str
    method: str


class Imported(NamedTuple):
    """Where a run that was made elsewhere comes from: its id there, its times, and its key's other finished runs."""

    run_id: str
    started_at: datetime
    finished_at: datetime
    duplicates: int


class Recalled(NamedTuple):
    """What a finished run was planned as, what came out (without files), and when it began."""

    planned: PlannedRun
    result: RunResult
    started_at: datetime


class Record:
    """Reads and writes runs. Open one per process with `Record.open`; it is not meant to be shared by threads.

    Every method raises UserError when the store fails: disk full, server gone, database locked for minutes.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._client = store.client
        self._experiments: dict[str, str] = {}
        self._indices: dict[str, dict[str, RecordedRun]] = {}
        self._curve_steps: dict[tuple[str, str], set[int]] = {}

    @classmethod
    def open(cls, results: Path, tracking_uri: str | None = None) -> "Record":
        """The record at `tracking_uri`, else $MLFLOW_TRACKING_URI, else in the folder `results` (made if missing).

        A new store takes some seconds. Raises UserError when the store cannot be reached, read or written.
        """
        return cls(open_store(results, tracking_uri))

    @classmethod
    def open_existing(cls, results: Path, tracking_uri: str | None = None) -> "Record":
        """`open`, where there is a record: raises UserError, making nothing, for a look at the wrong folder."""
        elsewhere = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI")
        if not elsewhere and not (results / "mlflow.db").exists():
            raise UserError(f"no record in {results}; run promptarena compare first, or name its folder with --results")
        return cls.open(results, tracking_uri)

    @property
    def uri(self) -> str:
        """The tracking URI, as MLflow takes it."""
        return self._store.uri

    def views(self) -> dict[str, str]:
        """For each suite that has tables the address, below that of MLflow's server, of its methods and headlines."""
        with explained("read the record"):
            experiments = self._client.search_experiments(filter_string="name LIKE 'promptarena/%'")
        return {
            experiment.name.removeprefix("promptarena/"): view_address(experiment.experiment_id)
            for experiment in experiments
            if VIEW_TAG in experiment.tags
        }

    def comparison(self, suite: str, comparison_key: str, description: str) -> str:
        """Run id of the comparison whose content has this key; made on first use, also when several processes ask."""
        with explained("record the comparison"), self._store.lock:
            experiment = self._experiment(suite)
            # comparison_key is quoted into MLflow's filter language, which has no escape.
            if not re.fullmatch(r"[\w.:-]+", comparison_key):
                raise ValueError(f"a comparison key is a digest, got {comparison_key!r}")
            found = self._search(experiment, f"tags.comparison_key = '{comparison_key}'")
            if found:
                return _id(found[0])
            tags = {
                "level": "comparison",
                "suite": suite,
                "comparison_key": comparison_key,
                "mlflow.note.content": description[:TAG_CHARACTERS],
            }
            return self._create(experiment, tags, f"comparison {comparison_key[:8]}")

    def method_run(self, comparison_id: str, label: str) -> str:
        """Run id of the method `label` under a comparison; made on first use."""
        with explained("record the method"), self._store.lock:
            comparison = self._client.get_run(comparison_id)
            experiment = comparison.info.experiment_id
            children = self._search(experiment, f"tags.`{PARENT}` = '{comparison_id}' AND tags.level = 'method'")
            for child in children:
                if child.data.tags["label"] == label:
                    return _id(child)
            tags = {
                "level": "method",
                "suite": comparison.data.tags["suite"],
                "method": label.partition("(")[0],
                "label": label,
                PARENT: comparison_id,
            }
            return self._create(experiment, tags, label)

    def index(self, suite: str) -> dict[str, RecordedRun]:
        """Every recorded run of the suite by its key, in one reading; `begin` relies on the latest one."""
        with explained("read the record"):
            experiment = self._find_experiment(suite)
            self._indices[suite] = index_of(self._search(experiment)) if experiment else {}
        return dict(self._indices[suite])

    def begin(
        self,
        planned: PlannedRun,
        parents: Parents,
        backbone_name: str,
        miniature: bool,
        imported: Imported | None = None,
    ) -> str:
        """Run id of a run for this plan, now RUNNING and owned by this process.

        An interrupted or failed run with the plan's key is taken up again, any other gets a new run. An imported run
        takes up only an interrupted import. Raises UserError when a living process already runs it.
        """
        spec = planned.spec
        if spec.suite not in self._indices:
            self.index(spec.suite)
        recorded = self._indices[spec.suite].get(planned.key)
        tags = {
            **facets(spec, backbone_name, miniature),
            **Owner.current().tags(),
            "run_key": planned.key,
            "train_key": planned.train_key,
            "comparison": parents.comparison,
            PARENT: parents.method,
        }
        if own_splits := planned.provenance.get("own_splits"):
            tags["own_splits"] = " ".join(own_splits)
        origin = {"imported_from": imported.run_id} if imported else {}
        if imported and imported.duplicates:
            tags["imported_duplicates"] = str(imported.duplicates)
        params = params_of(planned)
        with explained(f"record {run_name(spec)}"), self._store.lock:
            run = self._resumable(recorded) if recorded and recorded.status != "finished" else None
            if run and (run.data.tags.get("imported_from", "") == origin.get("imported_from", "")):
                run_id = _id(run)
                self._client.update_run(run_id, status="RUNNING")
                if "error" in run.data.tags:
                    self._client.delete_tag(run_id, "error")
                params = {name: value for name, value in params.items() if name not in run.data.params}
            else:
                run_id = self._create(
                    self._experiment(spec.suite),
                    {"level": "run", "run_key": planned.key, **origin},
                    run_name(spec),
                    imported.started_at if imported else None,
                )
            self._log(run_id, params=params, tags=tags)
            self._log_split(run_id, planned)
            self._client.log_text(run_id, _json(plan_document(planned)), "config.json")
        self._curve_steps = {known: steps for known, steps in self._curve_steps.items() if known[0] != run_id}
        self._note(spec.suite, RecordedRun(run_id, planned.key, "running", owner_alive=True))
        return run_id

    def heartbeat(self, run_id: str) -> None:
        """Tell other hosts that the run is alive. Needed only when more than some minutes pass without an epoch."""
        with explained("record a sign of life"):
            self._client.set_tag(run_id, "owner.heartbeat", str(time.time()))

    def log_epochs(self, run_id: str, rows: Sequence[Mapping[str, float]]) -> None:
        """Store curves, one row per epoch with its number (from 1) under "epoch".

        Rows already stored are skipped, so a resumed run may offer all of its rows again.
        """
        from mlflow.entities import Metric

        now = _milliseconds()
        with explained("record the curves"):
            metrics = [
                Metric(f"curves/{name}", float(value), now, int(row["epoch"]))
                for row in rows
                for name, value in row.items()
                if name != "epoch" and int(row["epoch"]) not in self._steps(run_id, f"curves/{name}")
            ]
            if metrics:
                self._log(run_id, metrics=metrics, tags={"owner.heartbeat": str(time.time())})
        for metric in metrics:
            self._curve_steps[run_id, metric.key].add(metric.step)

    def finish(self, run_id: str, result: RunResult, finished_at: datetime | None = None) -> None:
        """Store everything a run produced, then mark it FINISHED, now or (an imported one) when it was.

        Raises ValueError, storing nothing, when scores or costs make no sense (no images, more right than seen, NaN).
        """
        from mlflow.entities import Metric

        check_result(result)
        self.log_epochs(run_id, result.curves)
        now = _milliseconds()
        with explained("record the result"):
            self._log_files(run_id, result)
            metrics = [Metric(name, value, now, 0) for name, value in metrics_of(result).items()]
            tags = {
                f"unscored/{target.dataset}/{target.subset}": reason
                for target, reason in sorted(result.unscored.items())
            }
            self._log(run_id, metrics=metrics, tags=tags)
            self._client.set_terminated(run_id, "FINISHED", _milliseconds(finished_at))
        self._renote(run_id, status="finished", owner_alive=False)

    def fail(self, run_id: str, error: BaseException) -> None:
        """Mark a run FAILED, with the error's line as a tag and its traceback as an artifact."""
        line = " ".join(f"{type(error).__name__}: {error}".split())[:TAG_CHARACTERS]
        with explained("record the failure"):
            self._client.log_text(run_id, "".join(traceback.format_exception(error)), "traceback.txt")
            self._client.set_tag(run_id, "error", line)
            self._client.set_terminated(run_id, "FAILED")
        self._renote(run_id, status="failed", owner_alive=False, error=line)

    def results(self, suite: str, keys: Collection[str] | None = None) -> list[StoredResult]:
        """The newest finished run of every key (of `keys`, when given), oldest first, in one reading."""
        with explained("read the record"):
            experiment = self._find_experiment(suite)
            runs = self._search(experiment, "attributes.status = 'FINISHED'") if experiment else []
        wanted = None if keys is None else set(keys)
        return results_of(run for run in runs if wanted is None or run.data.tags.get("run_key") in wanted)

    def recall(self, run_id: str) -> Recalled:
        """The plan and the result of a finished run, as `begin` and `finish` got them. Raises UserError when its
        artifacts are damaged."""
        with explained(f"read run {run_id}"), tempfile.TemporaryDirectory() as folder:
            run = self._client.get_run(run_id)
            plan, scores, environment = (
                self.artifact(run_id, name, Path(folder)).read_text()
                for name in ("config.json", "scores.json", "environment.json")
            )
            points = [
                (name.removeprefix("curves/"), point.step, point.value)
                for name in sorted(run.data.metrics)
                if name.startswith("curves/")
                for point in self._client.get_metric_history(run_id, name)
            ]
        try:
            return Recalled(
                planned_run(json.loads(plan)),
                RunResult(
                    scores=scores_of(json.loads(scores)),
                    cost=cost_of(run.data.metrics),
                    curves=curves_of(points),
                    unscored=unscored_of(run.data.tags),
                    environment=json.loads(environment),
                ),
                datetime.fromtimestamp(run.info.start_time / 1000, UTC),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"the artifacts of run {run_id} lack or garble {error}; delete it in MLflow to have it run again"
            ) from error

    def artifacts(self, run_id: str) -> frozenset[str]:
        """The names of the run's artifacts."""
        with explained(f"list the artifacts of run {run_id}"):
            return frozenset(file.path for file in self._client.list_artifacts(run_id))

    def artifact(self, run_id: str, name: str, folder: Path) -> Path:
        """Copy the run's artifact `name` (e.g. "learned.safetensors") into `folder`; the path of the copy."""
        with explained(f"fetch {name} of run {run_id}"):
            return Path(self._client.download_artifacts(run_id, name, str(folder)))

    def log_tables(
        self, comparison_id: str, tables: Mapping[str, str | bytes], headline: Mapping[str, Mapping[str, float]]
    ) -> None:
        """Keep a comparison's tables and mark it finished; adds nothing when this very content is already there.

        `tables` maps file names ("base-to-novel.md") to their content, `headline` labels to named means, which become
        metrics of the method runs (so MLflow can sort by them) and one table in MLflow's own viewer.
        """
        contents = {name: text.encode() if isinstance(text, str) else text for name, text in tables.items()}
        content_key = digest({name: content.hex() for name, content in contents.items()}, headline)
        with explained("record the tables"), self._store.lock:
            if self._client.get_run(comparison_id).data.tags.get("tables_key") == content_key:
                return
            with tempfile.TemporaryDirectory() as folder:
                for name, content in contents.items():
                    _write(Path(folder) / name, content)
                self._client.log_artifacts(comparison_id, folder, "tables")
            self._log_headline(comparison_id, headline, f"tables/headline-{content_key[:12]}.json")
            self._client.set_tag(comparison_id, "tables_key", content_key)
            self._client.set_terminated(comparison_id, "FINISHED")

    def document(
        self,
        suite: str,
        level: str,
        name: str,
        key: str,
        tags: Mapping[str, str],
        numbers: Mapping[str, float],
        files: Mapping[str, bytes],
    ) -> str:
        """Id of the finished run of this level whose content has this key; made, with its files, on first use.

        Such a run stands beside the comparisons of a suite and never enters a leaderboard.
        """
        from mlflow.entities import Metric

        with explained(f"record {name}"), self._store.lock:
            experiment = self._experiment(suite)
            found = self._search(experiment, f"tags.level = '{level}' AND tags.document_key = '{key}'")
            done = [run for run in found if run.info.status == "FINISHED"]
            if done:
                return _id(done[0])
            run_id = self._create(experiment, {"level": level, "suite": suite}, name)
            now = _milliseconds()
            metrics = [Metric(metric, value, now, 0) for metric, value in numbers.items()]
            self._log(run_id, metrics, tags={**tags, "document_key": key})
            with tempfile.TemporaryDirectory() as folder:
                for file, content in files.items():
                    _write(Path(folder) / file, content)
                self._client.log_artifacts(run_id, folder)
            self._client.set_terminated(run_id, "FINISHED")
            return run_id

    def _log_headline(self, comparison_id: str, headline: Mapping[str, Mapping[str, float]], name: str) -> None:
        from mlflow.entities import Metric

        columns = sorted({metric for means in headline.values() for metric in means})
        if columns and name not in {file.path for file in self._client.list_artifacts(comparison_id, "tables")}:
            table: dict[str, list[Any]] = {"method": list(headline)}
            table |= {column: [means.get(column) for means in headline.values()] for column in columns}
            self._client.log_table(comparison_id, table, name)
        for label, means in headline.items():
            method_id = self.method_run(comparison_id, label)
            stored = self._client.get_run(method_id).data.metrics
            now = _milliseconds()
            self._log(
                method_id, metrics=[Metric(key, mean, now, 0) for key, mean in means.items() if stored.get(key) != mean]
            )
            self._client.set_terminated(method_id, "FINISHED")
        if columns:
            experiment = self._client.get_experiment(self._client.get_run(comparison_id).info.experiment_id)
            view = view_state(columns, experiment.tags.get(VIEW_TAG))
            self._client.set_experiment_tag(experiment.experiment_id, VIEW_TAG, view)

    def _find_experiment(self, suite: str) -> str | None:
        if suite not in self._experiments:
            name = f"promptarena/{suite}"
            experiment = self._client.get_experiment_by_name(name)
            if experiment is None:
                return None
            if experiment.lifecycle_stage != "active":
                raise UserError(
                    f"the MLflow experiment {name} was deleted; restore it with "
                    f"'mlflow experiments restore -x {experiment.experiment_id}', or choose another results folder"
                )
            self._experiments[suite] = experiment.experiment_id
        return self._experiments[suite]

    def _experiment(self, suite: str) -> str:
        """Experiment id, made if missing; the caller holds the lock."""
        found = self._find_experiment(suite)
        if found is None:
            found = self._client.create_experiment(f"promptarena/{suite}", artifact_location=self._store.artifacts)
            self._experiments[suite] = found
        return found

    def _search(self, experiment: str, condition: str = "") -> list["Run"]:
        runs: list[Run] = []
        token: str | None = None
        while True:
            page = self._client.search_runs(
                [experiment], condition, max_results=PAGE_RUNS, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs.extend(page)
            token = page.token
            if not token:
                return runs

    def _create(self, experiment: str, tags: Mapping[str, str], name: str, started_at: datetime | None = None) -> str:
        start = _milliseconds(started_at)
        return _id(self._client.create_run(experiment, start_time=start, tags=dict(tags), run_name=name))

    def _resumable(self, recorded: RecordedRun) -> "Run | None":
        """The run to take up, read afresh since the index may be old; None when it was finished meanwhile."""
        run = self._client.get_run(recorded.run_id)
        owner = Owner.of(run.data.tags)
        if run.info.status == "RUNNING" and owner and owner.alive() and not owner.is_me():
            raise UserError(
                f"{run.info.run_name} is run by process {owner.pid} on {owner.host} already; wait for it, or stop it"
            )
        return None if run.info.status == "FINISHED" else run

    def _steps(self, run_id: str, metric: str) -> set[int]:
        if (run_id, metric) not in self._curve_steps:
            history = self._client.get_metric_history(run_id, metric)
            self._curve_steps[run_id, metric] = {point.step for point in history}
        return self._curve_steps[run_id, metric]

    def _log(
        self,
        run_id: str,
        metrics: Sequence["Metric"] = (),
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        from mlflow.entities import Param, RunTag

        all_params = [Param(name, value) for name, value in (params or {}).items()]
        all_tags = [RunTag(name, value[:TAG_CHARACTERS]) for name, value in (tags or {}).items()]
        self._client.log_batch(run_id, metrics[:BATCH_METRICS], all_params[:BATCH_PARAMS], all_tags, synchronous=True)
        for start in range(BATCH_METRICS, len(metrics), BATCH_METRICS):
            self._client.log_batch(run_id, metrics[start : start + BATCH_METRICS], synchronous=True)
        for start in range(BATCH_PARAMS, len(all_params), BATCH_PARAMS):
            self._client.log_batch(run_id, params=all_params[start : start + BATCH_PARAMS], synchronous=True)

    def _log_split(self, run_id: str, planned: PlannedRun) -> None:
        """Name the training split as the run's input; the caller holds the lock, MLflow's dataset rows being unique."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        split = planned.provenance.get("train_split")
        if not isinstance(split, str):
            return
        spec = planned.spec
        source = {"subset": spec.subset, "shots": spec.shots, "seed": spec.seed, "sha256": split}
        dataset = Dataset(spec.dataset, split[:DATASET_DIGEST_CHARACTERS], "promptarena", json.dumps(source))
        self._client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])

    def _log_files(self, run_id: str, result: RunResult) -> None:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            _write(folder / "environment.json", _json(dict(result.environment)).encode())
            _write(folder / "scores.json", _json([asdict(score) for score in result.scores]).encode())
            for file, source in result.files.items():
                (folder / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, folder / file)
            self._client.log_artifacts(run_id, str(folder))

    def _note(self, suite: str, recorded: RecordedRun) -> None:
        self._indices[suite][recorded.key] = recorded

    def _renote(self, run_id: str, **changes: Any) -> None:
        for index in self._indices.values():
            for key, recorded in index.items():
                if recorded.run_id == run_id:
                    index[key] = replace(recorded, **changes)
                    return


def _id(run: "Run") -> str:
    return str(run.info.run_id)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str)


def _milliseconds(moment: datetime | None = None) -> int:
    """A moment (default: now) as MLflow counts it, since the epoch."""
    return round(moment.timestamp() * 1000) if moment else int(time.time() * 1000)
