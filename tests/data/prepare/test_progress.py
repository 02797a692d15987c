"""Progress of long work: nobody has to listen."""

from typing import get_args

import pytest

from promptarena.benchmark.data.prepare.progress import Kind, Step, unheard


@pytest.mark.parametrize("kind", get_args(Kind))
def test_a_step_may_go_unheard(kind: Kind, capsys: pytest.CaptureFixture[str]) -> None:
    unheard(Step(kind, "dtd.tar.gz", 10, None))
    assert capsys.readouterr() == ("", "")
