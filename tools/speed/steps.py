"""Training steps and evaluations of each method: the naive path, ours on new pixels, and ours on stored ones."""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from promptarena.benchmark.cli.commands.terminal import console
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.inputs.array_cache import ArrayCache
from promptarena.benchmark.inputs.views import PixelBatch, View
from promptarena.benchmark.plugins.learner import Images, Learner
from tools.speed.measure import Timed, flops, interleaved, matmul_rate, ratio
from tools.speed.report import Report
from tools.speed.world import ONE_TEMPLATE, STEP_BATCH, WITHOUT_CHANCE, World, class_names, examples


class Side:
    """A learner in training, and how it gets its images."""

    def __init__(self, learner: Learner, classes: Classes, images: Callable[[], Images], labels: Tensor) -> None:
        self.learner = learner
        self.images = images
        self.labels = labels
        self._prompts = learner.training_prompts(classes)
        self._classes = classes
        self.optimizer = torch.optim.SGD(learner.parameters(), lr=1e-4, momentum=0.9)
        self.outcome: tuple[Tensor, ...] = ()

    def forward_and_backward(self) -> tuple[Tensor, ...]:
        """The logits, losses and gradients."""
        logits, *losses = self.gradients(self.images(), self.labels).values()
        gradients = [parameter.grad for parameter in self.learner.parameters() if parameter.grad is not None]
        return (logits, *losses, *gradients)

    def gradients(self, images: Images, labels: Tensor) -> dict[str, Tensor]:
        """The logits and losses; the parameters get their gradients."""
        with self.learner.backbone.autocast():
            logits, losses = self.learner.training_step(images, labels, self._prompts)
        self.optimizer.zero_grad(set_to_none=True)
        self.learner.backward(losses)
        return {"logits": logits.detach(), **{f"loss {name}": loss.detach() for name, loss in losses.items()}}

    def step(self) -> None:
        """One training step; the outcome of the first is kept."""
        outcome = self.forward_and_backward()
        self.outcome = self.outcome or outcome
        self.optimizer.step()

    def texts(self) -> object:
        """The classifier, without gradients."""
        with torch.inference_mode():
            self._classifier = self.learner.classifier(self.learner.prompts(self._classes))
        return self._classifier

    def scores(self) -> Tensor:
        """Logits of the images with the classifier of the last `texts`."""
        with torch.inference_mode():
            return self.learner.logits(self.images(), self._classifier)

    def both(self) -> None:
        """Texts and scores, as in each batch of the naive path."""
        self.texts()
        self.scores()


def sides(world: World, method: str, classes: int, batch: int, folder: Path, **more: Any) -> dict[str, Side]:
    """The three sides, on the same images and from the same initial parameters; `more` are settings of the method."""
    names, settings = class_names(classes), {**ONE_TEMPLATE.get(method, {}), **more}
    shown = examples("step", batch, classes)
    labels = torch.from_numpy(shown.labels)
    view = View(shown.images, world.ours, ArrayCache(folder))
    pixels, rows = view.pixels(range(batch)), list(range(batch))
    naive = world.learner(method, names, naive=True, **settings)
    fresh, repeated = (world.learner(method, names, **settings) for _ in range(2))
    for learner in (fresh, repeated):
        learner.load_state_dict(naive.state_dict())
    return {
        "naive": Side(naive, names, lambda: PixelBatch(pixels, world.naive), labels),
        "fresh": Side(fresh, names, lambda: PixelBatch(pixels, world.ours), labels),
        "repeated": Side(repeated, names, lambda: view.batch(rows), labels),
    }


def difference(one: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """The largest relative L2 distance of a pair of tensors."""
    return max(float((a - b).norm() / b.norm().clamp_min(1e-12)) for a, b in zip(one, other, strict=True))


def _difference_of_first(measured: Mapping[str, Side]) -> float:
    first = {name: side.outcome for name, side in measured.items()}
    return max(difference(first[name], first["naive"]) for name in ("fresh", "repeated"))


def _each(
    world: World, methods: Sequence[str], classes: Sequence[int]
) -> Iterator[tuple[str, int, int, dict[str, Side]]]:
    """Method, class count, batch size and sides, where ours have cached what a first step caches."""
    for count in classes:
        for method in methods:
            batch = STEP_BATCH.get(method, 4)
            with tempfile.TemporaryDirectory() as folder:
                measured = sides(world, method, count, batch, Path(folder))
                for name in ("fresh", "repeated"):
                    measured[name].forward_and_backward()
                yield method, count, batch, measured


def steps(world: World, methods: Sequence[str], classes: Sequence[int], rounds: int, report: Report) -> None:
    """Time a training step of each method and class count."""
    rows = []
    for method, count, batch, measured in _each(world, methods, classes):
        timed = interleaved({name: side.step for name, side in measured.items()}, rounds)
        off = _difference_of_first(measured)
        if method in WITHOUT_CHANCE:
            with tempfile.TemporaryDirectory() as folder:
                certain = sides(world, method, count, batch, Path(folder), **WITHOUT_CHANCE[method])
                for side in certain.values():
                    side.step()
                off = _difference_of_first(certain)
        rows.append([method, str(count), str(batch), *_times(timed), f"{off:.0e}"])
        console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "steps",
        "A training step: forward, backward, optimiser",
        ["method", "classes", "batch", *HEADERS, "difference"],
        rows,
        MEASURED.format(rounds) + "Fresh: every image is encoded anew. Repeated: frozen parts come from the cache. "
        "Difference: of logits, losses and gradients of the first step, relative L2, the worst tensor.",
    )


