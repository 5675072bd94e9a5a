"""Locations that the Delivery API has to decide."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from support.cases import each_case
from support.device import artifact, request_for
from targetry.device.remote import remote_dependency
from targetry.device.ruleset import compile_artifact

GLOBAL = "target-global-mbox"
LISTS: dict[str, Any] = {
    "remoteMboxes": ["r1", "both", "r2"],
    "localMboxes": ["l1", "both", "l2"],
    "remoteViews": ["rv1", "bothv", "rv2"],
    "localViews": ["lv1", "bothv", "lv2"],
}
RULES = compile_artifact(artifact(**LISTS))


def mboxes(*names: str | None) -> dict[str, Any]:
    return {"mboxes": [{"name": name} if name is not None else {} for name in names]}


def views(*names: str | None) -> dict[str, Any]:
    return {"views": [{"name": name} if name is not None else {} for name in names]}


CASES: dict[str, tuple[dict[str, Any], list[str], list[str]]] = {
    "nothing": ({}, [], []),
    "local mboxes": ({"execute": mboxes("l1", "l2")}, [], []),
    "remote mboxes": ({"execute": mboxes("r2", "l1", "r1")}, ["r2", "r1"], []),
    "mboxes that are both": ({"execute": mboxes("both")}, ["both"], []),
    "unknown mboxes": ({"execute": mboxes("u2", "l1", "u1")}, ["u2", "u1"], []),
    "prefetched mboxes": ({"prefetch": mboxes("r1", "u")}, ["r1", "u"], []),
    "both modes": (
        {"execute": mboxes("r1", "u"), "prefetch": mboxes("u", "r2", "r1")},
        ["u", "r2", "r1"],
        [],
    ),
    "an mbox asked twice": ({"execute": mboxes("u", "u")}, ["u"], []),
    "mboxes without a name": ({"execute": mboxes(None, "", "r1")}, ["r1"], []),
    "an empty list of mboxes": ({"execute": mboxes()}, [], []),
    "a view's name for an mbox": ({"execute": mboxes("lv1")}, ["lv1"], []),
    "local views": ({"prefetch": views("lv1", "lv2")}, [], []),
    "remote views": ({"prefetch": views("rv2", "lv1", "rv1")}, [], ["rv2", "rv1"]),
    "views that are both": ({"prefetch": views("bothv")}, [], ["bothv"]),
    "unknown views": ({"prefetch": views("uv")}, [], ["uv"]),
    "a view asked twice": ({"prefetch": views("uv", "uv")}, [], ["uv"]),
    "an mbox's name for a view": ({"prefetch": views("l1")}, [], ["l1"]),
    "all views": ({"prefetch": views(None)}, [], ["rv1", "bothv", "rv2"]),
    "all views and some": ({"prefetch": views("uv", None, "rv2", "lv1")}, [], ["rv1", "bothv", "rv2", "uv"]),
    "an empty name is all views": ({"prefetch": views("")}, [], ["rv1", "bothv", "rv2"]),
    "no views": ({"prefetch": {"views": []}}, [], []),
    "mboxes and views": ({"prefetch": views("rv1") | mboxes("r1")}, ["r1"], ["rv1"]),
    "a pageLoad": ({"execute": {"pageLoad": {}}}, [GLOBAL], []),
    "a prefetched pageLoad": ({"prefetch": {"pageLoad": {}}}, [GLOBAL], []),
    "two pageLoads": ({"execute": {"pageLoad": {}}, "prefetch": {"pageLoad": {}}}, [GLOBAL], []),
    "a pageLoad and its mbox": ({"execute": {"pageLoad": {}} | mboxes("u", GLOBAL)}, ["u", GLOBAL], []),
}


@each_case("name", CASES)
def test_remote_and_unknown_locations_are_named_in_request_order(name: str) -> None:
    wire, of_mboxes, of_views = CASES[name]
    needed = remote_dependency(RULES, request_for(**wire))
    assert (needed.mboxes, needed.views) == (of_mboxes, of_views)


@each_case(
    "lists, needed",
    [
        ({"localMboxes": [GLOBAL]}, []),
        ({"localMboxes": [GLOBAL], "remoteMboxes": [GLOBAL]}, [GLOBAL]),
        ({"globalMbox": "mine", "localMboxes": ["mine"]}, []),
        ({"globalMbox": "mine", "localMboxes": [GLOBAL]}, ["mine"]),
        ({"globalMbox": "mine", "localMboxes": ["mine"], "remoteMboxes": [GLOBAL]}, []),
    ],
)
def test_page_load_needs_the_global_mbox_of_the_artifact(lists: dict[str, Any], needed: list[str]) -> None:
    rules = compile_artifact(artifact(**lists))
    for mode in ("execute", "prefetch"):
        wire: dict[str, Any] = {mode: {"pageLoad": {}}}
        assert remote_dependency(rules, request_for(**wire)).mboxes == needed


names = st.sampled_from(["a", "b", "c", "d"])
lists = st.lists(names, max_size=4)


@given(remote=lists, local=lists, executed=lists, prefetched=lists)
def test_bucket_equals_the_reference_formula(remote: Any, local: Any, executed: Any, prefetched: Any) -> None:
    rules = compile_artifact(
        artifact(remoteMboxes=remote, localMboxes=local, remoteViews=remote, localViews=local)
    )
    request = request_for(execute=mboxes(*executed), prefetch=mboxes(*prefetched) | views(*prefetched))
    needed = remote_dependency(rules, request)
    asked_for = set(executed) | set(prefetched)
    assert sorted(needed.mboxes) == sorted((set(remote) & asked_for) | (asked_for - set(local)))
    assert sorted(needed.views) == sorted((set(remote) & set(prefetched)) | (set(prefetched) - set(local)))
