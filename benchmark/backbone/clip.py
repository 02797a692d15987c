"""One frozen CLIP for every method: its two towers, tokeniser and preprocessing, and where a method may intervene.

A method never needs CLIP's source: it edits the token sequence before any block, biases the attention of any head,
starts from stored tokens at any block, or reads them there. Shapes: B images, C classes, P patches, L text
positions, W a tower's width, D the joint embedding size.
"""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, Unpack

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from promptarena.benchmark.backbone.accelerations import ALL, Accelerations, Precision
from promptarena.benchmark.backbone.interventions import Edit, Interventions, Kinds
from promptarena.benchmark.backbone.text_memory import HELD_BYTES, text_memory
from promptarena.benchmark.backbone.towers import Tower
from promptarena.benchmark.core.context import ContextError, require_fit
from promptarena.benchmark.core.errors import UserError

Channels = tuple[float, float, float]
OPENAI_DATASET_MEAN = (0.48145466, 0.4578275, 0.40821073)
OPENAI_DATASET_STD = (0.26862954, 0.26130258, 0.27577711)
KEPT_TEXTS = 64
"""How many lists of texts keep their features: enough for a teacher's templates, few enough to bound the memory."""

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Prompts:
    """Text inputs of C classes before the block `start`; before the first block still without their positions.

    Attributes:
        embeddings: (C, L, W), token embeddings, or what the blocks before `start` made of them.
        eot: (C,) int64, the position of each end-of-text token, whose row is read.
        shared: how many first rows are the same in all prompts and stay so under every edit, at most the smallest
            `eot`. They are encoded once for all prompts, and edits then receive these rows only, (1, shared, W), unless
            an intervention needs whole sequences; rows that an edit inserts there move no end-of-text token.
        groups: G, when the prompts are G equally large groups of which each shares first rows of its own; edits then
            receive (G, shared, W).
        start: the block before which they stand, from 0.

    Raises:
        ValueError: embeddings and end-of-text positions differ in number, or the groups are not equally large.
    """

    embeddings: Tensor
    eot: Tensor
    shared: int = 0
    groups: int = 1
    start: int = 0

    def __post_init__(self) -> None:
        if len(self.embeddings) != len(self.eot):
            raise ValueError(f"{len(self.embeddings)} prompts but {len(self.eot)} end-of-text positions")
        if len(self.eot) % self.groups:
            raise ValueError(f"{len(self.eot)} prompts are not {self.groups} equally long groups")


