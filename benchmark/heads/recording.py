"""Keeping a diagnosis in the record: one MLflow run with the role table and its figures."""

from collections import Counter
from collections.abc import Mapping

from promptarena.benchmark.backbone.head_roles import RoleTable
from promptarena.benchmark.recording.record import Record


def record_diagnosis(record: Record, suite: str, table: RoleTable, figures: Mapping[str, bytes]) -> str:
    """The id of the run that holds exactly this table; created, with its files, if there is none."""
    roles = Counter(head.role for head in table.heads)
    tags = {
        "backbone": table.backbone,
        "backbone_digest": table.backbone_digest,
        "rule": table.rule,
        "images": table.images.name,
        "pool": table.pool.name,
        "encoder": table.encoder.name,
        "layers": f"{table.layers[0]}-{table.layers[-1]}",
    }
    numbers = {f"heads/{role}": float(count) for role, count in sorted(roles.items())}
    numbers |= {"concepts": float(len(table.concepts)), "images": float(table.images.count)}
    files = {"roles.json": table.text().encode(), **figures}
    return record.document(suite, "heads", f"heads of {table.backbone}", table.digest, tags, numbers, files)
