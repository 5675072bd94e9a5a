"""Conditions over columns: kernels, classes, budgets, and where the scalar engine decides."""

from __future__ import annotations

import platform
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pytest

from batch.tables import CLIENT
from support.cases import each_case
from support.device import NOW_MS, mboxes_of, rule, window
from targetry.batch import Decider
from targetry.device.ruleset import compile_artifact

NOW = datetime.fromtimestamp(NOW_MS / 1000, UTC)
PLAN, LOWER = {"var": "mbox.plan"}, {"var": "mbox.plan_lc"}
MANY = 1200  # rows, from which on the share of distinct values is estimated


def decider(*rules: dict[str, Any], **options: Any) -> Decider:
    outputs = options.pop("outputs", ("rule", "reason"))
    return Decider(mboxes_of(*rules), client=CLIENT, mboxes=["hero"], as_of=NOW, outputs=outputs, **options)


def table(count: int, **columns: list[Any]) -> Any:
    ids = {"tnt_id": [f"visitor-{number}" for number in range(count)]}
    return pa.record_batch({**ids, **{name.replace("__", "."): of for name, of in columns.items()}})


def both(condition: Any, batch: Any, **options: Any) -> tuple[list[Any], Decider]:
    """Return where a condition holds; the scalar engine must give the same."""
    mine = decider(rule(1, condition), **options)
    found = mine.decide(batch)["reason"].to_pylist()
    assert found == decider(rule(1, condition), exact=True, **options).decide(batch)["reason"].to_pylist()
    return found, mine


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_batches_reuse_the_memory_of_the_batches_before() -> None:
    """Mapping pages again for each batch took a fifth of its time."""
    resource = pytest.importorskip("resource")
    batch = table(32_768, mbox__plan=["gold", "silver"] * 16_384)
    mine = Decider(
        mboxes_of(rule(1, {"==": [PLAN, "gold"]})), client=CLIENT, mboxes=["hero", "a", "b", "c"], as_of=NOW
    )

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        mine.decide(batch)
        return int(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)

    assert min(faults() for _ in range(5)) < 300


ODD_TEXTS = ["İ", "ß", "ΑΣ", "ΑΣ Α", "K", "ﬁ", None, "", "GOLD", "gold", "\U00010400", "a\0b"]
CONDITIONS = {
    "equal": {"==": [PLAN, "gold"]},
    "unequal": {"!=": ["gold", PLAN]},
    "strictly equal": {"===": [PLAN, "gold"]},
    "strictly unequal": {"!==": [PLAN, "gold"]},
    "equal to an empty text": {"==": [PLAN, ""]},
    "contains": {"in": ["o", PLAN]},
    "contains beyond ASCII": {"in": ["Σ", PLAN]},
    "one of": {"in": [PLAN, ["gold", "x-7", "ß"]]},
    "one of none": {"in": [PLAN, []]},
    "lower equal": {"==": [LOWER, "gold"]},
    "lower beyond ASCII": {"==": [LOWER, "i̇"]},
    "lower of a final sigma": {"==": [LOWER, "ας"]},
    "lower contains": {"in": ["σ", LOWER]},
    "lower one of": {"in": [LOWER, ["gold", "ß", "ﬁ"]]},
    "part of a literal": {"in": [PLAN, "the gold plan"]},
    "starts with": {"==": [{"substr": [PLAN, 0, 2]}, "go"]},
    "not": {"!": [{"==": [LOWER, "gold"]}]},
}


@pytest.mark.parametrize("distinct", [0, MANY], ids=["few", "many"])
@pytest.mark.parametrize("texts", [ODD_TEXTS, ["GOLD", "gold", None, ""]], ids=["any", "ASCII"])
@pytest.mark.parametrize("condition", CONDITIONS.values(), ids=CONDITIONS)
def test_text_of_each_row_gets_the_answer_of_the_scalar_engine(
    condition: Any, texts: list[Any], distinct: int
) -> None:
    values = [f"x-{number}" for number in range(distinct)] + texts
    both(condition, table(len(values), mbox__plan=values))


def test_condition_on_distinct_ascii_texts_is_not_asked_for_each() -> None:
    values = [f"GOLD {number}" for number in range(MANY)]
    _, mine = both({"in": ["gold 7", LOWER]}, table(MANY, mbox__plan=values))
    assert mine.stats.evaluations < 10


