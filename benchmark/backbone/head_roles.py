"""Roles of heads: Concept Entropy, the rules that turn it into roles, and the role table that training loads.

Layers count from 1 and heads from 0, as papers count them: layer 9 is block 8.
"""

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from promptarena.benchmark.backbone.clip import Backbone
from promptarena.benchmark.core.config_files import read_bytes, read_json_model
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import write_atomically
from promptarena.benchmark.core.keys import digest

ATTRIBUTES = ("colour", "shape", "texture", "object", "position")
"""The attributes of DeAR's paper, which a role table has unless others were requested."""

Role = Literal["attribute", "generalization", "mixed"]
Rule = Literal["thresholds", "quantiles"]
DIGITS = 6
"""Decimals kept of every figure."""

Share = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Settings(_Value):
    """How heads are diagnosed. Only the number of concepts is published; the other defaults are assumed."""

    texts_per_head: int = Field(20, ge=1, description="N, texts chosen per head; a head has at most its width")
    concepts: int = Field(12, ge=2, description="number of clusters")
    reduced_dims: int = Field(10, ge=0, description="principal components that are clustered; 0: the whole vectors")
    attribute_up_to: Share = Field(0.50, description="largest normalised entropy of an attribute head")
    generalization_from: Share = Field(0.75, description="smallest normalised entropy of a generalization head")
    fewest: Share = Field(4 / 48, description="share of the heads that each role needs, or else quantiles decide")
    attribute_share: Share = Field(0.25, description="quantiles: share of the heads with lowest entropy")
    generalization_share: Share = Field(0.40, description="quantiles: share of the heads with highest entropy")

    @model_validator(mode="after")
    def _apart(self) -> Self:
        if self.attribute_up_to >= self.generalization_from:
            raise ValueError("attribute_up_to must be below generalization_from")
        if self.attribute_share + self.generalization_share > 1:
            raise ValueError("attribute_share and generalization_share exceed 1 together")
        return self


class Concept(_Value):
    """A cluster of descriptions: the attribute it stands for, else None, and how many of the texts are in it."""

    name: Name
    attribute: Name | None
    texts: Count


class Head(_Value):
    """What one head does.

    attribute: the attribute that an attribute head serves. None for the other roles, and for an attribute head whose
    concept is none of the table's attributes: a specialist of something else, treated as a generalization head.
    entropy: bits. distribution: P over the concepts. dominant: index of the likeliest concept, None without texts.
    texts: the chosen descriptions, best first.
    """

    layer: int = Field(ge=1)
    head: Count
    role: Role
    attribute: Name | None
    entropy: float = Field(ge=0)
    distribution: tuple[Share, ...]
    dominant: Count | None
    texts: tuple[str, ...]


class Source(_Value):
    """Something the diagnosis was made from: what it is called, how much of it there was, SHA-256 of its content."""

    name: str
    count: Count
    digest: Name


