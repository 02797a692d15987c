"""How whole runs are shortened, what is measured of them, and their tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.data.data_manager import Examples
from tools.speed.report import Report
from tools.speed.world import class_names, examples, recipe_of

PUBLISHED_SHOTS = 16


@dataclass(frozen=True)
class Plan:
    """How published runs are shortened, in the same way for both sides. By default, methods with batches of 4 have
    about a 250th of their published steps, so none has a larger share of the time than in the published runs.

    classes: half of them base, half novel. images: of a training; published 16 a base class. divide: published epochs
    are divided by it (at least one). test: test images of all classes. naive_steps, naive_templates: naive steps, and
    templates of PromptSRC's teacher, that are measured.
    """

    classes: int = 100
    images: int = 16
    divide: int = 5
    test: int = 20
    seeds: int = 3
    naive_steps: int = 2
    naive_templates: int = 2

    @classmethod
    def quick(cls) -> "Plan":
        """In about two minutes."""
        return cls(classes=20, images=8, divide=50, test=8, seeds=2, naive_steps=1, naive_templates=1)

    def recipe(self, method: str, *, augment: bool) -> Recipe:
        """The published recipe, shortened."""
        found = recipe_of(method)
        return found.model_copy(update={"epochs": max(1, found.epochs // self.divide), "augment": augment})

    @property
    def base(self) -> Classes:
        """The classes trained on."""
        return self._part(slice(0, self.classes // 2))

    @property
    def novel(self) -> Classes:
        """The others."""
        return self._part(slice(self.classes // 2, self.classes))

    def _part(self, kept: slice) -> Classes:
        names = class_names(self.classes)
        return Classes(names.names[kept], names.template, names.dataset)

    def train(self, seed: int) -> Examples:
        """The base images of a seed's few-shot split."""
        return examples(f"train {seed}", self.images, len(self.base))

    @property
    def tests(self) -> Examples:
        """Test images of all classes."""
        drawn = examples("test", self.test, self.classes)
        return Examples(drawn.images, np.arange(self.test, dtype=np.int64) * self.classes // self.test)


@dataclass
class Run:
    """Seconds of a run: its training, and both evaluations."""

    training: float
    evaluation: float

    @property
    def whole(self) -> float:
        """All of it."""
        return self.training + self.evaluation


@dataclass
class Method:
    """What was measured of a method; `naive` holds the seconds of the parts of a naive run."""

    name: str
    epochs: int
    steps: int
    naive: dict[str, float]
    repeated: list[Run] = field(default_factory=list)
    fresh_epoch: float = 0.0

    @property
    def naive_run(self) -> float:
        """Seconds of a naive run."""
        part = self.naive
        stepping = self.epochs * self.steps * part["step"]
        return 2 * part["start"] + part["prompts"] + stepping + 2 * (part["texts"] + part["images"])

    @property
    def own_step(self) -> float:
        """Seconds of a step of ours with all that a training does, of the last seed."""
        return self.repeated[-1].training / (self.epochs * self.steps)

    @property
    def fresh(self) -> list[float]:
        """Seconds of our runs with augmentation: the measured epoch times epochs, and the evaluations as measured."""
        return [self.fresh_epoch * self.epochs + run.evaluation for run in self.repeated]


def show(measured: Sequence[Method], start: float, plan: Plan, report: Report) -> None:
    """The runs, their parts, and what the parts say of trainings of published length."""
    _runs(measured, start, plan, report)
    _growth(measured, start, plan, report)
    _parts(measured, plan, report)
    _published(measured, plan, report)


def _runs(measured: Sequence[Method], start: float, plan: Plan, report: Report) -> None:
    rows = []
    for found in measured:
        own, fresh = [run.whole for run in found.repeated], found.fresh
        each = found.naive_run
        rows.append(
            [
                *(found.name, f"{found.epochs} x {found.steps}", f"{each:.0f}", ", ".join(f"{run:.1f}" for run in own)),
                f"{each * len(own) / sum(own):.1f}x",
                f"{np.mean(fresh):.1f}",
                f"{each * len(own) / sum(fresh):.1f}x",
            ]
        )
    naive = sum(found.naive_run * len(found.repeated) for found in measured)
    own = start + sum(run.whole for found in measured for run in found.repeated)
    fresh = start + sum(sum(found.fresh) for found in measured)
    rows.append(
        ["all runs", "", f"{naive:.0f}", f"{own:.1f}", f"{naive / own:.1f}x", f"{fresh:.1f}", f"{naive / fresh:.1f}x"]
    )
    report.show(
        "runs",
        "Whole runs: train, base and novel evaluation",
        ["method", "epochs x steps", "naive run s", "our runs s", "ratio", "augmented run s", "augmented ratio"],
        rows,
        f"CPU seconds, which on one thread are those of a quiet machine. {plan.classes} classes, half of them base, "
        f"{plan.images} training images, {plan.test} test images; published epochs divided by {plan.divide} (at "
        f"least one); {plan.seeds} seeds. Ours: carried out one after the other with one cache, without augmentation; "
        f"the total has one process start of {start:.1f} s. Augmented: an epoch of each method is carried out and "
        "multiplied by its epochs. Naive: put together from measured parts, the same with augmentation and without.",
    )


def _growth(measured: Sequence[Method], start: float, plan: Plan, report: Report) -> None:
    rows = []
    for methods in range(1, len(measured) + 1):
        for seeds in sorted({1, plan.seeds}):
            chosen = measured[:methods]
            naive = sum(found.naive_run * seeds for found in chosen)
            own = start + sum(run.whole for found in chosen for run in found.repeated[:seeds])
            names = ", ".join(found.name for found in chosen)
            rows.append([names, str(seeds), f"{naive:.0f}", f"{own:.1f}", f"{naive / own:.1f}x"])
    report.show(
        "runs_growth",
        "Growth with methods and seeds",
        ["methods", "seeds", "naive s", "ours s", "ratio"],
        rows,
        "The runs of the table before, as many as said, and one process start.",
    )


def _parts(measured: Sequence[Method], plan: Plan, report: Report) -> None:
    parts = ["start", "prompts", "step", "texts", "images"]
    report.show(
        "runs_parts",
        "The parts of the runs, CPU seconds",
        ["method", *(f"naive {part}" for part in parts), "our step", "our augmented step", "our evaluations"],
        [
            [
                found.name,
                *(f"{found.naive[part]:.2f}" for part in parts),
                f"{found.own_step:.2f}",
                f"{found.fresh_epoch / found.steps:.2f}",
                f"{np.mean([run.evaluation for run in found.repeated]):.2f}",
            ]
            for found in measured
        ],
        "Naive: a process start with the model, the training's prompts (PromptSRC's teacher from "
        f"{plan.naive_templates} of its templates), a step with decoding (median of {plan.naive_steps}), texts and "
        "images of one evaluation. Ours: all that a training does, of the last seed, divided by its steps; the mean of "
        "both evaluations.",
    )


def _published(measured: Sequence[Method], plan: Plan, report: Report) -> None:
    rows, sums = [], np.zeros(3)
    for found in measured:
        recipe = recipe_of(found.name)
        steps = recipe.steps(PUBLISHED_SHOTS * len(plan.base))
        each = np.array([found.naive["step"], found.own_step, found.fresh_epoch / found.steps])
        hours = recipe.epochs * steps * each / 3600
        sums += hours
        rows.append([found.name, f"{recipe.epochs} x {steps}", *_hours(hours)])
    rows.append(["all", "", *_hours(sums)])
    report.show(
        "runs_published",
        f"The same steps at published length: a training with {PUBLISHED_SHOTS} shots",
        ["method", "epochs x steps", "naive h", "ours h", "augmented h", "ratio", "augmented ratio"],
        rows,
        "Calculated, not carried out: epochs times steps times the measured step, hours of one core.",
    )


def _hours(hours: np.ndarray) -> list[str]:
    naive, own, fresh = hours
    return [*(f"{value:.2f}" for value in hours), f"{naive / own:.1f}x", f"{naive / fresh:.1f}x"]
