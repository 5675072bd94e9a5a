from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.examples import examples
from targetry.http.pool import Kept, KeptConnections, Lease, Origin

_HERE: Origin = ("https", "acme.example", 443)


@dataclass(eq=False)
class Wire:
    """A connection and its socket in one."""

    idle: bool = True
    came: bytes | None = None
    surplus: bool = False
    dropped: bool = False

    def is_available(self) -> bool:
        return self.idle and not self.dropped

    def is_idle(self) -> bool:
        return self.idle

    def is_closed(self) -> bool:
        return self.dropped

    def unread(self) -> bytes | None:
        return self.came

    def has_surplus(self) -> bool:
        return self.surplus

    def drop(self) -> None:
        self.dropped = True


def opened() -> Kept[Wire]:
    wire = Wire()
    return Kept(wire, wire)


def taken(connections: KeptConnections[Wire], origin: Origin = _HERE) -> Kept[Wire] | None:
    """The idle connection that a new request gets."""
    lease: Lease[Wire] = Lease()
    assert connections.enter(lease, int)
    connections.take(origin, lease)
    return lease.kept


def filled(
    limit: int, count: int, keepalive_seconds: float = 60
) -> tuple[KeptConnections[Wire], list[Kept[Wire]]]:
    """Connections that were all in use at the same time and are idle now."""
    connections: KeptConnections[Wire] = KeptConnections(limit, keepalive_seconds)
    leases: list[Lease[Wire]] = [Lease() for _ in range(count)]
    kept = [opened() for _ in range(count)]
    for lease in leases:
        assert connections.enter(lease, int)
        connections.take(_HERE, lease)
        assert lease.kept is None
    for one in kept:
        connections.keep(_HERE, one)
    for lease in leases:
        connections.leave(lease)
    return connections, kept


def test_the_connection_used_last_is_taken_first() -> None:
    connections, kept = filled(limit=5, count=3)
    assert [taken(connections) for _ in range(4)] == [kept[2], kept[1], kept[0], None]


def test_a_connection_of_another_origin_is_not_taken() -> None:
    connections, _ = filled(limit=5, count=1)
    assert taken(connections, ("http", "acme.example", 443)) is None


def test_a_connection_with_bytes_that_nobody_asked_for_is_dropped() -> None:
    connections, (dead,) = filled(limit=5, count=1)
    dead.connection.came = b"H"
    assert taken(connections) is None
    assert dead.connection.dropped


def test_an_old_connection_is_dropped() -> None:
    connections, (old,) = filled(limit=5, count=1, keepalive_seconds=-1)
    assert taken(connections) is None
    assert old.connection.dropped


def test_a_connection_that_is_still_busy_when_it_is_given_back_is_dropped() -> None:
    connections, (kept,) = filled(limit=5, count=1)
    taken(connections)
    kept.connection.idle = False
    connections.keep(_HERE, kept)
    assert kept.connection.dropped


def test_an_old_connection_goes_when_a_younger_one_is_given_back() -> None:
    connections, (old, young) = filled(limit=5, count=2)
    taken(connections)
    old.connection.came = b""
    connections.keep(_HERE, young)
    assert (old.connection.dropped, young.connection.dropped) == (True, False)


def test_all_idle_connections_to_a_host_can_be_forgotten() -> None:
    connections, kept = filled(limit=5, count=3)
    connections.forget(_HERE)
    assert all(one.connection.dropped for one in kept)
    assert taken(connections) is None


def test_a_connection_given_back_after_close_is_dropped() -> None:
    connections, (kept, idle) = filled(limit=5, count=2)
    used = taken(connections)
    assert used is idle
    connections.close()
    assert (kept.connection.dropped, idle.connection.dropped) == (True, False)
    connections.keep(_HERE, idle)
    assert idle.connection.dropped


