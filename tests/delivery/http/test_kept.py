from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from targetry.delivery.http.kept import Kept, KeptConnections, Origin

_HERE: Origin = ("https", "acme.example", 443)


@dataclass(eq=False)
class Wire:
    """A connection and its socket in one."""

    idle: bool = True
    readable: bool = False
    dropped: bool = False

    def is_available(self) -> bool:
        return self.idle and not self.dropped

    def is_idle(self) -> bool:
        return self.idle

    def is_closed(self) -> bool:
        return self.dropped

    def has_something_to_read(self) -> bool:
        return self.readable

    def drop(self) -> None:
        self.dropped = True


def opened() -> Kept[Wire]:
    wire = Wire()
    return Kept(wire, wire)


def filled(
    limit: int, count: int, keepalive_seconds: float = 60
) -> tuple[KeptConnections[Wire], list[Kept[Wire]]]:
    """Connections that were all in use at the same time and are idle now."""
    connections: KeptConnections[Wire] = KeptConnections(limit, keepalive_seconds)
    kept = []
    for _ in range(count):
        assert connections.take(_HERE) is None
        kept.append(opened())
    for one in kept:
        connections.give(_HERE, one)
    return connections, kept


def test_the_connection_used_last_is_taken_first() -> None:
    connections, kept = filled(limit=5, count=3)
    assert [connections.take(_HERE) for _ in range(4)] == [kept[2], kept[1], kept[0], None]


def test_a_connection_of_another_origin_is_not_taken() -> None:
    connections, _ = filled(limit=5, count=1)
    assert connections.take(("http", "acme.example", 443)) is None


def test_a_connection_with_bytes_that_nobody_asked_for_is_dropped() -> None:
    connections, (dead,) = filled(limit=5, count=1)
    dead.connection.readable = True
    assert connections.take(_HERE) is None
    assert dead.connection.dropped


def test_an_old_connection_is_dropped() -> None:
    connections, (old,) = filled(limit=5, count=1, keepalive_seconds=-1)
    assert connections.take(_HERE) is None
    assert old.connection.dropped


def test_a_connection_that_is_still_busy_when_it_is_given_back_is_dropped() -> None:
    connections, (kept,) = filled(limit=5, count=1)
    connections.take(_HERE)
    kept.connection.idle = False
    connections.give(_HERE, kept)
    assert kept.connection.dropped


def test_an_old_connection_goes_when_a_younger_one_is_given_back() -> None:
    connections, (old, young) = filled(limit=5, count=2)
    connections.take(_HERE)
    old.connection.readable = True
    connections.give(_HERE, young)
    assert (old.connection.dropped, young.connection.dropped) == (True, False)


def test_all_idle_connections_to_a_host_can_be_forgotten() -> None:
    connections, kept = filled(limit=5, count=3)
    connections.forget(_HERE)
    assert all(one.connection.dropped for one in kept)
    assert connections.take(_HERE) is None


def test_a_connection_given_back_after_close_is_dropped() -> None:
    connections, (kept, idle) = filled(limit=5, count=2)
    used = connections.take(_HERE)
    assert used is idle
    connections.close()
    assert (kept.connection.dropped, idle.connection.dropped) == (True, False)
    connections.give(_HERE, idle)
    assert idle.connection.dropped


@dataclass
class World:
    connections: KeptConnections[Wire]
    used: list[tuple[Origin, Kept[Wire]]] = field(default_factory=list)
    alive: list[Wire] = field(default_factory=list)


class Bookkeeping(RuleBasedStateMachine):
    """However they are used, never more are open than were allowed, and none is in use twice."""

    LIMIT = 3
    origins = st.sampled_from([("http", host, 80) for host in "abc"])

    def __init__(self) -> None:
        super().__init__()
        self.world = World(KeptConnections(self.LIMIT, 60))

    @precondition(lambda self: len(self.world.used) < self.LIMIT)
    @rule(origin=origins)
    def take(self, origin: Origin) -> None:
        kept = self.world.connections.take(origin)
        if kept is None:
            kept = opened()
            self.world.alive.append(kept.connection)
        assert all(kept is not other for _, other in self.world.used)
        assert not kept.connection.dropped
        self.world.used.append((origin, kept))

    @precondition(lambda self: len(self.world.used) < self.LIMIT)
    @rule()
    def take_and_fail_to_connect(self) -> None:
        self.world.connections.room_for_one()
        self.world.connections.lose(None)

    @precondition(lambda self: self.world.used)
    @rule(data=st.data(), fails=st.booleans())
    def give(self, data: st.DataObject, fails: bool) -> None:
        origin, kept = self.world.used.pop(data.draw(st.integers(0, len(self.world.used) - 1)))
        kept.connection.idle = not fails
        self.world.connections.give(origin, kept)
        assert kept.connection.dropped == fails

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def the_server_closes_one(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.world.alive)).readable = True

    @rule(origin=origins)
    def forget(self, origin: Origin) -> None:
        self.world.connections.forget(origin)

    @invariant()
    def never_more_than_allowed(self) -> None:
        self.world.alive = [wire for wire in self.world.alive if not wire.dropped]
        assert len(self.world.alive) <= self.LIMIT


TestBookkeeping = Bookkeeping.TestCase
TestBookkeeping.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
