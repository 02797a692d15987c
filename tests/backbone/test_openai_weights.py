"""OpenAI's own files: the exact layout loads to the last bit, nothing in it runs, and it is known by its digest."""

import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import huggingface_hub.constants
import open_clip
import openai_files
import pytest
import tiny
import torch
from open_clip.model import build_model_from_openai_state_dict
from open_clip.tokenizer import SimpleTokenizer
from safetensors.torch import save_file
from torch import Tensor

from promptarena.benchmark.backbone.architectures import Architecture
from promptarena.benchmark.backbone.loading import (
    backbone_of_shapes,
    digest_of,
    identify,
    load_backbone,
    missing_weights,
    weights_digest,
)
from promptarena.benchmark.backbone.torchscript import read_torchscript
from promptarena.benchmark.backbone.weight_origins import OPENAI
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import file_digest

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
TAG = "ViT-B-16-quickgelu", "openai"
REPOSITORY = "timm/vit_base_patch16_clip_224.openai"
Dtypes = dict[str, torch.dtype]


class World:
    """The small configuration of an architecture, its drawn weights, and OpenAI's file of them."""

    def __init__(self, folder: Path, architecture: str) -> None:
        self.config = folder / f"{architecture}.json"
        self.config.write_text(json.dumps(openai_files.small(architecture)))
        self.clip = openai_files.drawn(openai_files.small(architecture))
        self.stored = openai_files.stored(self.clip)
        self.archive = folder / f"{architecture}.pt"
        openai_files.write_archive(self.archive, self.clip)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], World]:
    made: dict[str, World] = {}

    def get(architecture: str) -> World:
        if architecture not in made:
            made[architecture] = World(tmp_path_factory.mktemp("openai"), architecture)
        return made[architecture]

    return get


@pytest.fixture
def vit(world: Callable[[str], World]) -> World:
    return world("ViT-B-16-quickgelu")


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


def test_the_known_digests_are_those_in_openais_addresses() -> None:
    urls = {open_clip.get_pretrained_url(name, "openai") for name in open_clip.list_pretrained_models_by_tag("openai")}
    published = {url.split("/")[-2]: url.split("/")[-1] for url in urls if "openaipublic" in url}
    assert published == {sha: f"{name.replace('/', '-').replace('@', '-')}.pt" for sha, name in OPENAI.items()}


def test_only_the_published_bytes_are_called_openais(vit: World, monkeypatch: pytest.MonkeyPatch) -> None:
    local = "local file ViT-B-16-quickgelu.pt"
    assert identify(vit.config, vit.archive).origin == load_backbone(vit.config, vit.archive).origin == local
    monkeypatch.setitem(OPENAI, file_digest(vit.archive), "ViT-B/16")
    backbone = load_backbone(vit.config, vit.archive, device="cpu")
    known = identify(vit.config, vit.archive)
    assert (known.origin, known.digest) == (backbone.origin, backbone.digest) == ("OpenAI ViT-B/16", backbone.digest)


