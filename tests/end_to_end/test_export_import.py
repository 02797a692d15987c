"""A small real comparison travels: exported, imported, merged; its tables are recomputed from the integers."""

import csv
import io
import json
from pathlib import Path
from statistics import fmean, stdev

import pytest
from absent import run_without_heavy_packages
from e2e_command import environment, run
from e2e_inside import call
from e2e_world import make_world

from promptarena.benchmark.cli.commands.export import export_record, import_exports
from promptarena.benchmark.cli.commands.leaderboard import LeaderboardRequest, leaderboard_of_exports
from promptarena.benchmark.core.protocol_table import PROTOCOLS
from promptarena.benchmark.leaderboard.formats.render import Format
from promptarena.benchmark.recording.place import RecordPlace

FORMATS: tuple[Format, ...] = ("md", "csv", "json", "latex", "html")
WORDS = ("--methods", "zeroshot", "linear-probe", "coop", "--protocols", *PROTOCOLS)


@pytest.fixture(scope="module")
def arena(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A folder in which seeds 1 and 2 were compared, and the suite."""
    folder = tmp_path_factory.mktemp("arena")
    suite = make_world(folder / "world")
    ended = run("compare", suite, *WORDS, "--seeds", "1", "2", "--workers", "1", cwd=folder)
    assert ended.code == 0, ended.err
    return folder, suite


@pytest.fixture(scope="module")
def export(arena: tuple[Path, Path]) -> Path:
    folder, suite = arena
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        export_record(str(suite), folder / "export", RecordPlace(folder / "results"), with_learners=True)
    return folder / "export"


def recorded(suite: Path, results: Path, format: str) -> str:
    ended = call("leaderboard", suite, "--results", results, "--format", format)
    assert ended.code == 0, ended.err
    return ended.out


def from_exports(suite: str | Path, format: Format, out: Path, *folders: Path) -> str:
    leaderboard_of_exports(LeaderboardRequest(str(suite), format=format, out=out), folders)
    return out.read_text()


@pytest.mark.parametrize("format", FORMATS)
def test_tables_from_an_export_are_those_of_the_record(
    arena: tuple[Path, Path], export: Path, tmp_path: Path, format: Format
) -> None:
    folder, suite = arena
    theirs = recorded(suite, folder / "results", format)
    assert from_exports(suite, format, tmp_path / "named", export).rstrip() == theirs.rstrip()
    assert from_exports("small", format, tmp_path / "outlined", export).rstrip() == theirs.rstrip()


def test_tables_from_an_export_need_neither_torch_nor_mlflow(
    arena: tuple[Path, Path], export: Path, tmp_path: Path
) -> None:
    folder, suite = arena
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from promptarena.benchmark.cli.commands.leaderboard import LeaderboardRequest, leaderboard_of_exports\n"
        "leaderboard_of_exports(LeaderboardRequest('small', format='csv'), [Path(sys.argv[1])])\n"
    )
    printed = run_without_heavy_packages(code, export, cwd=tmp_path, env=environment())
    assert printed.rstrip() == recorded(suite, folder / "results", "csv").rstrip()


def percents(export: Path, protocol: str) -> dict[tuple[str, str, str], list[float]]:
    """Accuracies in percent by label, target and its subset, a list over seeds, from the files' integers alone."""
    found: dict[tuple[str, str, str], list[float]] = {}
    for path in sorted((export / "runs").glob("*.json")):
        document = json.loads(path.read_text())
        if document["spec"]["protocol"] == protocol:
            for score in document["scores"]:
                place = (document["spec"]["label"], score["target"]["dataset"], score["target"]["subset"])
                found.setdefault(place, []).append(100 * sum(score["correct"]) / sum(score["total"]))
    return found


def test_every_figure_follows_from_the_exported_integers(export: Path, tmp_path: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(from_exports("small", "csv", tmp_path / "t.csv", export))))
    shown = {
        (row["protocol"], row["table"], row["method"], row["column"]): row for row in rows if row["table"] != "cost"
    }
    ours = percents(export, "base-to-novel")
    checked = 0
    for (label, dataset, subset), values in ours.items():
        row = shown["base-to-novel", dataset, label, f"{subset}_pct"]
        assert float(row["value"]) == pytest.approx(fmean(values), abs=1e-9)
        if len(values) > 1:
            assert float(row["std"]) == pytest.approx(stdev(values), abs=1e-9)
        checked += 1
    assert checked == 5
    base, novel = (fmean(ours["coop", "noisy", subset]) for subset in ("base", "novel"))
    harmonic = float(shown["base-to-novel", "noisy", "coop", "hm_pct"]["value"])
    assert harmonic == pytest.approx(2 * base * novel / (base + novel) if base + novel else 0.0, abs=1e-9)
    transfer = percents(export, "cross-dataset")
    for (label, dataset, _), values in transfer.items():
        assert float(shown["cross-dataset", "targets", label, f"{dataset}_pct"]["value"]) == pytest.approx(
            fmean(values)
        )


def test_a_laptop_and_a_cluster_make_one_leaderboard(
    arena: tuple[Path, Path], export: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, suite = arena
    cluster = tmp_path / "cluster"
    cluster.mkdir()
    words = ("--methods", "coop", "--protocols", "base-to-novel", "--seeds", "3", "--workers", "1")
    assert run("compare", suite, *words, cwd=cluster).code == 0
    export_record(str(suite), cluster / "export", RecordPlace(cluster / "results"))
    import_exports([export, cluster / "export"], RecordPlace(tmp_path / "merged"))
    assert "1 imported" in capsys.readouterr().out
    imported = recorded(suite, tmp_path / "merged", "md")
    assert imported.rstrip() == from_exports("small", "md", tmp_path / "t.md", export, cluster / "export").rstrip()
    assert "seeds 1, 2, 3" in imported
    words = (*WORDS[: WORDS.index("--protocols")], "--protocols", "base-to-novel", "cross-dataset")
    again = run(
        "compare", suite, *words, "--seeds", "1", "2", "3", "--plan", "--results", tmp_path / "merged", cwd=tmp_path
    )
    assert "3 to run" in again.out, again.out


def test_an_imported_record_needs_nothing_more(arena: tuple[Path, Path], export: Path, tmp_path: Path) -> None:
    _, suite = arena
    import_exports([export], RecordPlace(tmp_path / "results"))
    again = run("compare", suite, *WORDS, "--seeds", "1", "2", cwd=tmp_path)
    assert again.code == 0, again.err
    assert " 0 to run" in again.out


def test_scores_without_predictions_make_the_same_tables_and_need_no_more_runs(
    arena: tuple[Path, Path], tmp_path: Path
) -> None:
    folder, suite = arena
    assert run("export", suite, "--no-predictions", "--out", tmp_path / "scores", cwd=folder).code == 0
    assert not (tmp_path / "scores" / "files").exists()
    theirs = recorded(suite, folder / "results", "csv")
    assert from_exports(suite, "csv", tmp_path / "t.csv", tmp_path / "scores").rstrip() == theirs.rstrip()
    import_exports([tmp_path / "scores"], RecordPlace(tmp_path / "results"))
    again = run("compare", suite, *WORDS, "--seeds", "1", "2", "--no-predictions", cwd=tmp_path)
    assert " 0 to run" in again.out, again.out
