from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from support.examples import examples
from targetry.http.inbound import EarlyDataError
from targetry.http.pool import ConnectionPool, Lease, Origin

_HERE: Origin = ("https", "acme.example", 443)


@dataclass(eq=False)
class FakeConnection:
    reusable: bool = True
    arrived: bytes | None = None
    surplus: bool = False
    dropped: bool = False
    idle_since: float = 0.0

    def is_reusable(self) -> bool:
        return self.reusable and not self.dropped

    def unread(self) -> bytes | None:
        return self.arrived

    def has_surplus(self) -> bool:
        return self.surplus

    def drop(self) -> None:
        self.dropped = True


def acquired(pool: ConnectionPool[FakeConnection], origin: Origin = _HERE) -> FakeConnection | None:
    """Return the idle connection that a new request gets."""
    lease: Lease[FakeConnection] = Lease()
    assert pool.request_slot(lease, int)
    pool.acquire(origin, lease)
    return lease.connection


def release(pool: ConnectionPool[FakeConnection], connection: FakeConnection, origin: Origin = _HERE) -> None:
    pool.release(origin, Lease(), connection, must_close=False)


def filled(
    limit: int, count: int, keepalive_s: float = 60, check_interval_s: float = 0
) -> tuple[ConnectionPool[FakeConnection], list[FakeConnection]]:
    """Return a pool whose connections were all in use at the same time and are idle now."""
    pool: ConnectionPool[FakeConnection] = ConnectionPool(
        limit, keepalive_s=keepalive_s, check_interval_s=check_interval_s
    )
    leases: list[Lease[FakeConnection]] = [Lease() for _ in range(count)]
    connections = [FakeConnection() for _ in range(count)]
    for lease in leases:
        assert pool.request_slot(lease, int)
        pool.acquire(_HERE, lease)
        assert lease.connection is None
    for connection in connections:
        release(pool, connection)
    for lease in leases:
        pool.release_slot(lease)
    return pool, connections


def test_connection_used_last_is_acquired_first() -> None:
    pool, connections = filled(limit=5, count=3)
    expected = [connections[2], connections[1], connections[0], None]
    assert [acquired(pool) for _ in range(4)] == expected


def test_connection_of_another_origin_is_not_acquired() -> None:
    pool, _ = filled(limit=5, count=1)
    assert acquired(pool, ("http", "acme.example", 443)) is None


def test_idle_connection_with_unread_bytes_is_closed() -> None:
    pool, (connection,) = filled(limit=5, count=1)
    connection.arrived = b"H"
    assert acquired(pool) is None
    assert connection.dropped


def test_connection_idle_for_too_long_is_closed() -> None:
    pool, (connection,) = filled(limit=5, count=1, keepalive_s=-1)
    assert acquired(pool) is None
    assert connection.dropped


def test_released_connection_that_is_not_reusable_is_closed() -> None:
    pool, (connection,) = filled(limit=5, count=1)
    acquired(pool)
    connection.reusable = False
    release(pool, connection)
    assert connection.dropped


def test_released_connection_that_must_close_is_closed() -> None:
    pool, (connection,) = filled(limit=5, count=1)
    acquired(pool)
    pool.release(_HERE, Lease(), connection, must_close=True)
    assert connection.dropped


def test_oldest_ended_connection_is_closed_when_another_is_released() -> None:
    pool, (old, young) = filled(limit=5, count=2)
    acquired(pool)
    old.arrived = b""
    release(pool, young)
    assert (old.dropped, young.dropped) == (True, False)


def test_oldest_connection_is_checked_once_in_an_interval() -> None:
    pool, (old, young) = filled(limit=5, count=2, check_interval_s=60)
    old.arrived = b""
    acquired(pool)
    release(pool, young)
    assert not old.dropped


def test_purge_closes_all_idle_connections_to_a_host() -> None:
    pool, connections = filled(limit=5, count=3)
    pool.purge(_HERE)
    assert all(connection.dropped for connection in connections)
    assert acquired(pool) is None


def test_close_idle_counts_and_keeps_the_pool_open() -> None:
    pool, connections = filled(limit=5, count=2)
    assert pool.close_idle() == 2
    assert all(connection.dropped for connection in connections)
    release(pool, another := FakeConnection())
    assert acquired(pool) is another


def test_connection_released_after_close_is_closed() -> None:
    pool, (connection, idle) = filled(limit=5, count=2)
    used = acquired(pool)
    assert used is idle
    pool.close()
    assert (connection.dropped, idle.dropped) == (True, False)
    release(pool, idle)
    assert idle.dropped


def test_connection_with_surplus_is_closed_and_reported() -> None:
    reported: list[Origin] = []
    pool: ConnectionPool[FakeConnection] = ConnectionPool(5, reported.append)
    behind, later = FakeConnection(surplus=True), FakeConnection()
    release(pool, behind)
    release(pool, later)
    later.arrived = b"H"
    assert acquired(pool) is None
    assert (behind.dropped, later.dropped) == (True, True)
    assert reported == [_HERE, _HERE]


