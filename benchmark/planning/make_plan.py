"""Makes the plan of a comparison: everything that can be known before anything is computed."""

from collections.abc import Sequence

from promptarena.benchmark.backbone.weight_origins import Weights
from promptarena.benchmark.core.errors import NotReadyError
from promptarena.benchmark.core.recipe import Recipe, images_seen
from promptarena.benchmark.core.runs import PlannedRun, RunSpec
from promptarena.benchmark.data.class_names import repeated_note
from promptarena.benchmark.data.data_manager import Data
from promptarena.benchmark.data.few_shot import restrict
from promptarena.benchmark.planning.enumeration import RequestedRuns
from promptarena.benchmark.planning.estimates import Workload
from promptarena.benchmark.planning.few_shot_notes import fewest_notes, without_repeated_splits
from promptarena.benchmark.planning.kept_plans import Plan, split_digest
from promptarena.benchmark.planning.plan import Planner
from promptarena.benchmark.planning.suites import Suite
from promptarena.benchmark.plugins.asking import MethodFailedError


def make_plan(requested: RequestedRuns, data: Data, weights: Weights, precision: str) -> Plan:
    """Plan the runs of a request.

    Args:
        requested: The runs, as `enumerate_request` gives them.
        data: The suite's datasets.
        weights: The weights and their digest.
        precision: The precision of training and evaluation.

    Returns:
        The plan. A method that fails is left out.

    Raises:
        UserError: Bad input, or missing data.
    """
    suite = requested.suite
    planner = Planner(suite, requested.registry, data, weights, precision)
    planned, left_out, failed = _planned(planner, requested.runs, named=requested.methods_named)
    runs, repeated = without_repeated_splits(planned, suite, data)
    own = sorted({name for run in runs for name in run.provenance["own_splits"]})
    notes = [*requested.notes, *left_out, *repeated, *fewest_notes(runs), *_names_notes(runs, suite, data)]
    notes += [f"{name}: own split, divided here; its figures are labelled so." for name in own]
    return Plan(
        runs=runs,
        notes=tuple(notes),
        workloads={run.key: _workload(run, suite, data) for run in runs},
        splits={f"{dataset}/{name}": split_digest(split) for (dataset, name), split in data.listed.items()},
        files=dict(planner.files),
        failed=tuple(dict.fromkeys([*map(str, requested.failed), *failed])),
    )


def _names_notes(runs: Sequence[PlannedRun], suite: Suite, data: Data) -> list[str]:
    """A note for each dataset in which two classes have the same name."""
    scored = dict.fromkeys(target.dataset for run in runs for target in run.spec.targets)
    named = {name: data.split(suite.card(name), "test").class_names for name in scored}
    return [f"{name}: {note}." for name, names in named.items() if (note := repeated_note(names))]


def _planned(
    planner: Planner, specs: Sequence[RunSpec], named: bool
) -> tuple[tuple[PlannedRun, ...], tuple[str, ...], tuple[str, ...]]:
    """The planned runs, a note for each method that is not ready, unless the user named the methods, and the reasons
    why methods failed."""
    runs, left_out, failed = [], dict[str, str](), list[str]()
    for spec in specs:
        try:
            runs.append(planner.plan(spec))
        except NotReadyError as error:
            if named:
                raise
            left_out[spec.method] = f"{spec.method} is left out: {error}"
        except MethodFailedError as error:  # a plugin must not keep the other methods from running
            failed.append(str(error))
    return tuple(runs), tuple(left_out.values()), tuple(failed)


def _workload(run: PlannedRun, suite: Suite, data: Data) -> Workload:
    spec = run.spec
    drawn, _ = data.few_shot(suite.card(spec.dataset), spec.subset, spec.shots, spec.seed or 0)
    scored = 0
    for target in spec.targets:
        card = suite.card(target.dataset)
        classes = len(data.classes(card, "all", "test"))
        scored += len(restrict(data.test(card).labels, target.subset, classes).rows)
    recipe = Recipe(**run.recipe)
    seen = images_seen(recipe, len(drawn.labels))
    classes = len(data.classes(suite.card(spec.dataset), spec.subset, "train"))
    return Workload(seen, seen // recipe.batch_size * classes, scored)
