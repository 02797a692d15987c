"""The classes that images are classified into."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Classes:
    """The classes of a training or of a test.

    Args:
        names: The C class names in label order, with spaces in place of underscores.
        template: The dataset's own prompt template, with one `{}` for the class name.
        dataset: The name of the dataset's card.
    """

    names: tuple[str, ...]
    template: str
    dataset: str = ""

    def __len__(self) -> int:
        return len(self.names)

    def filled(self, template: str | None = None) -> list[str]:
        """One prompt per class.

        Args:
            template: A text with `{}` for the class name; None means the dataset's own.

        Returns:
            The C prompts, in label order.

        >>> Classes(("tabby cat", "dog"), "a photo of a {}.").filled()
        ['a photo of a tabby cat.', 'a photo of a dog.']
        """
        return [(template or self.template).replace("{}", name) for name in self.names]
