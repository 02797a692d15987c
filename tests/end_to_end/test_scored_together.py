"""The seeds of a method are trained one by one and scored in one pass, without a run disturbing another."""

from pathlib import Path

import e2e_record
from e2e_command import run, succeed
from e2e_world import make_world

PLUGIN = '''
import os
import signal
from pathlib import Path

from promptarena.benchmark.core.keys import generator
from promptarena.methods.coop import CoOp

MENDED = Path(__file__).with_name("mended")


class Moody(CoOp):
    """Seed 2 raises when it is scored."""

    dies, at = False, "scoring"

    def __init__(self, backbone, config, classes, drawn):
        super().__init__(backbone, config, classes, drawn)
        name = type(self).__name__.lower()
        self.struck = drawn.initial_seed() == int(generator("init", name, 2).integers(2**63))

    def training_step(self, images, labels, prompts):
        self.strike("training")
        return super().training_step(images, labels, prompts)

    def readings(self, images, classifier):
        self.strike("scoring")
        return super().readings(images, classifier)

    def strike(self, now):
        if now == self.at and self.struck and not MENDED.exists():
            if self.dies:
                os.kill(os.getpid(), signal.SIGKILL)
            raise ValueError("not today")


class Mortal(Moody):
    """Seed 2 takes its process with it when it is scored."""

    dies = True


class Frail(Moody):
    """Seed 2 takes its process with it when it is trained."""

    dies, at = True, "training"
'''

NAMES = ("frail", "moody", "mortal")


def test_a_seed_that_fails_or_dies_takes_down_itself_only(tmp_path: Path) -> None:
    suite = make_world(tmp_path, seeds=(1, 2, 3))
    plugin, mended = tmp_path / "moody.py", tmp_path / "mended"
    plugin.write_text(PLUGIN)
    common = ("compare", suite, "--plugin", plugin, "--methods", *NAMES, "--protocols", "base-to-novel", "--workers")
    struck, undisturbed = tmp_path / "struck", tmp_path / "undisturbed"
    for folder in (struck, undisturbed):
        folder.mkdir()

    ended = run(*common, 1, cwd=struck)
    assert ended.code == 1
    died = "the worker process died: killed by SIGKILL (out of memory?)"
    assert sorted(ended.err.splitlines()) == [
        f"promptarena: frail base-to-novel noisy, seed 2 and 1 more failed: {died}",
        "promptarena: moody base-to-novel noisy, seed 2 failed: ValueError: not today",
    ]
    statuses = {e2e_record.name(each): each.info.status for each in e2e_record.runs(struck / "results")}
    assert statuses == {
        f"{name} base-to-novel noisy 2 {seed}": "FAILED" if seed == 2 else "FINISHED"
        for name in NAMES
        for seed in (1, 2, 3)
    }

    mended.touch()
    again = succeed(*common, 1, cwd=struck)
    assert "6 already done, 3 to run, 3 of them interrupted or failed before" in again.out
    succeed(*common, 2, cwd=undisturbed)
    assert e2e_record.figures(struck / "results") == e2e_record.figures(undisturbed / "results")
    assert not list((struck / "results" / "checkpoints").glob("*"))