def test_known_weights_need_quick_gelu_even_when_the_file_does_not_say_so(
    vit: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gelu = tmp_path / "gelu.json"
    gelu.write_text(json.dumps(openai_files.small("ViT-B-16")))
    torch.save(vit.stored, tmp_path / "plain.pt")
    assert digest_of(gelu, tmp_path / "plain.pt") == weights_digest(vit.stored)
    monkeypatch.setitem(OPENAI, file_digest(tmp_path / "plain.pt"), "ViT-B/16")
    with pytest.raises(UserError, match=r'QuickGELU but .* computes GELU; use "quick_gelu": true in that file'):
        identify(gelu, tmp_path / "plain.pt")


@pytest.mark.parametrize("find", [identify, load_backbone])
def test_weights_of_another_architecture_are_told_in_a_short_line(
    world: Callable[[str], World], vit: World, find: Callable[[Path, Path], object]
) -> None:
    with pytest.raises(UserError) as told:
        find(vit.config, world("RN50-quickgelu").archive)
    message = str(told.value)
    assert "RN50-quickgelu.pt (local file RN50-quickgelu.pt) do not fit architecture" in message
    assert "it lacks visual.class_embedding, " in message
    assert re.search(r"it has besides visual\..* and \d+ more", message)
    assert "\n" not in message
    other = world("ViT-B-32-quickgelu").archive
    with pytest.raises(UserError, match=r"it has visual\.positional_embedding of 50x128 instead of 197x128"):
        find(vit.config, other)


def test_the_layout_of_transformers_is_refused_by_name(vit: World, tmp_path: Path) -> None:
    save_file({"text_model.embeddings.token_embedding.weight": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"has the layout of transformers; take .*\(open_clip_model\.safetensors\)"):
        identify(vit.config, tmp_path / "model.safetensors")


class Hub:
    """A cache laid out as the hub's client does, which alone is asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def hold(self, name: str, state: dict[str, Tensor]) -> None:
        repository = self.folder / f"models--{REPOSITORY.replace('/', '--')}"
        commit, blob = "c" * 40, repository / "blobs" / ("b" * 64)
        for inner in ("blobs", "refs", f"snapshots/{commit}"):
            (repository / inner).mkdir(parents=True)
        (repository / "refs" / "main").write_text(commit)
        if name.endswith(".safetensors"):
            save_file({key: tensor.contiguous() for key, tensor in state.items()}, blob)
        else:
            torch.save(state, blob)
        (repository / "snapshots" / commit / name).symlink_to(blob)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    """Offline, with an empty cache, and an open_clip whose ViT-B/16 is small."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    config = openai_files.small("ViT-B-16-quickgelu")
    monkeypatch.setattr(open_clip, "get_model_config", lambda _: config)
    return Hub(tmp_path / "hub")


@pytest.mark.parametrize("name", ["open_clip_model.safetensors", "open_clip_pytorch_model.bin"])
def test_a_tag_loads_from_the_hubs_cache_without_a_network(hub: Hub, vit: World, name: str) -> None:
    hub.hold(name, vit.stored)
    assert missing_weights(*TAG) is None
    backbone = load_backbone(*TAG, device="cpu")
    assert (backbone.name, backbone.origin) == ("ViT-B-16-quickgelu", "open_clip ViT-B-16-quickgelu openai")
    assert backbone.digest == identify(*TAG).digest == weights_digest(vit.stored)


def test_without_the_file_one_line_says_what_to_fetch_and_where_to_put_it(hub: Hub) -> None:
    place = hub.folder / "models--timm--vit_base_patch16_clip_224.openai"
    with pytest.raises(UserError) as told:
        load_backbone(*TAG)
    message = str(told.value)
    assert f"'openai' of ViT-B-16-quickgelu ({REPOSITORY})" in message
    assert f"HF_HUB_OFFLINE is set and {place} does not hold them" in message
    assert "name a local file as `weights` in the suite's [backbone]" in message
    assert "\n" not in message
    missing = missing_weights(*TAG)
    assert missing is not None
    assert REPOSITORY in missing
    assert str(hub.folder) in missing


CHILD = """
import sys
import open_clip, openai_files
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.backbone.loading import load_backbone
config = openai_files.small("ViT-B-16-quickgelu")
open_clip.get_model_config = lambda name: config
try:
    print(load_backbone("ViT-B-16-quickgelu", "openai", device="cpu").digest)
except UserError as error:
    sys.exit(str(error))
"""


@pytest.mark.slow
def test_the_environment_variables_of_the_hub_are_honoured(vit: World, tmp_path: Path) -> None:
    def ask() -> subprocess.CompletedProcess[str]:
        path = os.pathsep.join([str(Path(openai_files.__file__).parent), os.environ.get("PYTHONPATH", "")])
        hub = {"HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path / "hub"), "PYTHONPATH": path}
        command = [sys.executable, "-c", CHILD]
        return subprocess.run(command, env=os.environ | hub, capture_output=True, text=True, check=False)

    refused = ask()
    assert refused.returncode == 1
    assert "HF_HUB_OFFLINE is set" in refused.stderr
    assert "Traceback" not in refused.stderr
    Hub(tmp_path / "hub").hold("open_clip_model.safetensors", vit.stored)
    assert ask().stdout.split() == [weights_digest(vit.stored)]


def test_a_missing_local_file_is_missing(vit: World, tmp_path: Path) -> None:
    assert missing_weights(vit.config, vit.archive) is None
    assert missing_weights(vit.config, tmp_path / "none.pt") == f"the file {tmp_path / 'none.pt'}"


def test_shapes_alone_have_no_origin() -> None:
    assert backbone_of_shapes("RN50").origin == ""
