"""One comparison of the default methods under three protocols: what it prints, records, and does not do again."""

import csv
import io
import json
import re
import shlex
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import e2e_record
import psutil
import pytest
from e2e_command import Ended, succeed, wait_until
from e2e_inside import call
from e2e_world import PROTOCOLS, make_world

from promptarena.benchmark.leaderboard.formats.registry import file_endings
from promptarena.benchmark.leaderboard.formats.render import Format
from promptarena.benchmark.planning.suites import DEFAULT_METHODS
from promptarena.benchmark.plugins.registry import load_registry

TITLES = ("Base-to-novel generalization", "Cross-dataset transfer", "Domain generalization")


@dataclass(frozen=True)
class Arena:
    """A finished comparison, run in `folder`, which is not the suite's."""

    suite: Path
    folder: Path
    planned: Ended
    ended: Ended

    @property
    def results(self) -> Path:
        return self.folder / "results"


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> Arena:
    suite = make_world(tmp_path_factory.mktemp("a world"))
    folder = tmp_path_factory.mktemp("elsewhere")
    planned = succeed("compare", suite, "--plan", cwd=folder)
    assert not e2e_record.runs(folder / "results")
    return Arena(suite, folder, planned, succeed("compare", suite, "--workers", 2, cwd=folder))


def test_no_process_is_left(arena: Arena) -> None:
    def inside() -> list[psutil.Process]:
        return [each for each in psutil.process_iter(["cwd"]) if each.info["cwd"] == str(arena.folder)]

    wait_until(lambda: not inside(), seconds=20)


def test_a_plan_before_any_run_counts_runs_and_guesses_no_times(arena: Arena) -> None:
    methods = DEFAULT_METHODS
    assert f"{3 * len(methods)} runs, 0 already done, {3 * len(methods)} to run" in arena.planned.out
    assert all(name in arena.planned.out for name in (*methods, *PROTOCOLS))
    assert "known once the first runs have ended" in arena.planned.out
    assert not arena.planned.err


def test_it_prints_plain_lines_and_the_result_of_each_protocol(arena: Arena) -> None:
    out, total = arena.ended.out, 3 * len(DEFAULT_METHODS)
    assert arena.ended.err == ""
    assert not {"\x1b", "\r"} & set(out)
    for done in range(1, total + 1):
        (line,) = re.findall(rf"^\[{done}/{total}\] .+ \(\d+\.\d s\)$", out, re.MULTILINE)
        assert len(line) < 80
    assert [out.count(title) >= 1 for title in TITLES] == [True] * 3
    tables = arena.ended.table_text()
    *lines, tables_line, record_line = tables.splitlines()
    assert max(map(len, lines)) <= 80
    assert " ".join(tables.split()).count(" is best with ") == 3
    assert tables_line == f"All tables: promptarena leaderboard {shlex.quote(str(arena.suite))}"
    assert record_line.startswith("Recorded in ")


def test_the_record_nests_comparison_method_and_run(arena: Arena) -> None:
    (comparison,) = e2e_record.runs(arena.results, "comparison")
    methods = {run.info.run_id: run for run in e2e_record.runs(arena.results, "method")}
    runs = e2e_record.runs(arena.results)
    assert {run.data.tags["label"] for run in methods.values()} == set(DEFAULT_METHODS)
    assert {run.data.tags["mlflow.parentRunId"] for run in methods.values()} == {comparison.info.run_id}
    assert len(runs) == 3 * len(methods)
    for run in (comparison, *methods.values(), *runs):
        assert run.info.status == "FINISHED"
    for run in runs:
        assert methods[run.data.tags["mlflow.parentRunId"]].data.tags["label"] == run.data.tags["label"]
    tables = e2e_record.artifacts(arena.results, comparison, "tables")
    endings, parts = ("md", "tex", "html", "csv", "json"), ("", "-statistics")
    assert {f"tables/{name}{part}.{end}" for name in PROTOCOLS for part in parts for end in endings} < tables
    for name in PROTOCOLS:
        figures = e2e_record.artifacts(arena.results, comparison, f"figures/{name}")
        assert {f"figures/{name}/{stem}.{end}" for stem in ("bars", "cost") for end in ("png", "svg")} <= figures


