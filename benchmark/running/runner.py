"""Runs planned runs in one process: build the learner, train it, score it, and keep its trained tensors.

Runs are trained one by one and may then be scored together, so that each test set is read once for all of them.
"""

import json
import logging
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import torch

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.loading import load_backbone
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.errors import UserError, message_of
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.core.predictions import to_parquet
from promptarena.benchmark.core.recipe import Recipe, images_seen
from promptarena.benchmark.core.runs import Cost, PlannedRun, RunResult, Target
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.inputs.array_cache import ArrayCache, local_cache_folder
from promptarena.benchmark.plugins.learner import CannotTransferError, Learner
from promptarena.benchmark.plugins.registry import load_registry
from promptarena.benchmark.running.environment import environment
from promptarena.benchmark.running.execution import CHECKPOINT, ExecutionConfig, locked, training_folder
from promptarena.benchmark.running.further import Further, Scorer
from promptarena.benchmark.running.guard import Guard
from promptarena.benchmark.running.kept_learners import LEARNER_FILE, KeptTraining, kept_training
from promptarena.benchmark.running.peak_memory import PeakMemory
from promptarena.benchmark.training.checkpoint import NOT_RECORDED, Checkpoint, GraphUse
from promptarena.benchmark.training.evaluation import Evaluated, evaluate_together
from promptarena.benchmark.training.loop import Curve, train
from promptarena.benchmark.training.seed_batch import Member, can_train_together, train_together
from promptarena.benchmark.training.shots import Task
from promptarena.benchmark.training.step_graphs import CudaGraphs, Recorder
from promptarena.benchmark.training.trained_learner import LEARNED, Learned

log = logging.getLogger(__name__)

LONGEST_REASON = 1000
"""Characters of the reason why a target is not scored; MLflow refuses long ones."""


@dataclass(frozen=True)
class TrainedRun:
    """A run whose learner is trained but not yet scored."""

    planned: PlannedRun
    learner: Learner
    task: Task
    curves: tuple[Curve, ...]
    seconds: float
    peak_memory_mib: float
    trained_with: int = 1
    """Number of seeds that were trained as one computation."""
    steps: int = 0
    """Optimiser steps that were taken for it since it was begun or resumed."""
    graphs: GraphUse = NOT_RECORDED
    """How far its steps were replayed as CUDA graphs."""
    learner_of: str = ""
    """The recorded run whose learner it has; empty when it was trained here."""


