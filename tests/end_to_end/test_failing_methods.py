"""A method that fails is recorded with its reason, does not stop the others, and is tried again."""

from pathlib import Path

import e2e_record
from e2e_command import run, succeed
from e2e_world import make_world

PLUGIN = '''
from pathlib import Path

from promptarena.benchmark.plugins.learner import About
from promptarena.methods.coop import CoOp

MENDED = Path(__file__).with_name("mended")
ABOUT = About("Failing", "On Failing", "Nowhere", 2026, "https://example.org")


class Raises(CoOp):
    """Raises in its first step."""

    about = ABOUT

    def training_step(self, images, labels, prompts):
        if not MENDED.exists():
            raise ValueError("no such [layer]\\nnor another")
        return super().training_step(images, labels, prompts)


class Diverges(CoOp):
    """Its loss is not a number."""

    about = ABOUT

    def training_step(self, images, labels, prompts):
        logits, losses = super().training_step(images, labels, prompts)
        return logits, losses if MENDED.exists() else {"loss": logits.sum() * float("nan")}
'''


def test_failing_plugins(tmp_path: Path) -> None:
    suite = make_world(tmp_path)
    plugin = tmp_path / "failing.py"
    plugin.write_text(PLUGIN)
    chosen = ("--methods", "raises", "diverges", "coop", "--protocols", "base-to-novel")
    command = ("compare", suite, "--plugin", plugin, *chosen, "--workers", "2")

    ended = run(*command, cwd=tmp_path)
    assert ended.code == 1
    assert sorted(ended.err.splitlines()) == [
        "promptarena: diverges base-to-novel noisy, seed 1 failed: NotFiniteError: the loss is not finite in epoch 1: "
        + ended.err.split("epoch 1: ")[1].splitlines()[0],
        "promptarena: raises base-to-novel noisy, seed 1 failed: ValueError: no such [layer] nor another",
    ]
    assert "raises base-to-novel noisy, seed 1: failed: ValueError: no such [lay" in ended.out
    results = tmp_path / "results"
    recorded = {run.data.tags["method"]: run for run in e2e_record.runs(results)}
    assert {method: run.info.status for method, run in recorded.items()} == {
        "coop": "FINISHED",
        "diverges": "FAILED",
        "raises": "FAILED",
    }
    assert "no such [layer] nor another" in recorded["raises"].data.tags["error"]
    traceback = e2e_record.read(results, recorded["raises"], "traceback.txt").decode()
    assert 'failing.py", line' in traceback
    assert "Incomplete: diverges, raises." in " ".join(ended.out.split())

    (tmp_path / "mended").touch()
    again = succeed(*command, cwd=tmp_path)
    assert "1 already done, 2 to run, 2 of them interrupted or failed before" in again.out
    assert [run.info.status for run in e2e_record.runs(results)] == ["FINISHED"] * 3
    assert all("error" not in run.data.tags for run in e2e_record.runs(results))
