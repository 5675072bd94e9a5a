"""Decisions for data frames of Apache Spark, by `mapInArrow`.

The function that Spark sends to its workers holds the artifact and the options. Each Python worker
compiles the artifact once. Nothing is shuffled. All machines need the extra `targetry[batch]` and
pandas, which PySpark imports for `mapInArrow`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec

from targetry._runtime.lazy_import import importing_extra
from targetry._runtime.validators import warn
from targetry.errors import OptionError

with importing_extra("spark"):
    import pyarrow as pa

    from targetry.batch import ArtifactComparison, Decider, Diff
    from targetry.batch.artifact import ArtifactInput, compiled
    from targetry.batch.diff import PairCounts

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["decide", "diff"]

_COUNTS: Final = pa.schema([pa.field("counts", pa.binary())])


def decide(df: DataFrame, artifact: ArtifactInput, **options: Any) -> DataFrame:
    """Return the decisions for the rows of a data frame.

    A column that the rules read and the data frame lacks is a `TargetryWarning`, or with `strict`
    an error.

    Args:
        df: Columns as of `targetry.batch.Decider`. Those that the rules do not read, and that are
            not kept, are not transferred.
        artifact: As of `Decider`. A file is read here, not on the workers.
        options: Of `Decider`. The result has no column `row`, as rows have no order.

    Raises:
        OptionError: An option or a column is wrong.
        ArtifactError: The artifact cannot be used.
    """
    decider = Decider(artifact, **options)
    names = decider.columns_read(_columns(df))
    numbered = _numbered(df, names)
    schema = _arrow_schema(numbered, names)
    decider.check_columns(schema)
    _warn_of_missing(decider.missing)
    types = dict(zip(names, numbered.schema, strict=True))
    kept = {name: types[name].dataType for name in decider.kept(schema)}
    result = _spark_schema(decider.map_in_arrow_schema(schema), kept)
    return numbered.mapInArrow(_DecideBatches(decider, names), result)


def diff(
    df: DataFrame, before: ArtifactInput, after: ArtifactInput, *, examples: int = 3, **options: Any
) -> Diff:
    """Return what changes for the rows of a data frame if one artifact replaces another.

    Each partition is counted by a worker, and the counts are added here.

    Args:
        df: As of `decide`.
        before: The artifact now.
        after: The artifact then.
        examples: Number of ids that each change has.
        options: Of `Decider`.

    Raises:
        OptionError: An option or a column is wrong.
        ArtifactError: One of the artifacts cannot be used.
    """
    organization_id = options.pop("organization_id", None)
    old, new = (compiled(one, organization_id) for one in (before, after))
    options = {**options, "examples": examples}
    comparison = ArtifactComparison(old, new, **options)
    names = comparison.columns_read(_columns(df))
    numbered = _numbered(df, names)
    comparison.check_columns(_arrow_schema(numbered, names))
    counted = numbered.mapInArrow(_CountPairs((old, new), options, names), "counts binary")
    for row in counted.toLocalIterator():
        part = msgspec.msgpack.decode(bytes(row["counts"]), type=PairCounts)
        comparison.counts.add(part, examples)
    return comparison.diff()


class _DecideBatches:
    """The function for `mapInArrow`, which gets columns with numbers for names."""

    def __init__(self, decider: Decider, names: list[str]) -> None:
        self._decider = decider
        self._names = names

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        return self._decider.map_in_arrow(batch.rename_columns(self._names) for batch in batches)


class _CountPairs:
    """The function for `mapInArrow` that counts the rows of a partition."""

    def __init__(self, artifacts: tuple[Any, Any], options: dict[str, Any], names: list[str]) -> None:
        self._artifacts = artifacts
        self._options = options
        self._names = names

    def __call__(self, batches: Iterator[Any]) -> Iterator[Any]:
        comparison = ArtifactComparison(*self._artifacts, **self._options)
        for batch in batches:
            if batch.num_rows:
                comparison.add(batch.rename_columns(self._names))
        data = msgspec.msgpack.encode(comparison.counts)
        yield pa.RecordBatch.from_arrays([pa.array([data])], schema=_COUNTS)


def _columns(df: DataFrame) -> list[str]:
    if not hasattr(df, "mapInArrow"):
        raise OptionError("df", f"must be a data frame of Spark, not {type(df).__name__}")
    columns: list[str] = df.columns
    return columns


def _numbered(df: DataFrame, names: list[str]) -> DataFrame:
    """Return columns under numbers, as Spark reads names with dots as those of fields."""
    quoted = ("`" + name.replace("`", "``") + "`" for name in names)
    return df.selectExpr(*(f"{name} AS c{number}" for number, name in enumerate(quoted)))


def _arrow_schema(numbered: DataFrame, names: list[str]) -> Any:
    schema = numbered.limit(0).toArrow().schema
    return pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])


def _spark_schema(schema: Any, kept: dict[str, Any]) -> Any:
    """Return the schema of decisions for Spark; `kept` has the types of kept columns."""
    from pyspark.sql.types import StructField, StructType

    return StructType([StructField(one.name, kept.get(one.name) or _spark_type(one.type)) for one in schema])


def _spark_type(kind: Any) -> Any:
    """Return the type of an output for Spark."""
    from pyspark.sql import types

    if pa.types.is_struct(kind):
        fields = [kind.field(place) for place in range(kind.num_fields)]
        return types.StructType([types.StructField(one.name, _spark_type(one.type)) for one in fields])
    if pa.types.is_map(kind):
        return types.MapType(_spark_type(kind.key_type), _spark_type(kind.item_type))
    if pa.types.is_list(kind):
        return types.ArrayType(_spark_type(kind.value_type))
    if pa.types.is_int32(kind):
        return types.IntegerType()
    return types.DoubleType() if pa.types.is_float64(kind) else types.StringType()


def _warn_of_missing(missing: list[str]) -> None:
    if missing:
        warn(f"the data frame lacks columns that rules read: {', '.join(missing)}; add or rename them")
