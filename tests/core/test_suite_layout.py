"""What tables need of a suite: the datasets of each protocol, in order, each with a title."""

from typing import Any

import pytest
from pydantic import ValidationError
from report_runs import layout_of

from promptarena.benchmark.core.protocol_table import PROTOCOLS, Protocol, protocol_info
from promptarena.benchmark.core.suite_layout import SuiteLayout

LAYOUT = layout_of()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_the_columns_of_a_protocol_are_its_datasets_with_the_source_first(protocol: Protocol) -> None:
    info = protocol_info(protocol)
    names = [name for name, _ in LAYOUT.columns(protocol)]
    assert names == [LAYOUT.source] * info.is_transfer + list(getattr(LAYOUT, info.suite_field))
    last = names[-1]
    chosen = [name for name, _ in LAYOUT.columns(protocol, [last])]
    assert chosen == [LAYOUT.source] * info.is_transfer + [last]
    assert all(title == LAYOUT.titles[name] for name, title in LAYOUT.columns(protocol))


@pytest.mark.parametrize("change", [{"titles": {}}, {"name": "A B"}, {"few_shot_shots": (0,)}, {"more": 1}])
def test_a_layout_that_tables_cannot_be_made_of_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SuiteLayout(**(LAYOUT.model_dump() | change))
