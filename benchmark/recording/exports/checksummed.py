"""Documents that name the SHA-256 of their own content, so that damage and careless edits show."""

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints

SCHEMA_VERSION: Literal[1] = 1

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]


class Values(BaseModel):
    """Values of exactly these types, none left out or added; numbers are finite."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Checksummed(Values):
    """A file with its version and the SHA-256 of the rest of it: compact JSON with sorted keys, in UTF-8."""

    schema_version: Literal[1] = SCHEMA_VERSION
    digest: Digest

    @classmethod
    def checksummed(cls, **fields: Any) -> Self:
        """Make a document.

        Args:
            fields: Its fields without the digest.

        Returns:
            The document with its digest.
        """
        bare = cls(**fields, digest="0" * 64)
        return bare.model_copy(update={"digest": content_digest(bare.model_dump(mode="json"))})

    def content(self) -> bytes:
        """The file, always the same bytes for the same values."""
        return json_bytes(self.model_dump(mode="json"))


def content_digest(document: Mapping[str, Any]) -> str:
    """The digest of a document's content.

    Args:
        document: The document; its own field `digest` does not count.

    Returns:
        SHA-256 (64 hex digits) of compact JSON with sorted keys, in UTF-8.
    """
    rest = {name: value for name, value in document.items() if name != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def json_bytes(document: Mapping[str, Any]) -> bytes:
    """A document as a file that people can read too: indented JSON, the same bytes for the same values."""
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
