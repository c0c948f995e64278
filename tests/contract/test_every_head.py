"""What every label promises: it varies, and is made of what users did and of no feature; each head predicts one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from core.settings import ROOT
from core.tables.impressions import TABLE as IMPRESSIONS
from features.catalog import feature_names
from models.heads import HEADS, Head
from models.labels import LABELS, WATCH_PERCENTILE, Label, label_names

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

OUTCOMES = {"watch_ms", *[column.name for column in IMPRESSIONS.columns if column.type == "boolean"]} - {"is_random"}


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_a_label_reads_outcomes_and_no_feature(label: Label) -> None:
    words = set(re.findall(r"[a-z_]+", label.sql))
    columns = {column.name for column in IMPRESSIONS.columns}
    assert words & columns <= OUTCOMES
    assert words & {*OUTCOMES, WATCH_PERCENTILE}
    assert not words & set(feature_names())


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_a_label_says_what_it_means_and_when_it_is_complete(label: Label) -> None:
    assert label.doc.strip().endswith(".")
    assert label.unit
    assert label.maturity_hours > 0
    row = f"| `{label.name}` |"
    assert row in (ROOT / "docs" / "labels.md").read_text("utf-8"), "every label has its row in docs/labels.md"


@pytest.mark.parametrize("label", LABELS, ids=lambda label: label.name)
def test_a_label_is_not_constant_and_keeps_its_bounds(label: Label, spark: SparkSession) -> None:
    outcomes = ", ".join(f"{name if name == 'watch_ms' else f'value > 0 as {name}'}" for name in sorted(OUTCOMES))
    rows = spark.sql(
        f"select {outcomes}, value / 20 as {WATCH_PERCENTILE} "
        "from (select value, value * 1000 as watch_ms from values (0), (1), (20) as t(value))"
    )
    values = {row[0] for row in rows.selectExpr(f"cast({label.sql} as double)").collect()}
    assert len(values) > 1
    assert values <= {0.0, 1.0} if label.kind == "binary" else min(values) >= 0


def test_labels_have_names_of_their_own() -> None:
    assert len(set(label_names())) == len(LABELS)


@pytest.mark.parametrize("head", HEADS, ids=lambda head: head.name)
def test_a_head_predicts_a_label(head: Head) -> None:
    assert head.predicts.name == head.label
    assert head.doc.strip()
    assert (head.kind, head.unit) == (head.predicts.kind, head.predicts.unit)
