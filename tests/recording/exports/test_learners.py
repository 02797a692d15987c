"""Exports with trained tensors: only as the runs left them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from exported import planned, result
from hostile import changed, damaged
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from promptarena.benchmark.cli.commands.export import write_export
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.suites import Suite, load_suite
from promptarena.benchmark.recording import names
from promptarena.benchmark.recording.exports.exported_run import ExportedRun
from promptarena.benchmark.recording.record import ParentRuns, Record, RecordPlace

SUITE = """
name = "small"
title = "Small"
miniature = true
datasets = ["dtd"]
[backbone]
config = "c.json"
weights = "w.safetensors"
"""
CARD = """
name = "dtd"
title = "Textures"
reader = "folder"
template = "a {}."
licence = "none"
citation = "none"
description = "none"
[options]
folder = "x"
"""


class Kept:
    """A record of one run, its suite, and where its files are."""

    def __init__(self, folder: Path) -> None:
        self.record = Record.open(RecordPlace(folder / "results"))
        learned, split = folder / "learned.safetensors", folder / "split.json"
        save_file({"ctx": np.ones((4, 8), np.float32)}, learned)
        split.write_text(json.dumps([["a.png", 0]]))
        plan = planned()
        comparison = self.record.comparison("small", "k", "a comparison")
        parents = ParentRuns(comparison, self.record.method_run(comparison, plan.spec.name))
        self.run_id = self.record.begin(plan, parents, "mini-clip", miniature=True)
        self.record.finish(self.run_id, result(files={path.name: path.read_bytes() for path in (learned, split)}))
        self.files = folder / "results" / "artifacts" / self.run_id / "artifacts"
        (folder / "dtd.toml").write_text(CARD)
        (folder / "small.toml").write_text(SUITE)
        self.suite: Suite = load_suite(str(folder / "small.toml"))

    def export(self, out: Path) -> int:
        return write_export(self.suite, self.record, self.record.results("small"), out, with_learners=True)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Kept:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        return Kept(tmp_path_factory.mktemp("kept"))


@pytest.fixture
def whole(kept: Kept) -> Iterator[Kept]:
    """The record; its files are as they were again afterwards."""
    before = {path: path.read_bytes() for path in kept.files.iterdir()}
    yield kept
    for path, content in before.items():
        path.write_bytes(content)


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "missing": Path.unlink,
    "flipped": flipped,
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-3]),
    "empty": lambda path: path.write_bytes(b""),
    "another file": lambda path: path.write_bytes(b"[]"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
@pytest.mark.parametrize("name", ["learned.safetensors", "split.json"])
def test_damaged_and_missing_files_are_named_and_nothing_is_written(
    damage: Callable[[Path], None], name: str, whole: Kept, tmp_path: Path
) -> None:
    damage(whole.files / name)
    state = "is missing" if not (whole.files / name).exists() else "is damaged"
    with pytest.raises(UserError, match=f"{name} of run {whole.run_id} .*{state}.*--with-learners") as error:
        whole.export(tmp_path / "out")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()


def test_whole_files_are_exported(whole: Kept, tmp_path: Path) -> None:
    assert whole.export(tmp_path / "out") == 1
    (there,) = (tmp_path / "out" / "files").iterdir()
    for name in ("learned.safetensors", "split.json"):
        assert (there / name).read_bytes() == (whole.files / name).read_bytes()


@pytest.mark.parametrize("damage", ["missing", "cut short", "empty"])
def test_files_recorded_before_without_a_digest_are_checked_by_their_form(
    damage: str, whole: Kept, tmp_path: Path
) -> None:
    client = whole.record.access.client
    tag = client.get_run(whole.run_id).data.tags[names.FILES.name]
    client.delete_tag(whole.run_id, names.FILES.name)
    try:
        assert whole.export(tmp_path / "whole") == 1
        DAMAGES[damage](whole.files / "learned.safetensors")
        with pytest.raises(UserError, match=r"learned\.safetensors"):
            whole.export(tmp_path / "out")
    finally:
        client.set_tag(whole.run_id, names.FILES.name, tag)


@pytest.mark.parametrize("name", [names.PLAN_FILE, names.SCORES_FILE, names.ENVIRONMENT_FILE])
def test_artifacts_of_other_json_are_read_or_named(name: str, whole: Kept, tally: Callable[[str, int], None]) -> None:
    (stored,) = whole.record.results("small")
    path = whole.files / name
    document, before, count = json.loads(path.read_text()), path.read_bytes(), 0

    @settings(max_examples=60, suppress_health_check=list(HealthCheck), database=None, derandomize=True)
    @given(st.data())
    def try_one(data: st.DataObject) -> None:
        nonlocal count
        count += 1
        other = data.draw(st.one_of(changed(document).map(json.dumps).map(str.encode), damaged(before)))
        path.write_bytes(other)
        refusal = None
        try:
            ExportedRun.of(stored, whole.record.recall(whole.run_id))
        except UserError as error:
            refusal = str(error)
        assert refusal is None or whole.run_id in refusal
        assert refusal is None or len(refusal.splitlines()) == 1

    try_one()
    tally("artifacts", count)
