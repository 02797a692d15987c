"""Weights files: every format gives the same backbone, and nothing in a file is ever run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import open_clip
import pytest
import tiny
import torch
from torch import Tensor
from weight_files_of import Files

from promptarena.benchmark.backbone import loading
from promptarena.benchmark.backbone.loading import choose_device, digest_of, load_backbone, weights_digest
from promptarena.benchmark.core.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")


def test_the_digest_tells_weights_apart() -> None:
    state = {"a": torch.zeros(2), "b": torch.ones(2)}
    assert weights_digest(state) == weights_digest({name: state[name].double() for name in ("b", "a")})
    assert weights_digest(state) != weights_digest({"a": torch.ones(2), "b": torch.zeros(2)})
    assert weights_digest(state) != weights_digest(state | {"a": torch.tensor([0.0, 1e-7])})


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
        ("ViT-L-14-CLIPA", "datacomp1b", "its text tokens see those after them"),
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


@pytest.fixture
def allowed() -> Iterator[tuple[Any, Any]]:
    """The flags of TF32, both on; they are properties, which monkeypatch cannot put back."""
    flags: tuple[Any, Any] = torch.backends.cudnn, torch.backends.cuda.matmul
    before = [flag.allow_tf32 for flag in flags]
    for flag in flags:
        flag.allow_tf32 = True
    yield flags
    for flag, value in zip(flags, before, strict=True):
        flag.allow_tf32 = value


def test_on_a_gpu_float32_products_are_exact_ones(
    files: Files, allowed: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "Backbone", lambda *given, **_: given)  # its weights cannot be moved without a GPU
    load_backbone(files["tiny.json"], files["openai.pt"], device="cpu")
    assert all(flag.allow_tf32 for flag in allowed)
    monkeypatch.setattr(loading, "choose_device", torch.device)
    load_backbone(files["tiny.json"], files["openai.pt"], device="cuda")
    assert not any(flag.allow_tf32 for flag in allowed)


def test_auto_is_a_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert choose_device("auto") == torch.device(device)
