"""Random tables of visitors, and their decisions one by one."""

from __future__ import annotations

import random
from typing import Any

import msgspec
import pyarrow as pa

from differential.artifacts import CLOCKS, NUMBERS, PARAMETERS, PROPERTIES, TEXTS
from differential.cases import BRAND_HINTS, PLATFORM_HINTS, URLS, USER_AGENTS
from targetry.device.decide import Match, decide
from targetry.device.ruleset import RuleSet
from targetry.models.snapshot import ConstraintError, snapshot

CLIENT = "acme"
Row = dict[str, Any]
Answer = list[tuple[Any, ...]]

_ALL_TEXTS = [text for text in TEXTS if "\ud83d" not in text]
_MORE_TEXTS = [*_ALL_TEXTS, "GOLD", "aΣ", "ΣΑ Σ", "İ", "ß", "\U00010400", "\u00a042", "-Infinity", "x" * 5001]
_SHORT_TEXTS = [text for text in _MORE_TEXTS if len(text) < 100]
_IDS = [
    "338e3c1e51f7416a8e1ccba4f81acea0",
    "338e.28_0",
    "\U0001f600x",
    "größe",
    "a.b.c",
    ".x",
    "",
    None,
    "x" * 129,
]
_LETTERS = ["SAN FRANCISCO", "sanfrancisco", "ZÜRICH", "Zürich", "İzmir", "straße", "", None]
_POOLS: dict[str, list[Any]] = {
    "marketing_cloud_visitor_id": [None, "", "07327024324407615852294135870030620007", "größe"],
    "third_party_id": [None, "", "third.party.7", "third"],
    "user_agent": [*USER_AGENTS, None],
    "client_hints.platform": [*PLATFORM_HINTS, None],
    "client_hints.browser_ua_with_full_version": [*BRAND_HINTS, None],
    "client_hints.browser_ua_with_major_version": [*BRAND_HINTS, None],
    "url": [*URLS, None],
    "referring_url": [*URLS, None],
    "country_code": ["US", "us", "FR", None],
    "state_code": ["CA", "ca", "CAL", None],
    "city": _LETTERS,
    "hero_url": [*URLS, None],
    "token": [*PROPERTIES, "unknown", "", None],
}
_LARGE = 1024  # rows, from which on columns are searched for texts of single rows
_OPTIONAL = [name for name in _POOLS if name not in ("url", "user_agent")]


