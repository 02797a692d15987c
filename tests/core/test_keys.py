"""Content keys and keyed randomness."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import digest, file_digest, generator

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def test_keys_stay_what_they_are() -> None:
    """Recorded runs and cached arrays are found by these; a change here forgets all of them."""
    assert digest("a", 1, [2.5, None]) == "8d63d4976dada832404fe2be0a1e59ad24a2856792562657ea90972284d69d03"
    assert generator("batches", 1, 2).integers(1000, size=4).tolist() == [69, 805, 0, 79]


@given(json_values, json_values)
@settings(max_examples=40)
def test_different_parts_have_different_digests(one: object, other: object) -> None:
    assert (digest(one) == digest(other)) == (repr(_canonical(one)) == repr(_canonical(other)))


def _canonical(value: object) -> object:
    """Fields in the order of their names, as tuples, so that a mapping never looks like a list."""
    if isinstance(value, dict):
        return tuple(sorted((key, _canonical(inner)) for key, inner in value.items()))
    return [_canonical(inner) for inner in value] if isinstance(value, list) else value


def test_order_of_fields_and_kind_of_sequence_do_not_matter_but_nesting_does() -> None:
    assert digest({"a": 1, "b": (2, 3)}) == digest({"b": [2, 3], "a": 1})
    assert len({digest("a", "b"), digest(["a", "b"]), digest("ab"), digest("a", ["b"])}) == 4


@pytest.mark.parametrize("value", [float("nan"), float("inf"), Path("x"), {1, 2}])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        digest(value)


def test_a_stream_depends_on_its_purpose_alone() -> None:
    first = generator("batches", 1, 2).random(5).tolist()
    generator("batches", 1, 3).random(100)
    assert generator("batches", 1, 2).random(5).tolist() == first
    assert generator("batches", 2, 1).random(5).tolist() != first
    assert generator("augment", 1, 2).random(5).tolist() != first


def test_a_file_is_known_by_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_digest(tmp_path / "a") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(UserError, match=r"cannot read .*none: No such file"):
        file_digest(tmp_path / "none")
