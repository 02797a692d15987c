"""Tables on the terminal, and the same in files."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from promptarena.benchmark.cli.commands.terminal import add, console, table
from tools.speed.check import Table


class Report:
    """Prints tables; with a folder it also writes NAME.md and NAME.csv there."""

    def __init__(self, out: Path | None, about: str) -> None:
        self._out = out
        self._about = about
        self.shown: dict[str, Table] = {}
        """The tables so far, by name."""

    def show(self, name: str, title: str, headers: Sequence[str], rows: Sequence[Sequence[str]], note: str) -> None:
        """One table: `name` of the files, title, cells, and a note on how it was measured."""
        self.shown[name] = Table(title, list(headers), [list(row) for row in rows], self._about)
        drawn = table(*headers)
        for row in rows:
            add(drawn, *row)
        printed = console()
        printed.print(title)
        printed.print(drawn)
        printed.print(note + "\n")
        if self._out is None:
            return
        self._out.mkdir(parents=True, exist_ok=True)
        frame = pd.DataFrame(list(rows), columns=list(headers))
        frame.to_csv(self._out / f"{name}.csv", index=False)
        text = f"# {title}\n\n{frame.to_markdown(index=False, disable_numparse=True)}\n\n{note}\n\n{self._about}\n"
        (self._out / f"{name}.md").write_text(text, encoding="utf-8")
