"""Directory of edge clusters: trials, failures and bounds."""

from __future__ import annotations

import pytest

from support.background_fakes import Clock
from targetry.delivery.clusters import ClusterDirectory
from targetry.errors import ApiException

FAILURES = 3  # in a row, of a cluster that is known


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clusters(clock: Clock) -> ClusterDirectory:
    return ClusterDirectory(clock)


def fail(clusters: ClusterDirectory, cluster: str, times: int = 1, *, unreachable: bool = True) -> None:
    for _ in range(times):
        clusters.record_failure(cluster, unreachable=unreachable)


def test_no_cluster_means_the_own_host(clusters: ClusterDirectory) -> None:
    assert clusters.choose(None) is None


def test_unknown_cluster_is_tried_until_its_first_failure(clusters: ClusterDirectory) -> None:
    assert [clusters.choose("35"), clusters.choose("35")] == ["35", "35"]
    fail(clusters, "35")
    assert clusters.choose("35") is None


def test_unknown_cluster_that_does_not_respond_is_avoided(clusters: ClusterDirectory) -> None:
    clusters.choose("35")
    fail(clusters, "35", unreachable=False)
    assert clusters.choose("35") is None


def test_unknown_cluster_is_tried_again_after_five_minutes(clusters: ClusterDirectory, clock: Clock) -> None:
    clusters.choose("35")
    fail(clusters, "35")
    clock.advance(299)
    assert clusters.choose("35") is None
    clock.advance(1)
    assert clusters.choose("35") == "35"


@pytest.mark.parametrize("fails", [True, False], ids=["fails", "silent"])
def test_few_unknown_clusters_are_tried_at_a_time(
    clusters: ClusterDirectory, clock: Clock, fails: bool
) -> None:
    tried = set()
    for number in range(1, 1000):
        if (cluster := clusters.choose(str(number))) is not None:
            tried.add(cluster)
            if fails:
                fail(clusters, cluster)
    assert len(tried) == 16
    clock.advance(300)
    assert clusters.choose("999") == "999"


def test_known_cluster_is_used_while_many_unknown_ones_are_named(clusters: ClusterDirectory) -> None:
    clusters.choose("35")
    clusters.record_response("35")
    for number in range(100, 200):
        clusters.choose(str(number))
    assert clusters.is_known("35")
    assert clusters.choose("35") == "35"


def test_cluster_named_by_the_service_needs_no_trial(clusters: ClusterDirectory) -> None:
    for number in range(100, 200):
        clusters.choose(str(number))
    clusters.add("35")
    assert clusters.choose("35") == "35"


def test_known_cluster_is_avoided_after_three_failures_in_a_row(clusters: ClusterDirectory) -> None:
    clusters.add("35")
    for _ in range(5):
        fail(clusters, "35", FAILURES - 1)
        clusters.record_response("35")
    assert clusters.choose("35") == "35"
    fail(clusters, "35", FAILURES)
    assert clusters.choose("35") is None
    assert clusters.is_known("35")


def test_known_cluster_that_is_slow_is_used_again(clusters: ClusterDirectory) -> None:
    clusters.add("35")
    fail(clusters, "35", 10, unreachable=False)
    assert clusters.choose("35") == "35"


def test_avoided_known_cluster_is_used_after_a_minute(clusters: ClusterDirectory, clock: Clock) -> None:
    clusters.add("35")
    fail(clusters, "35", FAILURES)
    clock.advance(60)
    assert clusters.choose("35") == "35"
    fail(clusters, "35")
    assert clusters.choose("35") is None
    clock.advance(60)
    clusters.choose("35")
    clusters.record_response("35")
    fail(clusters, "35")
    assert clusters.choose("35") == "35"


def test_memory_is_bounded_when_every_cluster_responds(clusters: ClusterDirectory, clock: Clock) -> None:
    for number in range(1, 1000):
        clusters.choose(str(number))
        clusters.record_response(str(number))
    known = [number for number in range(1, 1000) if clusters.is_known(str(number))]
    assert known == list(range(968, 1000))
    assert len(clusters._trials) == 0


@pytest.mark.parametrize(
    ("error", "is_known", "is_repeated", "is_used_again"),
    [
        pytest.param(ApiException(400), False, False, True, id="answer of the API"),
        pytest.param(ApiException(404), False, True, False, id="not a cluster"),
        pytest.param(ApiException(404), True, False, True, id="known, not found"),
        pytest.param(ApiException(501), False, False, False, id="answer of another host"),
        pytest.param(ApiException(502), True, True, True, id="known, bad gateway"),
        pytest.param(ValueError(), True, False, True, id="known, another error"),
    ],
)
def test_error_of_a_cluster_decides_about_it_and_the_request(
    clusters: ClusterDirectory, error: Exception, is_known: bool, is_repeated: bool, is_used_again: bool
) -> None:
    if is_known:
        clusters.record_response("35")
    assert clusters.choose("35") == "35"
    assert clusters.record_error("35", error) is is_repeated
    assert clusters.choose("35") == ("35" if is_used_again else None)
