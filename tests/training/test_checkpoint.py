"""Checkpoints: whole or not at all."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.training.checkpoint import Checkpoint

STATE = Checkpoint(
    train_key="key",
    epoch=2,
    learner={"context": torch.tensor([[0.1, -2e-30]]), "counts": torch.arange(3)},
    optimizer={"0.step": torch.tensor(2.0), "0.exp_avg": torch.ones(1, 2)},
    scaler={"scale": 65536.0, "_growth_tracker": 3},
    curves=({"epoch": 1.0, "loss": 0.1 + 0.2}, {"epoch": 2.0, "loss": 1e-17}),
    train_seconds=1.0 / 3,
)


def test_what_is_loaded_is_what_was_saved_to_the_bit(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "folder" / "checkpoint.safetensors"
    STATE.save(path)
    loaded = Checkpoint.load(path, "key")
    assert loaded is not None
    for part in ("learner", "optimizer"):
        saved, found = getattr(STATE, part), getattr(loaded, part)
        assert saved.keys() == found.keys()
        assert all(saved[name].dtype is found[name].dtype and torch.equal(saved[name], found[name]) for name in saved)
    assert (loaded.epoch, loaded.scaler, loaded.curves) == (STATE.epoch, STATE.scaler, STATE.curves)
    assert loaded.train_seconds == STATE.train_seconds
    assert [entry.name for entry in path.parent.iterdir()] == ["checkpoint.safetensors"]


def test_no_file_is_no_checkpoint(tmp_path: Path) -> None:
    assert Checkpoint.load(tmp_path / "none", "key") is None


@pytest.mark.parametrize("share", [0.0, 0.2, 0.9])
def test_a_truncated_file_is_a_users_error(tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.safetensors"
    STATE.save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match=r"is damaged .*; delete it to train this run again"):
        Checkpoint.load(path, "key")


@pytest.mark.parametrize("share", [0.3, 0.6, 0.99])
def test_a_file_with_a_flipped_bit_is_a_users_error(tmp_path: Path, share: float) -> None:
    path = tmp_path / "checkpoint.safetensors"
    STATE.save(path)
    content = bytearray(path.read_bytes())
    content[int(len(content) * share)] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"is damaged .*; delete it to train this run again"):
        Checkpoint.load(path, "key")


def test_a_file_with_other_tensors_is_a_users_error(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    STATE.save(path)
    with safe_open(path, framework="pt") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    tensors["learner/context"] = tensors["learner/context"] + 1
    save_file(tensors, path, metadata)
    with pytest.raises(UserError, match="its content does not have its digest"):
        Checkpoint.load(path, "key")


def test_a_checkpoint_is_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []
    replace = os.replace
    monkeypatch.setattr(os, "fsync", lambda number: done.append("sync"))
    monkeypatch.setattr(os, "replace", lambda *paths: (done.append("name"), replace(*paths)))
    STATE.save(tmp_path / "file")
    assert done == ["sync", "name"]


@pytest.mark.parametrize("state", [None, "{", "[]", "{}", json.dumps({"epoch": "two"})])
def test_a_file_without_its_state_is_a_users_error(tmp_path: Path, state: str | None) -> None:
    metadata = {"train_key": "key"} if state is None else {"train_key": "key", "state": state}
    save_file({"learner/a": torch.zeros(1)}, tmp_path / "file", metadata)
    with pytest.raises(UserError, match="is damaged"):
        Checkpoint.load(tmp_path / "file", "key")


def test_another_trainings_checkpoint_is_refused(tmp_path: Path) -> None:
    STATE.save(tmp_path / "file")
    with pytest.raises(UserError, match="belongs to another training"):
        Checkpoint.load(tmp_path / "file", "other")


def test_a_failed_write_keeps_the_checkpoint_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "checkpoint.safetensors"
    STATE.save(path)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(UserError, match="No space left on device; free space"):
        Checkpoint("key", 3, {}, {}, {}, (), 0.0).save(path)
    kept = Checkpoint.load(path, "key")
    assert kept is not None
    assert kept.epoch == 2
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_folder_that_cannot_be_made_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write the checkpoint"):
        STATE.save(tmp_path / "file" / "checkpoint.safetensors")
