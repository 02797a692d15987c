"""Whether texts fit a backbone's context."""

from collections.abc import Sequence

from promptarena.benchmark.core.errors import UserError


class ContextError(UserError):
    """A text or prompt has more tokens than the backbone's context."""


def require_fit(texts: Sequence[str], counts: Sequence[int], context_length: int) -> None:
    """Check that texts fit.

    Args:
        texts: The texts.
        counts: The tokens of each, without start and end.
        context_length: The positions of the text tower.

    Raises:
        ContextError: For the first text that does not fit.
    """
    for text, count in zip(texts, counts, strict=True):
        if count + 2 > context_length:
            raise ContextError(f"text of {count + 2} tokens exceeds the context of {context_length}: {text!r}")
