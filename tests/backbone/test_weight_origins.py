"""Where weights are from: OpenAI's are known by their digest, and every layout has its name."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import open_clip
import openai_files
import pytest
import torch
from openai_worlds import World
from safetensors.torch import save_file

from promptarena.benchmark.backbone.loading import (
    backbone_of_shapes,
    digest_of,
    identify,
    load_backbone,
    weights_digest,
)
from promptarena.benchmark.backbone.weight_origins import OPENAI
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import file_digest

pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit", "ignore::torch.jit.TracerWarning")


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
def test_weights_of_another_architecture_are_reported_in_a_short_line(
    world: Callable[[str], World], vit: World, find: Callable[[Path, Path], object]
) -> None:
    with pytest.raises(UserError) as refused:
        find(vit.config, world("RN50-quickgelu").archive)
    message = str(refused.value)
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


def test_shapes_alone_have_no_origin() -> None:
    assert backbone_of_shapes("RN50").origin == ""
