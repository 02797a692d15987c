"""Options of several words: `--seeds 1 2 3`, `--seeds 1,2,3` and `--seeds 1 --seeds 2 --seeds 3` mean the same."""

from itertools import pairwise
from typing import Any

from typer.core import TyperCommand


class SpacedLists(TyperCommand):
    """A command whose repeatable options also take their values one after the other, up to the next option."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Rewrite the words behind a repeatable option into one option each, then parse as usual."""
        repeatable = {
            name for parameter in self.params if getattr(parameter, "multiple", False) for name in parameter.opts
        }
        rewritten: list[str] = []
        option = ""
        for word, following in pairwise([*args, "--"]):
            if word.startswith("--"):
                option, _, value = word.partition("=")
                if option not in repeatable:
                    rewritten.append(word)
                elif value:
                    rewritten += _repeated(option, value)
                elif following.startswith("--"):
                    ctx.fail(f"Option '{option}' requires an argument.")
            elif option in repeatable:
                rewritten += _repeated(option, word)
            else:
                rewritten.append(word)
        return super().parse_args(ctx, rewritten)


def _repeated(option: str, word: str) -> list[str]:
    values = [word] if "=" in word else [value for value in word.split(",") if value]
    return [part for value in values for part in (option, value)]
