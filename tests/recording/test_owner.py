"""Who works on a run."""

from dataclasses import replace

from promptarena.benchmark.recording.owner import HEARTBEAT_SECONDS, Owner, this_machine


def test_owners_live_and_die() -> None:
    me = Owner.current()
    assert me.alive()
    assert me.is_me()
    assert Owner.of(me.tags()) == me
    assert Owner.of({"owner.host": "x"}) is None
    assert not Owner(me.host, me.pid, me.started - 100, me.heartbeat).alive()
    assert Owner("elsewhere", 1, 0.0, me.heartbeat - 60).alive()
    assert not Owner("elsewhere", 1, 0.0, me.heartbeat - 3600).alive()


def test_a_machine_of_the_same_name_is_another_one() -> None:
    """Its process numbers say nothing here; its signs of life are judged by the store's clock."""
    me = Owner.current(lambda: 5000.0)
    assert me.heartbeat == 5000.0
    twin = replace(me, machine="another", pid=2**22 + 1)
    assert not twin.is_me()
    assert twin.alive(lambda: 5000.0 + HEARTBEAT_SECONDS - 1)
    assert not twin.alive(lambda: 5000.0 + HEARTBEAT_SECONDS)
    assert me.alive(lambda: 1e12), "this machine knows its own processes"


def test_an_owner_recorded_before_is_of_the_machine_of_its_name() -> None:
    me = Owner.current()
    tags = {name: value for name, value in me.tags().items() if name != "owner.machine"}
    found = Owner.of(tags)
    assert found == replace(me, machine="")
    assert found.is_me()
    assert this_machine() == this_machine()
