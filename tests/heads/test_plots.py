"""Charts of head roles show every head."""

from role_tables import table

from promptarena.benchmark.backbone.head_roles import Concept
from promptarena.benchmark.heads.plots import colours, figures


def test_figures_show_every_head_and_are_the_same_each_time() -> None:
    drawn = figures(table())
    assert sorted(drawn) == ["concepts.png", "concepts.svg", "role_map.png", "role_map.svg"]
    assert drawn["role_map.png"].startswith(b"\x89PNG")
    assert drawn["role_map.svg"].count(b"<!-- 1.50 -->") == 6
    assert drawn == figures(table())


def test_every_attribute_has_a_colour_and_its_place_in_the_legend() -> None:
    many = tuple(f"thing {number}" for number in range(9))
    own = table(
        attributes=("shape", *many), concepts=tuple(Concept(name=name, attribute=None, texts=4) for name in "abc")
    )
    assert list(colours(own))[:10] == ["shape", *many]
    assert len(set(list(colours(own).values())[:9])) == 9
    svg = figures(own)["role_map.svg"].decode()
    assert all(f"<!-- {name} -->" in svg for name in own.attributes)
