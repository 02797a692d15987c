"""Weights files: every format gives the same backbone, and nothing in a file is ever run."""

import json
import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import open_clip
import openai_files
import pytest
import tiny
import torch
from safetensors.torch import save_file
from torch import Tensor

from promptarena.benchmark.backbone.loading import choose_device, digest_of, load_backbone, weights_digest
from promptarena.benchmark.backbone.torchscript import is_torchscript, read_torchscript
from promptarena.benchmark.core.errors import UserError

QUICK = tiny.config(quick_gelu=True)
DRAWN = openai_files.drawn(QUICK)
Files = dict[str, Path]

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")


@pytest.fixture(scope="module")
def halved() -> dict[str, Tensor]:
    """A model's tensors in the storage precision of OpenAI's release: half, but for norms and embeddings."""
    return openai_files.stored(DRAWN)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, halved: dict[str, Tensor]) -> Files:
    folder = tmp_path_factory.mktemp("weights")
    (folder / "tiny.json").write_text(json.dumps(QUICK))
    (folder / "gelu.json").write_text(json.dumps(tiny.config()))
    single = {name: tensor.float().contiguous() for name, tensor in halved.items()}
    save_file({name: tensor.contiguous() for name, tensor in halved.items()}, folder / "half.safetensors")
    save_file(single | {"attn_mask": torch.zeros(24, 24)}, folder / "mask.safetensors")
    torch.save(single, folder / "state.pt")
    torch.save({"epoch": 3, "state_dict": halved}, folder / "nested.bin")
    openai_files.write_archive(folder / "openai.pt", DRAWN)
    return {path.name: path for path in folder.iterdir()}


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


def test_torchscript_is_told_from_a_plain_file_and_read_whole(files: Files, halved: dict[str, Tensor]) -> None:
    assert is_torchscript(files["openai.pt"])
    assert not is_torchscript(files["state.pt"])
    read = read_torchscript(files["openai.pt"])
    assert read.keys() == halved.keys() | set(openai_files.SIZES)
    for name, tensor in halved.items():
        assert read[name].dtype is tensor.dtype
        assert torch.equal(read[name], tensor), name


def test_the_digest_tells_weights_apart() -> None:
    state = {"a": torch.zeros(2), "b": torch.ones(2)}
    assert weights_digest(state) == weights_digest({name: state[name].double() for name in ("b", "a")})
    assert weights_digest(state) != weights_digest({"a": torch.ones(2), "b": torch.zeros(2)})
    assert weights_digest(state) != weights_digest(state | {"a": torch.tensor([0.0, 1e-7])})


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


def test_weights_of_another_shape_or_a_missing_file_are_named(files: Files, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no weights file"):
        load_backbone(files["tiny.json"], tmp_path / "none.safetensors")
    (tmp_path / "wide.json").write_text(json.dumps(tiny.config(text=(48, 2), quick_gelu=True)))
    with pytest.raises(UserError, match="do not fit architecture"):
        load_backbone(tmp_path / "wide.json", files["state.pt"])
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match="is not valid JSON"):
        load_backbone(tmp_path / "broken.json", files["state.pt"])


def test_openai_weights_need_quick_gelu(files: Files) -> None:
    with pytest.raises(UserError, match=r"trained with QuickGELU but .*gelu\.json computes GELU"):
        load_backbone(files["gelu.json"], files["openai.pt"])


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(open_clip, "download_pretrained", refuse)


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("architecture", "tag", "message"),
    [
        ("ViT-B-16", "openai", "QuickGELU but ViT-B-16 computes GELU; use ViT-B-16-quickgelu"),
        ("ViT-B-17", "openai", "unknown architecture 'ViT-B-17'; did you mean .*ViT-B-16"),
        ("ViT-B-16-quickgelu", "openia", "unknown pretrained tag of ViT-B-16-quickgelu 'openia'; did you mean openai"),
        ("ViT-B-16-SigLIP", "webli", "its image encoder is timm's vit_base_patch16_siglip_224; its texts need"),
        ("ViT-L-14-CLIPA", "datacomp1b", "its text tokens see those behind them"),
        ("ViT-H-14-quickgelu", "dfn5b", "resized by squash"),
    ],
)
def test_a_backbone_that_would_go_wrong_is_refused_before_any_download(
    architecture: str, tag: str, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        load_backbone(architecture, tag)


def test_a_failed_download_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(open_clip, "download_pretrained", fail)
    with pytest.raises(UserError, match=r"^cannot fetch weights 'openai' .*: no route; fetch them where"):
        load_backbone("ViT-B-16-quickgelu", "openai")


def test_a_tag_brings_the_normalisation_it_was_trained_with(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = {"mean": (0.5, 0.4, 0.3), "std": (0.1, 0.2, 0.3), "quick_gelu": True}
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: tiny.config(quick_gelu=True))
    monkeypatch.setattr(open_clip, "get_pretrained_cfg", lambda *_: entry)
    monkeypatch.setattr(open_clip, "download_pretrained", lambda _: str(files["half.safetensors"]))
    backbone = load_backbone("tiny", "tag", device="cpu")
    assert (backbone.name, backbone.mean, backbone.std) == ("tiny", entry["mean"], entry["std"])


def test_a_device_that_is_not_there_is_a_users_error() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="device 'nowhere' cannot be used"):
        choose_device("nowhere")


UNUSABLE: dict[str, Any] = {
    "a meta tensor": lambda tensor: tensor.to("meta"),
    "sparse": lambda tensor: tensor.to_sparse(),
    "quantised": lambda tensor: torch.quantize_per_tensor(tensor, 0.1, 0, torch.qint8),
    "complex": lambda tensor: tensor.to(torch.complex64),
    "NaN or infinite": lambda tensor: torch.full_like(tensor, float("nan")),
    "or infinite in text_projection": lambda tensor: torch.full_like(tensor, float("-inf")),
}


@pytest.mark.parametrize(("reason", "change"), UNUSABLE.items(), ids=UNUSABLE)
def test_weights_that_cannot_be_computed_with_are_a_users_error(
    files: Files, halved: dict[str, Tensor], tmp_path: Path, reason: str, change: Any
) -> None:
    state = {name: tensor.float() for name, tensor in halved.items()}
    state["text_projection"] = change(state["text_projection"])
    torch.save(state, tmp_path / "odd.pt")
    for load in (digest_of, load_backbone):
        with pytest.raises(UserError, match=rf"text_projection is {reason}|{reason}"):
            load(files["tiny.json"], tmp_path / "odd.pt")
