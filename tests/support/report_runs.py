"""Invented runs for reports and tables: results with the plain values that the record keeps of them."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol
from promptarena.benchmark.core.runs import Cost, StoredResult, StoredScore, Target
from promptarena.benchmark.core.suite_layout import SuiteLayout

NASTY = (
    r"back\slash {brace} & 100 % $cost$ #1 a_b ~ ^ <b> |x|",
    "é ß – µ α 中 ✓ “quoted”",
    "[bracket]",
    "*star*",
    "</script><script>alert(1)</script>",
    "\"'`double",
    "averylongnamewithoutanyplacetobreakitwhichgoesonandonandon(first=1, second=2, third=[1, 2, 3])",
)


def layout_of(datasets: int = 3) -> SuiteLayout:
    """Datasets d0, d1, ..., of which d0 is the source."""
    names = tuple(f"d{place}" for place in range(datasets))
    return SuiteLayout(
        name="s",
        datasets=names,
        source=names[0],
        targets=names[1:],
        variants=names[1:],
        few_shot_shots=(1, 16),
        titles={name: f"Data {name[1:]}" for name in names},
        barred="",
    )


def results_of(
    layout: SuiteLayout,
    labels: Sequence[str],
    seeds: Sequence[int | None] = (1, 2, 3),
    protocols: Sequence[Protocol] = PROTOCOLS,
    **common: Any,
) -> list[StoredResult]:
    """A run of every label in every protocol, each newer than the last; `common` replaces fields of all."""
    random = np.random.default_rng(0)
    results: list[StoredResult] = []
    for protocol in protocols:
        transfer = protocol in ("cross-dataset", "domain-generalization")
        for place, label in enumerate(labels):
            for dataset in layout.datasets[:1] if transfer else layout.datasets:
                for shots in layout.few_shot_shots if protocol == "few-shot" else (16,):
                    for seed in seeds:
                        names = [layout.datasets[0], *layout.targets] if transfer else [dataset]
                        subsets = ("base", "novel") if protocol == "base-to-novel" else ("all",)
                        scores = tuple(
                            StoredScore(Target(name, subset), int(random.integers(550, 900) + place), 1000)  # type: ignore[arg-type]
                            for name in names
                            for subset in subsets
                        )
                        number = len(results)
                        values = {
                            "run_id": f"r{number}",
                            "run_key": f"k{number}",
                            "suite": layout.name,
                            "protocol": protocol,
                            "method": label,
                            "dataset": dataset,
                            "shots": shots,
                            "seed": seed,
                            "backbone": "clip",
                            "miniature": False,
                            "scores": scores,
                            "cost": Cost(1000 * (place + 1), 60.0 + place, 1600, 2.0, 1000, 900.0),
                            "finished_at": datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number),
                        }
                        results.append(StoredResult(**(values | common)))
    return results


def document_of(result: StoredResult, **provenance: Any) -> dict[str, Any]:
    """The plain values of a run; `provenance` replaces some."""
    return {
        "run_id": result.run_id,
        "spec": {
            "suite": result.suite,
            "protocol": result.protocol,
            "method": result.method,
            "dataset": result.dataset,
            "subset": "base" if result.protocol == "base-to-novel" else "all",
            "shots": result.shots,
            "seed": result.seed,
            "targets": [{"dataset": s.target.dataset, "subset": s.target.subset} for s in result.scores],
            "overrides": [],
        },
        "config": {"n_ctx": 4, "init": "a photo of a"},
        "recipe": {"epochs": 50, "lr": 0.002},
        "provenance": {
            "backbone": "b" * 64,
            "precision": "fp32",
            "train_split": f"{result.dataset}-{result.seed}".ljust(64, "0"),
            "targets": {
                f"{s.target.dataset}/{s.target.subset}": s.target.dataset.ljust(64, "1") for s in result.scores
            },
            "method_source": "c" * 64,
            "method_origin": "promptarena 0.1.0",
            "training_version": 3,
            "own_splits": [],
        }
        | provenance,
        "environment": {"python": "3.11.7", "torch": "2.6.0", "device": "cpu: x86", "cpu_threads": "1"},
    }


def page(labels: Sequence[str] = (), methods: int = 3, datasets: int = 3, **chosen: Any) -> str:
    """The report of invented runs of `labels`, or of so many methods."""
    from promptarena.benchmark.report.recorded import page_of

    layout = layout_of(datasets)
    results = results_of(layout, labels or [f"method{number}" for number in range(methods)])
    return page_of(layout, results, list(map(document_of, results)), **chosen)
