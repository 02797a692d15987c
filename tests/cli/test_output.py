"""Every encoding of a terminal or pipe gets its tables: characters that it lacks are replaced."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
import sys
from promptarena.benchmark.cli.output import print_plainly_where_needed
print_plainly_where_needed()
print("81.3 ± 0.4 – ── … naïve 猫 \\udcff")
print("±", file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [
        ("utf-8", "81.3 ± 0.4 – ── … naïve 猫 \\udcff"),
        ("latin-1", "81.3 ± 0.4 - -- ... naïve \\u732b \\udcff"),
        ("ascii", "81.3 +- 0.4 - -- ... na\\xefve \\u732b \\udcff"),
        ("cp932", "81.3 ± 0.4 - ── … na\\xefve 猫 \\udcff"),
        ("cp1252", "81.3 ± 0.4 – -- … naïve \\u732b \\udcff"),
    ],
)
def test_what_an_encoding_lacks_is_replaced(encoding: str, expected: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, env={**os.environ, "PYTHONIOENCODING": encoding}, check=True
    )
    assert ended.stdout.decode(encoding).rstrip() == expected
    assert ended.stderr.decode(encoding).strip() in ("±", "+-")


@pytest.mark.parametrize("encoding", ["latin-1", "cp932", "ascii", "cp1252", "koi8-r"])
def test_a_command_prints_in_every_encoding(encoding: str, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "promptarena.benchmark.cli.main", "methods", "list"]
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True)
    assert b"CoOp" in ended.stdout


def test_the_methods_fit_eighty_columns(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "promptarena.benchmark.cli.main", "methods", "list"]
    environment = {**os.environ, "COLUMNS": "80"}
    said = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=True, text=True).stdout
    head = next(line for line in said.splitlines() if line.startswith("method "))
    assert head.split() == ["method", "title", "venue", "paper", "parameters", "parity"]
    assert max(map(len, said.splitlines())) <= 80
    assert "golden" in next(line for line in said.splitlines() if line.startswith("mma "))
