"""Plans that were made before. Making a plan imports the methods and torch, which takes seconds; reading one does not.

A kept plan counts only if everything that decides it is as it was: promptarena's own code, the request, the suite and
its cards, the weights, and what is checked when it is read: the datasets' images and the files that methods read.
"""

import contextlib
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import cast

from pydantic import TypeAdapter, ValidationError

from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import digest, file_digest
from promptarena.benchmark.core.paths import DATASETS, METHODS
from promptarena.benchmark.core.runs import PlannedRun
from promptarena.benchmark.data.cards import SplitName
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.splits import Split
from promptarena.benchmark.planning.estimates import Workload
from promptarena.benchmark.planning.request import Request
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.cards import ALL, foreign_methods

KEPT = 50
"""The most plans that are kept; the oldest are removed."""


@dataclass(frozen=True)
class Plan:
    """All runs of a comparison, and what was read to plan them.

    Args:
        runs: The runs.
        notes: Lines for the user.
        workloads: The size of each run by its key, as if it did not share its training.
        splits: The digest of each split that was listed, by dataset and split; None for one that does not exist.
        files: SHA-256 of each file that a method reads, by its path.
        fitting: The keys of the runs whose prompts are known to fit the backbone's context.
        failed: One line for each reason why a method's runs could not be planned.
    """

    runs: tuple[PlannedRun, ...]
    notes: tuple[str, ...]
    workloads: Mapping[str, Workload]
    splits: Mapping[str, str | None]
    files: Mapping[str, str]
    fitting: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()


@cache
def _form() -> TypeAdapter[Plan]:
    return TypeAdapter(Plan)


class KeptPlan:
    """The place of the plan of a request.

    Args:
        path: Its file; None if the plan of this request cannot be kept.
        suite: The suite.
        data: The suite's datasets.
    """

    def __init__(self, path: Path | None, suite: Suite, data: Data) -> None:
        self._path = path
        self._suite = suite
        self._data = data

    @classmethod
    def of(
        cls,
        request: Request,
        suite: Suite,
        data: Data,
        *,
        weights: Weights | None,
        precision: str,
        cache: Path,
        plugins: Sequence[Path],
    ) -> "KeptPlan":
        """The place of a request's plan.

        It cannot be kept if the weights are not known, or if methods that are not promptarena's own take part: their
        code may depend on anything.

        Args:
            request: What the user requests.
            suite: The suite.
            data: The suite's datasets.
            weights: The weights and their digest, if known.
            precision: The precision of training and evaluation.
            cache: The folder of what is kept.
            plugins: Files with further methods.

        Returns:
            The place.
        """
        foreign, architecture = foreign_methods(), suite.backbone.given_architecture
        methods = request.methods or suite.methods
        if weights is None or plugins or set(foreign) & {*methods} or (foreign and ALL in methods):
            return cls(None, suite, data)
        key = digest(
            _code(),
            asdict(request),
            # The settings may name files relative to this folder.
            str(Path.cwd()) if request.settings or request.ablations else "",
            suite.model_dump(mode="json"),
            [[str(card.path), card.model_dump(mode="json")] for card in map(suite.card, suite.dataset_names)],
            file_digest(architecture) if isinstance(architecture, Path) else architecture,
            asdict(weights),
            precision,
        )
        return cls(cache / "plans" / f"{key}.json", suite, data)

    def read(self) -> Plan | None:
        """The kept plan, if there is one and all that was read to make it is as it was."""
        if self._path is None:
            return None
        try:
            seal, _, text = self._path.read_text(encoding="utf-8").partition("\n")
            plan = _form().validate_json(text) if seal == digest(text) else None
        except (OSError, ValidationError, ValueError):
            return None
        return plan if plan and self._still_holds(plan) else None

    def write(self, plan: Plan) -> None:
        """Keep a plan, unless a method failed: that may have passing reasons. What cannot be written is left out."""
        if self._path is None or plan.failed:
            return
        text = _form().dump_json(plan).decode()
        with contextlib.suppress(UserError, OSError):
            write_atomically(self._path, f"{digest(text)}\n{text}")
            kept = sorted(self._path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime_ns)
            for path in kept[:-KEPT]:
                path.unlink(missing_ok=True)

    def _still_holds(self, plan: Plan) -> bool:
        try:
            return all(self._split(place) == known for place, known in plan.splits.items()) and all(
                file_digest(Path(path)) == known for path, known in plan.files.items()
            )
        except UserError:  # data or a file is gone; planning says so
            return False

    def _split(self, place: str) -> str | None:
        dataset, _, name = place.partition("/")
        return split_digest(self._data.find(self._suite.card(dataset), cast(SplitName, name)))


def split_digest(split: Split | None) -> str | None:
    """A digest of a split's content and of who divided it; None for a split that the dataset does not have."""
    return None if split is None else digest(split.digest, split.own_split)


@cache
def _code() -> str:
    """A digest of what decides any plan: promptarena's code and role tables, and the versions of what it plans with."""
    code = [path for folder in (Path(__file__).parents[1], METHODS) for path in sorted(folder.rglob("*.py"))]
    tables = sorted(DATASETS.glob("*/heads/*.json"))
    content = [[str(path), file_digest(path)] for path in (*code, *tables)]
    versions = [importlib.metadata.version(package) for package in ("promptarena", "pydantic", "open_clip_torch")]
    return digest(content, sys.version, versions)