HEADERS = [
    *("naive CPU s", "fresh CPU s", "repeated CPU s", "fresh CPU ratio", "repeated CPU ratio"),
    *("wall s", "fresh wall ratio", "repeated wall ratio", "MiB"),
]
MEASURED = (
    "CPU seconds, medians of {} interleaved rounds; ratios of paired rounds, median and quartiles; the same by the "
    "clock; and the process's peak memory. Wall seconds and MiB: naive, fresh, repeated. "
)


def _times(timed: dict[str, Timed]) -> list[str]:
    three = naive, fresh, repeated = timed["naive"], timed["fresh"], timed["repeated"]
    return [
        *(f"{side.cpu_seconds:.3f}" for side in three),
        *(str(ratio(naive.cpu, side.cpu)) for side in (fresh, repeated)),
        ", ".join(f"{side.seconds:.3f}" for side in three),
        *(str(ratio(naive.wall, side.wall)) for side in (fresh, repeated)),
        ", ".join(f"{side.mib:.0f}" for side in three),
    ]


def evaluate(
    world: World,
    methods: Sequence[str],
    classes: Sequence[int],
    rounds: int,
    report: Report,
    *,
    images: int = 64,
    batch: int = 16,
) -> None:
    """Time an evaluation: texts in every batch against texts once."""
    rows, batches = [], images // batch
    for count in classes:
        for method in methods:
            with tempfile.TemporaryDirectory() as folder:
                measured = sides(world, method, count, batch, Path(folder))
                naive, fresh, repeated = (measured[name] for name in ("naive", "fresh", "repeated"))
                for side in (fresh, repeated):
                    side.both()
                parts = {
                    "naive": naive.both,
                    "texts": fresh.texts,
                    "fresh": fresh.scores,
                    "repeated": repeated.scores,
                }
                timed = interleaved(parts, rounds)
                off = difference([fresh.scores(), repeated.scores()], [naive.scores()] * 2)
            whole = {
                "naive": _sum(batches, timed["naive"]),
                "fresh": _sum(batches, timed["fresh"], timed["texts"]),
                "repeated": _sum(batches, timed["repeated"], timed["texts"]),
            }
            rows.append([method, str(count), f"{images} in {batch}s", *_times(whole), f"{off:.0e}"])
            console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "evaluate",
        f"An evaluation of {images} images in batches of {batch}",
        ["method", "classes", "images", *HEADERS, "difference"],
        rows,
        MEASURED.format(rounds) + f"Put together from parts: naive, {batches} times a batch with its texts; ours, the "
        f"texts once and {batches} times a batch. Fresh: images encoded. Repeated: frozen parts come from the cache, "
        "as in any second evaluation. Difference: of logits, relative L2.",
    )


def _sum(times: int, batch: Timed, texts: Timed | None = None) -> Timed:
    more = texts or Timed([0.0] * len(batch.wall), [0.0] * len(batch.cpu), [0.0] * len(batch.peak))
    return Timed(
        [times * one + other for one, other in zip(batch.wall, more.wall, strict=True)],
        [times * one + other for one, other in zip(batch.cpu, more.cpu, strict=True)],
        [max(one, other) for one, other in zip(batch.peak, more.peak, strict=True)],
    )


def floor(world: World, methods: Sequence[str], classes: Sequence[int], rounds: int, report: Report) -> None:
    """How near our steps come to the operations that they need, at the core's rate of matrix products."""
    rows = []
    for method, count, _, measured in _each(world, methods, classes):
        for name in ("fresh", "repeated"):
            work = flops(measured[name].step)
            rates: list[float] = []
            calls = {"rate": lambda into=rates: into.append(matmul_rate()), "step": measured[name].step}
            timed = interleaved(calls, rounds)
            least = work / max(rates)
            taken = min(timed["step"].cpu)
            rows.append(
                [
                    *(method, str(count), name, f"{work / 1e9:.0f}", f"{max(rates) / 1e9:.0f}"),
                    *(f"{least:.3f}", f"{taken:.3f}", f"{100 * least / taken:.0f} %"),
                ]
            )
            console(stderr=True).print(" ".join(rows[-1]))
    report.show(
        "floor",
        "Our steps against the floor",
        ["method", "classes", "images", "GFLOP", "GFLOP/s", "floor s", "step s", "reached"],
        rows,
        "GFLOP: matrix products of a step, attention's too, forward and backward. GFLOP/s: the best rate of float32 "
        "matrix products of this size, measured between the steps. Floor: their quotient. Step: the best of "
        f"{rounds}. All in CPU seconds.",
    )
