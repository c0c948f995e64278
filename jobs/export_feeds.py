"""Hands the published feeds to the key-value store, beside those it serves, and then switches it over in one step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from core.job import Job, JobContext, alert, log
from core.store import StoreError, open_store
from core.tables.fallback_feeds import TABLE as FALLBACK_FEEDS
from core.tables.feeds import TABLE as FEEDS
from core.tables.publications import TABLE as PUBLICATIONS
from core.tables.videos import TABLE as VIDEOS
from jobs._publications import Decision, ledger, to_serve
from models.handoff import (
    NIGHT,
    POPULAR,
    Edition,
    current,
    feed_values,
    parts_written,
    renew,
    retire,
    segment_field,
    switch,
    withdraw,
    withdrawn,
    write_users,
)

if TYPE_CHECKING:
    import pyarrow
    from pyspark.sql import DataFrame

WRITTEN_DDL = "part int, users bigint, error array<string>"
LATELY = 30
"""So many decisions back a killed export may have left keys behind."""


def run(ctx: JobContext) -> None:
    """Makes the store of the settings serve the newest publication of the recipe; writes nothing where it does already.

    What the store still has of it, of a killed run or an earlier publication, is not written again. Videos of it that
    were withdrawn since are named to readers. Raises MissingDataError where nothing was ever published, StoreError
    where the store does not answer: it then goes on serving what it did.
    """
    decisions = ledger(ctx.lake, ctx.recipe.name)
    decision = to_serve(decisions, ctx.recipe.name, ctx.ds)
    store, edition = open_store(ctx.settings.store), edition_of(ctx, decision)
    gone = _gone(ctx, decision)
    if gone:
        told = f"{len(gone):,} of its videos may not be shown any more, {min(gone)} among them: readers leave them out"
        alert.error("ALERT owner=%s edition %s: %s", JOB.owner, edition.version, told)
    try:
        before = current(store, ctx.recipe.name)
        if before == edition:
            withdraw(store, ctx.recipe.name, gone)
            log.info("export_feeds: edition %s is served already", edition.version)
            return
        # Of both, as long as readers may see either.
        withdraw(store, ctx.recipe.name, gone | withdrawn(store, ctx.recipe.name))
        there = parts_written(store, edition)
        renew(store, edition, there)
        # All of them: a rollback to feeds that the store still holds, which so takes no Spark.
        users, parts = (0, []) if len(there) == edition.parts else _written(ctx, edition, decision, there)
        switch(store, edition, [*there, *parts], _fallbacks(ctx, decision))
        withdraw(store, ctx.recipe.name, gone)
        log.info("export_feeds: %s feeds written, edition %s is served", f"{users:,}", edition.version)
        kept = {edition.version, before.version if before else ""}
        others = [edition_of(ctx, row) for row in decisions[-LATELY:] if row["action"] != "withheld"]
        retire(store, [other for other in others if other.version not in kept])
    except StoreError as error:
        alert.error("ALERT owner=%s edition %s is not served yet: %s", JOB.owner, edition.version, error.what)
        raise


def edition_of(ctx: JobContext, decision: Decision) -> Edition:
    """Returns the publication of `decision` as it lies in the store of the settings."""
    named = {name: decision[name] for name in ("recipe", "content_hash", "valid_until")}
    serving = ctx.settings.serving
    return Edition(number=decision["origin"], parts=serving.parts, ttl_seconds=serving.ttl_hours * 3600, **named)


def _written(ctx: JobContext, edition: Edition, decision: Decision, done: list[int]) -> tuple[int, list[int]]:
    """Writes all parts of `edition` but those `done`; returns the number of users, and the parts."""
    from pyspark.sql import functions as F

    # Read first: in a process of its own this begins the Spark session, without which there are no columns.
    rows = ctx.lake.read(ctx.spark, FEEDS, [decision["feeds_ds"]], decision["feeds_version"])
    missing = ~F.pmod("user_id", F.lit(edition.parts)).isin(done)
    return written(ctx, edition, rows.where((F.col("recipe") == decision["recipe"]) & missing))


def written(ctx: JobContext, edition: Edition, feeds: DataFrame, hour: int = NIGHT) -> tuple[int, list[int]]:
    """Writes `feeds` (user_id, slot, video_id), the night's or those of an hour, into the store beside `edition`.

    Returns the number of users, and the parts written. Raises StoreError where the store does not answer.
    """
    values = feed_values(feeds, edition.parts, hour)
    told = values.mapInArrow(writer(ctx.settings.store, edition, hour), WRITTEN_DDL).collect()
    failed = sorted({tuple(row["error"]) for row in told if row["error"]})
    if failed:
        what, where, next_step = failed[0]
        raise StoreError(what, where=where, next_step=next_step)
    return sum(row["users"] for row in told), [row["part"] for row in told]


def writer(
    where: str, edition: Edition, hour: int = NIGHT
) -> Callable[[Iterator[pyarrow.RecordBatch]], Iterator[pyarrow.RecordBatch]]:
    """Returns what writes a partition's feeds to the store at `where`: rows of WRITTEN_DDL, an error being one too."""

    def write(batches: Iterator[pyarrow.RecordBatch]) -> Iterator[pyarrow.RecordBatch]:
        import pyarrow as pa

        schema = pa.schema([("part", pa.int32()), ("users", pa.int64()), ("error", pa.list_(pa.string()))])
        try:
            for part, users in write_users(open_store(where), edition, batches, hour):
                yield pa.RecordBatch.from_pylist([{"part": part, "users": users, "error": []}], schema)
        except StoreError as error:
            told = [error.what, error.where, error.next_step]
            yield pa.RecordBatch.from_pylist([{"part": -1, "users": 0, "error": told}], schema)

    return write


def _gone(ctx: JobContext, decision: Decision) -> set[int]:
    """Returns the videos of the publication that, by the newest rows of table videos, may not be shown."""
    import pyarrow.compute as pc

    days = ctx.lake.days(VIDEOS)[-1:]
    videos = ctx.lake.read_arrow(VIDEOS, days, ["video_id", "is_visible", "is_advert"])
    showable = videos.filter(pc.and_(videos["is_visible"], pc.invert(videos["is_advert"])))["video_id"].to_pylist()
    wanted = (pc.field("ds") == decision["feeds_ds"]) & (pc.field("recipe") == decision["recipe"])
    shown = set[int]()
    for table, version in ((FEEDS, "feeds_version"), (FALLBACK_FEEDS, "fallbacks_version")):
        rows = ctx.lake.dataset(table, decision[version]).scanner(["video_id"], wanted)
        shown.update(*(pc.unique(batch["video_id"]).to_pylist() for batch in rows.to_batches()))
    return shown.difference(showable)


def _fallbacks(ctx: JobContext, decision: Decision) -> dict[str, list[int]]:
    """Returns the lists for users without a feed, by their field in the store."""
    lists: dict[str, list[int]] = {POPULAR: []}
    version = decision["fallbacks_version"]
    rows = ctx.lake.read_arrow(FALLBACK_FEEDS, [decision["feeds_ds"]], version=version).to_pylist()
    for row in sorted(rows, key=lambda row: row["slot"]):
        if row["recipe"] == decision["recipe"]:
            field = POPULAR if row["tier"] == POPULAR else segment_field(row["segment"])
            lists.setdefault(field, []).append(row["video_id"])
    return lists


JOB = Job(
    name="export_feeds",
    doc=__doc__,
    owner="feed-ranking",
    reads=(PUBLICATIONS, FEEDS, FALLBACK_FEEDS, VIDEOS),
    writes=(),
    run=run,
)
