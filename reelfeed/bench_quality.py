"""`make bench-quality`: our candidates and our ranker beside other people's recommenders, on the same rows.

How logged impressions are ordered is measured by bench_ranking.py; this file runs it, and measures candidates.
Everything is fitted on what was known HELD_DAYS before the last day, the blend's weights and the ranker on days before
that; truth is what users of that day watched for long since. Peers run in an environment of their own (reelfeed/peers).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from core.errors import ReelfeedError
from core.job import Job, JobContext
from core.lake import Lake
from core.run import Request, run_jobs
from core.settings import Settings, with_home
from core.tables.blends import TABLE as BLENDS
from core.tables.videos import TABLE as VIDEOS
from jobs import _knowledge, _look_back, _sources
from jobs._registry import TRAINING, all_jobs
from jobs.fit_blend import HELD_DAYS
from reelfeed.night import HISTORY_JOBS
from reelfeed.peer_runs import check_peers, peer_tables

if TYPE_CHECKING:
    import numpy as np
    from pyspark.sql import DataFrame

    from models.attribution import Pairs, Truth
    from models.blend import Blend
    from models.source import Known

PARTS = {"candidates": 3, "ranking": 5}
"""The parts, and of how many seeds each fits everything unless told otherwise."""
HELD_BACK, OF = 3, 10
"""Users whose id leaves HELD_BACK by OF are held back from a fit of its own, to be asked as new users."""

HEAP = "6g"
"""History, training and several seeds in one session hold more than a night does: with 2 GB the third seed failed."""

Lists = dict[str, "Pairs"]


def bench_quality(settings: Settings, request: Request, parts: Sequence[str], seeds: int | None) -> dict[str, str]:
    """Returns the tables of each of `parts`, keys of PARTS, as Markdown; everything is made in a home of its own.

    Raises MissingDataError without the peers' environments, ReelfeedError where a peer fails.
    """
    from reelfeed.bench_ranking import bench_ranking

    check_peers("ranking" if part == "ranking" else "retrieval" for part in parts)
    measures = {"candidates": _candidates, "ranking": bench_ranking}
    with tempfile.TemporaryDirectory() as home:
        os.environ["REELFEED_HOME"] = home
        roomy = replace(settings, spark=replace(settings.spark, driver_memory=HEAP))
        scratch = with_home(roomy, Path(home))
        run_jobs(all_jobs(), HISTORY_JOBS, request, scratch)
        drawn = {part: range(settings.seed, settings.seed + (seeds or PARTS[part])) for part in parts}
        return {part: measures[part](scratch, request, drawn[part]) for part in parts}


def _candidates(settings: Settings, request: Request, seeds: Sequence[int]) -> str:
    """Returns what sources, blend, ranker and peers had named."""
    import numpy as np

    from reelfeed.quality_tables import tables

    cut = request.ds - timedelta(days=HELD_DAYS)
    run_jobs(all_jobs(), ("fit_machine", *TRAINING), replace(request, ds=cut), settings)
    found: dict[str, list[Pairs]] = {}
    for seed in seeds:
        click.echo(f"seed {seed} …")
        ctx = _context(settings, request, seed)
        known = _look_back.known_before(ctx, cut)
        watched = _look_back.watched_since(ctx, known)
        true, blend = _look_back.truth_of(watched), _blend(ctx)
        for name, listed in _ours(ctx, known, watched, blend).items():
            found.setdefault(name, []).append(listed)
    held = _without(known)
    cold = {name: [one] for name, one in _ours(ctx, held, watched, blend, ranked=False).items()}
    folder = settings.home_path / "peers"
    _write_rows(ctx, known, true, folder / "rows")
    found |= _peers(folder, seeds)
    cold["popularity"] = _popular(held, true)
    met = known.impressions.select("user_id").distinct().toArrow()["user_id"].to_numpy()
    held_back = true.users % OF == HELD_BACK
    return tables(found, cold, true, np.isin(true.users, met), held_back, _pool(known), seeds)


def _context(settings: Settings, request: Request, seed: int) -> JobContext:
    reads = tuple({table.name: table for table in (*_sources.TABLES, *_knowledge.TABLES, BLENDS)}.values())
    job = Job("bench_quality", __doc__ or "", "bench", reads, (), lambda _: None)
    lake = Lake(settings.lake)
    return JobContext(
        job, (request.ds,), replace(settings, seed=seed), request.recipe, request.logs, request.logs_dir, lake
    )


def _blend(ctx: JobContext) -> Blend | None:
    from models.blend import served

    cut = ctx.ds - timedelta(days=HELD_DAYS)
    return served([row.asDict() for row in ctx.read(BLENDS, [cut]).collect()])


def _ours(ctx: JobContext, known: Known, watched: DataFrame, blend: Blend | None, ranked: bool = True) -> Lists:
    """Returns the lists of every source, of both ways to merge them, and of the ranker behind them."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from models.history import histories
    from models.merge import in_order, merged
    from models.serving import asked_of, merging, served_sources
    from models.source_quality import by_source, merged_list

    models, _ = _sources.fit_all(known, served_sources(ctx.recipe))
    asking = histories(known.impressions, watched.select("user_id").distinct()).cache()
    names, found = _look_back.named(_sources.ask_all(models, asking, asked_of(ctx.recipe)))
    lists = by_source(found, names)
    for name, how in (("round_robin", None), ("blend", blend)):
        lists[name] = merged_list(found, in_order(found, names, merging(ctx.recipe, how)))
    if ranked:
        path = str(ctx.settings.home_path / "candidates.parquet")
        pq.write_table(pa.Table.from_batches([merged(found, names, merging(ctx.recipe, blend))]), path)
        lists |= _ranked(ctx, ctx.spark.read.parquet(path), known)
    ctx.spark.catalog.clearCache()
    return lists


