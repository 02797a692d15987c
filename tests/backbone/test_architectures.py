"""Every architecture that open_clip names is built or refused with what is different, and a user's own file too."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import open_clip
import openai_files
import pytest
import tiny
import torch
from safetensors.torch import save_file

from promptarena.benchmark.backbone.loading import backbone_of_shapes, identify, load_backbone, missing_weights
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.planning.suites import BackboneSource

NAMES = open_clip.list_models()
PLAIN = re.compile(r"(RN\d+(x\d+)?|ViT-[a-zA-Z]+-\d+(-alt|-plus)?(-\d+)?)(-quickgelu)?")
PAGE = Path(__file__).parents[2] / "docs" / "backbones.md"


def refusal(architecture: str | Path) -> str:
    with pytest.raises(UserError) as refused:
        backbone_of_shapes(architecture)
    return str(refused.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_architecture_of_open_clip_is_built_or_refused_in_one_line(name: str) -> None:
    if not PLAIN.fullmatch(name):
        message = refusal(name)
        assert message.startswith(f"architecture {name} cannot be used: it")
        assert message.endswith(
            "; use a CLIP of OpenAI's layout, such as ViT-B-16-quickgelu, ViT-L-14 or RN50-quickgelu"
        )
        assert "\n" not in message
        return
    backbone, config = backbone_of_shapes(name), open_clip.get_model_config(name)
    assert backbone.image_size == config["vision_cfg"]["image_size"]
    assert (backbone.text.width, backbone.embed_dim) == (config["text_cfg"]["width"], config["embed_dim"])
    if name.startswith("ViT"):
        assert (backbone.vision.depth, backbone.vision.width) == (
            config["vision_cfg"]["layers"],
            config["vision_cfg"]["width"],
        )
    else:
        with pytest.raises(UserError, match="no token sequence to edit; use a CLIP ViT"):
            _ = backbone.vision


@pytest.mark.parametrize(
    ("name", "differences"),
    [
        (
            "ViT-B-16-SigLIP",
            ("timm's vit_base_patch16_siglip_224", "text tokens see those after", "scores have a bias"),
        ),
        ("EVA02-B-16", ("image encoder is timm's eva02_base_patch16_clip_224",)),
        ("convnext_base", ("image encoder is timm's convnext_base",)),
        ("roberta-ViT-B-32", ("text encoder is roberta-base of transformers", "need the tokenizer roberta-base")),
        ("coca_ViT-B-32", ("a caption decoder (CoCa)", "texts end in a class token")),
        ("ViT-L-14-CLIPA", ("text tokens see those after them", "(pool_type last)")),
        ("ViT-H-14-worldwide", ("need the tokenizer facebook/xlm-v-base", "(pool_type eos)")),
        ("MobileCLIP-S1", ("image encoder is timm's fastvit_mci1", "text tokens see those after them")),
    ],
)
def test_a_refusal_says_what_is_different(name: str, differences: tuple[str, ...]) -> None:
    message = refusal(name)
    assert all(difference in message for difference in differences), message


def complaint(architecture: str, tag: str) -> str:
    try:
        missing_weights(architecture, tag)
    except UserError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("architecture", "tag"), open_clip.list_pretrained(), ids="-".join)
def test_every_pretrained_tag_is_usable_or_refused_before_a_download(architecture: str, tag: str) -> None:
    line = complaint(architecture, tag)
    assert "\n" not in line
    if other := re.search(r"GELU but .*; use (.*)$", line):
        assert complaint(other[1], tag) == ""


@pytest.mark.parametrize("architecture", ["RN50", "ViT-B-32", "ViT-L-14-336"])
def test_every_openai_tag_is_given_its_activation(architecture: str) -> None:
    with pytest.raises(UserError, match=f"computes GELU; use {architecture}-quickgelu$"):
        missing_weights(architecture, "openai")
    missing_weights(f"{architecture}-quickgelu", "openai")


@pytest.mark.parametrize(
    ("architecture", "tag"),
    [("ViT-B-16", "laion2b_s34b_b88k"), ("ViT-L-14", "laion2b_s32b_b82k"), ("ViT-g-14", "laion2b_s34b_b88k")],
)
def test_tags_trained_with_gelu_belong_to_plain_architectures(architecture: str, tag: str) -> None:
    assert complaint(architecture, tag) == ""


@pytest.mark.parametrize("name", ["hf-hub:timm/vit_base_patch16_clip_224.openai", "local-dir:/", "ViT-B-61", ""])
def test_a_name_that_open_clip_does_not_list_is_unknown(name: str) -> None:
    assert refusal(name).startswith(f"unknown architecture {name!r}; ")


def written(folder: Path, content: Any) -> Path:
    path = folder / "own.json"
    path.write_text(json.dumps(content))
    return path


def changed(part: str, **values: Any) -> dict[str, Any]:
    config = tiny.config()
    (config[part] if part else config).update(values)
    return config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1], "is not a JSON object"),
        ({}, "needs embed_dim, vision_cfg and text_cfg"),
        ({"model_cfg": 3}, "needs embed_dim, vision_cfg and text_cfg"),
        (tiny.config() | {"text_cfg": 3}, "needs embed_dim, vision_cfg and text_cfg"),
        (changed("text_cfg", layrs=3), "unknown field of text_cfg 'layrs'; did you mean layers"),
        (changed("", quick_gel=True), "unknown field 'quick_gel'; did you mean quick_gelu"),
        (changed("text_cfg", width="wide"), "a value makes no sense"),
        (changed("text_cfg", heads=5), "a value makes no sense: embed_dim must be divisible by num_heads"),
        (changed("vision_cfg", patch_size=0), "a value makes no sense"),
        (changed("vision_cfg", layers=0), "vision_cfg.layers is 0"),
        (changed("text_cfg", layers=-1), "text_cfg.layers is -1"),
        (changed("vision_cfg", image_size=[16, 24]), "its images are not square"),
        (changed("vision_cfg", pool_type="avg"), "cannot be used: vision_cfg.pool_type = 'avg'"),
        (changed("vision_cfg", qk_norm=True), "cannot be used: vision_cfg.qk_norm = True"),
        (changed("text_cfg", scale_fc=True), "cannot be used: text_cfg.scale_fc = True"),
        (changed("text_cfg", vocab_size=1000), "cannot be used: text_cfg.vocab_size = 1000"),
        (changed("text_cfg", proj_bias=True), "cannot be used: text_cfg.proj_bias = True"),
        (changed("", custom_text=True), "cannot be used: custom_text = True"),
        (changed("", nonscalar_logit_scale=True), "cannot be used: nonscalar_logit_scale = True"),
    ],
)
def test_a_wrong_configuration_is_a_users_error(tmp_path: Path, content: Any, message: str) -> None:
    line = refusal(written(tmp_path, content))
    assert message in line
    assert "own.json" in line
    assert "\n" not in line


def test_a_square_picture_may_be_written_with_both_sides(tmp_path: Path) -> None:
    assert backbone_of_shapes(written(tmp_path, changed("vision_cfg", image_size=[16, 16]))).image_size == 16


@pytest.mark.parametrize(
    "change",
    [
        {"ls_init_value": 0.5},
        {"no_ln_pre": True},
        {"mlp_ratio": 2.0},
        {"patch_dropout": 0.5},
        {"pos_embed_type": "sin_cos_2d"},
        {"norm_kwargs": {"eps": 0.1}},
        {"act_kwargs": {"approximate": "tanh"}},
    ],
    ids=str,
)
def test_what_may_be_changed_is_computed_as_open_clip_does(tmp_path: Path, change: dict[str, Any]) -> None:
    both = change.keys() <= {"ls_init_value", "mlp_ratio", "norm_kwargs", "act_kwargs"}
    config = changed("vision_cfg", **change)
    config["text_cfg"] |= change if both else {}
    clip = tiny.model(config)
    save_file(openai_files.stored(clip), tmp_path / "clip.safetensors")
    backbone = load_backbone(written(tmp_path, config), tmp_path / "clip.safetensors", device="cpu")
    pixels, texts = tiny.pixels(2), backbone.tokenize(["a red fox", "an owl"])
    padded = torch.nn.functional.pad(texts, (0, backbone.context_length - texts.shape[1]))
    clip.eval()
    with torch.no_grad():
        torch.testing.assert_close(backbone.encode_image(pixels), clip.encode_image(pixels), rtol=1e-4, atol=1e-5)
        found = backbone.encode_text(backbone.embed(texts))
        torch.testing.assert_close(found, clip.encode_text(padded), rtol=1e-4, atol=1e-5)


def test_a_configuration_of_the_hub_brings_its_preprocessing(tmp_path: Path) -> None:
    weights = tmp_path / "open_clip_model.safetensors"
    save_file(openai_files.stored(tiny.model()), weights)
    pixels = {"mean": [0.5, 0.4, 0.3], "std": [0.1, 0.2, 0.3], "interpolation": "bicubic", "resize_mode": "shortest"}
    own = written(tmp_path, {"model_cfg": tiny.config(), "preprocess_cfg": pixels | {"size": 16}})
    backbone = load_backbone(own, weights, device="cpu")
    assert (backbone.mean, backbone.std) == ((0.5, 0.4, 0.3), (0.1, 0.2, 0.3))
    plain = load_backbone(written(tmp_path, tiny.config()), weights, device="cpu")
    assert plain.digest == backbone.digest
    assert plain.mean == (0.48145466, 0.4578275, 0.40821073)
    for wrong, message in (
        ({"resize_mode": "squash"}, "resized by squash bicubic"),
        ({"mean": [0.5, 0.4]}, r"preprocess_cfg: .*mean"),
        ({"std": [0.1, 0.0, 0.3]}, r"preprocess_cfg: field 'std.1' is 0.0"),
    ):
        own = written(tmp_path, {"model_cfg": tiny.config(), "preprocess_cfg": pixels | wrong})
        with pytest.raises(UserError, match=message):
            identify(own, weights)


def test_the_page_lists_what_can_be_used() -> None:
    rows = re.findall(r"^\| (?:ViT|ResNet) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`([\w-]+)`", row)}
    assert listed == {name for name in NAMES if PLAIN.fullmatch(name)}


def test_the_examples_of_the_page_are_right(tmp_path: Path) -> None:
    (example,) = re.findall(r"^```json\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    assert backbone_of_shapes(written(tmp_path, json.loads(example))).text.depth == 12
    (suite,) = re.findall(r"^```toml\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    source = BackboneSource.model_validate(tomllib.loads(suite)["backbone"])
    missing_weights(str(source.architecture), str(source.pretrained))
