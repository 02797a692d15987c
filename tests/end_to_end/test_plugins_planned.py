"""Whatever a plugin does while it is planned, one line names its method, and the other methods are run."""

from pathlib import Path

import e2e_record
import pytest
from e2e_command import run
from e2e_inside import call
from e2e_world import make_world

PLUGIN = '''
import sys

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.recipe import Recipe
from promptarena.benchmark.plugins.learner import About
from promptarena.methods.coop import CoOp, CoOpConfig

ABOUT = About("Odd", "On Oddness", "Nowhere", 2026, "https://example.org")
RECIPE = Recipe(epochs=1, batch_size=32, lr=0.002)


class Silent(Exception):
    def __str__(self):
        raise RuntimeError


class Odd(CoOp):
    """It does something else."""

    about = ABOUT
    {member}
'''
PRESET = """
    @classmethod
    def preset(cls, task):
        {body}
"""
READS = """
    @classmethod
    def reads(cls, config, backbone_digest):
        {body}
"""
PLANNED = {
    "a preset that raises": PRESET.format(body='raise ValueError("no preset\\\\nfor this task")'),
    "a preset that raises what says nothing": PRESET.format(body="raise Silent"),
    "a preset that raises surrogates": PRESET.format(body='raise ValueError("\\\\udc80")'),
    "a preset with a user's error": PRESET.format(body='raise UserError("a file is missing")'),
    "a preset that ends the process": PRESET.format(body="sys.exit(0)"),
    "no preset": PRESET.format(body="return None"),
    "a swapped preset": PRESET.format(body="return RECIPE, CoOpConfig()"),
    "another configuration": PRESET.format(body="return ABOUT, RECIPE"),
    "reads that raise": READS.format(body="raise KeyError(config)"),
    "reads that are texts": READS.format(body='return {"roles": "file"}'),
    "reads of no file": READS.format(body='return {"roles": __import__("pathlib").Path("none")}'),
    "ablations that are none": "ablations = None",
    "ablations of another form": 'ablations = {"without": 3}',
}


@pytest.mark.parametrize("member", PLANNED.values(), ids=PLANNED)
def test_a_plan_names_the_method_and_goes_on(member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    suite = make_world(tmp_path)
    (tmp_path / "odd.py").write_text(PLUGIN.replace("{member}", member))
    monkeypatch.chdir(tmp_path)
    chosen = ("--plugin", "odd.py", "--methods", "odd", "zeroshot", "--protocols", "base-to-novel")
    ended = call("compare", suite, "--plan", *chosen)
    assert ended.code == 2
    (line,) = ended.err.splitlines()
    assert line.startswith("promptarena: method 'odd': ")
    assert "1 runs, 0 already done, 1 to run" in ended.out
    assert "zeroshot" in ended.out


RECORDED = '''
from promptarena.benchmark.plugins.learner import About, CannotTransferError
from promptarena.methods.coop import CoOp

ABOUT = About("Odd", "On Oddness", "Nowhere", 2026, "https://example.org")


class Losses(CoOp):
    """A loss name that MLflow refuses."""

    about = ABOUT

    def training_step(self, images, labels, prompts):
        logits, losses = super().training_step(images, labels, prompts)
        return logits, {"a, b": losses["cross_entropy"]}


class Readings(CoOp):
    """A reading name that MLflow refuses."""

    about = ABOUT

    def readings(self, images, classifier):
        found = super().readings(images, classifier)
        return {**found, "../other": found[""]}


class Surrogates(CoOp):
    """A message that UTF-8 cannot hold."""

    about = ABOUT

    def fit(self, shots):
        raise ValueError("\\udc80 is odd")


class Refuses(CoOp):
    """A reason that UTF-8 cannot hold."""

    about = ABOUT

    def prompts(self, classes):
        if not self.training:
            raise CannotTransferError("\\udc80" * 9000)
        return super().prompts(classes)


class NotANumber(CoOp):
    """Parameters that are NaN after the last epoch."""

    about = ABOUT

    def end_epoch(self, epoch, recipe):
        for parameter in self.parameters():
            parameter.data.fill_(float("nan"))
'''


def test_what_cannot_be_recorded_fails_by_name_and_the_others_go_on(tmp_path: Path) -> None:
    suite = make_world(tmp_path, epochs=1)
    (tmp_path / "odd.py").write_text(RECORDED)
    methods = ("losses", "readings", "surrogates", "refuses", "notanumber", "zeroshot")
    chosen = ("--plugin", "odd.py", "--methods", *methods, "--protocols", "base-to-novel", "--workers", "1")
    ended = run("compare", suite, *chosen, cwd=tmp_path)
    assert ended.code == 1
    lines = {line.split()[1]: line for line in ended.err.splitlines()}
    assert set(lines) == {"losses", "readings", "surrogates", "notanumber"}
    assert "the loss name 'a, b' cannot be recorded" in lines["losses"]
    assert "the reading name '../other' cannot be recorded" in lines["readings"]
    assert "\\udc80 is odd" in lines["surrogates"]
    assert "not finite" in lines["notanumber"]
    recorded = {run.data.tags["method"]: run.info.status for run in e2e_record.runs(tmp_path / "results")}
    assert {method for method, status in recorded.items() if status == "FINISHED"} == {"refuses", "zeroshot"}
