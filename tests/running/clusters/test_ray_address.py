"""Where a Ray cluster listens is seen before Ray is asked."""

import socket

import pytest

from promptarena.benchmark.core.errors import UserError
from promptarena.benchmark.running.clusters.ray_address import listens_there_only, reach


@pytest.mark.parametrize(
    ("family", "host", "only"),
    [
        (socket.AF_INET, "127.0.0.1", True),
        (socket.AF_INET6, "::ffff:127.0.0.1", True),
        (socket.AF_INET, "127.0.0.2", False),  # stands for an address of the network
    ],
)
def test_a_port_of_the_loopback_is_distinguished_from_one_of_the_network(
    family: socket.AddressFamily, host: str, only: bool
) -> None:
    with socket.socket(family) as listening:
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.bind((host, 0))
        listening.listen()
        assert listens_there_only(listening.getsockname()[1]) is only


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "127.0.0.1:99999", "nowhere.invalid:1"])
def test_an_address_where_nothing_listens_is_named(address: str) -> None:
    with pytest.raises(UserError, match=f"no Ray cluster answers at {address} "):
        reach(address)


def test_a_listening_address_and_one_that_ray_has_to_find_are_left_to_ray() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        reach(f"127.0.0.1:{listening.getsockname()[1]}")
    reach("auto")
