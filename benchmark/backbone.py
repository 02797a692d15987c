"""One frozen CLIP for every method: its two towers, tokeniser and preprocessing, and the points where a method steps
in.

A method never needs CLIP's source: it edits the token sequence in front of any block, biases the attention of any
head, starts from stored tokens at any block, or reads them there. Shapes: B images, C classes, P patches, L text
positions, W a tower's width, D the joint embedding size.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import torch
from torch import Tensor

from promptarena.benchmark.errors import UserError
from promptarena.benchmark.towers import NO_BIAS, NO_EDITS, Edit, Tower

Precision = Literal["fp32", "bf16", "fp16"]
Channels = tuple[float, float, float]
OPENAI_DATASET_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_DATASET_STD = (0.26862954, 0.26130258, 0.27577711)
_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Prompts:
    """Text inputs of C classes behind the token embedding and before the positions are added.

    embeddings: (C, L, W) token embeddings. eot: (C,) int64, the position of each end-of-text token, whose row is read.
    shared: how many first rows are the same in all prompts and stay so under every edit, fewer than the smallest `eot`.
    They are encoded once for all, and edits are then given these rows only, as (1, shared, W), unless there is a bias.
    groups: G, when the prompts are G equally long runs of which each shares first rows of its own (edits: (G, shared,
    W)).
    """

    embeddings: Tensor
    eot: Tensor
    shared: int = 0
    groups: int = 1

    def __post_init__(self) -> None:
        if len(self.embeddings) != len(self.eot):
            raise ValueError(f"{len(self.embeddings)} prompts but {len(self.eot)} end-of-text positions")
        if len(self.eot) % self.groups:
            raise ValueError(f"{len(self.eot)} prompts are not {self.groups} equally long groups")


class Backbone:
    """A frozen open_clip CLIP. Not an `nn.Module`, so that a learner which holds it does not own, save or train it.

    Attributes: `vision`, `text` (Towers), `embed_dim` D, `image_size` pixels a side, `mean` and `std` of the pixels,
    `context_length` text positions, `scale` = exp(logit_scale), `name`, `digest` (SHA-256 of the weights) and `origin`
    (where they come from, in words).
    """

    def __init__(
        self,
        model: Any,
        name: str,
        digest: str,
        device: torch.device,
        precision: Precision,
        mean: Channels = OPENAI_DATASET_MEAN,
        std: Channels = OPENAI_DATASET_STD,
        origin: str = "",
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.name = name
        self.digest = digest
        self.origin = origin
        self.device = device
        self.precision = precision
        self.text = Tower(model.transformer.resblocks, causal=True)
        self.context_length = int(model.context_length)
        self.embed_dim = int(model.text_projection.shape[1])
        self.scale: Tensor = model.logit_scale.detach().exp()
        size = model.visual.image_size
        self.image_size = int(size[0] if isinstance(size, tuple | list) else size)
        self.mean = mean
        self.std = std

    @cached_property
    def vision(self) -> Tower:
        """The image tower's blocks. Raises UserError when the image encoder is not a plain vision transformer."""
        visual = self.model.visual
        if (
            not self._has_blocks
            or visual.attn_pool is not None
            or visual.pool_type != "tok"
            or visual.final_ln_after_pool
        ):
            raise UserError(
                f"backbone {self.name}: its image encoder has no token sequence to edit; use a CLIP ViT, or "
                "a method that leaves the image encoder as it is, such as coop"
            )
        return Tower(visual.transformer.resblocks, causal=False)

    @property
    def _has_blocks(self) -> bool:
        return hasattr(self.model.visual, "transformer")

    def autocast(self) -> AbstractContextManager[None]:
        """Mixed precision as chosen: weights stay float32, matrix products run in bf16 or fp16; with fp32 nothing
        changes."""
        dtype = _AUTOCAST.get(self.precision)
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype is not None)

    # images

    def image_tokens(
        self, pixels: Tensor, *, at_input: Edit | None = None, edits: Mapping[int, Edit] = NO_EDITS, stop: int = 0
    ) -> Tensor:
        """Normalised pixels (B, 3, H, H) -> tokens (B, 1 + P, W) in front of block `stop`.

        `at_input` edits the class token and patches with their positions, in front of the first layer norm: prompts
        that it appends pass that norm, as in VPT and MaPLe.
        """
        visual, tower = self.model.visual, self.vision
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = torch.cat([first, patches], dim=1) + visual.positional_embedding.to(patches.dtype)
        if at_input is not None:
            tokens = at_input(tokens)
        return tower.run(visual.ln_pre(tokens), stop=stop, edits=edits)

    def image_features_from(
        self,
        tokens: Tensor,
        *,
        start: int = 0,
        edits: Mapping[int, Edit] = NO_EDITS,
        bias: Mapping[int, Tensor] = NO_BIAS,
    ) -> Tensor:
        """Tokens (B, L, W) in front of block `start` -> image features (B, D), not normalised, read at the class
        token."""
        return self.project_image(self.vision.run(tokens, start=start, edits=edits, bias=bias)[:, 0])

    def project_image(self, rows: Tensor) -> Tensor:
        """Token rows (..., W) behind the last block -> (..., D): the last layer norm and the projection."""
        features: Tensor = self.normalize_image(rows) @ self.model.visual.proj
        return features

    def normalize_image(self, rows: Tensor) -> Tensor:
        """Token rows (..., W) behind the last block -> (..., W): the last layer norm, without the projection."""
        normalized: Tensor = self.model.visual.ln_post(rows)
        return normalized

    def encode_image(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, H) -> plain CLIP features (B, D), not normalised. Works for every image
        encoder."""
        if self._has_blocks:
            return self.image_features_from(self.image_tokens(pixels))
        features: Tensor = self.model.encode_image(pixels)
        return features

    # text

    @cached_property
    def _tokenizer(self) -> Any:
        from open_clip.tokenizer import SimpleTokenizer

        return SimpleTokenizer(context_length=self.context_length)

    def token_counts(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Byte-pair tokens of each text, without start and end."""
        return tuple(len(self._tokenizer.encode(text)) for text in texts)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Texts -> token ids (C, L) int64, L cut behind the last end-of-text: exact, for the tower is causal.

        Raises UserError for a text that does not fit the context length.
        """
        for text, count in zip(texts, self.token_counts(texts), strict=True):
            if count + 2 > self.context_length:
                raise UserError(f"text of {count + 2} tokens exceeds the context of {self.context_length}: {text!r}")
        ids: Tensor = self._tokenizer(list(texts))
        return ids[:, : int(ids.argmax(-1).max()) + 1].to(self.device)

    def embed(self, ids: Tensor) -> Prompts:
        """Token ids (C, L) -> Prompts with their frozen embeddings; the end-of-text token is the largest id of a
        row."""
        return Prompts(self.model.token_embedding(ids), ids.argmax(-1))

    def text_tokens(
        self,
        prompts: Prompts,
        *,
        edits: Mapping[int, Edit] = NO_EDITS,
        bias: Mapping[int, Tensor] = NO_BIAS,
        stop: int | None = None,
    ) -> Tensor:
        """Prompts -> tokens (C, L, W) in front of block `stop` (default: behind the last).

        Positions are added to the embeddings in front of the first block. Raises UserError when L exceeds the context.
        """
        return self.text.run(self._positioned(prompts), edits=edits, bias=bias, stop=stop)

    def _positioned(self, prompts: Prompts) -> Tensor:
        length = prompts.embeddings.shape[1]
        if length > self.context_length:
            raise UserError(f"prompts of {length} tokens exceed the backbone's context of {self.context_length}")
        positions: Tensor = self.model.positional_embedding[:length]
        return prompts.embeddings + positions.to(prompts.embeddings.dtype)

    def project_text(self, rows: Tensor) -> Tensor:
        """Token rows (..., W) behind the last block -> (..., D): the last layer norm and the projection."""
        features: Tensor = self.model.ln_final(rows) @ self.model.text_projection
        return features

    def encode_text(
        self,
        prompts: Prompts,
        *,
        edits: Mapping[int, Edit] = NO_EDITS,
        bias: Mapping[int, Tensor] = NO_BIAS,
    ) -> Tensor:
        """Prompts -> text features (C, D), not normalised, read at each end-of-text token, which no edit may move."""
        classes = torch.arange(len(prompts.eot), device=prompts.eot.device)
        if prompts.shared and not bias:
            embedded = self._positioned(prompts)
            own = embedded[:, prompts.shared :]
            common = embedded[:: len(embedded) // prompts.groups, : prompts.shared]
            _, tokens = self.text.run_behind(common, own, edits=edits)
            return self.project_text(tokens[classes, prompts.eot - prompts.shared])
        return self.project_text(self.text_tokens(prompts, edits=edits, bias=bias)[classes, prompts.eot])
