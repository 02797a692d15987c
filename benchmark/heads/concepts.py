"""Concepts: clusters of descriptions by meaning, some of them named after attributes.

Shapes: N texts, E a sentence vector's length, K concepts, A attributes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from promptarena.benchmark.backbone.head_roles import ATTRIBUTES
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.heads.sentence_encoder import Encoder, Vectors

SEEDS: dict[str, tuple[str, ...]] = {
    "colour": ("a red color", "blue tones", "black and white", "a vivid palette"),
    "shape": ("a circular shape", "a triangular form", "curved lines", "a rectangular outline"),
    "texture": ("a rough texture", "a woven fabric", "a striped pattern", "a shiny metallic surface"),
    "object": ("a photo of a bicycle", "a chair", "a dog", "a kitchen tool"),
    "position": ("an object on the left", "in the background", "a close-up view", "seen from above"),
}
"""Phrases whose mean vector represents an attribute; any other attribute is represented by its own name."""

MIN_CLUSTER_SIZES = range(5, 41)
MIN_SAMPLES = 5
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Concepts:
    """K clusters of the N texts, the attributes' first, then by size.

    labels: (N,) int64, the concept of each text. attributes: that of each concept, None for most. names: the attribute,
    else the text nearest to the concept's centre. min_cluster_size: the setting of HDBSCAN that produced them.
    """

    texts: tuple[str, ...]
    labels: Labels
    names: tuple[str, ...]
    attributes: tuple[str | None, ...]
    min_cluster_size: int

    def of(self, text: str) -> int:
        """The concept of one of the texts."""
        return int(self.labels[self.texts.index(text)])


def find_concepts(
    texts: Sequence[str],
    encode: Encoder,
    requested: int,
    reduced_dims: int,
    attributes: Sequence[str] = ATTRIBUTES,
) -> Concepts:
    """Cluster distinct texts by their sentence vectors into `requested` concepts, or the nearest number found.

    The normalised vectors are reduced to their `reduced_dims` principal components for clustering (0: not at all).
    Each of the attributes names the concept that is nearest to it; without attributes none is named.
    Raises UserError if the texts do not form at least two clusters.
    """
    vectors = _normalised(encode(texts))
    labels, size = scan(_reduced(vectors, reduced_dims), requested)
    labels = with_noise(vectors, labels)
    centres = _centres(vectors, labels)
    seeds = [_normalised(encode(SEEDS.get(attribute, (attribute,)))).mean(0) for attribute in attributes]
    owned = name_clusters(centres, np.stack(seeds), attributes) if seeds else {}
    counts = np.bincount(labels)
    nearest = [_medoid(vectors, labels, centres, cluster) for cluster in range(len(centres))]
    order = sorted(
        range(len(centres)),
        key=lambda k: (attributes.index(owned[k]) if k in owned else len(attributes), -counts[k], texts[nearest[k]]),
    )
    place = np.argsort(order)
    return Concepts(
        texts=tuple(texts),
        labels=place[labels].astype(np.int64),
        names=tuple(owned.get(k) or texts[nearest[k]] for k in order),
        attributes=tuple(owned.get(k) for k in order),
        min_cluster_size=size,
    )


def scan(points: Vectors, requested: int) -> tuple[Labels, int]:
    """HDBSCAN's labels (N,) of points (N, d), -1 being noise, and the min_cluster_size that produced them.

    That is the smallest size that gives `requested` clusters, or else the number nearest to it.

    Clusters are the leaves of HDBSCAN's tree: its other option, excess of mass, often puts nearly all texts in one.
    Raises UserError when no setting gives two clusters.
    """
    from hdbscan import HDBSCAN
    from scipy.spatial.distance import cdist

    distances = cdist(points, points)
    best: tuple[int, int, Labels] | None = None
    for size in MIN_CLUSTER_SIZES:
        if len(points) <= max(size, MIN_SAMPLES):
            break
        settings = {"metric": "precomputed", "cluster_selection_method": "leaf", "core_dist_n_jobs": 1}
        found = HDBSCAN(size, MIN_SAMPLES, **settings).fit(distances).labels_
        clusters = int(found.max()) + 1
        missed = abs(clusters - requested)
        if clusters >= 2 and (best is None or missed < best[0]):
            best = missed, size, np.asarray(found, dtype=np.int64)
        if missed == 0:
            break
    if best is None:
        raise UserError(
            f"the {len(points)} descriptions of the heads form no concepts; "
            "give a larger or more varied pool (--pool), more texts per head, or more layers"
        )
    return best[2], best[1]


def with_noise(vectors: Vectors, labels: Labels) -> Labels:
    """The labels with every -1 replaced by the cluster whose centre is nearest by cosine."""
    nearest = (vectors @ _centres(vectors, labels).T).argmax(1)
    return np.where(labels < 0, nearest, labels)


def name_clusters(centres: Vectors, seeds: Vectors, attributes: Sequence[str] = ATTRIBUTES) -> dict[int, str]:
    """Assign clusters to attributes: one to one, with the largest sum of cosines.

    centres: (K, E), seeds: (A, E). With fewer clusters than attributes some attributes get none.
    """
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(_normalised(seeds) @ _normalised(centres).T, maximize=True)
    return {int(column): attributes[row] for row, column in zip(rows, columns, strict=True)}


def _normalised(vectors: Vectors) -> Vectors:
    array = np.asarray(vectors, dtype=np.float64)
    unit: Vectors = array / np.linalg.norm(array, axis=-1, keepdims=True)
    return unit


def _reduced(vectors: Vectors, dims: int) -> Vectors:
    """Principal components; their signs do not matter, because only distances are used."""
    if not 0 < dims < min(vectors.shape):
        return vectors
    centred = vectors - vectors.mean(0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    projected: Vectors = centred @ axes[:dims].T
    return projected


def _centres(vectors: Vectors, labels: Labels) -> Vectors:
    return _normalised(np.stack([vectors[labels == cluster].mean(0) for cluster in range(labels.max() + 1)]))


def _medoid(vectors: Vectors, labels: Labels, centres: Vectors, cluster: int) -> int:
    members = np.flatnonzero(labels == cluster)
    return int(members[(vectors[members] @ centres[cluster]).argmax()])
