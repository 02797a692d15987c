"""Seeds trained as one computation: asked for, recorded, interrupted, and ending where those trained alone do."""

import json
import time
from pathlib import Path

import e2e_record
import numpy as np
from e2e_command import kill, start, succeed, wait_until
from e2e_world import make_world

ARGUMENTS = ("--methods", "coop", "linear-probe", "--protocols", "base-to-novel", "--workers", "1")


def test_seeds_trained_together_end_as_alone_whatever_interrupts_them(tmp_path: Path) -> None:
    suite = make_world(tmp_path, epochs=12, seeds=(1, 2, 3))
    folders = {name: tmp_path / name for name in ("alone", "together")}
    for folder in folders.values():
        folder.mkdir()
    succeed("compare", suite, *ARGUMENTS, cwd=folders["alone"])

    process = start("compare", suite, *ARGUMENTS, "--seeds-together", cwd=folders["together"])
    checkpoints = folders["together"] / "results" / "checkpoints"
    wait_until(lambda: process.poll() is not None or len(list(checkpoints.glob("*/checkpoint.safetensors"))) >= 3)
    time.sleep(0.2)
    kill(process)
    succeed("compare", suite, *ARGUMENTS, "--seeds-together", cwd=folders["together"])

    counts = {
        run.data.tags["label"]: json.loads(e2e_record.read(folders["together"] / "results", run, "environment.json"))
        for run in e2e_record.runs(folders["together"] / "results")
    }
    assert {label: found["seeds_together"] for label, found in counts.items()} == {"coop": "3", "linear-probe": "1"}
    expected, found = (e2e_record.figures(folder / "results") for folder in folders.values())
    assert found.keys() == expected.keys()
    for name, figures in expected.items():
        assert found[name]["split"] == figures["split"]
        assert found[name]["curves"].keys() == figures["curves"].keys()
        for curve, points in figures["curves"].items():
            np.testing.assert_allclose(found[name]["curves"][curve], points, rtol=1e-3, atol=1e-5)