def table(rng: random.Random, count: int) -> tuple[Any, list[Row], list[str]]:
    """Return a record batch of any layout, its rows, and the names of its parameters in order."""
    names = ["url", "user_agent", *rng.sample(_OPTIONAL, rng.randint(0, len(_OPTIONAL)))]
    columns: dict[str, list[Any]] = {name: rng.choices(_POOLS[name], k=count) for name in names}
    if count >= _LARGE:
        _make_distinct(rng, columns)
    columns["tnt_id"] = [
        rng.choice(_IDS) if rng.random() < 0.3 else f"{rng.getrandbits(64):x}" for _ in range(count)
    ]
    types: dict[str, Any] = {}
    for name in ("latitude", "longitude"):
        if rng.random() < 0.6:
            columns[name] = rng.choices([37.74, 0.0, -10.5, 37, -122.24, None, float("inf")], k=count)
            types[name] = pa.float64()
    columns["time"], types["time"] = _times(rng, count)
    parameters = rng.sample(PARAMETERS, rng.randint(0, 6))
    for name in parameters:
        columns[f"mbox.{name}"], types[f"mbox.{name}"] = _values(rng, count)
    order = list(columns)
    rng.shuffle(order)
    arrays = []
    for name in order:
        kind = types.get(name, pa.string())
        array = pa.array(columns[name], kind)
        if pa.types.is_string(kind):
            array = _any_layout(rng, array)
        arrays.append(array)
    batch = pa.RecordBatch.from_arrays(arrays, names=order)
    first = rng.randint(0, count // 3) if rng.random() < 0.3 else 0
    rows = [{name: columns[name][row] for name in order} for row in range(first, count)]
    for row, moment in zip(rows, batch.column("time").slice(first).cast(pa.int64()).to_pylist(), strict=True):
        row["time"] = None if moment is None else _milliseconds(moment, types["time"])
    return batch.slice(first), rows, [name[5:] for name in order if name.startswith("mbox.")]


def _make_distinct(rng: random.Random, columns: dict[str, list[Any]]) -> None:
    """Give many rows a URL of their own, in some of the columns."""
    for name in ("url", "hero_url", "referring_url"):
        if name in columns and rng.random() < 0.5:
            columns[name] = [
                f"{url}{rng.choice('?#&/')}{row}" if url and row % 2 else url
                for row, url in enumerate(columns[name])
            ]


def _times(rng: random.Random, count: int) -> tuple[list[Any], Any]:
    moments = [
        rng.choice(CLOCKS) if rng.random() < 0.5 else rng.randint(1_500_000_000_000, 1_900_000_000_000)
        for _ in range(count)
    ]
    kind = rng.choice(
        [pa.timestamp(u, z) for u in ("s", "ms", "us", "ns") for z in (None, "UTC", "Asia/Kolkata")]
    )
    if rng.random() < 0.2:
        kind = pa.int64()
        values: list[Any] = moments
    else:
        scale = {"s": 1000, "ms": 1, "us": -1000, "ns": -1_000_000}[kind.unit]
        values = [m // scale if scale > 0 else m * -scale + rng.randint(0, -scale - 1) for m in moments]
    return [None if rng.random() < 0.02 else value for value in values], kind


def _milliseconds(value: int, kind: Any) -> int:
    if pa.types.is_int64(kind):
        return value
    return {"s": value * 1000, "ms": value, "us": value // 1000, "ns": value // 1_000_000}[kind.unit]


def _values(rng: random.Random, count: int) -> tuple[list[Any], Any]:
    kind = rng.choice((pa.string(), pa.string(), pa.string(), pa.int64(), pa.float64(), pa.bool_()))
    if pa.types.is_string(kind):
        pool: list[Any] = [*_MORE_TEXTS, None]
    elif pa.types.is_boolean(kind):
        pool = [True, False, None]
    elif pa.types.is_integer(kind):
        pool = [*(n for n in NUMBERS if isinstance(n, int)), 2**53 + 1, -(2**62), 7, None]
    else:
        pool = [*map(float, NUMBERS), -0.0, 5e-324, 1.5, None, float("nan"), float("-inf")]
        if rng.random() < 0.7:
            pool = pool[:-2]
    values = rng.choices(pool, k=count)
    if count >= _LARGE and pa.types.is_string(kind) and rng.random() < 0.5:
        values = [f"{rng.choice(_SHORT_TEXTS)}{n}" if n % 2 else value for n, value in enumerate(values)]
    return values, kind


def _any_layout(rng: random.Random, array: Any) -> Any:
    kind = rng.choice(("string", "string", "large", "view", "dictionary", "large dictionary"))
    if kind == "large":
        return array.cast(pa.large_string())
    if kind == "view":
        return array.cast(pa.string_view())
    if kind == "dictionary":
        return array.dictionary_encode()
    if kind == "large dictionary":
        known = array.dictionary_encode()
        more = pa.concat_arrays([known.dictionary, pa.array([f"unused {i}" for i in range(300)])])
        return pa.DictionaryArray.from_arrays(known.indices, more)
    return array


def request_of(
    row: Row, parameters: list[str], mboxes: list[str], page_load: bool, views: Any, mode: str
) -> Any:
    """Return the request that a row stands for, as a document."""
    given = {name: row[f"mbox.{name}"] for name in parameters if row[f"mbox.{name}"] is not None}
    details: dict[str, Any] = {"parameters": given} if given else {}
    hero = {"address": {"url": row["hero_url"]}} if row.get("hero_url") is not None else {}
    found: dict[str, Any] = {
        "mboxes": [
            {"index": index, "name": name, **details, **(hero if name == "hero" else {})}
            for index, name in enumerate(mboxes)
        ]
    }
    if page_load:
        found["pageLoad"] = details
    viewed: list[Any] = (
        [{"name": name, **details} for name in (views or ())] if views is not True else [details]
    )
    parts: dict[str, Any] = {mode: found}
    if viewed:
        parts.setdefault("prefetch", {})["views"] = viewed
    geo = {
        wire: row[name]
        for wire, name in (
            ("countryCode", "country_code"),
            ("stateCode", "state_code"),
            ("city", "city"),
            ("latitude", "latitude"),
            ("longitude", "longitude"),
        )
        if row.get(name) is not None
    }
    hints = {
        "platform": row.get("client_hints.platform"),
        "browserUAWithFullVersion": row.get("client_hints.browser_ua_with_full_version"),
        "browserUAWithMajorVersion": row.get("client_hints.browser_ua_with_major_version"),
    }
    request: dict[str, Any] = {
        "id": {
            "tntId": row.get("tnt_id"),
            "marketingCloudVisitorId": row.get("marketing_cloud_visitor_id"),
            "thirdPartyId": row.get("third_party_id"),
        },
        "context": {
            "channel": "web",
            "address": {"url": row["url"], "referringUrl": row.get("referring_url")},
            "userAgent": row["user_agent"],
            "clientHints": hints,
            **({"geo": geo} if geo else {}),
        },
        **parts,
    }
    if row.get("token"):
        request["property"] = {"token": row["token"]}
    return request


def answer_of(rules: RuleSet, row: Row, *more: Any) -> Answer | str | None:
    """Return the matches of a row by `decide`, the error of its request, or None without an id.

    Matches are tuples of location, position of the rule, and JSON of the options.
    """
    document = request_of(row, *more)
    try:
        request = snapshot(document, wire=False)
    except ConstraintError as error:
        return str(error)
    if row["time"] is None:
        return "time"
    visitor = document["id"]
    tnt = (visitor["tntId"] or "").partition(".")[0]
    if not (tnt or visitor["marketingCloudVisitorId"] or visitor["thirdPartyId"]):
        return None
    matches: list[Match] = []
    decide(rules, request, CLIENT, row["time"], lambda: "id", matches=matches)
    return [
        (one.location, one.rule.key, msgspec.json.encode(one.options).decode())
        for one in matches
        if one.rule is not None
    ]
