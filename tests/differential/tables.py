"""Comparison of decisions for random tables with those of the Node SDK, row by row.

    PYTHONPATH=tests .venv/bin/python -m differential.tables --seed 1 --rows 10000

Prints the first differences; exits 1 when there is any.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from batch.tables import CLIENT, request_of, table
from differential.artifacts import artifact as random_artifact
from differential.compare import differences, for_node
from differential.engine import Targetry
from differential.node import NodeProgram, missing
from targetry.batch import Decider

ROWS = 50
"""Rows of a table."""
_EXACT = 2**53  # above it the numbers of JavaScript are not exact


def compared(node: NodeProgram, seed: int) -> Iterator[list[str]]:
    """Yield the differences of each row of a random table that Node can be asked about."""
    rng = random.Random(seed)
    document = random_artifact(rng)
    batch, rows, parameters = table(rng, ROWS)
    if "hero_url" in batch.schema.names:  # Node takes it for the referrer too
        batch = batch.drop_columns(["hero_url"])
    mboxes = [*document["rules"]["mboxes"], "unknown"]
    decider = Decider(
        document,
        client=CLIENT,
        mboxes=mboxes,
        property_token_column="token" if "token" in batch.schema.names else None,
        outputs=("options", "reason", "error"),
    )
    found: dict[int, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for one in decider.decide(batch).to_pylist():
        found[one["row"]][one["location"]].append(one)
    engine = Targetry()
    for number, row in enumerate(rows):
        row.pop("hero_url", None)
        mine = found[number]
        if not _is_comparable(row, mine):
            continue
        question = {
            "artifact": document,
            "request": {"requestId": "r"} | _given(request_of(row, parameters, mboxes, False, (), "execute")),
            "sessionId": "s",
            "now": row["time"],
            "conf": {"client": CLIENT},
        }
        theirs, ours = node.ask(for_node(question)), engine.ask(question)
        ours["sent"] = theirs["sent"]  # a table reports no impressions
        given = {
            name: iter([one["options"] for one in matches if one["options"] is not None])
            for name, matches in mine.items()
        }
        for mbox in ours["response"]["execute"]["mboxes"]:  # one for each match of the global mbox
            mbox.pop("options", None)
            text = next(given[mboxes[mbox["index"]]], None)
            if text is not None:
                mbox["options"] = json.loads(text)
        yield [*differences(question, theirs, ours), *(name for name in given if next(given[name], None))]


def _is_comparable(row: dict[str, Any], mine: dict[str, list[Any]]) -> bool:
    """Return whether the row is a request that Node has no other limits or numbers for."""
    if any(one["error"] is not None for found in mine.values() for one in found):
        return False
    if (row.get("tnt_id") or "").startswith("."):  # Node reports an id that is empty in buckets
        return False
    ids = (row.get("tnt_id") or "").partition(".")[0], row.get("marketing_cloud_visitor_id")
    return any((*ids, row.get("third_party_id"))) and not any(
        type(value) is int and abs(value) > _EXACT for value in row.values()
    )


def _given(tree: Any) -> Any:
    """Return a document without null and empty ids, which Node reports as they are."""
    if isinstance(tree, dict):
        return {
            key: _given(value)
            for key, value in tree.items()
            if value is not None and not (value == "" and key.endswith("Id"))
        }
    return [_given(one) for one in tree] if isinstance(tree, list) else tree


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=10_000)
    chosen = parser.parse_args(arguments)
    if reason := missing("decide.cjs"):
        sys.exit(reason)
    rows = different = 0
    seed = chosen.seed
    with NodeProgram("decide.cjs") as node:
        while rows < chosen.rows:
            for found in compared(node, seed):
                rows += 1
                if found:
                    different += 1
                    if different <= 5:
                        sys.stdout.write(f"table {seed}: {found[0][:400]}\n")
            seed += 1
    sys.stdout.write(f"{rows} rows of {seed - chosen.seed} tables, {different} differ\n")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
