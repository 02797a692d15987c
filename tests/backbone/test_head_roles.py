import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny
from role_tables import row, table

from promptarena.benchmark.backbone.head_roles import (
    ATTRIBUTES,
    Concept,
    RoleTable,
    Settings,
    assign_roles,
    concept_entropy,
    distribution,
)
from promptarena.benchmark.core.errors import UserError


def test_one_concept_has_no_entropy_and_twelve_equal_ones_have_the_most() -> None:
    assert concept_entropy(distribution([3] * 20, 12)) == 0
    assert concept_entropy(distribution(range(12), 12)) == pytest.approx(math.log2(12))
    assert concept_entropy([0.5, 0.25, 0.25, 0]) == 1.5


def test_entropy_does_not_ask_what_concepts_are_called() -> None:
    texts = [0, 0, 0, 1, 1, 4, 7, 7]
    renamed = [(5 * concept + 2) % 12 for concept in texts]
    assert concept_entropy(distribution(texts, 12)) == pytest.approx(concept_entropy(distribution(renamed, 12)))


def test_a_head_without_texts_may_mean_anything() -> None:
    assert distribution([], 4) == (0.25,) * 4


SETTINGS = Settings()


def bits(*normalised: float) -> list[float]:
    return [h * math.log2(12) for h in normalised]


def test_thresholds_include_their_bounds() -> None:
    found, rule = assign_roles(bits(*[0.5] * 4, *[0.5001] * 4, *[0.7499] * 4, *[0.76] * 36), 12, SETTINGS)
    assert rule == "thresholds"
    assert found == ("attribute",) * 4 + ("mixed",) * 8 + ("generalization",) * 36


@pytest.mark.parametrize(("scarce", "plenty"), [(0.1, 0.6), (0.6, 0.9), (0.9, 0.1)])
def test_a_role_with_three_of_48_heads_lets_quantiles_decide(scarce: float, plenty: float) -> None:
    third = ({0.1, 0.6, 0.9} - {scarce, plenty}).pop()
    for count, rule in ((3, "quantiles"), (4, "thresholds")):
        entropies = bits(*[scarce] * count, *[plenty] * (38 - count), *[third] * 10)
        assert assign_roles(entropies, 12, SETTINGS)[1] == rule


def test_quantiles_take_the_lowest_quarter_and_the_highest_two_fifths() -> None:
    entropies = bits(*(0.8 + 0.004 * ((7 * place) % 40) for place in range(40)))
    found, rule = assign_roles(entropies, 12, SETTINGS)
    assert rule == "quantiles"
    by_entropy = [role for _, role in sorted(zip(entropies, found, strict=True))]
    assert by_entropy == ["attribute"] * 10 + ["mixed"] * 14 + ["generalization"] * 16
    equal, _ = assign_roles(bits(*[0.9] * 40), 12, SETTINGS)
    assert equal == ("attribute",) * 10 + ("mixed",) * 14 + ("generalization",) * 16


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="must be below"):
        Settings(attribute_up_to=0.8)
    with pytest.raises(ValueError, match="exceed 1"):
        Settings(attribute_share=0.7)


def test_a_table_is_the_same_after_writing_and_reading(tmp_path: Path) -> None:
    table().save(tmp_path / "deep" / "roles.json")
    loaded = RoleTable.load(tmp_path / "deep" / "roles.json")
    assert loaded == table()
    assert loaded.digest == table().digest
    assert loaded.head(2, 0).attribute == "shape"
    assert [head.head for head in loaded.serving("shape")] == [0]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"heads": table().heads[:-1]}, "one row for each head"),
        ({"heads": table().heads[::-1]}, "in order"),
        ({"layers": (3, 4), "heads": tuple(row(layer, h) for layer in (3, 4) for h in range(3))}, "within 1 to 3"),
        ({"concepts": table().concepts[:2]}, "a value for each concept"),
        ({"heads": (*table().heads[:5], row(3, 2, "mixed", "shape"))}, "only an attribute head"),
    ],
)
def test_a_table_that_contradicts_itself_is_refused(change: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        table(**change)


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [("rule", "dice", "field 'rule'"), ("rool", "x", "unknown field 'rool'"), ("depth", 0, "field 'depth'")],
)
def test_a_damaged_file_is_reported_in_one_line(tmp_path: Path, name: str, value: Any, complaint: str) -> None:
    path = tmp_path / "roles.json"
    path.write_text(json.dumps(json.loads(table().text()) | {name: value}))
    with pytest.raises(UserError, match=complaint) as caught:
        RoleTable.load(path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UserError, match="cannot read"):
        RoleTable.load(tmp_path / "none.json")


def test_a_table_fits_its_own_backbone_only() -> None:
    table().check_fits(tiny.backbone())
    with pytest.raises(UserError, match="made for other weights"):
        table(backbone_digest="0" * 64).check_fits(tiny.backbone())
    with pytest.raises(UserError, match="3 layers of 3 heads"):
        table().check_fits(tiny.backbone(layers=4))
    with pytest.raises(UserError, match="not layer 1 head 0"):
        table().head(1, 0)


def test_warnings_say_what_is_missing() -> None:
    assert table().warnings() == (
        "no head serves colour, texture, object, position: such a token works through mixed heads only",
    )
    lines = table(rule="quantiles", settings=Settings()).warnings()
    assert len(lines) == 3
    assert "3 concepts were found, 12 were requested" in lines[0]


def test_attributes_are_those_that_heads_and_concepts_may_serve() -> None:
    own = table(
        attributes=("shape", "wings"), concepts=tuple(Concept(name=name, attribute=None, texts=4) for name in "abc")
    )
    assert RoleTable.model_validate_json(own.text()) == own
    assert own.digest != table().digest
    assert own.warnings() == ("no head serves wings: such a token works through mixed heads only",)
    for attributes in ((), ("shape", "shape"), ("wings",)):
        with pytest.raises(ValueError, match="attributes"):
            table(attributes=attributes)


def test_a_table_of_the_papers_attributes_is_written_as_before_there_were_others() -> None:
    assert "attributes" not in table().text()
    assert table(attributes=ATTRIBUTES).digest == table().digest
