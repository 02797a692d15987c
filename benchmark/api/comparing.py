"""Run a comparison from Python."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.request import Request
from promptarena.lookups import load_suite
from promptarena.outcomes import Results, recorded_results

if TYPE_CHECKING:
    from promptarena.benchmark.plugins.learner import Learner


def compare(
    suite: str | Path = "mini",
    methods: "str | type[Learner] | Sequence[str | type[Learner]]" = (),
    *,
    protocols: Sequence[str] = (),
    datasets: Sequence[str] = (),
    seeds: Sequence[int] = (),
    shots: Sequence[int] = (),
    settings: Mapping[str, Any] | None = None,
    ablations: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    results: str | Path = "results",
    tracking_uri: str | None = None,
    root: str | Path | None = None,
    workers: int | None = None,
    device: str = "auto",
    precision: Literal["fp32", "bf16", "fp16"] = "fp32",
    quiet: bool = False,
) -> Results:
    """Run the runs of a comparison that are not recorded yet, and return all of them.

    After an interruption the same call goes on where it stopped. What is empty stands for the suite's default.

    Args:
        suite: A built-in suite's name, or the path of a suite's TOML file.
        methods: Names, "all", or classes, or a single one of these. The source of a class that is defined in a notebook
            is written to `results/plugins`; the key of its runs rests on that file.
        protocols: "base-to-novel", "cross-dataset", "domain-generalization", "few-shot".
        datasets: The datasets to train on, and the targets of the transfer protocols.
        seeds: The seeds.
        shots: Training images per class.
        settings: Changed settings, such as {"coop.n_ctx": 8, "coop.recipe.epochs": 10}.
        ablations: Names of the methods' ablations that are run as well, or "all".
        plugins: Python files that define methods.
        results: The folder of the record.
        tracking_uri: The address of another MLflow store.
        root: The folder of the datasets.
        workers: Runs at the same time; None: one per GPU, or per CPU core.
        device: "auto", "cpu", "cuda", "cuda:1", ...
        precision: "fp32", "bf16" or "fp16".
        quiet: Whether nothing is shown.

    Returns:
        The finished runs of this comparison.

    Raises:
        UserError: Bad input, missing data or weights, or every run failed. Runs that failed beside others are named in
            a warning.

    >>> import promptarena as pa
    >>> found = pa.compare("mini", ["zeroshot"], datasets=["digits"], protocols=["base-to-novel"], quiet=True)
    >>> found.frame["target_subset"].tolist()
    ['base', 'novel']
    """
    import warnings

    from promptarena.benchmark.cli.commands import terminal
    from promptarena.benchmark.cli.commands.progress import ProgressReporter
    from promptarena.benchmark.inputs.array_cache import default_cache_folder
    from promptarena.benchmark.recording.record import Record, RecordPlace
    from promptarena.benchmark.running.comparison import plan_comparison, run_comparison
    from promptarena.benchmark.running.execution import ExecutionConfig, default_workers

    folder = Path(results).absolute()
    names, files = _methods(methods, folder, [Path(path).absolute() for path in plugins])
    request = Request(
        methods=names,
        protocols=tuple(protocols),
        datasets=tuple(datasets),
        seeds=tuple(seeds),
        shots=tuple(shots),
        settings=tuple(f"{name}={_setting(value)}" for name, value in (settings or {}).items()),
        ablations=tuple(ablations),
    )
    request.check_names(load_suite(suite), files)
    execution = ExecutionConfig(
        suite=str(suite),
        results=folder,
        cache=default_cache_folder(),
        data_root=Path(root) if root else None,
        plugins=tuple(files),
        device=device,
        precision=precision,
    )
    record = Record.open(RecordPlace(folder, tracking_uri))
    comparison = plan_comparison(request, execution, record)
    failures = list(comparison.failed)
    if comparison.missing():
        from promptarena.benchmark.running.local import LocalPool

        count = workers or default_workers()
        console = terminal.console()
        console.quiet = quiet
        with ProgressReporter(console, comparison, count) as reporter:
            failed = run_comparison(comparison, LocalPool(execution, count), record, folder, reporter)
        failures += [f"{run.spec.label} on {run.spec.dataset}: {error}" for run, error in failed]
    found = recorded_results(folder, tracking_uri, suite, comparison.keys)
    for reason in dict.fromkeys(failures):
        if not len(found):
            raise UserError(reason)
        warnings.warn(reason, stacklevel=2)
    return found


def _setting(value: Any) -> str:
    """A value as `--set` takes it."""
    return value if isinstance(value, str) else json.dumps(value)


def _methods(
    given: "str | type[Learner] | Sequence[str | type[Learner]]", results: Path, plugins: Sequence[Path]
) -> tuple[tuple[str, ...], list[Path]]:
    """The names of the methods, and the plugin files with those of the classes among them."""
    several = [given] if isinstance(given, str | type) else list(given)
    if all(isinstance(each, str) for each in several):
        return tuple(map(str, several)), list(plugins)
    from promptarena.benchmark.plugins.registry import load_registry
    from promptarena.notebook_methods import plugin_of

    known = {method.learner: name for name, method in load_registry(plugins).methods.items()}
    names, files = list[str](), list(plugins)
    for each in several:
        if isinstance(each, str):
            names.append(each)
        elif each in known:
            names.append(known[each])
        else:
            files.append(plugin_of(each, results / "plugins"))
            names.append(files[-1].stem.replace("_", "-"))  # as the registry names the learner of a file
    return tuple(names), files