class Runner:
    """Executes runs with one shared backbone, one cache and the listed datasets."""

    def __init__(self, execution: ExecutionConfig) -> None:
        torch.set_num_threads(execution.threads)
        self._execution = execution
        self._suite = execution.loaded_suite()
        self._registry = load_registry(execution.plugins)
        self._data = Data(execution.data_root, self._suite.limit)
        self._cache = ArrayCache(execution.cache, local=local_cache_folder())
        self._not_recorded: set[tuple[str, str]] = set()

    @cached_property
    def _backbone(self) -> Backbone:
        source = self._suite.backbone
        return load_backbone(
            source.given_architecture,
            source.given_weights,
            device=self._execution.device,
            precision=self._execution.precision,
            compile_backend=self._execution.compile_backend,
        )

    @cached_property
    def _guard(self) -> Guard:
        return Guard(self._backbone)

    def train(self, planned: PlannedRun, on_epoch: Callable[[Curve], None]) -> TrainedRun:
        """Train, resume a training, or load the finished training with the same train_key.

        A learner that was handed over (see `kept_learners`) is loaded, unless there is a checkpoint.

        Raises UserError for the user's mistakes and SharedStateChangedError; other exceptions of a method are not
        caught.
        """
        recipe, memory = Recipe(**planned.recipe), PeakMemory(self._backbone.device)
        folder = training_folder(self._execution.results, planned)
        checkpoint = folder / CHECKPOINT
        with locked(folder), self._guard.around(planned, [checkpoint]):
            learner, task = self._prepared(planned)
            if kept := _handed_over(folder):
                self._load(learner, folder)
                peak = max(kept.peak_memory_mib, memory.mib())
                return TrainedRun(planned, learner, task, kept.curves, kept.train_seconds, peak, learner_of=kept.run_id)
            trained = train(
                learner,
                recipe,
                task,
                cache=self._cache,
                checkpoint=checkpoint,
                train_key=planned.train_key,
                on_epoch=on_epoch,
                verify=self._guard.check_before_saving(planned),
                recorder=self._recorder(),
            )
        self._tell_of(planned, trained)
        return TrainedRun(
            planned,
            learner,
            task,
            trained.curves,
            trained.train_seconds,
            memory.mib(),
            steps=trained.steps,
            graphs=trained.graphs,
        )

    def _recorder(self) -> Recorder | None:
        """What records the steps of a training; its memory is that training's."""
        device = self._backbone.device
        return CudaGraphs(device) if self._execution.cuda_graphs and device.type == "cuda" else None

    def _tell_of(self, planned: PlannedRun, trained: Checkpoint) -> None:
        """Say once for a method why its steps cannot be recorded."""
        method, refused = planned.spec.method, trained.graphs.refused
        if refused and (method, refused) not in self._not_recorded:
            self._not_recorded.add((method, refused))
            log.warning("%s: its steps run without CUDA graphs, with the same figures: %s", method, refused)

    def _load(self, learner: Learner, folder: Path) -> None:
        """Give a new learner the tensors of the one that was handed over."""
        learner.load_state_dict(dict(Learned.load(folder / LEARNER_FILE).tensors))
        learner.to(self._backbone.device)

    def together(self, runs: Sequence[PlannedRun]) -> list[int]:
        """The positions of the runs that are to be trained as one computation: none, or several of one method and
        configuration, no two of which share a training."""
        if not self._execution.seeds_together:
            return []
        first = runs[0]
        learner = self._registry.get(first.spec.method).learner
        if not can_train_together(learner, Recipe(**first.recipe), self._execution.precision):
            return []
        classes = self._classes(first)
        trainings: dict[str, int] = {}
        for number, run in enumerate(runs):
            if _handed_over(training_folder(self._execution.results, run)):
                continue
            if (run.config, run.recipe) == (first.config, first.recipe) and self._classes(run) == classes:
                trainings.setdefault(run.train_key, number)
        return list(trainings.values()) if len(trainings) > 1 else []

    def train_together(
        self, runs: Sequence[PlannedRun], on_epoch: Callable[[int, Curve], None]
    ) -> Sequence[TrainedRun | Exception]:
        """`train` for runs that are trained as one computation; `on_epoch` gets a run's position and its curves.

        A run whose loss is not finite gets its error as result. Other exceptions of a method are not caught.
        """
        recipe, memory = Recipe(**runs[0].recipe), PeakMemory(self._backbone.device)
        folders = [training_folder(self._execution.results, run) for run in runs]
        with ExitStack() as locks:
            for folder in sorted(folders):  # always in the same order, so that two processes cannot wait for each other
                locks.enter_context(locked(folder))
            checkpoints = [folder / CHECKPOINT for folder in folders]
            locks.enter_context(self._guard.around(runs[0], checkpoints))
            members = [
                Member(
                    *self._prepared(run),
                    checkpoint,
                    run.train_key,
                    partial(on_epoch, number),
                    self._guard.check_before_saving(run),
                )
                for number, (run, checkpoint) in enumerate(zip(runs, checkpoints, strict=True))
            ]
            outcomes = train_together(members, recipe, self._cache, self._recorder())
        peak, count = memory.mib(), len(runs)
        for outcome in outcomes:
            if isinstance(outcome, Checkpoint):
                self._tell_of(runs[0], outcome)
        return [
            TrainedRun(
                run,
                member.learner,
                member.task,
                outcome.curves,
                outcome.train_seconds,
                peak,
                count,
                outcome.steps,
                outcome.graphs,
            )
            if isinstance(outcome, Checkpoint)
            else outcome
            for run, member, outcome in zip(runs, members, outcomes, strict=True)
        ]

    def _prepared(self, planned: PlannedRun) -> tuple[Learner, Task]:
        spec, seed = planned.spec, planned.spec.seed or 0
        drawn, val = self._data.few_shot(self._suite.card(spec.dataset), spec.subset, spec.shots, seed)
        task = Task(self._classes(planned), drawn, val, seed)
        return self._learner(planned, task.classes), task

    def _classes(self, planned: PlannedRun) -> Classes:
        return self._data.classes(self._suite.card(planned.spec.dataset), planned.spec.subset, "train")

    def score(self, runs: Sequence[TrainedRun]) -> list[RunResult | Exception]:
        """Score all runs of one method in one pass over each target; the result of a run that raises is its exception.

        Raises SharedStateChangedError when one of them changed what all methods share.
        """
        memory = PeakMemory(self._backbone.device)
        outcomes: list[Outcomes] = [{} for _ in runs]
        with self._guard.around(runs[0].planned):
            self._score_targets(runs, outcomes)
        peak = memory.mib()
        return [self._result_or_error(run, outcome, peak) for run, outcome in zip(runs, outcomes, strict=True)]

    def further(self, run: TrainedRun, chosen: Further) -> dict[Target, bytes]:
        """The further predictions of a trained run, as `RunResult` has predictions.

        Raises what the method raises, and SharedStateChangedError when it changed what all methods share.
        """
        scorer = Scorer(self._suite, self._data, self._cache)
        with self._guard.around(run.planned):
            return {
                target: to_parquet(found)
                for target, found in scorer.further(run.planned.spec, run.learner, run.task, chosen)
            }

    def _score_targets(self, runs: Sequence[TrainedRun], outcomes: Sequence["Outcomes"]) -> None:
        for target in dict.fromkeys(target for run in runs for target in run.planned.spec.targets):
            asking = [
                number
                for number, run in enumerate(runs)
                if target in run.planned.spec.targets and not _error(outcomes[number])
            ]
            scored = self._scored([runs[number].learner for number in asking], target)
            for number, outcome in zip(asking, scored, strict=True):
                outcomes[number][target] = outcome

    def _scored(self, learners: Sequence[Learner], target: Target) -> list[Evaluated | Exception]:
        card = self._suite.card(target.dataset)
        try:
            classes = self._data.classes(card, target.subset, "test")
            everything = len(self._data.classes(card, "all", "test"))
            test, keep = self._data.test(card), self._execution.predictions
            return evaluate_together(learners, target, classes, test, everything, self._cache, keep=keep)
        except UserError as error:
            return [error for _ in learners]

    def _result_or_error(self, run: TrainedRun, outcomes: "Outcomes", peak: float) -> RunResult | Exception:
        try:
            return self._result(run, outcomes, peak)
        except Exception as error:  # a method's own code, such as `reads`
            return error

    def _result(self, run: TrainedRun, outcomes: "Outcomes", peak: float) -> RunResult | Exception:
        """The result of a run that is recorded, or the exception that ended it."""
        if error := _error(outcomes):
            return error
        by_target = {target: outcome for target, outcome in outcomes.items() if isinstance(outcome, Evaluated)}
        scored = by_target.values()
        recipe = Recipe(**run.planned.recipe)
        learns = recipe.epochs > 0 or type(run.learner).fit is not Learner.fit
        return RunResult(
            scores=tuple(score for each in scored for score in each.scores),
            cost=Cost(
                trainable_parameters=sum(parameter.numel() for parameter in run.learner.parameters()),
                train_seconds=run.seconds,
                train_images=images_seen(recipe, len(run.task.train.labels)) if learns else 0,
                eval_seconds=sum(each.seconds for each in scored),
                eval_images=sum(each.images for each in scored),
                peak_memory_mib=max(run.peak_memory_mib, peak),
            ),
            curves=run.curves,
            unscored={
                target: message_of(why)[:LONGEST_REASON]
                for target, why in outcomes.items()
                if isinstance(why, CannotTransferError)
            },
            files=_artifacts(run),
            environment=environment(
                self._backbone,
                self._execution.threads,
                seeds_together=run.trained_with,
                steps=run.steps,
                graphs=run.graphs,
                learner_of=run.learner_of,
            ),
            predictions={
                target: to_parquet(each.predictions) for target, each in by_target.items() if each.predictions
            },
        )

    def _learner(self, planned: PlannedRun, classes: Classes) -> Learner:
        learner = self._registry.get(planned.spec.method).learner
        drawn = int(generator("init", planned.spec.method, planned.spec.seed).integers(2**63))
        config = learner.config_type.model_validate(dict(planned.config))
        return learner(self._backbone, config, classes, torch.Generator().manual_seed(drawn))


Outcomes = dict[Target, Evaluated | Exception]
"""By target: the scores, why there are none (CannotTransferError), or the exception that ended the run."""


def _error(outcomes: Outcomes) -> Exception | None:
    errors = (outcome for outcome in outcomes.values() if isinstance(outcome, Exception))
    return next((error for error in errors if not isinstance(error, CannotTransferError)), None)


def _handed_over(folder: Path) -> KeptTraining | None:
    """The learner that is to be scored without training; None if there is none, or a training to go on with."""
    return None if (folder / CHECKPOINT).exists() else kept_training(folder)


def _artifacts(run: TrainedRun) -> dict[str, bytes]:
    """The artifacts of a run: the trained tensors with what is needed to load them, and the few-shot split."""
    drawn, planned = run.task.train, run.planned
    rows = [[drawn.images.key(row), int(label)] for row, label in enumerate(drawn.labels)]
    source = str(planned.provenance["method_source"])
    learned = Learned.of(run.learner, run.task.classes, planned.spec.method, source)
    return {LEARNED: learned.content(), "split.json": json.dumps(rows, indent=0).encode()}
