"""What `datasets new` does: write the card and the suite of a user's own images."""

import os
import shlex
from pathlib import Path

from promptarena.benchmark.cli.commands import terminal
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.files import expanded, write_atomically
from promptarena.benchmark.data.new_card import NewCard, new_card
from promptarena.benchmark.planning.new_suite import new_suite


def write_dataset(images: Path, out: Path, name: str = "") -> None:
    """Write a card and a suite for a folder of images, and print what was seen and what to type next.

    Args:
        images: The folder of images. Nothing is written to it.
        out: The folder for both files; created if it does not exist.
        name: The dataset's name; empty: from the folder's.

    Raises:
        UserError: The images cannot be used, or a file exists already or cannot be written. Nothing is then written.
    """
    new = new_card(expanded(images), expanded(out), name)
    suite, text = new_suite(new)
    card_file, suite_file = expanded(out) / new.path.name, expanded(out) / f"{suite}.toml"
    for path in (card_file, suite_file):
        if os.path.lexists(path):
            raise UserError(f"{path} exists already; choose another --name or --out")
    write_atomically(card_file, new.text)
    try:
        write_atomically(suite_file, text)
    except UserError:
        card_file.unlink()
        raise
    console = terminal.console()
    console.print(_seen(new))
    for note in new.notes:
        console.print(note)
    console.print(
        f"Wrote {card_file} (the dataset) and {suite_file} (the comparison). Next:\n\n"
        f"    promptarena compare {shlex.quote(str(suite_file))} --methods zeroshot coop --seeds 1\n\n"
        f"It runs on the small CLIP in the package; {suite_file.name} says how to take OpenAI's."
    )


def _seen(new: NewCard) -> str:
    counts = ", ".join(f"{len(split)} {split.name}" for split in new.splits)
    divided = " (divided here: own split)" if any(split.own_split for split in new.splits) else ""
    return f"{new.card.name}: {len(new.splits[0].class_names)} classes, images: {counts}{divided}."