class RoleTable(_Value):
    """The result of a diagnosis: a pure function of weights, images, pool, encoder and settings.

    `depth` and `width` are the image tower's numbers of layers and of heads per layer; `heads` has a row for each head
    of `layers`, in order. `found_with` is HDBSCAN's min_cluster_size. `attributes` are those that heads can serve, in
    the order of the tokens that DeAR learns for them; the file leaves them out if they are the paper's.
    """

    format: Literal[1] = 1
    backbone: Name
    backbone_digest: Name
    depth: int = Field(ge=1)
    width: int = Field(ge=1)
    layers: tuple[int, ...] = Field(min_length=1)
    rule: Rule
    attributes: tuple[Name, ...] = Field(ATTRIBUTES, min_length=1)
    concepts: tuple[Concept, ...] = Field(min_length=2)
    found_with: int = Field(ge=2)
    heads: tuple[Head, ...]
    images: Source
    pool: Source
    encoder: Source
    settings: Settings

    @model_validator(mode="after")
    def _whole(self) -> Self:
        places = [(layer, head) for layer in self.layers for head in range(self.width)]
        if [(row.layer, row.head) for row in self.heads] != places:
            raise ValueError("heads must have one row for each head of each layer, in order")
        if list(self.layers) != sorted(set(self.layers)) or not 1 <= self.layers[0] <= self.layers[-1] <= self.depth:
            raise ValueError(f"layers must rise within 1 to {self.depth}")
        if len(set(self.attributes)) != len(self.attributes):
            raise ValueError("attributes must differ")
        for attribute in (*(each.attribute for each in self.concepts), *(each.attribute for each in self.heads)):
            if attribute is not None and attribute not in self.attributes:
                raise ValueError(f"{attribute!r} is not one of the attributes {', '.join(self.attributes)}")
        for row in self.heads:
            if len(row.distribution) != len(self.concepts):
                raise ValueError(f"layer {row.layer} head {row.head}: the distribution needs a value for each concept")
            if row.attribute is not None and row.role != "attribute":
                raise ValueError(f"layer {row.layer} head {row.head}: only an attribute head serves an attribute")
        return self

    @classmethod
    def load(cls, path: Path) -> "RoleTable":
        """The table in a JSON file. Raises UserError when it cannot be read or is not one."""
        return read_json_model(path, read_bytes(path), cls)

    def save(self, path: Path) -> None:
        """Write the table; equal tables give equal bytes. Raises UserError when it cannot be written."""
        write_atomically(path, self.text())

    def text(self) -> str:
        """The JSON: a line for each head and concept, keys sorted."""
        document = self._document()
        rows = {name: [_line(row) for row in document.pop(name)] for name in ("concepts", "heads")}
        parts = {name: _line(value) for name, value in document.items()}
        parts |= {name: "[\n  " + ",\n  ".join(lines) + "\n ]" for name, lines in rows.items()}
        return "{\n" + ",\n".join(f' "{name}": {parts[name]}' for name in sorted(parts)) + "\n}\n"

    @property
    def digest(self) -> str:
        """SHA-256 of the content."""
        return digest(self._document())

    def _document(self) -> dict[str, Any]:
        # Without the paper's attributes, so that tables from before there were others keep their bytes and digests.
        return self.model_dump(mode="json", exclude={"attributes"} if self.attributes == ATTRIBUTES else None)

    def check_fits(self, backbone: Backbone) -> None:
        """Raises UserError unless the table was made for this backbone's weights."""
        tower, advice = backbone.vision, "make one with: promptarena heads diagnose"
        if (self.depth, self.width) != (tower.depth, tower.heads):
            raise UserError(
                f"the role table is for {self.depth} layers of {self.width} heads, but backbone {backbone.name} has "
                f"{tower.depth} of {tower.heads}; {advice}"
            )
        if self.backbone_digest != backbone.digest:
            raise UserError(
                f"the role table was made for other weights ({self.backbone}, {self.backbone_digest[:12]}) than those "
                f"of backbone {backbone.name} ({backbone.digest[:12]}), whose heads differ; {advice}"
            )

    def head(self, layer: int, head: int) -> Head:
        """The row of a head. Raises UserError when the table has none."""
        found = self._by_place.get((layer, head))
        if found is None:
            raise UserError(
                f"the role table covers layers {self.layers[0]} to {self.layers[-1]}, heads 0 to {self.width - 1}, "
                f"not layer {layer} head {head}; diagnose with --layers"
            )
        return found

    @cached_property
    def _by_place(self) -> Mapping[tuple[int, int], Head]:
        return {(row.layer, row.head): row for row in self.heads}

    def serving(self, attribute: str) -> tuple[Head, ...]:
        """The attribute heads of an attribute, in order."""
        return tuple(row for row in self.heads if row.attribute == attribute)

    def warnings(self) -> tuple[str, ...]:
        """What a user should know before training with the table, one line each."""
        lines = []
        if len(self.concepts) != self.settings.concepts:
            lines.append(f"{len(self.concepts)} concepts were found, {self.settings.concepts} were requested")
        if self.rule == "quantiles":
            lines.append("the entropy thresholds left a role nearly empty, so quantiles of the entropy decided")
        without = [attribute for attribute in self.attributes if not self.serving(attribute)]
        if without:
            lines.append(f"no head serves {', '.join(without)}: such a token works through mixed heads only")
        return tuple(lines)


def distribution(concepts: Sequence[int], count: int) -> tuple[float, ...]:
    """P_j = n_j / n over `count` concepts, of the concepts of a head's n texts; uniform when it has none."""
    if not concepts:
        return (1 / count,) * count
    seen = Counter(concepts)
    return tuple(seen[concept] / len(concepts) for concept in range(count))


def concept_entropy(probabilities: Sequence[float]) -> float:
    """H(P) = - sum_j P_j log2 P_j in bits, with 0 log 0 = 0."""
    return math.fsum(-p * math.log2(p) for p in probabilities if p > 0)


def assign_roles(entropies: Sequence[float], concepts: int, settings: Settings) -> tuple[tuple[Role, ...], Rule]:
    """A role for each head from its entropy, and the rule that fired.

    Thresholds on h = H / log2 `concepts`. If they leave a role with less than its fewest heads, the heads are ordered
    by entropy (equal ones by layer and head) and cut at the quantiles.
    """
    normalised = [entropy / math.log2(concepts) for entropy in entropies]
    roles: list[Role] = [_by_threshold(h, settings) for h in normalised]
    heads = len(roles)
    fewest = max(1, round(settings.fewest * heads))
    if min(Counter(roles)[role] for role in ("attribute", "generalization", "mixed")) >= fewest:
        return tuple(roles), "thresholds"
    low, high = round(settings.attribute_share * heads), heads - round(settings.generalization_share * heads)
    for rank, place in enumerate(sorted(range(heads), key=lambda place: (entropies[place], place))):
        roles[place] = "attribute" if rank < low else "generalization" if rank >= high else "mixed"
    return tuple(roles), "quantiles"


def _by_threshold(h: float, settings: Settings) -> Role:
    if h <= settings.attribute_up_to:
        return "attribute"
    return "generalization" if h >= settings.generalization_from else "mixed"


def _line(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
