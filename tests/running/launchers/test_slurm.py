"""What is wrong with the options of the SLURM launcher is said in one line, before SLURM is asked."""

import doctest
from pathlib import Path

import pytest
from e2e_inside import complaint

from promptarena.benchmark.running.launchers import slurm
from promptarena.benchmark.running.launchers.slurm import minutes_of

GIVEN = ("compare", "--methods", "zeroshot", "--launcher", "slurm")


@pytest.mark.parametrize(
    ("text", "minutes"),
    [("5", 5), ("5:30", 6), ("1:00:00", 60), ("0:00:01", 1), ("2-0", 2880), ("1-02:30", 1590), ("1-02:30:01", 1591)],
)
def test_a_time_limit_is_read_as_slurm_reads_it(text: str, minutes: int) -> None:
    assert minutes_of(text) == minutes


@pytest.mark.parametrize("text", ["", "0", "soon", "1:2:3:4", "-5", "1-", "1:00:00h"])
def test_what_is_no_time_limit_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="time"):
        minutes_of(text)


def test_the_examples_hold() -> None:
    assert doctest.testmod(slurm).failed == 0


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert complaint(*GIVEN) == "no SLURM here: there is no command sbatch; use a login node of the cluster"
    assert "--launcher slurm: field 'time' is \"soon\"" in complaint(*GIVEN, "--slurm-time", "soon")
    assert "--devices" in complaint(*GIVEN, "--devices", "cuda:0")