def _ranked(ctx: JobContext, candidates: DataFrame, known: Known) -> Lists:
    """Returns the candidates that the pre-ranker left, in order of the ranker's value and of its long-view head."""
    from pyspark.sql import functions as F

    from features.point_in_time import vectors
    from jobs._preranking import preranked
    from models.heads import HEADS
    from models.registry import champion
    from models.scoring import predicted
    from models.varied import UserWeights

    serving = champion(ctx.settings, ctx.recipe.name)
    if serving is None:
        raise ReelfeedError("the gate let no ranker pass", next_step="reelfeed run evaluate promote says why")
    told, _ = _knowledge.knowledge(ctx, [known.ds])
    of_night = candidates.withColumn("ds", F.lit(known.ds))
    rows = _knowledge.feed_rows(of_night, ctx.read(VIDEOS, [known.ds]), ctx.recipe.surface)
    chosen, cost = preranked(ctx, rows.cache(), told, serving[0])
    click.echo(f"pre-ranker: {cost}")
    scored = predicted(vectors(chosen, told), serving[0], UserWeights.of_night(ctx.recipe, known.ds))
    long_view = [head.name for head in HEADS].index("long_view")
    table = scored.select("user_id", "video_id", "value", F.col("predictions")[long_view].alias("p")).toArrow()
    user, video, value, p = (table[name].to_numpy() for name in ("user_id", "video_id", "value", "p"))
    return {"blend, ranker": _sorted(user, video, value), "blend, long_view head": _sorted(user, video, p)}


def _sorted(user: np.ndarray, video: np.ndarray, score: np.ndarray) -> Pairs:
    import numpy as np

    from models.attribution import Pairs
    from models.merge import places_of

    order = np.lexsort((video, -score, user))
    return Pairs(user[order], video[order], places_of(user[order]))


def _without(known: Known) -> Known:
    """Returns `known` without what the held-back tenth of the users was ever shown."""
    from pyspark.sql import functions as F

    rest = known.impressions.where(F.col("user_id") % OF != HELD_BACK).cache()
    return replace(known, impressions=rest)


def _popular(known: Known, true: Truth) -> list[Pairs]:
    """Returns plain popularity for the held-back users: the most long views of all days."""
    import numpy as np
    from pyspark.sql import functions as F

    from models.attribution import DEPTHS, Pairs

    counted = known.impressions.where("is_long_view").groupBy("video_id").count()
    shown = counted.join(known.videos, on="video_id", how="left_semi").orderBy(F.desc("count"), "video_id")
    videos = shown.limit(max(DEPTHS)).toArrow()["video_id"].to_numpy()
    users = true.users[true.users % OF == HELD_BACK]
    rank = np.tile(np.arange(1, len(videos) + 1), len(users))
    return [Pairs(np.repeat(users, len(videos)), np.tile(videos, len(users)), rank)]


def _pool(known: Known) -> np.ndarray:
    videos: np.ndarray = known.videos.select("video_id").orderBy("video_id").toArrow()["video_id"].to_numpy()
    return videos


def _write_rows(ctx: JobContext, known: Known, true: Truth, folder: Path) -> None:
    """Writes the files that reelfeed/peers/rows.py reads."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from core.tables.impressions import TABLE as IMPRESSIONS

    folder.mkdir(parents=True, exist_ok=True)
    days = [day for day in ctx.days_of(IMPRESSIONS) if day <= known.ds]
    columns = ["user_id", "video_id", "shown_at", "shown_on", "is_long_view", "is_click", "is_like"]
    train = ctx.read(IMPRESSIONS, days).select(*columns).orderBy("user_id", "shown_at", "video_id")
    pool = known.videos.select("video_id", "author_id", "tag_id", "duration_ms")
    for name, rows in (("train", train), ("pool", pool), ("users", known.users)):
        pq.write_table(rows.toArrow(), folder / f"{name}.parquet")
    pq.write_table(pa.table({"user_id": true.users}), folder / "ask.parquet")


def _peers(folder: Path, seeds: Sequence[int]) -> dict[str, list[Pairs]]:
    """Returns the lists of every peer, one for each of its seeds."""
    import numpy as np

    from models.attribution import Pairs
    from models.merge import places_of

    found: dict[str, list[Pairs]] = {}
    for name, table in peer_tables("retrieval", folder / "rows", folder / "out", seeds):
        listed = table.sort_by("user_id")
        videos = listed["videos"].combine_chunks()
        user = np.repeat(listed["user_id"].to_numpy(), np.asarray(videos.value_lengths()))
        found.setdefault(name, []).append(Pairs(user, np.asarray(videos.flatten()), places_of(user)))
    return found
