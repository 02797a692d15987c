"""The edits of a token sequence that prompt learners share, and the two encoders with deep prompts in them.

Shapes: n prompt tokens, W a tower's width, B sequences, L tokens. Prompts are cast to the sequence's type.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from promptarena.benchmark.backbone.clip import Backbone, Prompts
from promptarena.benchmark.backbone.towers import Edit
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.plugins.learner import Images


def context_words(phrase: str) -> list[str]:
    """The words of an initial phrase; "_" counts as a space."""
    return phrase.replace("_", " ").split()


def word_context(backbone: Backbone, phrase: str, n: int) -> Tensor:
    """(n, W) the frozen embeddings of the first n tokens of the phrase."""
    embedded = backbone.embed(backbone.tokenize([phrase])).embeddings
    return embedded[0, 1 : 1 + n].clone()


def drawn_context(width: int, n: int, generator: torch.Generator) -> Tensor:
    """(n, W) drawn from N(0, 0.02^2)."""
    return 0.02 * torch.randn(n, width, generator=generator)


def drawn_linear(inputs: int, outputs: int, generator: torch.Generator, *, bias: bool = True) -> nn.Linear:
    """A linear layer with PyTorch's default initialisation, U(-1/sqrt(inputs), 1/sqrt(inputs)), from `generator`."""
    layer = nn.Linear(inputs, outputs, bias=bias)
    bound = inputs**-0.5
    for parameter in layer.parameters():
        nn.init.uniform_(parameter, -bound, bound, generator=generator)
    return layer


def overwrite(prompt: Tensor, at: int) -> Edit:
    """Rows at .. at + n - 1 become the prompt; a negative `at` counts from the end. prompt: (n, W), or (B, n, W)."""

    def edit(x: Tensor) -> Tensor:
        first = at % x.shape[1]
        return torch.cat([x[:, :first], _rows(prompt, x), x[:, first + prompt.shape[-2] :]], dim=1)

    return edit


def insert(prompt: Tensor, at: int) -> Edit:
    """The prompt (n, W) stands in front of row `at`, which moves back with all that follow."""
    return lambda x: torch.cat([x[:, :at], _rows(prompt, x), x[:, at:]], dim=1)


def append(prompt: Tensor) -> Edit:
    """The prompt (n, W) stands behind the last row."""
    return lambda x: torch.cat([x, _rows(prompt, x)], dim=1)


def _rows(prompt: Tensor, x: Tensor) -> Tensor:
    return prompt.to(x.dtype).expand(len(x), -1, -1)


def check_depth(name: str, depth: int, layers: int) -> None:
    """Raises UserError when more layers are to be prompted than the tower has."""
    if depth > layers:
        raise UserError(f"{name} {depth} exceeds the backbone's {layers} layers")


def encode_text_with(backbone: Backbone, prompts: Prompts, layers: Sequence[Tensor]) -> Tensor:
    """(C, D) text features with deep prompts, each (n, W_text): the first stands in rows 1 .. n of the input, so it
    gets positions; the k-th overwrites these rows in front of block k."""
    first, *deep = layers
    embeddings = overwrite(first, 1)(prompts.embeddings)
    edits = {block: overwrite(prompt, 1) for block, prompt in enumerate(deep, start=1)}
    return backbone.encode_text(Prompts(embeddings, prompts.eot, prompts.shared), edits=edits)


def encode_images_with(backbone: Backbone, images: Images, layers: Sequence[Tensor]) -> Tensor:
    """(B, D) image features with deep prompts, each (n, W_vision): the first is appended behind the patches, without a
    position and in front of the first layer norm; the k-th overwrites the last n rows in front of block k. With no
    prompts the frozen features."""
    if not layers:
        return images.features
    first, *deep = layers
    edits = {block: overwrite(prompt, -len(prompt)) for block, prompt in enumerate(deep, start=1)}
    tokens = backbone.image_tokens(images.pixels, at_input=append(first))
    return backbone.image_features_from(tokens, edits=edits)
