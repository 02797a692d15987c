"""OpenAI's own files: the exact layout loads to the last bit, and nothing in it runs."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import openai_files
import pytest
import tiny
import torch
from open_clip.model import build_model_from_openai_state_dict
from open_clip.tokenizer import SimpleTokenizer
from openai_worlds import World
from safetensors.torch import save_file

from promptarena.benchmark.backbone.architectures import Architecture
from promptarena.benchmark.backbone.loading import (
    digest_of,
    load_backbone,
    weights_digest,
)
from promptarena.benchmark.backbone.torchscript import read_torchscript

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")
HALF, SINGLE, LONG = torch.float16, torch.float32, torch.int64
ARCHITECTURES = (
    "ViT-B-16-quickgelu",
    "ViT-B-32-quickgelu",
    "ViT-L-14-quickgelu",
    "ViT-L-14-336-quickgelu",
    "RN50-quickgelu",
    "RN101-quickgelu",
)
TEXTS = ["a photo of a zebra.", "owl", "a drawing of a red panda in a bamboo forest"]
Dtypes = dict[str, torch.dtype]


def pair(name: str, dtype: torch.dtype) -> Dtypes:
    return {f"{name}.weight": dtype, f"{name}.bias": dtype}


def blocks(name: str, count: int) -> Dtypes:
    dtypes: Dtypes = {}
    for block in (f"{name}.resblocks.{index}" for index in range(count)):
        dtypes |= {f"{block}.attn.in_proj_weight": HALF, f"{block}.attn.in_proj_bias": HALF}
        for layer in ("attn.out_proj", "mlp.c_fc", "mlp.c_proj"):
            dtypes |= pair(f"{block}.{layer}", HALF)
        dtypes |= pair(f"{block}.ln_1", SINGLE) | pair(f"{block}.ln_2", SINGLE)
    return dtypes


def convolution(name: str, norm: str) -> Dtypes:
    statistics = {f"{norm}.running_mean": SINGLE, f"{norm}.running_var": SINGLE, f"{norm}.num_batches_tracked": LONG}
    return {f"{name}.weight": HALF} | pair(norm, SINGLE) | statistics


def text_side() -> Dtypes:
    single = ("positional_embedding", "token_embedding.weight", "logit_scale")
    sizes = dict.fromkeys(("input_resolution", "context_length", "vocab_size"), LONG)
    rest = pair("ln_final", SINGLE) | {"text_projection": HALF} | blocks("transformer", 2)
    return dict.fromkeys(single, SINGLE) | sizes | rest


def transformer() -> Dtypes:
    single = dict.fromkeys(("visual.class_embedding", "visual.positional_embedding"), SINGLE)
    norms = pair("visual.ln_pre", SINGLE) | pair("visual.ln_post", SINGLE)
    return single | {"visual.conv1.weight": HALF, "visual.proj": HALF} | norms | blocks("visual.transformer", 2)


def residual_network() -> Dtypes:
    dtypes: Dtypes = {"visual.attnpool.positional_embedding": SINGLE}
    for index in (1, 2, 3):
        dtypes |= convolution(f"visual.conv{index}", f"visual.bn{index}")
    for block in ("layer1.0", "layer2.0", "layer2.1", "layer3.0", "layer4.0"):
        for index in (1, 2, 3):
            dtypes |= convolution(f"visual.{block}.conv{index}", f"visual.{block}.bn{index}")
        if block.endswith(".0"):
            dtypes |= convolution(f"visual.{block}.downsample.0", f"visual.{block}.downsample.1")
    for layer in "kqvc":
        dtypes |= pair(f"visual.attnpool.{layer}_proj", HALF)
    return dtypes


@pytest.mark.parametrize(
    ("architecture", "image_side"), [("ViT-B-16-quickgelu", transformer()), ("RN50-quickgelu", residual_network())]
)
def test_the_file_has_the_names_and_precisions_of_openais(
    world: Callable[[str], World], architecture: str, image_side: Dtypes
) -> None:
    read = torch.jit.load(str(world(architecture).archive)).state_dict()
    assert {name: tensor.dtype for name, tensor in read.items()} == image_side | text_side()
    assert all(read[name].shape == () for name in openai_files.SIZES)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_values_are_the_stored_ones_in_float32(world: Callable[[str], World], architecture: str) -> None:
    own = world(architecture)
    backbone = load_backbone(own.config, own.archive, device="cpu")
    loaded, official = backbone.model.state_dict(), torch.jit.load(str(own.archive)).state_dict()
    assert loaded.keys() == official.keys() - set(openai_files.SIZES)
    for name, tensor in loaded.items():
        assert tensor.dtype is (LONG if name.endswith("num_batches_tracked") else SINGLE)
        assert torch.equal(tensor, official[name].to(tensor.dtype)), name
    assert backbone.digest == digest_of(own.config, own.archive) == weights_digest(own.stored)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_features_are_those_of_open_clips_own_reader(world: Callable[[str], World], architecture: str) -> None:
    own = world(architecture)
    official = build_model_from_openai_state_dict(torch.jit.load(str(own.archive)).state_dict()).float()
    backbone = load_backbone(own.config, own.archive, device="cpu")
    assert backbone.image_size == (336 if "336" in architecture else 224)
    pixels = tiny.pixels(2, backbone.image_size)
    with torch.no_grad():
        torch.testing.assert_close(backbone.encode_image(pixels), official.encode_image(pixels), rtol=1e-4, atol=1e-4)
        found = backbone.encode_text(backbone.embed(backbone.tokenize(TEXTS)))
        torch.testing.assert_close(found, official.encode_text(SimpleTokenizer()(TEXTS)), rtol=1e-4, atol=1e-4)


def rewritten(source: Path, target: Path, change: Callable[[str, bytes], bytes]) -> Path:
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for name in old.namelist():
            new.writestr(name, change(name, old.read(name)))
    return target


def test_no_code_of_the_file_is_run(vit: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def poisoned(name: str, content: bytes) -> bytes:
        return b"import os; os.abort()" if "/code/" in name else content

    monkeypatch.setattr(torch.jit, "load", lambda *_: pytest.fail("torch.jit.load was called"))
    path = rewritten(vit.archive, tmp_path / "poisoned.pt", poisoned)
    assert digest_of(vit.config, path) == weights_digest(vit.stored)


def test_a_file_saved_on_a_gpu_needs_none(vit: World, tmp_path: Path) -> None:
    def text(value: bytes) -> bytes:
        return b"X" + len(value).to_bytes(4, "little") + value

    def moved(name: str, content: bytes) -> bytes:
        return content.replace(text(b"cpu"), text(b"cuda:0"))

    path = rewritten(vit.archive, tmp_path / "gpu.pt", moved)
    assert path.read_bytes().count(b"cuda:0")
    assert digest_of(vit.config, path) == weights_digest(vit.stored)


@pytest.mark.parametrize("masks", ["top", "blocks"])
def test_attention_masks_in_a_file_are_no_weights(vit: World, tmp_path: Path, masks: str) -> None:
    openai_files.write_archive(tmp_path / "masks.pt", vit.clip, masks)
    assert any(name.endswith("attn_mask") for name in read_torchscript(tmp_path / "masks.pt"))
    backbone = load_backbone(vit.config, tmp_path / "masks.pt", device="cpu")
    assert backbone.digest == digest_of(vit.config, tmp_path / "masks.pt") == weights_digest(vit.stored)


@pytest.mark.parametrize("architecture", ["ViT-B-16-quickgelu", "RN50-quickgelu"])
def test_its_state_dict_in_another_file_is_the_same_weights(
    world: Callable[[str], World], tmp_path: Path, architecture: str
) -> None:
    own = world(architecture)
    official = torch.jit.load(str(own.archive)).state_dict()
    wrapped = {f"module.{name}": tensor for name, tensor in own.stored.items()}
    torch.save(official, tmp_path / "state.pt")
    torch.save({"epoch": 1, "state_dict": wrapped}, tmp_path / "training.pt")
    save_file({name: tensor.contiguous() for name, tensor in official.items()}, tmp_path / "half.safetensors")
    for path in sorted(tmp_path.iterdir()):
        assert digest_of(own.config, path) == load_backbone(own.config, path, device="cpu").digest, path.name
        assert digest_of(own.config, path) == weights_digest(own.stored), path.name


def test_counters_of_batch_norm_may_be_absent(world: Callable[[str], World], tmp_path: Path) -> None:
    own = world("RN50-quickgelu")
    state = {name: tensor for name, tensor in own.stored.items() if not name.endswith("num_batches_tracked")}
    save_file(state, tmp_path / "old.safetensors")
    backbone = load_backbone(own.config, tmp_path / "old.safetensors", device="cpu")
    assert backbone.digest == digest_of(own.config, tmp_path / "old.safetensors") != weights_digest(own.stored)
    pixels = tiny.pixels(1, 224)
    assert torch.equal(backbone.encode_image(pixels), load_backbone(own.config, own.archive).encode_image(pixels))


def test_a_logit_scale_of_one_entry_is_a_number(vit: World, tmp_path: Path) -> None:
    save_file(vit.stored | {"logit_scale": vit.stored["logit_scale"].reshape(1)}, tmp_path / "one.safetensors")
    backbone = load_backbone(vit.config, tmp_path / "one.safetensors", device="cpu")
    assert backbone.scale.shape == ()
    assert backbone.digest == digest_of(vit.config, tmp_path / "one.safetensors") == weights_digest(vit.stored)


def test_the_digest_needs_no_second_copy_of_the_weights(vit: World, monkeypatch: pytest.MonkeyPatch) -> None:
    devices: list[str] = []
    build = Architecture.build
    monkeypatch.setattr(Architecture, "build", lambda self, device: devices.append(device) or build(self, device))
    digest_of(vit.config, vit.archive)
    assert devices == ["meta"]
