"""What is wrong with the options of the Ray launcher is said in one line."""

import importlib
import socket
from pathlib import Path
from typing import Any

import pytest
from e2e_inside import complaint

from promptarena.benchmark.running.clusters.ray_actors import _listens_there_only

GIVEN = ("compare", "--methods", "zeroshot", "--launcher", "ray")


def test_mistakes_are_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--devices: Ray gives each worker its device" in complaint(*GIVEN, "--devices", "cuda:0")
    assert "--launcher ray: field 'actors' is 0" in complaint(*GIVEN, "--ray-actors", "0")


def test_without_ray_the_line_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    imported = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name == "ray":
            raise ImportError(name)
        return imported(name, *rest)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(importlib, "import_module", without)
    assert complaint(*GIVEN) == "--launcher ray needs Ray; pip install 'promptarena[ray]'"


@pytest.mark.parametrize(
    ("family", "host", "only"),
    [
        (socket.AF_INET, "127.0.0.1", True),
        (socket.AF_INET6, "::ffff:127.0.0.1", True),
        (socket.AF_INET, "127.0.0.2", False),  # stands for an address of the network
    ],
)
def test_a_port_of_the_loopback_is_told_from_one_of_the_network(
    family: socket.AddressFamily, host: str, only: bool
) -> None:
    with socket.socket(family) as listening:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, 0))
        listening.listen()
        assert _listens_there_only(listening.getsockname()[1]) is only
