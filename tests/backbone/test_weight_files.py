"""Weights files: every format gives the same backbone, and nothing in a file is ever run."""

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import openai_files
import pytest
import torch
from torch import Tensor
from weight_files_of import Files

from promptarena.benchmark.backbone.loading import digest_of, load_backbone, weights_digest
from promptarena.benchmark.backbone.torchscript import is_torchscript, read_torchscript
from promptarena.benchmark.core.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")


@pytest.mark.parametrize("name", ["half.safetensors", "mask.safetensors", "state.pt", "nested.bin", "openai.pt"])
def test_every_format_gives_the_same_backbone(files: Files, halved: dict[str, Tensor], name: str) -> None:
    backbone = load_backbone(files["tiny.json"], files[name], device="cpu")
    loaded = backbone.model.state_dict()
    assert loaded.keys() == halved.keys()
    assert all(tensor.dtype is torch.float32 and torch.equal(tensor, halved[key]) for key, tensor in loaded.items())
    assert backbone.digest == weights_digest(halved) == digest_of(files["tiny.json"], files[name])


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.int64])
def test_any_type_of_number_becomes_float32(
    files: Files, halved: dict[str, Tensor], tmp_path: Path, dtype: Any
) -> None:
    state = {name: (10 * tensor).to(dtype) for name, tensor in halved.items()}
    torch.save(state, tmp_path / "state.pt")
    backbone = load_backbone(files["tiny.json"], tmp_path / "state.pt", device="cpu")
    assert all(tensor.dtype is torch.float32 for tensor in backbone.model.state_dict().values())
    assert backbone.digest == digest_of(files["tiny.json"], tmp_path / "state.pt") == weights_digest(state)


def test_torchscript_is_distinguished_from_a_plain_file_and_read_whole(files: Files, halved: dict[str, Tensor]) -> None:
    assert is_torchscript(files["openai.pt"])
    assert not is_torchscript(files["state.pt"])
    read = read_torchscript(files["openai.pt"])
    assert read.keys() == halved.keys() | set(openai_files.SIZES)
    for name, tensor in halved.items():
        assert read[name].dtype is tensor.dtype
        assert torch.equal(read[name], tensor), name


class Listing(torch.nn.Module):
    """Holds lists beside its tensors, and one layer under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.sizes, self.rates, self.flags = [1, 2], [0.5], [True]
        self.first = self.second = torch.nn.Linear(2, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x)) * self.sizes[0] * self.rates[0] * float(self.flags[0])


def test_an_archive_may_hold_lists_and_a_layer_twice(tmp_path: Path) -> None:
    module = Listing()
    torch.jit.script(module).save(str(tmp_path / "lists.pt"))
    read = read_torchscript(tmp_path / "lists.pt")
    expected = module.state_dict()
    assert read.keys() == expected.keys()
    assert all(torch.equal(read[name], tensor) for name, tensor in expected.items())


def test_a_module_that_holds_itself_is_read_to_an_end(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "endless.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("endless/data.pkl", b"\x80\x02c__torch__\nM\n)\x81q\x00}X\x05\x00\x00\x00againh\x00sb.")
        archive.writestr("endless/code/__torch__.py", "")
    with pytest.raises(UserError, match=r"do not fit architecture .*: it lacks positional_embedding, "):
        load_backbone(files["tiny.json"], path)


class Attack:
    def __init__(self, witness: Path) -> None:
        self.command = f"echo run > {witness}"

    def __reduce__(self) -> Any:
        return os.system, (self.command,)


@pytest.mark.parametrize("form", ["pickle", "torch", "torchscript"])
def test_a_malicious_file_is_refused_and_not_run(files: Files, tmp_path: Path, form: str) -> None:
    path, witness = tmp_path / "attack.pt", tmp_path / "witness"
    content = {"state_dict": Attack(witness)}
    if form == "pickle":
        path.write_bytes(pickle.dumps(content))
    elif form == "torch":
        torch.save(content, path)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("archive/data.pkl", pickle.dumps(content, protocol=2))
            archive.writestr("archive/code/__torch__.py", "import os")
    with pytest.raises(UserError, match=r"attack\.pt is damaged or not a state dict"):
        load_backbone(files["tiny.json"], path)
    assert not witness.exists()


@pytest.mark.parametrize("name", ["half.safetensors", "state.pt", "openai.pt"])
@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_is_a_users_error(files: Files, tmp_path: Path, name: str, share: float) -> None:
    content, path = files[name].read_bytes(), tmp_path / name
    path.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(UserError, match="is damaged or not a state dict"):
        load_backbone(files["tiny.json"], path)


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"epoch": 3}, {"state_dict": [1]}], ids=repr)
def test_what_is_not_a_state_dict_is_a_users_error(files: Files, tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "other.pt")
    with pytest.raises(UserError, match="not a state dict"):
        load_backbone(files["tiny.json"], tmp_path / "other.pt")
