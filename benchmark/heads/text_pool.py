"""Text pools: the texts from which heads get their descriptions, one per line."""

from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.config_files import read_text
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest
from promptarena.benchmark.core.paths import DATASETS

SHIPPED = DATASETS / "heads" / "text_pool.txt"


@dataclass(frozen=True)
class Pool:
    """Distinct texts in the file's order. `name` is the file's, `digest` the SHA-256 of the texts."""

    name: str
    texts: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 of the texts in order."""
        return digest(self.texts)


def read_pool(path: Path = SHIPPED) -> Pool:
    """The texts in a UTF-8 file; empty lines, repetitions and lines that begin with # are left out.

    Raises UserError when it cannot be read or holds fewer than two texts.
    """
    stripped = (" ".join(line.split()) for line in read_text(path).splitlines())
    texts = tuple(dict.fromkeys(line for line in stripped if line and not line.startswith("#")))
    if len(texts) < 2:
        raise UserError(f"{path}: holds {len(texts)} texts; a pool needs at least two, one a line")
    return Pool(path.name, texts)
