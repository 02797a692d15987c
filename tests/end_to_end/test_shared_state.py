"""A method that changes what all methods share fails by its name, and the figures of the others stay."""

from pathlib import Path

import e2e_record
from e2e_command import run, succeed
from e2e_world import make_world

PLUGIN = '''
import torch

from promptarena.benchmark.plugins.learner import About
from promptarena.methods.coop import CoOp

ABOUT = About("Disturbing", "On Disturbing", "Nowhere", 2026, "https://example.org")


class Trains(CoOp):
    """It writes to the backbone after an epoch, and uses what is cached."""

    about = ABOUT

    def end_epoch(self, epoch, recipe):
        for weight in self.backbone.model.parameters():
            weight.data.mul_(0.5)


class Scores(CoOp):
    """It changes torch while it scores, with one of its seeds."""

    about = ABOUT

    def prompts(self, classes):
        return super().prompts(classes)

    def logits(self, images, classifier):
        if not self.training:
            torch.set_default_dtype(torch.float64)
            self.backbone.model.ln_final.register_forward_hook(lambda module, given, found: 2 * found)
        return super().logits(images, classifier)
'''


def test_disturbing_plugins(tmp_path: Path) -> None:
    suite = make_world(tmp_path, seeds=(1, 2), epochs=1)
    plugin = tmp_path / "disturbing.py"
    plugin.write_text(PLUGIN)
    chosen = ("--protocols", "base-to-novel", "--workers", "1")
    succeed(
        *("compare", suite, "--methods", "zeroshot", *chosen, "--results", "alone"),
        cwd=tmp_path,
        PROMPTARENA_CACHE=str(tmp_path / "other"),
    )

    cache = str(tmp_path / "cache")
    command = ("compare", suite, "--plugin", plugin, "--methods", "trains", "scores", "zeroshot", *chosen)
    ended = run(*command, cwd=tmp_path, PROMPTARENA_CACHE=cache)
    assert ended.code == 1
    lines = sorted(ended.err.splitlines())
    assert len(lines) == 2
    for method, line in zip(("scores", "trains"), lines, strict=True):
        assert line.startswith(
            f"promptarena: {method} base-to-novel noisy, seed 1 and 1 more failed: {method} changed "
        )
    recorded = {(run.data.tags["method"], run.info.status) for run in e2e_record.runs(tmp_path / "results")}
    assert recorded == {("trains", "FAILED"), ("scores", "FAILED"), ("zeroshot", "FINISHED")}
    # The trainings of `scores` were sound; those of `trains` must not be taken up again.
    assert len(list((tmp_path / "results" / "checkpoints").glob("*/checkpoint.safetensors"))) == 2

    succeed(
        *("compare", suite, "--methods", "zeroshot", *chosen, "--results", "afterwards"),
        cwd=tmp_path,
        PROMPTARENA_CACHE=cache,
    )
    assert e2e_record.figures(tmp_path / "afterwards") == e2e_record.figures(tmp_path / "alone")
