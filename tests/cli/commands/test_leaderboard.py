"""Leaderboards of exports."""

from pathlib import Path

import pytest
from absent import run_without_heavy_packages
from export_folders import write
from exported import OUTLINE, exported

from promptarena.benchmark.cli.commands.leaderboard import LeaderboardRequest, leaderboard_of_exports
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.recording.exports.folder import write_manifest


def test_a_suite_of_none_of_the_exports_is_named(tmp_path: Path) -> None:
    export = write(tmp_path, exported())
    for name, words in (("mini", "no export is of suite mini"), ("smal", "did you mean small")):
        with pytest.raises(UserError, match=words):
            leaderboard_of_exports(LeaderboardRequest(name, format="md"), [export])


def test_exports_without_runs_of_a_protocol_have_nothing_to_show(tmp_path: Path) -> None:
    export = write(tmp_path, exported())
    with pytest.raises(UserError, match="nothing is exported for suite small under few-shot"):
        leaderboard_of_exports(LeaderboardRequest("small", protocols=("few-shot",)), [export])


def test_a_protocol_whose_datasets_have_left_the_suite_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export = write(tmp_path, exported())
    write_manifest(export, OUTLINE.model_copy(update={"datasets": ("birds",), "titles": {"birds": "Birds"}}))
    with pytest.raises(UserError, match="nothing is exported"):
        leaderboard_of_exports(LeaderboardRequest("small", format="csv"), [export])
    line = "base-to-novel: left out: the suite does not have the dataset of its runs: dtd"
    assert line in " ".join(capsys.readouterr().err.split())


def test_tables_from_an_export_need_neither_torch_nor_mlflow(tmp_path: Path) -> None:
    export = write(tmp_path, *(exported(seed=seed) for seed in (1, 2)))
    code = (
        "import sys\n"
        "from pathlib import Path\n"
        "from promptarena.benchmark.cli.commands.leaderboard import LeaderboardRequest, leaderboard_of_exports\n"
        "leaderboard_of_exports(LeaderboardRequest('small', format='csv'), [Path(sys.argv[1])])\n"
    )
    printed = run_without_heavy_packages(code, export, cwd=tmp_path)
    assert "dtd" in printed
    assert "50.0" in printed