class Backbone:
    """A frozen open_clip CLIP. Not an `nn.Module`, so that a learner which holds it does not own, save or train it.

    Attributes:
        text, vision: the Towers.
        embed_dim: D, the joint embedding size.
        image_size, context_length: pixels a side; text positions.
        mean, std: of the pixels' three channels.
        scale: exp(logit_scale), a scalar tensor.
        name, digest, origin: of the architecture; SHA-256 of the weights; where they come from, in words.
        accelerations: which accelerations are on.
        compile_backend: torch.compile's backend for the blocks; empty: none.
        intact: whether it is as it was loaded; a `Seal` sets it. While it is not, no features are kept for others.
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
        accelerations: Accelerations = ALL,
        compile_backend: str = "",
    ) -> None:
        self.model = model.to(device).eval().requires_grad_(False)
        self.name = name
        self.digest = digest
        self.origin = origin
        self.device = device
        self.precision = precision
        self.accelerations = accelerations
        self.compile_backend = compile_backend
        self.text = Tower(model.transformer.resblocks, True, accelerations, compile_backend)
        self.context_length = int(model.context_length)
        self.embed_dim = int(model.text_projection.shape[1])
        self.scale: Tensor = model.logit_scale.detach().exp()
        size = model.visual.image_size
        self.image_size = int(size[0] if isinstance(size, tuple | list) else size)
        self.mean = mean
        self.std = std
        self.intact: Callable[[], bool] = lambda: True
        self._kept: dict[tuple[bool, tuple[str, ...]], Tensor] = {}

    @cached_property
    def vision(self) -> Tower:
        """The image tower's blocks. Raises UserError when the image encoder is not a plain vision transformer."""
        visual = self.model.visual
        plain = self._has_blocks and visual.attn_pool is None and visual.pool_type == "tok"
        if not plain or visual.final_ln_after_pool:
            raise UserError(
                f"backbone {self.name}: its image encoder has no token sequence to edit; use a CLIP ViT, or "
                "a method that leaves the image encoder as it is, such as coop"
            )
        return Tower(visual.transformer.resblocks, False, self.accelerations, self.compile_backend)

    @cached_property
    def colours(self) -> tuple[Tensor, Tensor]:
        """`mean` and `std` on the device, each (3, 1, 1): what pixels are normalised with."""
        with torch.inference_mode(False):
            mean, std = (torch.tensor(values, device=self.device).view(3, 1, 1) for values in (self.mean, self.std))
        return mean, std

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
        self, pixels: Tensor, *, at_input: Edit | None = None, stop: int = 0, **kinds: Unpack[Kinds]
    ) -> Tensor:
        """Tokens of images before block `stop`.

        Args:
            pixels: (B, 3, H, H), normalised.
            at_input: edits the class token and patches with their positions, before the first layer norm: prompts that
                it appends pass that norm, as in VPT and MaPLe.
            stop: block to stop before.
            **kinds: the interventions by block, as fields of `Interventions`.

        Returns:
            (B, 1 + P, W); more or fewer rows after edits.

        Raises:
            UserError: an intervention at a block that does not exist, or an image encoder other than a ViT.
        """
        visual, tower = self.model.visual, self.vision
        patches = visual.conv1(pixels).flatten(2).transpose(1, 2)
        first = visual.class_embedding.to(patches.dtype).expand(len(patches), 1, -1)
        tokens = torch.cat([first, patches], dim=1) + visual.positional_embedding.to(patches.dtype)
        if at_input is not None:
            tokens = at_input(tokens)
        return tower.run(visual.ln_pre(tokens), stop=stop, interventions=Interventions(**kinds))

    def image_features_from(self, tokens: Tensor, *, start: int = 0, **kinds: Unpack[Kinds]) -> Tensor:
        """Image features, read at the class token.

        Args:
            tokens: (B, L, W), the tokens before block `start`.
            start: first block to run.
            **kinds: the interventions by block, as fields of `Interventions`.

        Returns:
            (B, D), not normalised.

        Raises:
            UserError: an intervention at a block that does not exist.
        """
        first = torch.zeros(1, 1, dtype=torch.int64, device=tokens.device)
        return self.project_image(self.vision.read(tokens, first, start=start, **kinds)[:, 0])

    def project_image(self, rows: Tensor) -> Tensor:
        """Token rows (..., W) after the last block -> (..., D): the last layer norm and the projection."""
        features: Tensor = self.normalize_image(rows) @ self.model.visual.proj
        return features

    def normalize_image(self, rows: Tensor) -> Tensor:
        """Token rows (..., W) after the last block -> (..., W): the last layer norm, without the projection."""
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

    def token_counts(self, texts: Sequence[str]) -> tuple[int, ...]:
        """Byte-pair tokens of each text, without start and end."""
        return tuple(len(_tokenizer(self.context_length).encode(text)) for text in texts)

    def tokenize(self, texts: Sequence[str]) -> Tensor:
        """Texts -> token ids (C, L) int64, L cut after the last end-of-text token: exact, because the tower is causal.

        Raises:
            UserError: a text does not fit the context length.
        """
        require_fit(texts, self.token_counts(texts), self.context_length)
        ids: Tensor = _tokenizer(self.context_length)(list(texts))
        length = int(ids.argmax(-1).max()) + 1 if self.accelerations.cut_texts else self.context_length
        return ids[:, :length].to(self.device)

    def embed(self, ids: Tensor) -> Prompts:
        """Token ids (C, L) -> Prompts with their frozen embeddings; the end-of-text token is the largest id of a
        row."""
        return Prompts(self.model.token_embedding(ids), ids.argmax(-1))

    def prompts(self, texts: Sequence[str]) -> Prompts:
        """Texts as Prompts with their frozen embeddings that share all first tokens which are the same."""
        ids = self.tokenize(texts)
        same = int((ids == ids[0]).all(0).int().cumprod(0).sum())
        plain = self.embed(ids)
        return replace(plain, shared=min(same, int(plain.eot.min())))

    def frozen_below(self, prompts: Prompts, block: int) -> Prompts:
        """The Prompts before `block` when no earlier block has an intervention; without gradients."""
        if block == prompts.start:
            return prompts
        with torch.no_grad():
            return replace(prompts, embeddings=self.text_tokens(prompts, stop=block), start=block)

    def encode_texts(self, texts: Sequence[str]) -> Tensor:
        """Texts -> plain CLIP features (C, D), not normalised; those of a frozen text tower are kept, so that a
        teacher's texts are encoded once for all seeds. Raises UserError for a text beyond the context."""
        trained = any(weight.requires_grad for weight in self.model.parameters())
        if trained or not self.accelerations.keep_texts:
            return self.encode_text(self.prompts(texts))
        key = torch.is_autocast_enabled(self.device.type), tuple(texts)
        if key not in self._kept:
            with torch.inference_mode(False), torch.no_grad():
                features = self.encode_text(self.prompts(texts))
            if not self.intact():
                return features
            if len(self._kept) >= KEPT_TEXTS:
                del self._kept[next(iter(self._kept))]
            self._kept[key] = features
        return self._kept[key].clone()

    def text_tokens(self, prompts: Prompts, *, stop: int | None = None, **kinds: Unpack[Kinds]) -> Tensor:
        """Tokens of texts before block `stop`. Positions are added to the embeddings before the first block.

        Args:
            prompts: C text inputs.
            stop: block to stop before; by default all blocks are run.
            **kinds: the interventions by block, as fields of `Interventions`.

        Returns:
            (C, L, W); more or fewer rows after edits.

        Raises:
            UserError: an intervention at a block that does not exist, or prompts that exceed the context.
        """
        embedded, interventions = self._positioned(prompts), Interventions(**kinds)
        return self.text.run(embedded, start=prompts.start, stop=stop, interventions=interventions)

    def _positioned(self, prompts: Prompts) -> Tensor:
        if prompts.start:
            return prompts.embeddings
        length = prompts.embeddings.shape[1]
        if length > self.context_length:
            raise ContextError(f"prompts of {length} tokens exceed the backbone's context of {self.context_length}")
        positions: Tensor = self.model.positional_embedding[:length]
        return prompts.embeddings + positions.to(prompts.embeddings.dtype)

    def project_text(self, rows: Tensor) -> Tensor:
        """Token rows (..., W) after the last block -> (..., D): the last layer norm and the projection."""
        features: Tensor = self.model.ln_final(rows) @ self.model.text_projection
        return features

    def encode_text(self, prompts: Prompts, **kinds: Unpack[Kinds]) -> Tensor:
        """Text features, read at each end-of-text token. Edits may insert rows before these tokens, not after.

        Args:
            prompts: C text inputs.
            **kinds: the interventions by block, as fields of `Interventions`.

        Returns:
            (C, D), not normalised.

        Raises:
            UserError: an intervention at a block that does not exist, or prompts that exceed the context.
        """
        interventions = Interventions(**kinds)
        whole = not interventions.row_by_row or self.text.depth in interventions.edits
        if whole or not (prompts.shared and self.accelerations.share_beginnings):
            embedded = self._positioned(prompts)
            rows = (prompts.eot - embedded.shape[1])[:, None]
            read = self.text.read(embedded, rows, start=prompts.start, interventions=interventions)
            return self.project_text(read[:, 0])
        parts = self._parts(prompts)
        if len(parts) == 1:
            return self._encode_after(prompts, interventions)
        # A tower draws nothing from torch's own generator, and a CUDA graph cannot record that its state is kept.
        again = partial(checkpoint, self._encode_after, use_reentrant=False, preserve_rng_state=False)
        return torch.cat([again(part, interventions) for part in parts])

    def _encode_after(self, prompts: Prompts, interventions: Interventions) -> Tensor:
        embedded = self._positioned(prompts)
        own = embedded[:, prompts.shared :]
        common = embedded[:: len(embedded) // prompts.groups, : prompts.shared]
        ends = prompts.eot - prompts.shared
        read = self.text.read_after(common, own, ends, start=prompts.start, interventions=interventions)
        return self.project_text(read)

    def _parts(self, prompts: Prompts) -> list[Prompts]:
        """The prompts in as many parts as keep what is held for their gradients, part by part, below `text_memory`.

        Parts are computed a second time in the backward pass. Groups are not divided.
        """
        packed = self.accelerations.pack_texts and prompts.eot.device.type == "cpu"
        longest = prompts.embeddings.shape[1] - prompts.shared
        rows = sum((prompts.eot - prompts.shared + 1).tolist()) if packed else len(prompts.eot) * longest
        held = rows * self.text.width * self.text.depth * HELD_BYTES
        count = -(-held // text_memory(prompts.eot.device)) if self._may_divide(prompts) else 1
        each = -(-len(prompts.eot) // max(count, 1))
        pairs = zip(prompts.embeddings.split(each), prompts.eot.split(each), strict=True)
        return [replace(prompts, embeddings=embeddings, eot=eot) for embeddings, eot in pairs]

    def _may_divide(self, prompts: Prompts) -> bool:
        allowed = self.accelerations.encode_in_parts and torch.is_grad_enabled() and prompts.groups == 1
        # Functional transforms, such as the vmap of several seeds, cannot compute a part a second time.
        return allowed and torch._C._functorch.peek_interpreter_stack() is None


@cache
def _tokenizer(context_length: int) -> Any:
    """open_clip's tokenizer; making one takes a tenth of a second, and copies of a backbone share it."""
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=context_length)
