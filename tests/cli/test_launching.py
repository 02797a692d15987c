"""The options of all launchers become options of the command, and wrong ones are said in one line."""

from pathlib import Path

import pytest
from e2e_inside import call, complaint

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.running.launchers.registry import Workers, all_launchers, launching_of


def test_every_option_of_every_launcher_is_in_the_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    listed = call("compare", "--help").out
    for kind in all_launchers():
        assert kind.name in listed
        for field in kind.options.model_fields:
            assert f"--{kind.name}-{field.replace('_', '-')}" in listed


def test_options_of_another_launcher_and_two_kinds_of_devices_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert complaint("compare", "--slurm-time", "5") == "--slurm-time is an option of --launcher slurm"
    assert complaint("compare", "--device", "cpu", "--devices", "cpu") == "give either --device or --devices"
    assert "device 'cuda:7' cannot be used" in complaint("compare", "--devices", "cuda:7")


def test_a_file_gives_what_the_command_does_not(tmp_path: Path) -> None:
    (tmp_path / "slurm.toml").write_text('partition = "gpu"\ntime = "1:00:00"\n')
    found = launching_of("slurm", Workers(), {"time": "2:00:00"}, tmp_path / "slurm.toml").options
    assert (found.partition, found.time) == ("gpu", "2:00:00")  # type: ignore[attr-defined]
    (tmp_path / "slurm.toml").write_text('partitions = "gpu"\n')
    with pytest.raises(UserError, match="did you mean 'partition'"):
        launching_of("slurm", Workers(), {}, tmp_path / "slurm.toml")
    with pytest.raises(UserError, match="unknown launcher 'slrum'; did you mean slurm"):
        launching_of("slrum", Workers(), {})


def test_an_unknown_launcher_is_one_line_with_the_choices() -> None:
    line = complaint("compare", "--launcher", "slrum")
    assert "Invalid value for '--launcher': 'slrum' is not one of 'local', 'slurm', 'ray'" in line
