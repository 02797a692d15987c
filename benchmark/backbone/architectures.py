"""Which of open_clip's architectures can be computed here, and what is different about the others.

The harness runs CLIP block by block, so it computes what it knows and nothing else: OpenAI's text encoder, and as image
encoder a plain vision transformer or OpenAI's residual network. A configuration that says anything more is refused.
"""

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import torch
from pydantic import BaseModel, ConfigDict, Field

from promptarena.benchmark.backbone.clip import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD, Channels
from promptarena.benchmark.core.config_files import check, read_json
from promptarena.benchmark.core.errors import UserError, first_line, unknown

_FREE = {
    "": {"embed_dim", "quick_gelu", "init_logit_scale", "vision_cfg", "text_cfg"},
    "vision_cfg": {
        *("image_size", "patch_size", "layers", "width", "head_width", "mlp_ratio", "ls_init_value", "patch_dropout"),
        *("no_ln_pre", "pos_embed_type", "act_kwargs", "norm_kwargs"),
    },
    "text_cfg": {
        *("context_length", "layers", "width", "heads", "mlp_ratio", "ls_init_value", "pad_id", "eos_id"),
        *("act_kwargs", "norm_kwargs"),
    },
}
"""The fields that may have any value, by their part of the configuration; every other one must have its default."""

_MEANING = {
    ("", "multimodal_cfg"): "it has a caption decoder (CoCa)",
    ("vision_cfg", "timm_model_name"): "its image encoder is timm's {}",
    ("text_cfg", "hf_model_name"): "its text encoder is {} of transformers",
    ("text_cfg", "hf_tokenizer_name"): "its texts need the tokenizer {}",
    ("text_cfg", "embed_cls"): "its texts end in a class token",
    ("text_cfg", "no_causal_mask"): "its text tokens see those after them",
    ("text_cfg", "pool_type"): "its text feature is not read at the largest token id (pool_type {})",
    ("", "init_logit_bias"): "its scores have a bias (trained with a sigmoid loss)",
}
"""What another value than the default means. Where one of these is named, fields that go with it are not."""

_INSTEAD = "use a CLIP of OpenAI's layout, such as ViT-B-16-quickgelu, ViT-L-14 or RN50-quickgelu"
_Positive = Annotated[float, Field(gt=0)]
_WRONG_VALUES = (TypeError, ValueError, AttributeError, ArithmeticError, AssertionError, LookupError, RuntimeError)


class Preprocessing(BaseModel):
    """How images were prepared in a training, in open_clip's words; without any, as OpenAI did."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mean: Channels = OPENAI_DATASET_MEAN
    std: tuple[_Positive, _Positive, _Positive] = OPENAI_DATASET_STD
    interpolation: str = "bicubic"
    resize_mode: str = "shortest"

    @classmethod
    def of(cls, where: str, table: Any) -> Self:
        """From a table that may hold more. Raises UserError, naming `where`, for a wrong value."""
        known = {key: table[key] for key in cls.model_fields if key in table} if isinstance(table, dict) else table
        return check(where, known, cls)


@dataclass(frozen=True)
class Architecture:
    """A model that can be computed here.

    source: open_clip's name, or the path of a file. config: the arguments of open_clip's CLIP. preprocessing: as the
    file has it.
    """

    source: str | Path
    config: Mapping[str, Any]
    preprocessing: Preprocessing

    @property
    def name(self) -> str:
        """For messages: open_clip's name or the path."""
        return str(self.source)

    @property
    def quick_gelu(self) -> bool:
        """Whether it computes QuickGELU, as OpenAI's models do, rather than GELU."""
        return bool(self.config.get("quick_gelu", False))

    @property
    def other_activation(self) -> str:
        """What to use instead when the other of GELU and QuickGELU is needed."""
        if isinstance(self.source, Path):
            return f'"quick_gelu": {"false" if self.quick_gelu else "true"} in that file'
        return self.source.removesuffix("-quickgelu") if self.quick_gelu else f"{self.source}-quickgelu"

    def build(self, device: str) -> Any:
        """open_clip's model with its initial values; on the device "meta" it has shapes and no values. Raises UserError
        when a value of the configuration makes no sense."""
        from open_clip.model import CLIP

        try:
            with torch.device(device):
                return CLIP(**self.config)
        except _WRONG_VALUES as error:
            reason = first_line(error)
            raise UserError(f"model configuration {self.name}: a value makes no sense: {reason}") from error


def find_architecture(architecture: str | Path) -> Architecture:
    """An architecture by open_clip's name of it, or by the path of a JSON file: a model configuration, or the
    `open_clip_config.json` of a repository on the hub.

    Raises UserError when it is unknown, unreadable, or a model that cannot be computed here, saying what is different.
    """
    import open_clip

    name, preprocessing = str(architecture), Preprocessing()
    if isinstance(architecture, Path):
        content = _read(architecture)
        config = content.get("model_cfg", content)
        preprocessing = Preprocessing.of(f"{name}, preprocess_cfg", content.get("preprocess_cfg", {}))
    else:
        config = (
            None if ":" in architecture else open_clip.get_model_config(architecture)
        )  # hf-hub:... asks the network
        if config is None:
            raise unknown("architecture", architecture, open_clip.list_models())
    _require_known_fields(name, config)
    different = _differences(config)
    if different:
        raise UserError(f"architecture {name} cannot be used: {'; '.join(different)}; {_INSTEAD}")
    return Architecture(architecture, {key: config[key] for key in config if key in _FREE[""]}, preprocessing)


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"model configuration {path} is not a JSON object")
    return content


def _require_known_fields(name: str, config: Any) -> None:
    parts = [part for part in _FREE if part]
    whole = isinstance(config, dict) and "embed_dim" in config
    if not whole or not all(isinstance(config.get(part), dict) for part in parts):
        raise UserError(f"model configuration {name} needs embed_dim, vision_cfg and text_cfg, as open_clip writes it")
    for part in parts:
        layers = config[part].get("layers", 1)
        if isinstance(layers, int) and layers < 1:
            raise UserError(f"model configuration {name}: {part}.layers is {layers}, but there must be some")
    for part, known in _defaults().items():
        for key in config[part] if part else config:
            if key not in known:
                kind = f"field of {part}" if part else "field"
                raise UserError(f"model configuration {name}: {unknown(kind, key, known)}")


def _differences(config: Mapping[str, Any]) -> list[str]:
    """What keeps a model from being computed here, in words."""
    other = {
        (part, key): value
        for part, defaults in _defaults().items()
        for key, value in (config[part] if part else config).items()
        if key not in _FREE[part] and value != defaults[key]
    }
    meant = [text.format(other[where]) for where, text in _MEANING.items() if where in other]
    size = config["vision_cfg"].get("image_size")
    if isinstance(size, list) and len(set(size)) > 1:
        meant.append("its images are not square")
    return meant or [f"{part}.{key} = {value!r}".removeprefix(".") for (part, key), value in other.items()]


def _defaults() -> dict[str, dict[str, Any]]:
    """Every field that open_clip knows with its default, by part."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    def of(function: Any) -> dict[str, Any]:
        return {name: parameter.default for name, parameter in inspect.signature(function).parameters.items()}

    return {
        "": of(CLIP) | {"custom_text": False, "multimodal_cfg": None},
        "vision_cfg": of(CLIPVisionCfg),
        "text_cfg": of(CLIPTextCfg),
    }
