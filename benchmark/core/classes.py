"""The classes that images are classified among."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Classes:
    """Class names in label order (underscores already spaces), the dataset's template with one `{}`, and its name."""

    names: tuple[str, ...]
    template: str
    dataset: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def filled(self, template: str | None = None) -> list[str]:
        """The template, the dataset's own unless another is given, with each name in it."""
        return [(template or self.template).replace("{}", name) for name in self.names]
