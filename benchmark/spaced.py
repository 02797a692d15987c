"""Options of several words: `--seeds 1 2 3`, `--seeds 1,2,3` and `--seeds 1 --seeds 2 --seeds 3` mean the same."""

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
        for word in args:
            if word.startswith("--"):
                option, _, value = word.partition("=")
                words = [value] if value and option in repeatable else []
                if option not in repeatable:
                    rewritten.append(word)
            else:
                words = [word]
            if option not in repeatable:
                rewritten.extend(words if not word.startswith("--") else [])
                continue
            for item in words:
                values = [item] if "=" in item else [part for part in item.split(",") if part]
                rewritten.extend(part for value in values for part in (option, value))
        return super().parse_args(ctx, rewritten)
