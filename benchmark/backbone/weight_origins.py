"""Weights files whose content is known by their publisher's own SHA-256, and what a set of weights is called."""

from dataclasses import dataclass
from pathlib import Path

from promptarena.benchmark.core.keys import file_digest

OPENAI = {
    "afeb0e10f9e5a86da6080e35cf09123aca3b358a0c3e3b6c78a7b63bc04b6762": "RN50",
    "8fa8567bab74a42d41c5915025a8e4538c3bdbe8804a470a72f30b0d94fab599": "RN101",
    "7e526bd135e493cef0776de27d5f42653e6b4c8bf9e0f653bb11773263205fdd": "RN50x4",
    "52378b407f34354e150460fe41077663dd5b39c54cd0bfd2b27167a4a06ec9aa": "RN50x16",
    "be1cfb55d75a9666199fb2206c106743da0f6468c9d327f3e0d0a543a9919d9c": "RN50x64",
    "40d365715913c9da98579312b702a82c18be219cc2a73407c4526f58eba950af": "ViT-B/32",
    "5806e77cd80f8b59890b7e101eabd078d9fb84e6937f9e85e4ecb61988df416f": "ViT-B/16",
    "b8cca3fd41ae0c99ba7e8951adf17d267cdb84cd88be6f7c2e0eca1737a03836": "ViT-L/14",
    "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02": "ViT-L/14@336px",
}
"""OpenAI's name of a model by the SHA-256 of its published `.pt` file, which is part of the file's address."""

_OPENAI_PREFIX = "OpenAI "


@dataclass(frozen=True)
class Weights:
    """Which weights these are.

    digest: SHA-256 over the float32 tensors, the same for every file format. origin: where they come from, for people:
    `OpenAI ViT-B/16`, `open_clip ViT-B-16-quickgelu openai`, `local file clip.pt`.
    """

    digest: str
    origin: str


def origin_of_file(path: Path) -> str:
    """`OpenAI ViT-B/16` for a file with the bytes that OpenAI published, else `local file NAME`. Raises UserError when
    it cannot be read."""
    known = OPENAI.get(file_digest(path))
    return f"local file {path.name}" if known is None else f"{_OPENAI_PREFIX}{known}"


def origin_of_tag(architecture: str, tag: str) -> str:
    """`open_clip ARCHITECTURE TAG`."""
    return f"open_clip {architecture} {tag}"


def is_openai(origin: str) -> bool:
    """Whether a file's origin says that OpenAI published it."""
    return origin.startswith(_OPENAI_PREFIX)
