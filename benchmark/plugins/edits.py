"""The edits of a token sequence that prompt learners share, and the two encoders with deep prompts.

Shapes: B sequences of L tokens of width W (that of the text or image tower), n prompt tokens, C classes, D the joint
embedding size. Prompts are cast to the sequence's dtype. Deep prompts are those of VPT (Jia et al., "Visual Prompt
Tuning", ECCV 2022) and MaPLe (Khattak et al., CVPR 2023).
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.interventions import RowFunction
from promptarena.benchmark.backbone.towers import Edit, Tower
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.learner import Images


def context_words(phrase: str) -> list[str]:
    """Split an initial phrase into words.

    Args:
        phrase: Words separated by spaces or "_".

    Returns:
        The words.

    >>> context_words("a_photo_of_a")
    ['a', 'photo', 'of', 'a']
    """
    return phrase.replace("_", " ").split()


def word_context(backbone: Backbone, phrase: str, n: int) -> Tensor:
    """Initial prompt tokens from a phrase.

    Args:
        backbone: The frozen CLIP, whose token embeddings are used.
        phrase: The phrase, such as "a photo of a".
        n: How many tokens to take.

    Returns:
        (n, W_text), the embeddings of the first n tokens after the start token, as a copy of their own.
    """
    embedded = backbone.embed(backbone.tokenize([phrase])).embeddings
    return embedded[0, 1 : 1 + n].clone()


def drawn_context(width: int, n: int, generator: torch.Generator) -> Tensor:
    """Random initial prompt tokens, as in CoOp (Zhou et al., IJCV 2022).

    Args:
        width: The tower's width W.
        n: The number of tokens.
        generator: The source of randomness.

    Returns:
        (n, W) float32, drawn from N(0, 0.02^2).
    """
    return 0.02 * torch.randn(n, width, generator=generator)


def drawn_linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear layer with the distribution of PyTorch's default initialisation, but drawn from `generator`.

    Args:
        inputs: Input features.
        outputs: Output features.
        generator: The source of randomness; the weight is drawn before the bias.
        bias: Whether the layer has a bias.

    Returns:
        The layer, weight and bias from U(-1/sqrt(inputs), 1/sqrt(inputs)).
    """
    layer = nn.Linear(inputs, outputs, bias=bias)
    bound = inputs**-0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def overwrite(prompt: Tensor, at: int) -> Edit:
    """An edit that replaces n tokens by the prompt; the length stays the same.

    Args:
        prompt: (n, W) for all sequences, or (B, n, W).
        at: The first token to replace; a negative number counts from the end.

    Returns:
        The edit, (B, L, W) -> (B, L, W).
    """

    def edit(x: Tensor) -> Tensor:
        first = at % x.shape[1]
        return torch.cat([x[:, :first], _rows(prompt, x), x[:, first + prompt.shape[-2] :]], dim=1)

    return edit


def insert(prompt: Tensor, at: int) -> Edit:
    """An edit that inserts the prompt before token `at`.

    Args:
        prompt: (n, W) for all sequences, or (B, n, W).
        at: The position of the prompt's first token.

    Returns:
        The edit, (B, L, W) -> (B, L + n, W).
    """
    return lambda x: torch.cat([x[:, :at], _rows(prompt, x), x[:, at:]], dim=1)


def append(prompt: Tensor) -> Edit:
    """An edit that appends the prompt after the last token.

    Args:
        prompt: (n, W) for all sequences, or (B, n, W).

    Returns:
        The edit, (B, L, W) -> (B, L + n, W).
    """
    return lambda x: torch.cat([x, _rows(prompt, x)], dim=1)


def _rows(prompt: Tensor, x: Tensor) -> Tensor:
    return prompt.to(x.dtype).expand(len(x), -1, -1)


def scaled_heads(tower: Tower, block: int, scale: Tensor) -> RowFunction:
    """An update of the projection "out" that multiplies what each attention head of a block writes.

    Args:
        tower: The tower, `backbone.text` or `backbone.vision`.
        block: The block, from 0.
        scale: (heads,), what is added to a head's factor of 1; 0 leaves the head as it is.

    Returns:
        The update, rows (..., W) -> (..., W).
    """
    attention: Any = tower.blocks[block].get_submodule("attn")
    weight: Tensor = attention.out_proj.weight
    width = tower.width // tower.heads

    def update(rows: Tensor) -> Tensor:
        return F.linear(rows * scale.repeat_interleave(width).to(rows.dtype), weight.to(rows.dtype))

    return update


def check_depth(name: str, depth: int, layers: int) -> None:
    """Check that a tower has enough layers for deep prompts.

    Args:
        name: The setting, named in the message.
        depth: The number of layers with prompts.
        layers: The number of layers of the tower.

    Raises:
        UserError: `depth` is greater than `layers`.
    """
    if depth > layers:
        raise UserError(f"{name} {depth} exceeds the backbone's {layers} layers")


def encode_text_with(backbone: Backbone, prompts: Prompts, layers: Sequence[Tensor]) -> Tensor:
    """Text features with deep prompts.

    Args:
        backbone: The frozen CLIP.
        prompts: The embedded class prompts, with room for n tokens after the start token.
        layers: At least one prompt, each (n, W_text). layers[0] replaces tokens 1 .. n of the input, so it gets
            position embeddings; layers[k] replaces the same tokens before block k.

    Returns:
        (C, D), not normalised.
    """
    first, *deep = layers
    embeddings = overwrite(first, 1)(prompts.embeddings)
    edits = {block: overwrite(prompt, 1) for block, prompt in enumerate(deep, start=1)}
    return backbone.encode_text(Prompts(embeddings, prompts.eot, prompts.shared), edits=edits)


def encode_images_with(backbone: Backbone, images: Images, layers: Sequence[Tensor]) -> Tensor:
    """Image features with deep prompts.

    Args:
        backbone: The frozen CLIP.
        images: The batch.
        layers: Prompts, each (n, W_vision). layers[0] is appended after the patch tokens, without a position embedding
            and before the first layer norm; layers[k] replaces the last n tokens before block k.

    Returns:
        (B, D), not normalised; without prompts the frozen features.
    """
    if not layers:
        return images.features
    first, *deep = layers
    edits = {block: overwrite(prompt, -len(prompt)) for block, prompt in enumerate(deep, start=1)}
    tokens = backbone.image_tokens(images.pixels, at_input=append(first))
    return backbone.image_features_from(tokens, edits=edits)
