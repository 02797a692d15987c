"""The table of guards keeps up with the code."""

from collections import Counter
from pathlib import Path

import pytest

from tools.guards import MUTATIONS, Mutation

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.kind)
def test_a_guard_is_in_its_file_once_and_its_test_is_there(mutation: Mutation) -> None:
    assert (ROOT / mutation.path).read_text().count(mutation.guard) == 1
    assert mutation.without != mutation.guard
    path, _, name = mutation.test.partition("::")
    assert f"def {name}(" in (ROOT / path).read_text() if name else (ROOT / path).is_file()


def test_no_kind_is_there_twice() -> None:
    assert [kind for kind, count in Counter(mutation.kind for mutation in MUTATIONS).items() if count > 1] == []
