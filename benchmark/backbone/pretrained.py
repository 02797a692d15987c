"""open_clip's pretrained tags: which weights they are, and where their file lies or comes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from promptarena.benchmark.backbone.architectures import Architecture, Preprocessing
from promptarena.benchmark.core.errors import UserError, first_line, unknown


@dataclass(frozen=True)
class Pretrained:
    """A tag of an architecture; entry: open_clip's table of it, with the repository on the Hugging Face hub."""

    architecture: Architecture
    tag: str
    entry: Mapping[str, Any]

    @classmethod
    def find(cls, architecture: Architecture, tag: str) -> Self:
        """The tag as open_clip lists it. Raises UserError for an unknown one."""
        import open_clip

        entry = open_clip.get_pretrained_cfg(architecture.name, tag)
        if not entry:
            known = open_clip.list_pretrained_tags_by_model(architecture.name)
            raise unknown(f"pretrained tag of {architecture.name}", tag, known)
        return cls(architecture, tag, entry)

    @property
    def quick_gelu(self) -> bool:
        """Whether the weights were trained with QuickGELU."""
        return bool(self.entry.get("quick_gelu", False))

    @property
    def preprocessing(self) -> Preprocessing:
        """How images were prepared for them."""
        return Preprocessing.of(f"pretrained tag {self.tag!r}", dict(self.entry))

    def fetch(self) -> Path:
        """The file, downloaded unless the cache has it. Raises UserError when it cannot be had."""
        import open_clip
        from huggingface_hub import constants

        try:
            return Path(open_clip.download_pretrained(self.entry))
        except Exception as error:  # the hub client raises many kinds
            first = first_line(error)
            reason = first.rpartition("Last error: ")[2].rstrip(".")
            if constants.HF_HUB_OFFLINE:
                reason = f"HF_HUB_OFFLINE is set and {self._folder} does not hold them"
            raise UserError(
                f"cannot fetch weights {self._name}: {reason}; fetch them where there is a network, or name a local "
                "file as `weights` in the suite's [backbone]"
            ) from error

    def missing(self) -> str | None:
        """What `fetch` would download, in words; None when the file is there. Asks no network."""
        return None if self._is_here() else f"{self._name}, not in {self._folder.parent} yet"

    @property
    def _source(self) -> str:
        hub: str = self.entry.get("hf_hub", "")
        return hub.rpartition("/")[0] or str(self.entry.get("url", ""))

    @property
    def _name(self) -> str:
        return f"{self.tag!r} of {self.architecture.name} ({self._source})"

    @property
    def _folder(self) -> Path:
        from huggingface_hub import constants

        if self.entry.get("hf_hub"):
            return Path(constants.HF_HUB_CACHE) / f"models--{self._source.replace('/', '--')}"
        return Path("~/.cache/clip").expanduser() / Path(self._source).name

    def _is_here(self) -> bool:
        from huggingface_hub import try_to_load_from_cache
        from open_clip.constants import HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME

        hub: str = self.entry.get("hf_hub", "")
        if not hub:
            return self._folder.is_file()
        name = hub.rpartition("/")[2]
        names = (f"{name[:-4]}.safetensors", name) if name else (HF_SAFE_WEIGHTS_NAME, HF_WEIGHTS_NAME)
        return any(isinstance(try_to_load_from_cache(self._source, file), str) for file in names)
