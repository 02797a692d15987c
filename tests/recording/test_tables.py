"""Tables and figures kept in the record."""

import json
from pathlib import Path

from promptarena.benchmark.core.labels import Label
from promptarena.benchmark.recording.record import Record


def test_tables_are_logged_once(record: Record, suite: str, tmp_path: Path) -> None:
    comparison = record.comparison(suite, "k", "text")
    tables = {"base-to-novel.md": "| a |\n", "base-to-novel.json": b"{}"}
    headline = {Label("coop"): {"HM base-to-novel": 70.504}, Label("zeroshot"): {"HM base-to-novel": 60.0}}

    def logged() -> list[str]:
        return sorted(file.path for file in record.access.client.list_artifacts(comparison, "tables"))

    for _ in range(2):
        record.log_tables(comparison, tables, headline, ["food"])
        assert len(logged()) == 3
    method = record.method_run(comparison, Label("coop"))
    assert record.access.client.get_run(method).data.metrics == {"HM base-to-novel": 70.5}
    assert len(record.access.client.get_metric_history(method, "HM base-to-novel")) == 1
    assert record.artifact(comparison, "tables/base-to-novel.md", tmp_path).read_text() == "| a |\n"
    assert record.access.client.get_run(comparison).info.status == "FINISHED"

    record.log_tables(comparison, tables | {"base-to-novel.md": "| b |\n"}, headline, ["food"])
    record.log_tables(comparison, tables, headline, ["food"])
    headlines = [name for name in logged() if "headline" in name]
    assert len(headlines) == 2
    for name in headlines:
        assert len(json.loads(record.artifact(comparison, name, tmp_path).read_text())["data"]) == 2


def test_figures_are_drawn_and_kept_only_with_new_tables(record: Record, suite: str, tmp_path: Path) -> None:
    comparison = record.comparison(suite, "k", "text")
    drawn: list[int] = []

    def draw() -> dict[str, bytes]:
        drawn.append(1)
        return {"base-to-novel/bars.svg": b"<svg/>", "base-to-novel/bars.png": bytes([len(drawn)])}

    for table, times in (("a", 1), ("a", 1), ("b", 2), ("b", 2)):
        record.log_tables(comparison, {"base-to-novel.md": table}, {}, [], draw)
        assert len(drawn) == times
        logged = {file.path for file in record.access.client.list_artifacts(comparison, "figures/base-to-novel")}
        assert logged == {"figures/base-to-novel/bars.svg", "figures/base-to-novel/bars.png"}
        kept = record.artifact(comparison, "figures/base-to-novel/bars.png", tmp_path)
        assert kept.read_bytes() == bytes([times])
