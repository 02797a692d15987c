"""Role tables of a tiny CLIP."""

from typing import Any

import tiny

from promptarena.benchmark.backbone.head_roles import (
    Concept,
    Head,
    RoleTable,
    Settings,
    Source,
)


def row(layer: int, head: int, role: Any = "mixed", attribute: Any = None) -> Head:
    shares = (0.5, 0.25, 0.25)
    return Head(
        layer=layer,
        head=head,
        role=role,
        attribute=attribute,
        entropy=1.5,
        distribution=shares,
        dominant=0,
        texts=("a", "b"),
    )


def table(**changes: Any) -> RoleTable:
    backbone, source = tiny.backbone(), Source(name="x", count=3, digest="d")
    values: dict[str, Any] = {
        "backbone": "tiny",
        "backbone_digest": backbone.digest,
        "depth": 3,
        "width": 3,
        "layers": (2, 3),
        "rule": "thresholds",
        "concepts": tuple(Concept(name=name, attribute=name, texts=4) for name in ("colour", "shape", "object")),
        "found_with": 5,
        "heads": (
            *(row(2, 0, "attribute", "shape"), row(2, 1, "attribute"), row(2, 2, "generalization")),
            *(row(3, head) for head in range(3)),
        ),
        "images": source,
        "pool": source,
        "encoder": source,
        "settings": Settings(concepts=3),
    }
    return RoleTable(**(values | changes))
