"""What every ranking head promises: a label that varies, made of what users did and of no feature."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import feature_names
from models.heads import HEADS, Head

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OUTCOMES = {"watch_ms", *[column.name for column in IMPRESSIONS.columns if column.type == "boolean"]} - {"is_random"}


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_reads_outcomes_and_no_feature(head: Head) -> None:
    words = set(re.findall(r"[a-z_]+", head.label))
    columns = {column.name for column in IMPRESSIONS.columns}
    assert words & columns <= OUTCOMES
    assert not words & set(feature_names())
    assert head.doc.strip()


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_its_label_is_not_constant(head: Head, spark: SparkSession) -> None:
    outcomes = ", ".join(f"{name if name == 'watch_ms' else f'value > 0 as {name}'}" for name in sorted(OUTCOMES))
    rows = spark.sql(
        f"select {outcomes} from (select value, value * 1000 as watch_ms from values (0), (1), (20) as t(value))"
    )
    values = {row[0] for row in rows.selectExpr(f"cast({head.label} as double)").collect()}
    assert len(values) > 1