def test_texts_of_a_column_are_asked_for_only_if_it_is_often_compared() -> None:
    values = ["gold", "silver", "bronze", None] * 5
    asked = []
    for comparisons in (4, 6):
        mine = decider(*(rule(n + 1, {"==": [PLAN, f"none {n}"]}) for n in range(comparisons)))
        mine.decide(table(len(values), mbox__plan=values))
        asked.append(mine.stats.evaluations)
    assert asked == [4, 4 + 2 * 4], "null alone, then each of the distinct texts"


PAGES = {
    "path": {"==": [{"var": "page.path"}, "/a"]},
    "domain": {"==": [{"var": "page.domain"}, "shop.example"]},
    "query": {"in": ["q=7", {"var": "page.query"}]},
    "url": {"in": ["?q=7", {"var": "page.url"}]},
    "path and query": {"==": [{"cat": [{"var": "page.path"}, {"var": "page.query"}]}, "/aq=7"]},
    "fragment": {"==": [{"var": "page.fragment"}, "?q"]},
}


@pytest.mark.parametrize("condition", PAGES.values(), ids=PAGES)
def test_distinct_urls_get_the_answer_of_the_scalar_engine(condition: Any) -> None:
    urls = [f"https://shop.example/{'ab'[number % 2]}?q={number}" for number in range(MANY)]
    odd = ["https://shop.example/a#?q", "https://shop.example/a?b#c?d#e", None, "", "a#b"]
    both(condition, table(MANY + len(odd), url=urls + odd))


@pytest.mark.parametrize("kind", [pa.string_view(), pa.large_string()], ids=str)
def test_distinct_urls_of_any_layout_are_read(kind: Any) -> None:
    urls = [f"https://shop.example/a?q={number}" for number in range(MANY)]
    batch = table(MANY, url=urls)
    batch = batch.set_column(1, "url", batch["url"].cast(kind))
    found, _ = both(PAGES["path"], batch)
    assert set(found) == {"matched"}


def test_distinct_urls_are_parsed_once_for_each_path() -> None:
    urls = [f"https://shop.example/{number % 5}?q={number}" for number in range(MANY)]
    _, mine = both({"==": [{"var": "page.path"}, "/3"]}, table(MANY, url=urls))
    assert mine.stats.evaluations < 10


NUMBERS = [-1.5, -0.0, 0.0, 5e-324, 1.0, 2.0, 2.5, 3.0, 1e300, None]


@each_case("operator", ["<", "<=", ">", ">=", "==", "!=", "===", "!=="])
@each_case("operands", [[1, {"var": "mbox.n"}], [{"var": "mbox.n"}, 2.5], [0, {"var": "mbox.n"}, 2]])
def test_number_of_each_row_gets_the_answer_of_the_scalar_engine(operator: str, operands: Any) -> None:
    both({operator: operands}, table(len(NUMBERS), mbox__n=NUMBERS))
    integers = [1, 2, 3, 0, -(2**62), 2**62, None]
    both({operator: operands}, table(len(integers), mbox__n=integers))


def test_distinct_numbers_are_asked_once_for_each_interval() -> None:
    _, mine = both({"<": [10, {"var": "mbox.n"}, 20]}, table(500, mbox__n=[float(n) for n in range(500)]))
    assert mine.stats.evaluations <= 5


def test_every_time_is_asked_once_for_each_interval() -> None:
    condition = {
        "and": [{"<=": ["0800", {"var": "current_time"}, "0900"]}, {"==": [{"var": "current_day"}, 4]}]
    }
    times = [NOW_MS + 7_919 * number for number in range(3000)]
    batch = table(3000, time_ms=times)
    outputs = [
        Decider(mboxes_of(rule(1, condition)), client=CLIENT, mboxes=["hero"], exact=exact).decide(batch)[
            "reason"
        ]
        for exact in (False, True)
    ]
    assert outputs[0] == outputs[1]
    assert len(outputs[0].unique()) == 2


def test_error_of_a_condition_is_counted_and_skips_the_rule() -> None:
    many = list(range(1000))
    failing = {"==": [{"missing_some": [1]}, PLAN]}
    broken = {"and": [{"==": [PLAN, "a"]}, {"some": [many, {"some": [many, {"==": [1, 2]}]}]}]}
    for condition in (failing, broken):
        batch = table(4, mbox__plan=["a", "b", "a", None])
        mine = decider(rule(1, condition), rule(2))
        assert mine.decide(batch)["rule"].to_pylist() == [1] * 4
        assert sum(mine.stats.problems.values()) >= 2, mine.stats


