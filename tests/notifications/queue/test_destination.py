"""Isolation of destinations: a host does not delay, slow down or drop deliveries to others."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from support.background_fakes import answer
from support.cases import each_case
from support.notifier import OK, Reply, SenderHarness, counters_add_up, delivery
from targetry.errors import DeadlineError, TransportError
from targetry.http.protocol import HttpRequest
from targetry.notifications.queue.retry_policy import RetryPolicy

RESET = TransportError(reason="reset")
REFUSED = TransportError(reason="refused")
REFUSED.unsent = True
LATE = DeadlineError(reason="late")
DOWN = answer(503)


def by_host(**replies: Reply) -> Callable[[HttpRequest], Reply]:
    """Reply by cluster (`c44`), and OK elsewhere."""

    def reply(request: HttpRequest) -> Reply:
        return replies.get(f"c{cluster_of(request) or ''}", OK)

    return reply


def cluster_of(request: HttpRequest) -> str:
    host = request.url.split("/")[2]
    return host.partition(".")[0].removeprefix("mboxedge") if host.startswith("mboxedge") else ""


def known(harness: SenderHarness, *clusters: str) -> SenderHarness:
    for cluster in clusters:
        harness.clusters.add(cluster)
    return harness


# Which host


def test_delivery_is_sent_to_the_cluster_of_its_visitor() -> None:
    harness = SenderHarness()
    harness.submit(delivery(cluster="44"), delivery())
    harness.work()
    assert sorted(map(cluster_of, harness.api.requests)) == ["", "44"]


@each_case(
    "reply",
    [REFUSED, RESET, LATE, *map(answer, (302, 403, 404, 405, 502, 503)), answer(200, b"<html>")],
    ids=["refused", "reset", "late", "302", "403", "404", "405", "502", "503", "no JSON"],
)
def test_failing_unknown_cluster_is_replaced_by_the_own_host_at_once(reply: Reply) -> None:
    harness = SenderHarness(by_host(c44=reply))
    ids = [f"n{number}" for number in range(50)]
    harness.submit(*(delivery(one, cluster="44") for one in ids))
    assert harness.work() == 0
    assert set(harness.api.received) == set(ids)
    assert [cluster_of(request) for request in harness.api.requests] == ["44"] + [""] * 50
    assert (harness.stats.sent, harness.stats.retries) == (50, 0)


def test_repeated_call_has_the_same_body_and_id_at_the_own_host() -> None:
    harness = SenderHarness(by_host(c44=RESET))
    harness.submit(delivery("a", cluster="44"))
    harness.work()
    first, second = harness.api.requests
    assert (first.body, first.headers) == (second.body, second.headers)


def test_many_forged_clusters_are_tried_a_few_at_a_time() -> None:
    harness = SenderHarness(lambda request: RESET if cluster_of(request) else OK)
    harness.submit(*(delivery(cluster=str(number)) for number in range(100, 900)))
    assert harness.work() == 0
    assert harness.stats.sent == 800
    assert len({cluster_of(request) for request in harness.api.requests}) == 17  # with the own host
    assert len(harness.api.requests) == 816


def test_known_cluster_is_avoided_after_three_failures() -> None:
    harness = known(SenderHarness(by_host(c44=REFUSED), random=lambda: 0.0), "44")
    harness.submit(*(delivery(cluster="44") for _ in range(20)))
    harness.work()
    assert [cluster_of(request) for request in harness.api.requests][:4] == ["44", "44", "44", ""]
    assert harness.stats.sent == 20


@pytest.mark.parametrize("status", [400, 413])
def test_rejection_by_the_api_is_final_for_each_host(status: int) -> None:
    harness = SenderHarness(by_host(c44=answer(status)))
    harness.submit(delivery(cluster="44"))
    harness.work()
    assert harness.stats.dropped == {"rejected": 1}


# Retry state


@pytest.mark.parametrize(
    "reply",
    [answer(429, retry_after="600"), answer(401), answer(500), LATE],
    ids=["Retry-After", "denied", "500", "late"],
)
def test_failing_cluster_does_not_delay_other_hosts(reply: Reply) -> None:
    harness = known(SenderHarness(by_host(c44=reply)), "44", "35")
    harness.submit(*(delivery(cluster="44") for _ in range(10)))
    harness.work(0.001)
    harness.submit(*(delivery(cluster=cluster) for cluster in [None, "35"] * 50))
    harness.work(0.001)
    assert sum(harness.api.received.values()) == 100
    harness.submit(*(delivery() for _ in range(100)))
    harness.work(0.001)
    assert sum(harness.api.received.values()) == 200


def test_failing_own_host_does_not_delay_clusters() -> None:
    harness = known(SenderHarness(lambda request: OK if cluster_of(request) else DOWN), "44")
    harness.submit(*(delivery(cluster=cluster) for cluster in [None, "44"] * 20))
    harness.work(1.0)
    assert harness.stats.sent == 20


def test_retry_after_of_a_host_is_independent_of_other_hosts() -> None:
    harness = known(SenderHarness(by_host(c44=answer(429, retry_after="60"))), "44")
    harness.submit(delivery(cluster="44"), delivery(cluster="44"))
    harness.work(0.001)
    asked = harness.api.requests.copy()
    for number in range(100, 400):  # more hosts than are remembered
        harness.clusters.add("44")
        harness.submit(delivery(cluster=str(number)), delivery(cluster="44"))
        harness.work(0.1)
    assert [cluster_of(request) for request in harness.api.requests].count("44") == len(asked) == 1


def test_retries_of_one_host_are_not_paid_by_another() -> None:
    policy = RetryPolicy(suspect_after=1000, budget_per_s=0.0001)
    harness = known(SenderHarness(by_host(c44=answer(500)), policy=policy, random=lambda: 0.0), "44")
    harness.submit(*(delivery(cluster="44") for _ in range(30)))
    harness.work(0.001)
    harness.api.reply = by_host(c44=answer(500), c=DOWN)
    harness.submit(*(delivery() for _ in range(5)))
    harness.work(0.001)
    retries = [cluster_of(request) for request in harness.api.requests[-15:]]
    assert retries.count("") == 15  # five, and ten that its own budget pays


def test_successes_of_other_hosts_do_not_count_against_a_delivery() -> None:
    harness = known(SenderHarness(by_host(c44=LATE), policy=RetryPolicy(max_isolated_failures=3)), "44")
    harness.submit(delivery("patient", cluster="44"))
    for _ in range(60):
        harness.submit(delivery())
        harness.work(10.0)
    assert (harness.stats.pending, harness.stats.dropped) == (1, {})


# Calls under way


def begin_calls(harness: SenderHarness) -> list[str | None]:
    """Begin as many calls as are allowed at a time; the clusters that they go to."""
    begun = []
    while (taken := harness.queue.dequeue(harness.clock()).entry) is not None:
        begun.append(taken.host)
    return begun


def test_one_host_gets_three_quarters_of_the_calls() -> None:
    harness = known(SenderHarness(), "44")
    harness.submit(*(delivery() for _ in range(50)))
    assert begin_calls(harness) == [None] * 12
    harness.submit(*(delivery(cluster="44") for _ in range(50)))
    assert begin_calls(harness) == ["44"] * 12


def test_hosts_without_any_response_get_one_call_each_and_two_together() -> None:
    harness = SenderHarness()
    harness.submit(*(delivery(cluster=str(number)) for number in range(100, 110) for _ in range(5)))
    assert begin_calls(harness) == ["100", "101"]


def test_host_that_fails_gets_one_call_and_the_own_host_is_always_probed() -> None:
    harness = known(SenderHarness(lambda _: RESET), *(str(number) for number in range(100, 110)))
    clusters = [None, *(str(number) for number in range(100, 110))]
    harness.submit(*(delivery(cluster=cluster) for cluster in clusters for _ in range(9)))
    harness.work(10.0)
    harness.clock.advance(1000.0)
    begun = begin_calls(harness)
    assert len(begun) == len(set(begun)) == 3
    assert None in begun


def test_destinations_take_turns() -> None:
    harness = known(SenderHarness(), "44", "35")
    for cluster in (None, "44", "35"):
        harness.submit(*(delivery(cluster=cluster) for _ in range(3)))
    harness.work()
    assert [cluster_of(request) for request in harness.api.requests] == ["", "44", "35"] * 3


# The queue's limit


def test_backlog_of_a_failing_host_is_evicted_from_a_full_queue() -> None:
    harness = known(SenderHarness(by_host(c44=LATE), limit=100), "44")
    harness.submit(*(delivery(f"dead{number}", cluster="44") for number in range(100)))
    harness.work(5.0)
    assert harness.stats.pending == 100
    assert harness.submit(*(delivery(f"good{number}") for number in range(90))) == [True] * 90
    assert (harness.stats.pending, harness.stats.dropped) == (100, {"queue_full": 90})
    harness.work(0.001)
    assert harness.stats.sent == 90
    emitted = [one for event in harness.events("notification_failed") for one in event["notification_ids"]]
    assert set(emitted) == {f"dead{number}" for number in range(10, 100)}  # the newest
    assert counters_add_up(harness.stats)


def test_failing_host_uses_no_capacity_of_others() -> None:
    harness = known(SenderHarness(by_host(c44=LATE), limit=100), "44")
    harness.submit(*(delivery(cluster="44") for _ in range(10)))
    harness.work(5.0)
    harness.submit(*(delivery() for _ in range(90)))
    assert harness.submit(*(delivery(cluster="44") for _ in range(5))) == [False] * 5
    assert harness.queue.is_reachable()  # enqueues the others
    assert harness.queue._own.held == 90


def test_queues_of_responsive_hosts_share_a_full_queue() -> None:
    harness = known(SenderHarness(limit=100), "44", "35")
    harness.submit(*(delivery() for _ in range(100)))
    harness.submit(*(delivery(cluster="44") for _ in range(100)))
    harness.submit(*(delivery(cluster="35") for _ in range(100)))
    held = sorted(queue.held for queue in harness.queue._queues.values())
    assert held[0] >= 32
    assert sum(held) == 100
    assert counters_add_up(harness.stats)


def test_delivery_in_progress_is_not_evicted() -> None:
    harness = SenderHarness(limit=1)
    harness.submit(delivery(cluster="44"))
    assert begin_calls(harness) == ["44"]
    assert harness.submit(delivery()) == [False]


def test_memory_of_queues_and_hosts_is_bounded() -> None:
    harness = SenderHarness()
    for number in range(1, 1000):
        harness.submit(delivery(cluster=str(number)))
        harness.work(0.001)
    assert harness.stats.sent == 999
    assert len(harness.queue._queues) == 1
    assert len(harness.queue._destinations._by_host) <= 64
