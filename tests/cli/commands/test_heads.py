import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tiny
from e2e_world import make_world

from promptarena.benchmark.backbone.head_roles import ATTRIBUTES, RoleTable
from promptarena.benchmark.cli.commands import heads as head_commands
from promptarena.benchmark.cli.commands.heads import Request, chosen_attributes, chosen_layers, run_diagnosis
from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.core.keys import generator
from promptarena.benchmark.heads.concepts import SEEDS
from promptarena.benchmark.heads.sentence_encoder import SentenceEncoder, Vectors
from promptarena.benchmark.recording.record import Record, RecordPlace

WORDS = {
    "colour": "red blue green yellow purple orange brown pink grey black white golden",
    "shape": "circle square triangle oval cube cone ring arch cross arrow star heart",
    "texture": "rough smooth silk velvet leather wool rust wood stone metal lace felt",
    "object": "chair table lamp clock cup spoon book door drum key coat boot",
    "position": "left right top bottom behind above below near far inside under beside",
}


def by_attribute(sentences: Sequence[str]) -> Vectors:
    def place(sentence: str) -> int:
        return next(i for i, a in enumerate(ATTRIBUTES) if sentence in SEEDS[a] or sentence in WORDS[a].split())

    noise = [0.03 * generator("noise", sentence).standard_normal(9) for sentence in sentences]
    return np.eye(9)[[place(sentence) for sentence in sentences]] + np.stack(noise)


def test_the_command_writes_prints_and_records_one_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(head_commands, "open_encoder", lambda name: SentenceEncoder(name, "none", by_attribute))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    suite, pool, results = make_world(tmp_path), tmp_path / "pool.txt", tmp_path / "results"
    pool.write_text("\n".join(word for words in WORDS.values() for word in words.split()))
    request = Request(suite=str(suite), layers="11-12", pool=pool, texts_per_head=6, concepts=5)
    run_diagnosis(request, RecordPlace(results))
    printed = capsys.readouterr().out
    table = RoleTable.load(results / "heads" / "small.json")
    assert (table.layers, table.images.count, table.pool.count) == ((11, 12), 32, 60)
    assert [concept.attribute for concept in table.concepts] == list(ATTRIBUTES)
    for head in table.serving("colour"):
        assert f"L{head.layer} H{head.head}" in printed
    for line in table.warnings():
        assert line in printed
    assert f"Roles by {table.rule}; 5 concepts" in printed

    run_diagnosis(request, RecordPlace(results))
    again = capsys.readouterr().out
    runs = {found[1] for text in (printed, again) if (found := re.search(r"in run (\w+) of", text))}
    assert len(runs) == 1
    record = Record.open(RecordPlace(results))
    assert record.artifact(runs.pop(), "roles.json", tmp_path / "copy").read_text() == table.text()
    assert record.index("small") == {}


def test_layers_are_one_a_range_or_the_last_four() -> None:
    deep = tiny.backbone(layers=12)
    assert chosen_layers(None, deep) == range(9, 13)
    assert chosen_layers("9-12", deep) == range(9, 13)
    assert chosen_layers("3", deep) == range(3, 4)
    assert chosen_layers(None, tiny.backbone()) == range(1, 4)
    for text in ("9-13", "0-2", "5-4"):
        with pytest.raises(UserError, match="layers 1 to 12"):
            chosen_layers(text, deep)
    with pytest.raises(UserError, match="such as 9-12"):
        chosen_layers("last", deep)


def test_attributes_are_names_between_commas_or_found() -> None:
    assert chosen_attributes("auto") is None
    assert chosen_attributes("wings, a red thing") == ("wings", "a red thing")
    for text in ("", "a,,b", "a,a", "auto,a", "mixed"):
        with pytest.raises(UserError, match="--attributes"):
            chosen_attributes(text)