def test_a_run_keeps_its_parameters_curves_integers_and_files(arena: Arena) -> None:
    for run in e2e_record.runs(arena.results):
        assert {"config.json", "scores.json", "split.json", "learned.safetensors", "environment.json"} <= (
            e2e_record.artifacts(arena.results, run)
        )
        assert float(run.data.params["recipe.lr"]) >= 0
        for score in json.loads(e2e_record.read(arena.results, run, "scores.json")):
            place = "/".join(filter(None, (*score["target"].values(), score["reading"])))
            assert run.data.metrics[f"correct/{place}"] == sum(score["correct"])
            assert run.data.metrics[f"total/{place}"] == sum(score["total"]) > 0
        epochs = int(run.data.params["recipe.epochs"])
        for points in e2e_record.curves(arena.results, run).values():
            assert [step for step, _ in points] == list(range(1, epochs + 1))
    coop = next(run for run in e2e_record.runs(arena.results) if run.data.tags["method"] == "coop")
    assert {"curves/loss", "curves/lr", "curves/train_accuracy"} <= set(e2e_record.curves(arena.results, coop))


def test_the_second_time_nothing_is_computed(arena: Arena) -> None:
    before = {run.info.run_id: run.info.end_time for run in e2e_record.runs(arena.results)}
    again = succeed("compare", arena.suite, cwd=arena.folder)
    assert f"{len(before)} already done, 0 to run" in again.out
    assert again.table_text() == arena.ended.table_text()
    assert {run.info.run_id: run.info.end_time for run in e2e_record.runs(arena.results)} == before
    assert len(e2e_record.runs(arena.results, "comparison")) == 1
    assert not list((arena.results / "checkpoints").iterdir())


def test_a_later_plan_estimates_from_what_was_measured(arena: Arena) -> None:
    planned = succeed("compare", arena.suite, "--plan", "--seeds", 0, 1, cwd=arena.folder)
    assert "from measured throughput" in planned.out
    assert "unknown" not in planned.out
    assert {run.data.tags["seed"] for run in e2e_record.runs(arena.results)} == {"none", "1"}


def test_all_formats_of_the_leaderboard_agree(arena: Arena, tmp_path: Path) -> None:
    def shown(format: Format) -> str:
        out = tmp_path / "new" / f"board.{file_endings().get(format, 'txt')}"
        words = ("leaderboard", arena.suite, "--results", arena.results)
        printed, written = call(*words, "--format", format), call(*words, "--out", out)
        assert (printed.code, printed.err, written.code, written.out, written.err) == (0, "", 0, "", "")
        if format != "rich":  # which is laid out for the terminal's width
            assert out.read_text().rstrip() == printed.out.rstrip()
        return out.read_text()

    boards = json.loads(shown("json"))
    assert [board["protocol"] for board in boards if not board["part"]] == list(PROTOCOLS)
    assert [board["protocol"] for board in boards if board["part"] == "statistics"] == list(PROTOCOLS)
    rows = list(csv.DictReader(io.StringIO(shown("csv"))))
    assert {(row["protocol"], row["part"]) for row in rows} == set(product(PROTOCOLS, ("", "statistics")))
    figures = [
        f"{100 * run.data.metrics[name] / run.data.metrics[name.replace('correct', 'total')]:.2f}"
        for run in e2e_record.runs(arena.results)
        for name in run.data.metrics
        if name.startswith("correct/")
    ]
    readable: list[Format] = ["md", "latex", "html", "rich"]
    for format in readable:
        text = shown(format)
        assert all(figure in text for figure in figures), format


