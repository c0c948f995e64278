"""Hands the published feeds to the key-value store, beside those it serves, and then switches it over in one step."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import Job, JobContext, log
from core.store import StoreError, open_store
from core.table import Table
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.publications import TABLE as PUBLICATIONS
from jobs._publications import Decision, ledger, served
from models.handoff import (
    POPULAR,
    Edition,
    current,
    feed_values,
    parts_written,
    retire,
    segment_field,
    switch,
    write_users,
)

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

alert = logging.getLogger("reelfeed.alert")

WRITTEN_DDL = "part int, users bigint, error array<string>"
LATELY = 30
"""So many decisions back a killed export may have left keys behind."""


def run(ctx: JobContext) -> None:
    """Makes the store of the settings serve the newest publication of the recipe; writes nothing where it does already.

    What a killed run has written is not written again. Raises MissingDataError where nothing was ever published,
    StoreError where the store does not answer: it then goes on serving what it did.
    """
    decisions = ledger(ctx.lake, ctx.recipe.name)
    decision = served(decisions)
    if decision is None:
        raise MissingDataError(
            f"no feeds of recipe {ctx.recipe.name!r} were ever published",
            where="table publications",
            next_step=f"reelfeed run build_feed publish_feeds --ds {ctx.ds}",
        )
    store, edition = open_store(ctx.settings.store), _edition(ctx, decision)
    try:
        before = current(store, ctx.recipe.name)
        if before == edition:
            log.info("export_feeds: edition %s is served already", edition.version)
            return
        done = parts_written(store, edition)
        users, parts = _written(ctx, edition, decision, done)
        switch(store, edition, [*done, *parts], _fallbacks(ctx, decision))
        log.info("export_feeds: %s feeds written, edition %s is served", f"{users:,}", edition.version)
        kept = {edition.version, before.version if before else ""}
        others = [_edition(ctx, row) for row in decisions[-LATELY:] if row["action"] != "withheld"]
        retire(store, [other for other in others if other.version not in kept])
    except StoreError as error:
        alert.error("ALERT owner=%s edition %s is not served yet: %s", JOB.owner, edition.version, error.what)
        raise


def _edition(ctx: JobContext, decision: Decision) -> Edition:
    named = {name: decision[name] for name in ("recipe", "number", "content_hash", "valid_until")}
    serving = ctx.settings.serving
    return Edition(parts=serving.parts, ttl_seconds=serving.ttl_hours * 3600, **named)


def _written(ctx: JobContext, edition: Edition, decision: Decision, done: list[int]) -> tuple[int, list[int]]:
    """Writes all parts of `edition` but those `done`; returns the number of users, and the parts."""
    from pyspark.sql import functions as F

    # Read first: in a process of its own this begins the Spark session, without which there are no columns.
    rows = _rows(ctx, FEEDS, decision)
    feeds = rows.where(~F.pmod("user_id", F.lit(edition.parts)).isin(done))
    told = feed_values(feeds, edition.parts).mapInArrow(writer(ctx.settings.store, edition), WRITTEN_DDL).collect()
    failed = sorted({tuple(row["error"]) for row in told if row["error"]})
    if failed:
        what, where, next_step = failed[0]
        raise StoreError(what, where=where, next_step=next_step)
    return sum(row["users"] for row in told), [row["part"] for row in told]


def writer(where: str, edition: Edition) -> Callable[[Iterator[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """Returns what writes a partition's feeds to the store at `where`: rows of WRITTEN_DDL, an error being one too."""

    def write(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa

        schema = pa.schema([("part", pa.int32()), ("users", pa.int64()), ("error", pa.list_(pa.string()))])
        try:
            for part, users in write_users(open_store(where), edition, batches):
                yield pa.RecordBatch.from_pylist([{"part": part, "users": users, "error": []}], schema)
        except StoreError as error:
            told = [error.what, error.where, error.next_step]
            yield pa.RecordBatch.from_pylist([{"part": -1, "users": 0, "error": told}], schema)

    return write


def _fallbacks(ctx: JobContext, decision: Decision) -> dict[str, list[int]]:
    """Returns the lists for users without a feed, by their field in the store."""
    lists: dict[str, list[int]] = {POPULAR: []}
    for row in _rows(ctx, FALLBACK_FEEDS, decision).orderBy("tier", "segment", "slot").collect():
        field = POPULAR if row["tier"] == POPULAR else segment_field(row["segment"])
        lists.setdefault(field, []).append(row["video_id"])
    return lists


def _rows(ctx: JobContext, table: Table, decision: Decision) -> DataFrame:
    """Returns the recipe's rows of `table` that `decision` names, whatever was published since."""
    version = decision["feeds_version"] if table is FEEDS else decision["fallbacks_version"]
    rows = ctx.lake.read(ctx.spark, table, [decision["feeds_ds"]], version)
    return rows.where(rows["recipe"] == decision["recipe"])


JOB = Job(
    name="export_feeds",
    doc=__doc__,
    owner="feed-ranking",
    reads=(PUBLICATIONS, FEEDS, FALLBACK_FEEDS),
    writes=(),
    run=run,
)
