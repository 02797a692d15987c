"""A small architecture with its file in OpenAI's format."""

import json
from pathlib import Path

import openai_files


class World:
    """The small configuration of an architecture, its drawn weights, and OpenAI's file of them."""

    def __init__(self, folder: Path, architecture: str) -> None:
        self.config = folder / f"{architecture}.json"
        self.config.write_text(json.dumps(openai_files.small(architecture)))
        self.clip = openai_files.drawn(openai_files.small(architecture))
        self.stored = openai_files.stored(self.clip)
        self.archive = folder / f"{architecture}.pt"
        openai_files.write_archive(self.archive, self.clip)
