"""Pretrained tags: loaded from the hub's cache, and one line says what is missing."""

import os
import subprocess
import sys
from pathlib import Path

import huggingface_hub.constants
import open_clip
import openai_files
import pytest
import torch
from openai_worlds import World
from safetensors.torch import save_file
from torch import Tensor

from promptarena.benchmark.backbone.loading import (
    identify,
    load_backbone,
    missing_weights,
    weights_digest,
)
from promptarena.benchmark.core.errors import UserError

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")
TAG = "ViT-B-16-quickgelu", "openai"
REPOSITORY = "timm/vit_base_patch16_clip_224.openai"


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
    with pytest.raises(UserError) as refused:
        load_backbone(*TAG)
    message = str(refused.value)
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
