"""The diagnosis: from a backbone, images, a text pool and a sentence encoder to a role table."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.backbone.head_roles import (
    ATTRIBUTES,
    DIGITS,
    Concept,
    Head,
    Role,
    RoleTable,
    Settings,
    Source,
    assign_roles,
    concept_entropy,
    distribution,
)
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.heads.concepts import Concepts, find_concepts
from promptarena.benchmark.heads.decompose import Moments, decompose
from promptarena.benchmark.heads.images import Source as ImageSource
from promptarena.benchmark.heads.sentence_encoder import SentenceEncoder
from promptarena.benchmark.heads.text_pool import Pool
from promptarena.benchmark.heads.textspan import textspan
from promptarena.benchmark.inputs.array_cache import ArrayCache, default_cache_folder
from promptarena.benchmark.inputs.views import ImageList, View

BATCH = 32
TEXT_BATCH = 256
Progress = Callable[[int, int], None]
"""Called with the number of images that are done and their total."""


def diagnose(
    backbone: Backbone,
    layers: range,
    images: ImageSource,
    pool: Pool,
    encoder: SentenceEncoder,
    settings: Settings,
    *,
    attributes: Sequence[str] | None = ATTRIBUTES,
    threads: int = 1,
    progress: Progress = lambda done, total: None,
) -> RoleTable:
    """The role table of the heads of `layers`, counted from 1.

    It is a pure function of the arguments; nothing is random. `attributes` are those that heads can serve; None takes
    the clearest concepts found (`clearest`). `threads` is the number of CPU threads, on which
    the last bits of the sums depend. Raises UserError when the layers do not exist, a text is too long for the
    backbone, there are too few images, or the descriptions form no concepts.
    """
    check_layers(backbone, layers)
    with _threads(threads):
        texts = text_features(backbone, pool.texts)
        covariance = head_covariance(backbone, images.images, layers, progress)
        rank = backbone.vision.width // backbone.vision.heads
        chosen = [textspan(head, texts, settings.texts_per_head, rank).rows for head in covariance]
        lists = [tuple(pool.texts[row] for row in rows) for rows in chosen]
        distinct = sorted(set().union(*lists))
        found = find_concepts(distinct, encoder.encode, settings.concepts, settings.reduced_dims, attributes or ())
    count = len(found.names)
    probabilities = [distribution([found.of(text) for text in head], count) for head in lists]
    entropies = [concept_entropy(p) for p in probabilities]
    roles, rule = assign_roles(entropies, count, settings)
    if attributes is None:
        attributes = clearest(found.names, probabilities, roles)
        found = replace(found, attributes=tuple(name if name in attributes else None for name in found.names))
    places = [(layer, head) for layer in layers for head in range(backbone.vision.heads)]
    rows = zip(places, lists, probabilities, entropies, roles, strict=True)
    return RoleTable(
        backbone=backbone.name,
        backbone_digest=backbone.digest,
        depth=backbone.vision.depth,
        width=backbone.vision.heads,
        layers=tuple(layers),
        rule=rule,
        attributes=tuple(attributes),
        concepts=tuple(
            Concept(name=name, attribute=attribute, texts=int((found.labels == k).sum()))
            for k, (name, attribute) in enumerate(zip(found.names, found.attributes, strict=True))
        ),
        found_with=found.min_cluster_size,
        heads=tuple(_head(place, head, p, h, role, found) for place, head, p, h, role in rows),
        images=Source(name=images.name, count=len(images.images), digest=images.images.digest),
        pool=Source(name=pool.name, count=len(pool.texts), digest=pool.digest),
        encoder=Source(name=encoder.name, count=1, digest=encoder.digest),
        settings=settings,
    )


def clearest(names: Sequence[str], probabilities: Sequence[Sequence[float]], roles: Sequence[Role]) -> tuple[str, ...]:
    """The concepts that are the likeliest one of an attribute head: those with a head of their own.

    Args:
        names: The K concepts.
        probabilities: For each head its distribution over the concepts.
        roles: The role of each head.

    Returns:
        Their names, the concept of most heads first, then by the order of `names`.

    Raises:
        UserError: No head is an attribute head.
    """
    likeliest = [
        max(range(len(p)), key=lambda k: p[k])
        for p, role in zip(probabilities, roles, strict=True)
        if role == "attribute"
    ]
    if not likeliest:
        raise UserError(
            "--attributes auto: no head represents a single concept; name attributes, or diagnose more layers"
        )
    heads = Counter(likeliest)
    return tuple(names[k] for k in sorted(heads, key=lambda k: (-heads[k], k)))


def check_layers(backbone: Backbone, layers: range) -> None:
    """Raises UserError unless `layers` (counted from 1) are some of the image tower's."""
    depth = backbone.vision.depth
    if not layers or not 1 <= layers[0] <= layers[-1] <= depth:
        raise UserError(
            f"--layers {layers.start}-{layers.stop - 1}: the image tower of {backbone.name} has layers 1 to {depth}"
        )


def text_features(backbone: Backbone, texts: Sequence[str]) -> Tensor:
    """(M, D) normalised CLIP features of the texts without a template. UserError for a text that is too long."""
    with torch.no_grad():
        features = [
            backbone.encode_texts(texts[start : start + TEXT_BATCH]) for start in range(0, len(texts), TEXT_BATCH)
        ]
    return F.normalize(torch.cat(features), dim=-1)


def head_covariance(backbone: Backbone, images: ImageList, layers: range, progress: Progress) -> Tensor:
    """(len(layers) * H, D, D) float64: how each head's contributions vary over the images, layer by layer."""
    view, moments = View(images, backbone, ArrayCache(default_cache_folder())), Moments()
    for start in range(0, len(images), BATCH):
        rows = range(start, min(start + BATCH, len(images)))
        heads = decompose(backbone, view.pixels(rows)).heads[:, layers.start - 1 : layers.stop - 1]
        moments.add(heads.flatten(1, 2))
        progress(rows.stop, len(images))
    return moments.covariance()


def _head(
    place: tuple[int, int], texts: tuple[str, ...], p: Sequence[float], h: float, role: Role, concepts: Concepts
) -> Head:
    dominant = max(range(len(p)), key=lambda k: p[k]) if texts else None
    serves = role == "attribute" and dominant is not None
    return Head(
        layer=place[0],
        head=place[1],
        role=role,
        attribute=concepts.attributes[dominant] if serves and dominant is not None else None,
        entropy=round(h, DIGITS),
        distribution=tuple(round(share, DIGITS) for share in p),
        dominant=dominant,
        texts=texts,
    )


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Run matrix products of torch and NumPy with this many threads."""
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)
