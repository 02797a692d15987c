"""What a finished comparison expects of each protocol."""

from pathlib import Path

import pytest
from record_runs import COST

from promptarena.benchmark.api import comparing
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.runs import PlannedRun, RunResult, RunSpec, Score, Target
from promptarena.benchmark.planning.estimates import Estimator
from promptarena.benchmark.planning.suites import load_suite
from promptarena.benchmark.recording.record import Record, RecordPlace
from promptarena.benchmark.report.sections import Section
from promptarena.benchmark.report.summary import summary
from promptarena.benchmark.running.comparison import Comparison, record_parents

OWN, TRANSFER = ("food", "flags"), ("digits", "textures")


def planned(protocol: str, dataset: str, subset: str, targets: tuple[Target, ...], method: str) -> PlannedRun:
    spec = RunSpec("mini", protocol, method, dataset, subset, 16, 1, targets)  # type: ignore[arg-type]
    key = digest(protocol, dataset, method)
    return PlannedRun(spec, key, digest("train", key), {}, {}, {})


def comparison_of(protocols: tuple[str, ...]) -> Comparison:
    runs = []
    for method in ("zeroshot", "coop"):
        for dataset in OWN:
            runs.append(
                planned("base-to-novel", dataset, "base", (Target(dataset, "base"), Target(dataset, "novel")), method)
            )
        targets = tuple(Target(dataset, "all") for dataset in ("things", *TRANSFER))
        runs.append(planned("cross-dataset", "things", "all", targets, method))
        runs.append(planned("few-shot", "vehicles", "all", (Target("vehicles", "all"),), method))
    kept = tuple(run for run in runs if run.spec.protocol in protocols)
    return Comparison(load_suite("mini"), kept, (), {}, {}, Estimator())


@pytest.mark.parametrize(
    ("protocols", "counts"),
    [
        (("base-to-novel",), {"base-to-novel": OWN}),
        (
            ("base-to-novel", "cross-dataset", "few-shot"),
            {"base-to-novel": OWN, "cross-dataset": ("things", *TRANSFER), "few-shot": ("vehicles",)},
        ),
    ],
)
def test_each_protocol_expects_its_own_datasets(
    protocols: tuple[str, ...], counts: dict[str, tuple[str, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A target of a transfer is not expected in base-to-novel: every method would be incomplete there."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(Section, "figures", lambda *words: {})
    comparison, record = comparison_of(protocols), Record.open(RecordPlace(tmp_path))
    parents = record_parents(comparison, record)
    for run in comparison.runs:
        scores = tuple(Score(target, (30,), (40,)) for target in run.spec.targets)
        run_id = record.begin(run, parents[run.spec.name], "mini-clip", miniature=True)
        record.finish(run_id, RunResult(scores, COST))
    sections = comparing._kept_sections(comparison, record, ran=False)
    assert {section.protocol: {name for name, _ in section.query.datasets} for section in sections} == {
        protocol: set(datasets) for protocol, datasets in counts.items()
    }
    lines = summary(sections)
    assert len(lines) == len(counts)
    assert not [line for line in lines if "ncomplete" in line or "No method is complete" in line]


def test_what_a_protocol_lacks_is_named_in_its_line_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.setattr(Section, "figures", lambda *words: {})
    comparison, record = comparison_of(("base-to-novel", "cross-dataset")), Record.open(RecordPlace(tmp_path))
    parents = record_parents(comparison, record)
    for run in comparison.runs:
        lacking = run.spec.name.method == "coop" and run.spec.protocol == "cross-dataset"
        scores = tuple(Score(target, (30,), (40,)) for target in run.spec.targets[: 1 if lacking else None])
        run_id = record.begin(run, parents[run.spec.name], "mini-clip", miniature=True)
        record.finish(
            run_id, RunResult(scores, COST, unscored={} if not lacking else {run.spec.targets[1]: "no images"})
        )
    base, transfer = summary(comparing._kept_sections(comparison, record, ran=False))
    assert "Incomplete" not in base
    assert "Incomplete: coop." in transfer
