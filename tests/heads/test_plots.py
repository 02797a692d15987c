"""Charts of head roles show every head."""

from role_tables import table

from promptarena.benchmark.heads.plots import figures


def test_figures_show_every_head_and_come_out_alike() -> None:
    drawn = figures(table())
    assert sorted(drawn) == ["concepts.png", "concepts.svg", "role_map.png", "role_map.svg"]
    assert drawn["role_map.png"].startswith(b"\x89PNG")
    assert drawn["role_map.svg"].count(b"<!-- 1.50 -->") == 6
    assert drawn == figures(table())
