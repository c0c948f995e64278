"""`reelfeed explain`: why a user was given a video, or how far it came: sources, features, heads and value, slot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from core.tables.users import TABLE as USERS
from core.tables.videos import TABLE as VIDEOS
from jobs import _knowledge
from jobs._slate_inputs import TABLES, slate_inputs
from models.heads import head_names
from reelfeed import standing
from reelfeed.held_back import held_back
from reelfeed.refreshed import refreshed
from reelfeed.unproposed import unproposed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.ranker import Ranker

Row = dict[str, Any]

MOST_CONTRIBUTIONS = 5


@dataclass(frozen=True)
class UserNight:
    """What the tables of night `ds` hold of a user, each by video: rows of candidates, scored_candidates and feeds."""

    user_id: int
    ds: date
    proposed: dict[int, Row]
    scored: dict[int, Row]
    slots: dict[int, Row]


def explain(settings: Settings, recipe: Recipe, ds: date, user_id: int, video_id: int) -> str:
    """Returns how `video_id` fared for `user_id` in the night `ds`, stage by stage, as text.

    Ends with where it stands in a feed made anew since, and whether that night's feeds are served. Raises
    MissingDataError where that night has no feeds, ContractError where the features have changed since, so that they
    would not explain the prediction.
    """
    lake = Lake(settings.lake)
    night = user_night(lake, recipe, ds, user_id)
    ctx = JobContext(JOB, (ds,), settings, recipe, "", "", lake)
    scored = night.scored.get(video_id)
    lines = told(night, recipe, video_id, _moved(ctx, scored) if scored else {})
    if video_id not in night.proposed:
        lines += unproposed(ctx, user_id, video_id)
    elif scored and night.slots and video_id not in night.slots:
        lines += _held_back(ctx, night, video_id)
    lines += refreshed(lake, recipe.name, ds, user_id, video_id)
    state = standing.told(standing.standing(lake, recipe.name, ds))
    return "\n".join([*lines, "", "Served", *[f"  {line}" for line in state]])


def user_night(lake: Lake, recipe: Recipe, ds: date, user_id: int) -> UserNight:
    """Returns what the night's tables hold of the user; raises MissingDataError where that night has no feeds."""
    import pyarrow.compute as pc

    if ds not in lake.days(FEEDS):
        raise MissingDataError(
            f"no feeds for {ds}", where="table feeds", choices=lake.days(FEEDS)[-5:], next_step="reelfeed tables feeds"
        )
    own = (pc.field("ds") == ds) & (pc.field("user_id") == user_id)

    def by_video(table: Table, wanted: pc.Expression) -> dict[int, Row]:
        rows = lake.dataset(table).to_table(filter=wanted).to_pylist() if ds in lake.days(table) else []
        return {row["video_id"]: row for row in rows}

    of_recipe = own & (pc.field("recipe") == recipe.name)
    return UserNight(
        user_id, ds, by_video(CANDIDATES, own), by_video(SCORED_CANDIDATES, own), by_video(FEEDS, of_recipe)
    )


def told(night: UserNight, recipe: Recipe, video_id: int, moved: Mapping[str, Sequence[str]]) -> list[str]:
    """Returns the stages that the video came to, as lines; `moved` are lines to stand below a head's, by head."""
    proposed, scored = night.proposed.get(video_id), night.scored.get(video_id)
    lines = [f"Video {video_id} for user {night.user_id}, night of {night.ds}, recipe {recipe.name}", "", "Proposed"]
    if proposed is None:
        return [*lines, "  by no source: it was no candidate", "", *_slot(night, video_id)]
    lines += [
        f"  by {one['source']}, its number {one['rank']}, score {one['score']:.4g}" for one in proposed["sources"]
    ]
    lines += [f"  number {proposed['rank']} of the {len(night.proposed)} merged candidates", "", "Ranked"]
    if scored is None:
        lines.append(f"  not at all: the pre-ranker left it out, and {len(night.scored)} others in")
        return [*lines, "", *_slot(night, video_id)]
    better = sum(other["value"] > scored["value"] for other in night.scored.values())
    lines += [
        f"  by model {scored['model']}: value {scored['value']:.4f}, {better} of the user's candidates above it",
        f"  on features of snapshot {scored.get('snapshot_version') or 'that was not named then'}",
    ]
    own = [recipe.value[head] for head in head_names()]
    for place, head in enumerate(head_names()):
        prediction, weight = scored["predictions"][place], (scored.get("weights") or own)[place]
        lines.append(f"  {head:15} {prediction:9.4g} × {weight:g} = {prediction * weight:+.4f}")
        lines += [f"      {line}" for line in moved.get(head, ())]
    return [*lines, f"  in all {scored['value']:+.4f}", "", *_slot(night, video_id)]


