"""The recipe for results by pull request is carried out as the page has it: its workflow's commands, and its folder."""

import os
import re
import shutil
import subprocess
import time
from pathlib import Path
from subprocess import PIPE
from typing import Any

import e2e_command
import pytest
import yaml
from e2e_command import Ended, environment

from promptarena.benchmark.recording.exports.folder import read_export, write_manifest, write_run

ROOT = Path(__file__).parents[2]
SUITE = "small"
"""The suite of the contributions, which takes the place of the recipe's."""
PROGRAM = """#!/bin/sh
cd "$PROGRAMS"
printf '%s\\n' "$@" > asked
mv asked words
until [ -e code ]; do sleep 0.01; done
cat err >&2
read -r code < code || true
rm code
exit "$code"
"""
"""What the steps call in place of `promptarena`: it leaves its words to the test, which runs the command."""
SUBMITTED = {"ann": ("zeroshot", "coop"), "bob": ("maple", "linear-probe")}


def workflow() -> dict[Any, Any]:
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    (found,) = re.findall(r"^```yaml\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    return dict(yaml.safe_load(found))


def commands() -> list[str]:
    """What the job that builds the page runs, without the installation."""
    run = [step["run"] for step in workflow()["jobs"]["build"]["steps"] if "run" in step and "pip" not in step["run"]]
    return [command.replace(" mini ", f" {SUITE} ") for command in run]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A folder with two contributions, and the command."""
    whole = read_export(ROOT / "tests" / "recorded_before" / "export")
    for name, methods in SUBMITTED.items():
        folder = tmp_path / "submissions" / name
        runs = [run for run in whole.runs if run.stored().method in methods]
        assert runs
        for run in runs:
            write_run(folder, run)
        write_manifest(folder, whole.manifest.suite)
    programs = tmp_path / "programs"
    programs.mkdir()
    program = programs / "promptarena"
    program.write_text(PROGRAM)
    program.chmod(0o755)
    return tmp_path


def carried_out(command: str, folder: Path) -> Ended:
    """A step as GitHub runs it: by bash, which ends at the first failure."""
    programs = folder / "programs"
    variables = environment(PATH=f"{programs}{os.pathsep}{os.environ['PATH']}", PROGRAMS=str(programs))
    step = subprocess.Popen(
        ["bash", "-e", "-c", command], cwd=folder, env=variables, stdout=PIPE, stderr=PIPE, text=True
    )
    while step.poll() is None:
        if (programs / "words").exists():
            words = (programs / "words").read_text(encoding="utf-8").splitlines()
            (programs / "words").unlink()
            ended = e2e_command.run(*words, cwd=folder)
            (programs / "err").write_text(ended.err, encoding="utf-8")
            (programs / "written").write_text(str(ended.code), encoding="utf-8")
            (programs / "written").rename(programs / "code")
        time.sleep(0.01)
    out, err = step.communicate()
    return Ended(step.returncode, out, err)


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not on this machine")
def test_the_steps_make_one_page_of_all_contributions_and_refuse_a_changed_one(repository: Path) -> None:
    check, build = commands()
    for command in (check, build):
        ended = carried_out(command, repository)
        assert ended.code == 0, ended.err
    page = (repository / "site" / SUITE / "index.html").read_text(encoding="utf-8")
    for methods in SUBMITTED.values():
        assert all(f'<th scope="row">{method}</th>' in page for method in methods)
    (uploaded,) = [step for step in workflow()["jobs"]["build"]["steps"] if "upload" in step.get("uses", "")]
    assert uploaded["with"] == {"path": "site"}
    assert (repository / "site" / "index.html").is_file()
    changed = next((repository / "submissions" / "ann" / "runs").glob("*.json"))
    changed.write_text(changed.read_text(encoding="utf-8").replace('"seed": 1', '"seed": 2'), encoding="utf-8")
    ended = carried_out(check, repository)
    assert ended.code == 2
    assert changed.name in ended.err
    assert len(ended.err.splitlines()) == 1


def test_only_the_main_branch_is_published_and_only_after_the_checks() -> None:
    jobs = workflow()["jobs"]
    assert jobs["publish"]["needs"] == "build"
    assert jobs["publish"]["if"] == "github.ref == 'refs/heads/main'"
    assert "permissions" not in jobs["build"]
