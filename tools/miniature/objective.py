"""What pretraining minimises: a contrastive loss between captions and images, plus concept classification."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.tokenizer import SimpleTokenizer
from torch import Tensor, nn

from tools.miniature.corpus import MEAN, STD, VIEWS

TABLE_SCALE, SMOOTHING = 16.0, 0.05
IMAGE_WEIGHT, TEXT_WEIGHT = 1.0, 0.5
"""Weights of the two concept terms beside the contrastive term's 1."""


def _attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
    """Attention in plain matrix products: with heads this narrow, faster on a processor than the fused kernel."""
    scores = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    weights: Tensor = (scores if mask is None else scores + mask).softmax(-1)
    return weights @ value


def _block(block: Any, x: Tensor, mask: Tensor | None) -> Tensor:
    count, length, width = x.shape
    heads = block.attn.num_heads
    y = F.layer_norm(x, (width,), block.ln_1.weight, block.ln_1.bias)
    qkv = F.linear(y, block.attn.in_proj_weight, block.attn.in_proj_bias)
    query, key, value = qkv.view(count, length, 3, heads, width // heads).permute(2, 0, 3, 1, 4)
    y = _attend(query, key, value, mask).transpose(1, 2).reshape(count, length, width)
    x = x + F.linear(y, block.attn.out_proj.weight, block.attn.out_proj.bias)
    y = F.layer_norm(x, (width,), block.ln_2.weight, block.ln_2.bias)
    out: Tensor = x + block.mlp.c_proj(F.gelu(block.mlp.c_fc(y)))
    return out


def encode_images(clip: CLIP, images: Tensor) -> Tensor:
    """Unit image features (n, d) of `images`, float (n, 3, 48, 48) in 0..1; computes what `clip.encode_image` does."""
    tower = clip.visual
    count, _, side, _ = images.shape
    patch = tower.conv1.weight.shape[-1]
    grid = side // patch
    pixels = (images - images.new_tensor(MEAN)[:, None, None]) / images.new_tensor(STD)[:, None, None]
    patches = pixels.view(count, 3, grid, patch, grid, patch).permute(0, 2, 4, 1, 3, 5).reshape(count, grid * grid, -1)
    x = F.linear(patches, tower.conv1.weight.flatten(1))
    x = torch.cat([tower.class_embedding.to(x.dtype).expand(count, 1, -1), x], 1) + tower.positional_embedding
    x = tower.ln_pre(x)
    for block in tower.transformer.resblocks:
        x = _block(block, x, None)
    return F.normalize((tower.ln_post(x[:, 0]) @ tower.proj).float(), dim=-1)


def encode_texts(clip: CLIP, embedded: Tensor, ends: Tensor) -> Tensor:
    """Unit text features (n, d) from token embeddings (n, length, width) cut to the longest caption.

    `ends` (n,) are the places of the end tokens. Cutting is exact: attention is causal, what follows the end is unseen.
    """
    length = embedded.shape[1]
    x = embedded + clip.positional_embedding[:length]
    mask = torch.full((length, length), float("-inf")).triu(1)
    for block in clip.transformer.resblocks:
        x = _block(block, x, mask)
    x = clip.ln_final(x[torch.arange(len(x)), ends])
    return F.normalize((x @ clip.text_projection).float(), dim=-1)


class Tokens(nn.Module):
    """The rows of the token table that captions ever use, trained apart so that a step does not touch 49,408 rows."""

    def __init__(self, table: Tensor, pieces: Iterable[str], context: int) -> None:
        super().__init__()
        self._tokenizer = SimpleTokenizer()
        self._context = context
        used = {self._tokenizer.sot_token_id, self._tokenizer.eot_token_id}
        for piece in pieces:
            used.update(self._tokenizer.encode(piece))
        self.ids = sorted(used)
        self._row = {token: row for row, token in enumerate(self.ids)}
        self.rows = nn.Parameter(table[self.ids].clone())

    def forward(self, captions: Iterable[str]) -> tuple[Tensor, Tensor]:
        """Embeddings (n, longest, width) of the captions and the places of their end tokens (n,)."""
        encoded = [self._tokenizer.encode(caption)[: self._context - 2] for caption in captions]
        longest = max(map(len, encoded)) + 2
        start, end = self._row[self._tokenizer.sot_token_id], self._row[self._tokenizer.eot_token_id]
        index = torch.full((len(encoded), longest), end)
        for row, tokens in enumerate(encoded):
            index[row, 0] = start
            index[row, 1 : len(tokens) + 1] = torch.tensor([self._row[token] for token in tokens])
        return F.embedding(index, self.rows), torch.tensor([len(tokens) + 1 for tokens in encoded])


@dataclass(frozen=True)
class Loss:
    """The loss to minimise and what the curve records; accuracies 0..1."""

    total: Tensor
    contrastive: float
    caption_top1: float
    image_top1: float
    text_top1: float

    def figures(self) -> dict[str, float]:
        """All values by name, as plain numbers."""
        return {
            "loss": self.total.item(),
            "contrastive": self.contrastive,
            "caption_top1": self.caption_top1,
            "image_top1": self.image_top1,
            "text_top1": self.text_top1,
        }


def measure(images: Tensor, texts: Tensor, scale: Tensor, table: Tensor, targets: Tensor) -> Loss:
    """Loss of unit features `images` (4n, d) and `texts` (n, d), four images per caption, and `table` (concepts, d)."""
    logits = scale * images @ texts.T
    owner = torch.arange(len(texts)).repeat_interleave(VIEWS)
    to_text = F.cross_entropy(logits, owner)
    to_image = -(logits.T.log_softmax(1) * F.one_hot(owner, len(texts)).T).sum(1).mean() / VIEWS
    contrastive = (to_text + to_image) / 2
    units = F.normalize(table, dim=-1)
    image_classes, text_classes = TABLE_SCALE * images @ units.T, TABLE_SCALE * texts @ units.T
    shown = targets.repeat_interleave(VIEWS)
    image_loss = F.cross_entropy(image_classes, shown, label_smoothing=SMOOTHING)
    text_loss = F.cross_entropy(text_classes, targets, label_smoothing=SMOOTHING)
    return Loss(
        total=contrastive + IMAGE_WEIGHT * image_loss + TEXT_WEIGHT * text_loss,
        contrastive=contrastive.item(),
        caption_top1=(logits.argmax(1) == owner).float().mean().item(),
        image_top1=(image_classes.argmax(1) == shown).float().mean().item(),
        text_top1=(text_classes.argmax(1) == targets).float().mean().item(),
    )
