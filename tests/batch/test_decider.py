"""Decisions for tables equal those of requests, row by row."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batch.compare import compare
from differential.artifacts import artifact as random_artifact
from differential.suites import SUITES, artifact_names
from differential.suites import artifact as real_artifact
from support.examples import examples

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=examples(150))
@given(SEEDS)
def test_table_gets_what_each_row_gets(seed: int) -> None:
    compare(random_artifact(random.Random(seed)), seed, 30)


@settings(max_examples=examples(20))
@given(SEEDS)
def test_reference_gets_what_each_row_gets(seed: int) -> None:
    compare(random_artifact(random.Random(seed)), seed, 15, exact=True)


@pytest.mark.skipif(not SUITES.is_dir(), reason="the conformance artifacts are not here")
@pytest.mark.parametrize("name", artifact_names())
def test_table_gets_what_each_row_gets_of_conformance_artifacts(name: str) -> None:
    for seed in range(4):
        compare(real_artifact(name), seed, 60)


def test_large_table_gets_what_each_row_gets() -> None:
    """In large tables the columns of texts of single rows are compared, not looked up."""
    compare(random_artifact(random.Random(7)), 7, 2000)