def test_a_connection_with_a_surplus_is_dropped_and_reported() -> None:
    reported: list[Origin] = []
    connections: KeptConnections[Wire] = KeptConnections(5, 60, reported.append)
    behind, later = opened(), opened()
    behind.connection.surplus = True
    connections.keep(_HERE, behind)
    connections.keep(_HERE, later)
    later.connection.came = b"H"
    assert taken(connections) is None
    assert (behind.connection.dropped, later.connection.dropped) == (True, True)
    assert reported == [_HERE, _HERE]


def test_places_are_handed_over_in_the_order_of_coming() -> None:
    connections: KeptConnections[Wire] = KeptConnections(1, 60)
    leases: list[Lease[Wire]] = [Lease() for _ in range(4)]
    woken: list[int] = []
    for number, lease in enumerate(leases):
        connections.enter(lease, lambda number=number: woken.append(number))
    for lease in (leases[2], leases[0], leases[1], leases[3]):  # the third gives up waiting
        connections.leave(lease)
    assert woken == [1, 3]
    assert connections.leased == set()


def test_a_lease_given_back_twice_frees_one_place() -> None:
    connections: KeptConnections[Wire] = KeptConnections(1, 60)
    one, other, third = Lease[Wire](), Lease[Wire](), Lease[Wire]()
    connections.enter(one, int)
    connections.leave(one)
    connections.leave(one)
    assert connections.enter(other, int)
    assert not connections.enter(third, int)


@dataclass
class World:
    connections: KeptConnections[Wire]
    used: list[tuple[Origin, Lease[Wire]]] = field(default_factory=list)
    waiting: list[tuple[Origin, Lease[Wire]]] = field(default_factory=list)
    alive: list[Wire] = field(default_factory=list)


class Bookkeeping(RuleBasedStateMachine):
    """However they are used, never more are open than were allowed, none is in use twice, and no place is lost."""

    LIMIT = 3
    origins = st.sampled_from([("http", host, 80) for host in "abc"])

    def __init__(self) -> None:
        super().__init__()
        self.world = World(KeptConnections(self.LIMIT, 60))

    @rule(origin=origins)
    def come(self, origin: Origin) -> None:
        lease: Lease[Wire] = Lease()
        if self.world.connections.enter(lease, int):
            self._begin(origin, lease)
        else:
            assert len(self.world.used) == self.LIMIT
            self.world.waiting.append((origin, lease))

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data())
    def give_up_waiting(self, data: st.DataObject) -> None:
        _, lease = self.world.waiting.pop(data.draw(st.integers(0, len(self.world.waiting) - 1)))
        self.world.connections.leave(lease)

    @precondition(lambda self: self.world.used)
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        origin, lease = self.world.used.pop(data.draw(st.integers(0, len(self.world.used) - 1)))
        kept = lease.kept
        assert kept is not None
        if not fails:
            lease.kept = None
            self.world.connections.keep(origin, kept)
        self.world.connections.leave(lease)
        assert kept.connection.dropped == fails
        waiting, self.world.waiting = self.world.waiting, []
        for other in waiting:
            if other[1] in self.world.connections.leased:
                self._begin(*other)
            else:
                self.world.waiting.append(other)

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def the_server_closes_one(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.world.alive)).came = b""

    @rule(origin=origins)
    def forget(self, origin: Origin) -> None:
        self.world.connections.forget(origin)

    def _begin(self, origin: Origin, lease: Lease[Wire]) -> None:
        self.world.connections.take(origin, lease)
        if lease.kept is None:
            lease.kept = opened()
            self.world.alive.append(lease.kept.connection)
        assert not lease.kept.connection.dropped
        assert all(lease.kept is not other.kept for _, other in self.world.used)
        self.world.used.append((origin, lease))

    @invariant()
    def never_more_than_allowed(self) -> None:
        self.world.alive = [wire for wire in self.world.alive if not wire.dropped]
        assert len(self.world.alive) <= self.LIMIT

    @invariant()
    def the_count_is_exact(self) -> None:
        assert self.world.connections.leased == {lease for _, lease in self.world.used}


TestBookkeeping = Bookkeeping.TestCase
TestBookkeeping.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