def test_a_leaderboard_of_some_methods_and_protocols(arena: Arena) -> None:
    chosen = ("--methods", "coop,maple", "--protocols", "cross-dataset")
    shown = call("leaderboard", arena.suite, "--results", arena.results, *chosen)
    assert "maple" in shown.out
    assert "zeroshot" not in shown.out
    assert "Cross-dataset" in shown.out
    assert "Domain" not in shown.out


def test_statistics_are_a_few_lines_unless_they_are_asked_for(arena: Arena) -> None:
    command = ("leaderboard", arena.suite, "--results", arena.results, "--protocols", "base-to-novel")
    brief, full = call(*command), call(*command, "--statistics", "--reference", "coop")
    assert (brief.err, full.err) == ("", "")
    assert "Mean ranks over datasets" not in brief.out
    assert "statistics in brief" in brief.out
    assert "Mean ranks over datasets" in full.out
    assert "Differences from coop" in full.out
    unknown = call(*command, "--reference", "cop")
    assert (unknown.code, "did you mean coop" in unknown.err) == (2, True)


def test_a_leaderboard_of_some_datasets(arena: Arena) -> None:
    chosen = ("--results", arena.results, "--protocols", "cross-dataset", "--datasets")
    assert "Noisy" in call("leaderboard", arena.suite, *chosen, "noisy").out
    unknown = call("leaderboard", arena.suite, *chosen, "nosy")
    assert (unknown.code, "did you mean noisy" in unknown.err) == (2, True)


def test_crops_of_the_device_are_runs_of_their_own(arena: Arena, tmp_path: Path) -> None:
    words = ("compare", arena.suite, "--methods", "coop", "--protocols", "base-to-novel", "--results", tmp_path)
    ended = succeed(*words, "--augment-on-device", cwd=tmp_path)
    label = "coop(recipe.augmentation=crop-on-device)"
    assert label in "".join(ended.out.split())
    (run,) = e2e_record.runs(tmp_path)
    assert run.data.params["recipe.augmentation"] == "crop-on-device"
    assert "1 to run" in succeed(*words, "--plan", cwd=tmp_path).out  # Pillow's crops are another run


def test_the_record_goes_where_the_user_says(arena: Arena, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'shared.db'}"
    command = ("compare", arena.suite, "--methods", "zeroshot", "--protocols", "base-to-novel")
    by_option = succeed(*command, "--tracking-uri", uri, cwd=tmp_path)
    by_variable = succeed(*command, cwd=tmp_path, MLFLOW_TRACKING_URI=uri)
    assert f"Recorded in {uri}" in by_option.out
    assert "1 already done, 0 to run" in by_variable.out
    assert not (tmp_path / "results" / "mlflow.db").exists()


@pytest.mark.slow
def test_every_method_there_is_runs_under_every_protocol(tmp_path: Path) -> None:
    suite = make_world(tmp_path / "world", epochs=1)
    ended = succeed("compare", suite, "--methods", "all", "--ablate", "all", "--workers", 2, cwd=tmp_path)
    assert ended.err == ""
    runs = e2e_record.runs(tmp_path / "results")
    assert {run.info.status for run in runs} == {"FINISHED"}
    ran = {(run.data.tags["method"], run.data.tags["protocol"]) for run in runs}
    assert ran == {(method, protocol) for method in load_registry().methods for protocol in PROTOCOLS}
    tables = call("leaderboard", suite, "--results", tmp_path / "results").out
    assert "dear(mask=none)" in tables
    assert "dear: class feature" in tables
    untrained = {run.data.tags["method"] for run in runs if not run.data.metrics["cost/train_images"]}
    assert untrained == {"zeroshot", "zeroshot-ensemble", "rada-ttt"}
    empty = {run.data.tags["method"] for run in runs if not run.data.metrics["cost/trainable_parameters"]}
    assert empty == {"zeroshot", "zeroshot-ensemble", "tip-adapter"}