def test_discard_closes_the_acquired_connection_else_the_opened_one() -> None:
    pool, (connection,) = filled(limit=5, count=1)
    lease: Lease[FakeConnection] = Lease()
    pool.request_slot(lease, int)
    pool.acquire(_HERE, lease)
    pool.discard(_HERE, lease, None, OSError())
    assert (connection.dropped, lease.connection) == (True, None)
    pool.discard(_HERE, lease, opened := FakeConnection(), OSError())
    assert opened.dropped


def test_discard_reports_only_early_data() -> None:
    reported: list[Origin] = []
    pool: ConnectionPool[FakeConnection] = ConnectionPool(5, reported.append)
    for error in (OSError(), EarlyDataError()):
        pool.discard(_HERE, Lease(), FakeConnection(), error)
    assert reported == [_HERE]


def test_slots_are_passed_on_first_come_first_served() -> None:
    pool: ConnectionPool[FakeConnection] = ConnectionPool(1)
    leases: list[Lease[FakeConnection]] = [Lease() for _ in range(4)]
    woken: list[int] = []
    for number, lease in enumerate(leases):
        pool.request_slot(lease, lambda number=number: woken.append(number))
    for lease in (leases[2], leases[0], leases[1], leases[3]):  # the third stops waiting
        pool.release_slot(lease)
    assert woken == [1, 3]
    assert pool.leases == set()


def test_slot_released_twice_frees_one_slot() -> None:
    pool: ConnectionPool[FakeConnection] = ConnectionPool(1)
    one, other, third = Lease[FakeConnection](), Lease[FakeConnection](), Lease[FakeConnection]()
    pool.request_slot(one, int)
    pool.release_slot(one)
    pool.release_slot(one)
    assert pool.request_slot(other, int)
    assert not pool.request_slot(third, int)


@dataclass
class World:
    pool: ConnectionPool[FakeConnection]
    used: list[tuple[Origin, Lease[FakeConnection]]] = field(default_factory=list)
    waiting: list[tuple[Origin, Lease[FakeConnection]]] = field(default_factory=list)
    alive: list[FakeConnection] = field(default_factory=list)


class PoolAccounting(RuleBasedStateMachine):
    """No sequence opens more connections than allowed, uses one twice, or loses a slot."""

    LIMIT = 3
    origins = st.sampled_from([("http", host, 80) for host in "abc"])

    def __init__(self) -> None:
        super().__init__()
        self.world = World(ConnectionPool(self.LIMIT))

    @rule(origin=origins)
    def request(self, origin: Origin) -> None:
        lease: Lease[FakeConnection] = Lease()
        if self.world.pool.request_slot(lease, int):
            self._begin(origin, lease)
        else:
            assert len(self.world.used) == self.LIMIT
            self.world.waiting.append((origin, lease))

    @precondition(lambda self: self.world.waiting)
    @rule(data=st.data())
    def stop_waiting(self, data: st.DataObject) -> None:
        _, lease = self.world.waiting.pop(data.draw(st.integers(0, len(self.world.waiting) - 1)))
        self.world.pool.release_slot(lease)

    @precondition(lambda self: self.world.used)
    @rule(data=st.data(), fails=st.booleans())
    def finish(self, data: st.DataObject, fails: bool) -> None:
        origin, lease = self.world.used.pop(data.draw(st.integers(0, len(self.world.used) - 1)))
        connection = lease.connection
        assert connection is not None
        if not fails:
            self.world.pool.release(origin, lease, connection, must_close=False)
        self.world.pool.release_slot(lease)
        assert connection.dropped == fails
        waiting, self.world.waiting = self.world.waiting, []
        for other in waiting:
            if other[1] in self.world.pool.leases:
                self._begin(*other)
            else:
                self.world.waiting.append(other)

    @precondition(lambda self: self.world.alive)
    @rule(data=st.data())
    def server_closes_one(self, data: st.DataObject) -> None:
        data.draw(st.sampled_from(self.world.alive)).arrived = b""

    @rule(origin=origins)
    def purge(self, origin: Origin) -> None:
        self.world.pool.purge(origin)

    def _begin(self, origin: Origin, lease: Lease[FakeConnection]) -> None:
        self.world.pool.acquire(origin, lease)
        if lease.connection is None:
            lease.connection = FakeConnection()
            self.world.alive.append(lease.connection)
        assert not lease.connection.dropped
        assert all(lease.connection is not other.connection for _, other in self.world.used)
        self.world.used.append((origin, lease))

    @invariant()
    def at_most_as_many_as_allowed(self) -> None:
        self.world.alive = [one for one in self.world.alive if not one.dropped]
        assert len(self.world.alive) <= self.LIMIT

    @invariant()
    def count_is_exact(self) -> None:
        assert self.world.pool.leases == {lease for _, lease in self.world.used}


TestPoolAccounting = PoolAccounting.TestCase
TestPoolAccounting.settings = settings(max_examples=examples(60), stateful_step_count=30, deadline=None)
