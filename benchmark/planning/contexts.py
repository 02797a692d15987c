"""Finds prompts that do not fit the backbone's context before anything is trained, whatever the method."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import torch
from torch import Tensor

from promptarena.benchmark.backbone.architectures import find_architecture
from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import NONE, Inside, Interventions, Kinds
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.core.classes import Classes
from promptarena.benchmark.core.context import ContextError, require_fit
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.learner import Learner
from promptarena.benchmark.plugins.registry import Registry


class _Shapes(Tower):
    """A tower whose blocks compute nothing: tokens without values would still take seconds of torch's shape rules."""

    def _block(self, block: Any, x: Tensor, bias: Tensor | None, inside: Inside | None) -> Tensor:
        return x

    def read(
        self,
        tokens: Tensor,
        rows: Tensor,
        *,
        start: int = 0,
        interventions: Interventions = NONE,
        **kinds: Unpack[Kinds],
    ) -> Tensor:
        """Rows (B, R, W) without values."""
        read = self.run(tokens, start=start, interventions=replace(interventions, **kinds))
        return read.new_empty(len(read), rows.shape[-1], self.width)

    def read_after(
        self, shared: Tensor, own: Tensor, ends: Tensor, *, start: int = 0, interventions: Interventions = NONE
    ) -> Tensor:
        """Rows (B, W) without values."""
        return own.new_empty(len(own), self.width)


class Measure(Backbone):
    """A backbone without weights that only counts tokens: its token ids say where a text ends and nothing else."""

    def __init__(self, architecture: str | Path, digest: str = "") -> None:
        super().__init__(
            find_architecture(architecture).build("meta"),
            Path(architecture).stem,
            digest,
            torch.device("meta"),
            "fp32",
        )
        self.text = _Shapes(self.model.transformer.resblocks, True)
        self._counted: dict[str, int] = {}

    def token_counts(self, texts: Sequence[str]) -> tuple[int, ...]:
        """As of `Backbone`; each text is counted once."""
        new = list(dict.fromkeys(text for text in texts if text not in self._counted))
        self._counted |= dict(zip(new, super().token_counts(new), strict=True))
        return tuple(self._counted[text] for text in texts)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Ids (C, L) int64 on the CPU, of which only the place of the end-of-text token is right."""
        counts = self.token_counts(texts)
        require_fit(texts, counts, self.context_length)
        ids = torch.ones(len(texts), max(counts, default=0) + 2, dtype=torch.int64)
        ids[torch.arange(len(texts)), torch.tensor(counts, dtype=torch.int64) + 1] = 2
        return ids

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Features (C, D) of texts that fit; they have no values."""
        require_fit(texts, self.token_counts(texts), self.context_length)
        return torch.zeros(len(texts), self.embed_dim)

    def project_text(self, rows: Tensor) -> Tensor:
        """Features (..., D) without values."""
        return rows.new_empty(*rows.shape[:-1], self.embed_dim)

    def embed(self, ids: Tensor) -> Prompts:
        """Prompts of the right shape, without values."""
        return Prompts(torch.empty(*ids.shape, self.text.width, device="meta"), ids.argmax(-1))


def check_prompts(suite: Suite, registry: Registry, data: Data, runs: Iterable[PlannedRun]) -> None:
    """Check that every prompt of the planned runs fits the backbone's context.

    Each method builds its prompts as in a run, with a backbone that has shapes and no values. A method that needs
    values to do so is not checked further than it gets; its run then reports what does not fit.

    Args:
        suite: The suite.
        registry: The known methods.
        data: The suite's datasets.
        runs: The planned runs.

    Raises:
        UserError: A prompt does not fit; the message has the method, the dataset and the prompt.
    """
    trainings: dict[tuple[str, str, Classes], tuple[PlannedRun, dict[Classes, None]]] = {}
    for run in runs:
        trained = data.classes(suite.card(run.spec.dataset), run.spec.subset, "train")
        _, scored = trainings.setdefault((run.spec.method, repr(run.config), trained), (run, {}))
        for target in run.spec.targets:
            scored[data.classes(suite.card(target.dataset), target.subset, "test")] = None
    measure: Measure | None = None
    for (_, _, trained), (run, scored) in trainings.items():
        measure = measure or Measure(suite.backbone.given_architecture, str(run.provenance["backbone"]))
        _check(measure, registry, run, trained, scored)


def check_template(architecture: str | Path, classes: Classes) -> None:
    """Check that a dataset's own prompts fit a backbone's context.

    Args:
        architecture: As `find_architecture` takes it.
        classes: The dataset's classes.

    Raises:
        UserError: The architecture is unknown, or a prompt does not fit.
    """
    texts, measure = classes.filled(), Measure(architecture)
    require_fit(texts, measure.token_counts(texts), measure.context_length)


def _check(measure: Measure, registry: Registry, run: PlannedRun, trained: Classes, scored: Iterable[Classes]) -> None:
    """Build the prompts of a training, and those of all classes on which its learner is scored."""
    kind = registry.get(run.spec.method).learner
    learner: Learner | None = None
    for classes in (trained, *scored):
        try:
            if learner is None:
                learner = kind(measure, kind.config_type.model_validate(dict(run.config)), trained, torch.Generator())
                learner.training_prompts(trained)
            else:
                learner.prompts(classes)
        except ContextError as error:
            where = f"{run.spec.label} on {classes.dataset}"
            raise UserError(f"{where}: {error}; shorten the class name or template") from error
        except Exception:  # whatever needs values, or cannot score these classes: the run says so
            if learner is None:
                return