def test_work_of_all_conditions_of_a_location_is_limited_as_online() -> None:
    """A request ends its budget within a location; alone, each condition would be in it."""
    many = list(range(200))
    rules = [rule(n, {"some": [many, {"some": [many, {"==": [n, PLAN]}]}]}) for n in (1, 2)]
    last = rule(99, {"in": [PLAN, ["gold"]]})
    batch = table(1, mbox__plan=["gold"])
    mine = decider(*rules, last)
    found = mine.decide(batch)["rule"].to_pylist()
    assert found == decider(*rules, last, exact=True).decide(batch)["rule"].to_pylist()
    assert found == [None], "the budget ends before the last rule"
    assert mine.stats.rows_by_scalar_engine == 1
    assert decider(rules[0], last).decide(batch)["rule"].to_pylist() == [1]


SCALAR = {
    "allocation in an expression": {"<": [{"+": [{"var": "allocation"}, 1]}, 51]},
    "computed path": {"==": [{"var": {"cat": ["mbox.", "plan"]}}, "gold"]},
    "missing": {"missing": ["mbox.plan"]},
}


@pytest.mark.parametrize("condition", SCALAR.values(), ids=SCALAR)
def test_condition_that_reads_anything_is_decided_one_by_one(condition: Any) -> None:
    _, mine = both(condition, table(20, mbox__plan=["gold", None] * 10))
    assert mine.stats.rows_by_scalar_engine == 20


def test_reference_decides_each_row_by_the_scalar_engine() -> None:
    batch = pa.record_batch({"tnt_id": ["a", "b", "c"], "mbox.plan": ["gold", "silver", "none"]})
    for exact, rows in ((False, 0), (True, 3)):
        mine = decider(rule(1, {"==": [PLAN, "gold"]}), exact=exact)
        mine.decide(batch)
        assert mine.stats.rows_by_scalar_engine == rows


@pytest.mark.parametrize("exact", [False, True])
def test_visitor_without_id_gets_what_does_not_split(exact: bool) -> None:
    rules = [
        rule(1, {"and": [window(0, 50), {"==": [PLAN, "gold"]}]}),
        rule(2, {"==": [PLAN, "gold"]}),
        rule(3, {"==": [PLAN, "silver"]}),
    ]
    batch = pa.record_batch({"tnt_id": [None, "", ".28_0"], "mbox.plan": ["gold", "silver", "none"]})
    found = decider(*rules, exact=exact).decide(batch)
    assert found["rule"].to_pylist() == [None, 2, None]
    assert found["reason"].to_pylist() == ["no_visitor_id", "matched", "no_match"]


def test_rules_of_a_property_are_those_of_the_row() -> None:
    rules = [rule(1, propertyTokens=["a"]), rule(2, propertyTokens=["b"]), rule(3)]
    batch = table(5, token=["a", "b", "c", None, ""])
    found = decider(*rules, property_token_column="token").decide(batch)["rule"].to_pylist()
    assert found == [0, 1, 2, 2, 2]
    found = decider(*rules, property_token="b").decide(batch)["rule"].to_pylist()
    assert found == [1] * 5


def test_position_of_a_rule_counts_unusable_ones() -> None:
    found = decider(rule(1, {"nope": []}), rule(2)).decide(table(1))
    assert found["rule"].to_pylist() == [1]
    assert found["reason"].to_pylist() == ["remote"], "the location has rules that only the server can decide"


def test_location_of_the_server_is_remote_and_an_unknown_one_unknown() -> None:
    document = mboxes_of(rule(1), remoteMboxes=["far"])
    made = Decider(document, client=CLIENT, mboxes=["hero", "far", "nope"], outputs=("reason",))
    assert made.decide(table(1))["reason"].to_pylist() == ["matched", "remote", "unknown_location"]


def test_compiled_rules_are_accepted() -> None:
    made = Decider(compile_artifact(mboxes_of(rule(1))), client=CLIENT, mboxes=["hero"])
    assert made.decide(table(1))["activity_id"].to_pylist() == ["1"]
