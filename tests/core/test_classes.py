"""Class names in prompts."""

from promptarena.benchmark.core.classes import Classes


def test_prompts_are_in_label_order_and_braces_in_a_name_are_text() -> None:
    classes = Classes(("a {} b", "dog"), "a photo of a {}.")
    assert len(classes) == 2
    assert classes.filled() == ["a photo of a a {} b.", "a photo of a dog."]
    assert classes.filled("{} and {}") == ["a {} b and a {} b", "dog and dog"]
