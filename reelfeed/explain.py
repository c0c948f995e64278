"""`reelfeed explain`: why a user was given a video, or how far it came: sources, features, heads and value, slot."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Any

from core.errors import ContractError, MissingDataError
from core.job import Job, JobContext
from core.lake import Lake
from core.recipe import Recipe
from core.settings import Settings
from core.table import Table
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.feeds import TABLE as FEEDS
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.videos import TABLE as VIDEOS
from jobs import _knowledge

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.ranker import Ranker

MOST_CONTRIBUTIONS = 5


def explain(settings: Settings, recipe: Recipe, ds: date, user_id: int, video_id: int) -> str:
    """Returns how `video_id` fared for `user_id` in the night `ds`, stage by stage, as text.

    Raises MissingDataError where that night has no feeds, ContractError where the features have changed since, so that
    they would not explain the prediction.
    """
    lake = Lake(settings.lake)
    if ds not in lake.days(FEEDS):
        raise MissingDataError(
            f"no feeds for {ds}", where="table feeds", choices=lake.days(FEEDS)[-5:], next_step="reelfeed tables feeds"
        )
    proposed = _row(lake, CANDIDATES, ds, user_id, video_id)
    lines = [f"Video {video_id} for user {user_id}, night of {ds}, recipe {recipe.name}", "", "Proposed"]
    if proposed is None:
        return "\n".join([*lines, "  by no source: it was no candidate", "", *_slot(lake, ds, user_id, video_id)])
    lines += [
        f"  by {one['source']}, its number {one['rank']}, score {one['score']:.4g}" for one in proposed["sources"]
    ]
    lines += [f"  number {proposed['rank']} of the merged candidates", "", "Ranked"]
    scored = _row(lake, SCORED_CANDIDATES, ds, user_id, video_id)
    if scored is None:
        return "\n".join([*lines, "  not at all: the pre-ranker left it out", "", *_slot(lake, ds, user_id, video_id)])
    better = _better(lake, ds, user_id, scored["value"])
    lines.append(
        f"  by model {scored['model']}: value {scored['value']:.4f}, {better} of the user's candidates above it"
    )
    return "\n".join([*lines, *_heads(settings, recipe, ds, scored), "", *_slot(lake, ds, user_id, video_id)])


def _row(lake: Lake, table: Table, ds: date, user_id: int, video_id: int) -> dict[str, Any] | None:
    import pyarrow.compute as pc

    if ds not in lake.days(table):
        return None
    mine = (pc.field("ds") == ds) & (pc.field("user_id") == user_id) & (pc.field("video_id") == video_id)
    rows = lake.dataset(table).to_table(filter=mine).to_pylist()
    return dict(rows[0]) if rows else None


def _better(lake: Lake, ds: date, user_id: int, value: float) -> int:
    import pyarrow.compute as pc

    above = (pc.field("ds") == ds) & (pc.field("user_id") == user_id) & (pc.field("value") > value)
    return int(lake.dataset(SCORED_CANDIDATES).count_rows(filter=above))


def _heads(settings: Settings, recipe: Recipe, ds: date, scored: dict[str, Any]) -> list[str]:
    """Returns every head's prediction and term, and the features that moved it most."""
    from models import registry
    from models.heads import head_names

    ranker = registry.load_model(settings, recipe.name, scored["model"])
    features = _features(settings, recipe, ds, scored)
    lines = []
    for place, head in enumerate(head_names()):
        prediction, weight = scored["predictions"][place], recipe.value[head]
        lines.append(f"  {head:15} {prediction:9.4g} × {weight:g} = {prediction * weight:+.4f}")
        lines += [f"      {told}" for told in _contributions(ranker, head, features)]
    return [*lines, f"  in all {scored['value']:+.4f}"]


def _features(settings: Settings, recipe: Recipe, ds: date, scored: dict[str, Any]) -> NDArray[np.float32]:
    """Returns the vector (features,) that was scored, made anew; raises ContractError where it is another by now."""
    from features.fingerprint import fingerprints, matrix
    from features.point_in_time import vectors

    job = Job("explain", __doc__ or "", "feed-ranking", _knowledge.TABLES, (), lambda _: None)
    ctx = JobContext(job, (ds,), settings, recipe, "", "", Lake(settings.lake))
    pair = ctx.spark.createDataFrame(
        [(scored["user_id"], scored["video_id"], ds)], "user_id bigint, video_id bigint, ds date"
    )
    known, _ = _knowledge.knowledge(ctx, [ds])
    rows = _knowledge.feed_rows(pair, ctx.read(VIDEOS), recipe.surface)
    batch = vectors(rows, known).select("features").toArrow().combine_chunks().to_batches()[0]
    found = matrix(batch)
    if int(fingerprints(found)[0]) != scored["features_hash"]:
        raise ContractError(
            "the features of this pair are no longer those that it was scored with",
            where=f"user {scored['user_id']}, video {scored['video_id']}, ds {ds}",
            next_step="reelfeed run check_parity names the tables that have changed",
        )
    vector: NDArray[np.float32] = found[0].astype("float32")
    return vector


def _contributions(ranker: Ranker, head: str, features: NDArray[np.float32]) -> list[str]:
    """Returns the features that moved the head's raw prediction most (Shapley values of its trees, LightGBM's own)."""
    import lightgbm
    import numpy as np

    from features.catalog import feature_names

    model = next((model for model in ranker.models if model.head == head), None)
    if model is None or not model.booster:
        return []
    row = features[ranker.columns_in(feature_names())][None, :]
    booster = lightgbm.Booster(model_str=model.booster)
    moved = np.asarray(booster.predict(row, pred_contrib=True, num_threads=1))[0, :-1]
    most = [place for place in np.argsort(-np.abs(moved), kind="stable")[:MOST_CONTRIBUTIONS] if moved[place] != 0]
    return [f"{moved[place]:+.3f}  {ranker.features[place]} = {row[0, place]:.4g}" for place in most]


def _slot(lake: Lake, ds: date, user_id: int, video_id: int) -> list[str]:
    import pyarrow.compute as pc

    own = (pc.field("ds") == ds) & (pc.field("user_id") == user_id)
    columns = ["slot", "video_id", "value", "tier", "rules", "propensity"]
    feed = lake.dataset(FEEDS).to_table(columns=columns, filter=own).to_pylist()
    if not feed:
        return ["Feed", "  the user has none that night"]
    there = [row for row in feed if row["video_id"] == video_id]
    if there:
        row = there[0]
        placed = f"by rules: {', '.join(row['rules'])}" if row["rules"] else "by value alone"
        return [
            "Feed",
            f"  slot {row['slot']} of {len(feed)}, tier {row['tier']}, placed {placed}",
            f"  probability of this video in this slot {row['propensity']:.4g}",
        ]
    least = min(row["value"] for row in feed)
    return ["Feed", f"  not among its {len(feed)} slots, of which the least has value {least:.4f}"]