def _slot(night: UserNight, video_id: int) -> list[str]:
    """Returns the video's slot, or how far it is from the last one."""
    slots = night.slots
    if not slots:
        return ["Feed", "  the user has none that night"]
    if video_id in slots:
        row = slots[video_id]
        placed = f"by rules: {', '.join(row['rules'])}" if row["rules"] else "by value alone"
        return [
            "Feed",
            f"  slot {row['slot']} of {len(slots)}, tier {row['tier']}, placed {placed}",
            f"  probability of this video in this slot {row['propensity']:.4g}",
        ]
    lines = ["Feed", f"  not among its {len(slots)} slots"]
    earned = [row for row in slots.values() if not row["is_exploration"]]
    if video_id not in night.scored or not earned:
        return lines
    last = max(earned, key=lambda row: row["slot"])
    short = last["value"] - night.scored[video_id]["value"]
    if short >= 0:
        told = f"  ranked below the last that was not drawn, whose value {last['value']:.4f} is {short:.4f} more"
    else:
        told = f"  its value is {-short:.4f} above that of the last that was not drawn"
    return [*lines, told]


def _held_back(ctx: JobContext, night: UserNight, video_id: int) -> list[str]:
    """Returns how the rules of the recipe moved a ranked video that has no slot, as lines."""
    if {row["recipe_hash"] for row in night.slots.values()} != {ctx.recipe.hash}:
        return ["  the recipe has changed since that night: which rule held it back can't be told any more"]
    inputs = slate_inputs(ctx, ctx.read(USERS).where(f"user_id = {night.user_id:d}"))
    return held_back(inputs.asking.toArrow().combine_chunks().to_batches()[0], inputs.plan, video_id)


def _moved(ctx: JobContext, scored: Row) -> dict[str, list[str]]:
    """Returns for every head the features that moved it most, as lines."""
    from models import registry

    ranker = registry.load_model(ctx.settings, ctx.recipe.name, scored["model"])
    features = _features(ctx, scored)
    return {head: _contributions(ranker, head, features) for head in head_names()}


def _features(ctx: JobContext, scored: Row) -> NDArray[np.float32]:
    """Returns the vector (features,) that was scored, made anew; raises ContractError where it is another by now."""
    from features.fingerprint import fingerprints, matrix
    from features.point_in_time import vectors

    pair = ctx.spark.createDataFrame(
        [(scored["user_id"], scored["video_id"], ctx.ds)], "user_id bigint, video_id bigint, ds date"
    )
    known, _ = _knowledge.knowledge(ctx, [ctx.ds])
    rows = _knowledge.feed_rows(pair, ctx.read(VIDEOS), ctx.recipe.surface)
    batch = vectors(rows, known).select("features").toArrow().combine_chunks().to_batches()[0]
    found = matrix(batch)
    if int(fingerprints(found)[0]) != scored["features_hash"]:
        raise ContractError(
            "the features of this pair are no longer those that it was scored with",
            where=f"user {scored['user_id']}, video {scored['video_id']}, ds {ctx.ds}",
            next_step="reelfeed run check_parity names the tables that have changed",
        )
    vector: NDArray[np.float32] = found[0].astype("float32")
    return vector


def _contributions(ranker: Ranker, head: str, features: NDArray[np.float32]) -> list[str]:
    """Returns the features that moved the head's raw prediction most: Shapley values of its trees, LightGBM's own.

    Of a head that averages its trees' log odds with a feature's, all count half, and that feature among them.
    """
    import lightgbm
    import numpy as np

    from features.catalog import feature_names

    model = next((model for model in ranker.models if model.head == head), None)
    if model is None or not model.booster:
        return []
    row = features[ranker.columns_in(feature_names())][None, :]
    booster = lightgbm.Booster(model_str=model.booster)
    moved = np.asarray(booster.predict(row, pred_contrib=True, num_threads=1))[0, :-1]
    if model.averaged and not np.isnan(row[0, averaged := ranker.features.index(model.averaged)]):
        moved = moved / 2
        moved[averaged] += row[0, averaged] / 2
    most = [place for place in np.argsort(-np.abs(moved), kind="stable")[:MOST_CONTRIBUTIONS] if moved[place] != 0]
    return [f"{moved[place]:+.3f}  {ranker.features[place]} = {row[0, place]:.4g}" for place in most]


JOB = Job("explain", __doc__ or "", "feed-ranking", (*_knowledge.TABLES, *TABLES), (), lambda _: None)
"""What explaining may read."""
