"""Rows of published figures: a wrong one is named with its file and line."""

from pathlib import Path

import pytest
from published_files import ROW, loaded, write

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.published.load import load_published

"""What a check by hand found."""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"protocol": "base_to_novel"}, "line 3: field 'protocol'"),
        ({"kind": "paper"}, "line 3: field 'kind'"),
        ({"metric": "top1"}, "line 3: field 'metric'"),
        ({"metric": "accuracy"}, "line 3: metric 'accuracy' does not belong to base-to-novel"),
        ({"protocol": "cross-dataset"}, "line 3: metric 'base' does not belong to cross-dataset"),
        ({"dataset": "imagenet-a"}, "line 3: dataset 'imagenet-a' does not belong to base-to-novel"),
        ({"dataset": "cifar10"}, "line 3: dataset 'cifar10'"),
        ({"shots": "4"}, "line 3: base-to-novel has 16 shots or all"),
        ({"shots": "3"}, "line 3: field 'shots'"),
        ({"value": "100.01"}, "line 3: value 100.01 is above 100"),
        ({"value": "-0.01"}, "line 3: field 'value'"),
        ({"value": "nan"}, "line 3: field 'value'"),
        ({"value": "0.8269"}, "line 3: field 'value'"),
        ({"value": ""}, "line 3: field 'value'"),
        ({"backbone": "RN50"}, "line 3: field 'backbone'"),
        ({"source": " "}, "line 3: field 'source'"),
        ({"source": "A"}, "line 3: the same figure of the same source is in .*figures.csv, line 2"),
        ({"source": "A", "value": "80.01"}, "line 3: the same figure of the same source"),
    ],
)
def test_a_wrong_row_is_reported_with_file_and_line(tmp_path: Path, change: dict[str, str], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        loaded(tmp_path, {}, {"source": "B"} | change)
    assert str(caught.value).startswith(str(tmp_path / "figures.csv"))
    assert "\n" not in str(caught.value)


def test_wrong_columns_ragged_lines_and_empty_folders_are_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no published figures"):
        load_published(tmp_path)
    path = tmp_path / "figures.csv"
    path.write_text(",".join(ROW) + "\n")
    with pytest.raises(UserError, match="no published figures"):
        load_published(tmp_path)
    path.write_text("protocol,kind,kind\n")
    with pytest.raises(UserError, match="line 1: names one column twice"):
        load_published(tmp_path)
    write(tmp_path, [ROW | {"metrics": ""}])
    with pytest.raises(UserError, match=r"figures.csv, line 2: unknown field 'metrics'; did you mean 'metric'"):
        load_published(tmp_path)
    write(tmp_path, [{name: text for name, text in ROW.items() if name != "kind"}])
    with pytest.raises(UserError, match="line 2: field 'kind' is missing"):
        load_published(tmp_path)
    write(tmp_path, [ROW])
    path.write_text(path.read_text() + "base-to-novel,coop\n")
    with pytest.raises(UserError, match="line 3: has 2 values for 11 columns"):
        load_published(tmp_path)
    path.write_text(",".join(ROW) + '\n"base')
    with pytest.raises(UserError, match="line 2: is not valid CSV"):
        load_published(tmp_path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="UTF-8"):
        load_published(tmp_path)
