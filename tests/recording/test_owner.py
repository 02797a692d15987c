"""Who works on a run."""

from promptarena.benchmark.recording.owner import Owner


def test_owners_live_and_die() -> None:
    me = Owner.current()
    assert me.alive()
    assert me.is_me()
    assert Owner.of(me.tags()) == me
    assert Owner.of({"owner.host": "x"}) is None
    assert not Owner(me.host, me.pid, me.started - 100, me.heartbeat).alive()
    assert Owner("elsewhere", 1, 0.0, me.heartbeat - 60).alive()
    assert not Owner("elsewhere", 1, 0.0, me.heartbeat - 3600).alive()
