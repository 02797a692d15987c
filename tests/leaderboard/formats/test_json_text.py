"""Tables as JSON."""

import json

from boards import BOARD

from promptarena.benchmark.leaderboard.formats.render import render


def test_json_holds_the_whole_board() -> None:
    document = json.loads(render(BOARD, "json"))
    assert (document["seeds"], document["miniature"], document["notes"]) == ([1, 2, 3], True, ["coop: 1 run_missing"])
    average, dtd, cost = document["tables"]
    assert average["rows"][0]["figures"]["base_pct"]["value"] == 80.468
    assert average["rows"][0]["figures"]["extra_pct"]["std"] == 0.5
    assert dtd["rows"][0]["figures"]["base_pct"]["filled"] == 2
    assert cost["columns"][1] == {"key": "train_seconds", "title": "Training s", "unit": "seconds", "group": ""}
