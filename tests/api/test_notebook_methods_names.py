"""Which names of a notebook the source of a class uses: parameters and local names are none of them."""

from promptarena.notebook_methods import _names

SOURCE = """
@decorated
class Shift(Base):
    scale: float = FACTOR

    def text_features(self, prompts):
        images = helper(prompts)
        return [each + OFFSET for each in images]
"""


def test_parameters_and_locals_are_not_used_names() -> None:
    assert set(_names(SOURCE)) == {"decorated", "Base", "FACTOR", "helper", "OFFSET"}


def test_a_local_of_one_function_may_be_a_global_of_another() -> None:
    assert set(_names("def f(prompts):\n    return prompts\n\ndef g():\n    return prompts\n")) == {"prompts"}
