"""A user tower and a video tower trained together in JAX: arrays in, arrays out; what they are fed, two_tower says.

Vectors are sums of learned rows. A user's: the user's own, the activity class's, and |N|^-½ · Σ taste · row over N, the
last `history` videos met before, with one learned taste for long views and one for the rest (after SVD++, Koren 2008).
A video's: its own, its words' and its age's; the last element is a bias, for which users have a 1, so that popularity
stays in the score; a video's bias begins as ln of its examples' weight. A user or video with fewer than
`rarely` examples has no row of its own but the one that the unknown share. For that row and the features to stand in
for strangers, a share `hidden` of a batch's ids, classes and histories is hidden.

Loss of an example: −ln of the softmax of the video met, over the `batch` videos of the batch and `negatives` more,
drawn uniformly from all. A score is corrected by −ln of how often its video is expected among these, batch · q(v) +
negatives / videos, q(v) the video's share of the examples (logQ, Yi et al. 2019; of the mixture, Yang et al. 2020). A
long view adds hard · ln(1 + exp(score of the video that the user last skipped − score of the video)): a hard negative.

The last rows by time judge epochs; the best one's towers then learn from those rows too, in one pass.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from models.tower_inputs import UNKNOWN_DAY, Features, Floats, Ints, Met, Plan

Rows = dict[str, Any]
"""Learned rows by kind, of JAX or of numpy."""
Facts = dict[str, Any]
"""Arrays that batches look up in, by user, by video or by row of Met, as `_facts` names them."""

log = logging.getLogger("reelfeed")

AGE_EDGES = (1, 2, 3, 5, 8, 15, 31, 91, 366)
"""Days since upload from which on the next bucket counts."""
USERS_AT_ONCE = 16_384
FEWEST, LEAST_STEPS = 50, 16
"""Examples without which nothing is learned; steps per epoch in a small log."""
START, PRIOR = 0.05, 5.0
"""Standard deviation of the rows at first; examples' weight added to a video's before its logarithm is taken."""
JUDGES, JUDGED_AT, JUDGED_CELLS = 4_096, 100, 100_000_000
"""An epoch is judged by so many held-out long views, whether among so many best, at so many scores in all, at most."""


@dataclass(frozen=True)
class Epoch:
    """How an epoch went: examples, mean loss in nats, and the share of held-out long views found."""

    examples: int
    loss: float
    recall: float


@dataclass(frozen=True)
class Towers:
    """Vectors whose inner products are scores, float32, of dimensions + 1: `anyone` (1,) knows nothing of the user."""

    users: Floats
    videos: Floats
    anyone: Floats
    epochs: tuple[Epoch, ...]


def fit(met: Met, features: Features, tomorrow: int, seed: int, plan: Plan | None = None) -> Towers | None:
    """Returns the towers, with histories to the end of `met` and ages as on the day `tomorrow`.

    Returns None where there is too little to learn from. Same input, same seed: same towers.
    """
    plan, draw = plan or Plan(), np.random.default_rng(seed)
    cut = int(np.sort(met.at)[int(len(met.at) * (1 - plan.held_out))]) if len(met.at) else 0
    wanted = ~met.is_not_interested
    examples, last = np.flatnonzero(wanted & (met.at < cut)), np.flatnonzero(wanted & (met.at >= cut))
    if len(examples) < FEWEST:
        return None
    # A small log gets small batches: what an epoch learns is a matter of its steps.
    plan = replace(plan, batch=min(plan.batch, 2 ** int(np.log2(len(examples) / LEAST_STEPS))))
    facts = _facts(met, features, examples, plan)
    pair = met.user.astype(np.int64) * len(features.uploaded) + met.video
    judges = last[met.is_long_view[last] & features.may_show[met.video[last]] & ~np.isin(pair[last], pair[examples])]
    judges = draw.permutation(judges)[: min(JUDGES, max(JUDGED_CELLS // len(features.uploaded), 1))]
    on_device = jax.tree.map(jnp.asarray, facts)
    rows = {kind: jnp.asarray(row) for kind, row in _start(facts, plan, draw).items()}
    learned = best = (rows, optax.adagrad(plan.rate).init(rows))
    epochs: list[Epoch] = []
    while len(epochs) < plan.most_epochs:
        started = time.perf_counter()
        learned, count, loss = _learn(learned, on_device, _batches(examples, met, features, plan, draw), plan)
        took = time.perf_counter() - started
        recall = _recall(jax.tree.map(np.asarray, learned[0]), facts, met, features, cut, judges, plan)
        better = recall > max((epoch.recall for epoch in epochs), default=-1.0)
        epochs.append(Epoch(count, loss, recall))
        said = "two_tower: epoch %d, %d examples, loss %.4f, recall %.4f; %.1f s per million examples"
        log.info(said, len(epochs), *astuple(epochs[-1]), 1e6 * took / count)
        if better:
            best, at_best = jax.tree.map(jnp.copy, learned), len(epochs)
        elif len(epochs) - at_best >= plan.patience:
            break
    best, _, _ = _learn(best, on_device, _batches(last, met, features, plan, draw), plan)
    return _embed(jax.tree.map(np.asarray, best[0]), facts, met, features, tomorrow, tuple(epochs), plan)


def log_expected(counts: Ints, plan: Plan) -> Floats:
    """Returns ln of how often a step's softmax is expected to hold each video, (videos,), by its examples `counts`."""
    share = counts / max(counts.sum(), 1)
    expected: Floats = np.log(np.maximum(plan.batch * share + plan.negatives / len(counts), 1e-12)).astype(np.float32)
    return expected


def _facts(met: Met, features: Features, examples: Ints, plan: Plan) -> Facts:
    """Returns, by user: user_row, activity, since (first row); by video: video_row, words, log_expected; by row: user,
    video, is_long_view, age, skipped (the same user's last row before it that was no long view; -1 for none).
    """
    counts = [
        np.bincount(of[examples], minlength=size)
        for of, size in ((met.user, len(features.activity)), (met.video, len(features.uploaded)))
    ]
    enough = [count >= rarely for count, rarely in zip(counts, plan.rarely, strict=True)]
    user_row, video_row = (np.where(often, np.cumsum(often), 0) for often in enough)
    since = np.searchsorted(met.user, np.arange(len(features.activity)))
    places = np.arange(len(met.user))
    skipped = np.maximum.accumulate(np.where(met.is_long_view, -1, places))
    skipped = np.where(skipped >= since[met.user], skipped, -1)
    facts = {"user_row": user_row, "activity": features.activity, "since": since, "video_row": video_row}
    facts |= {"words": features.words, "user": met.user, "video": met.video, "skipped": skipped}
    facts |= {"age": _age(met.day, features.uploaded[met.video]), "is_long_view": met.is_long_view}
    narrow: Facts = {name: array.astype(np.int32) for name, array in facts.items()}
    weighted = np.bincount(met.video[examples], 1.0 + plan.weight * met.is_long_view[examples], len(counts[1]))
    popularity = np.log((weighted + PRIOR) / (weighted.mean() + PRIOR)).astype(np.float32)
    return {**narrow, "log_expected": log_expected(counts[1], plan), "popularity": popularity}


def _age(day: Ints | int, uploaded: Ints) -> Ints:
    """Returns the bucket of age on `day`: 0 where unknown, else 1 plus the number of AGE_EDGES reached."""
    return np.where(uploaded == UNKNOWN_DAY, 0, 1 + np.searchsorted(AGE_EDGES, day - uploaded, side="right"))


def _start(facts: Facts, plan: Plan, draw: np.random.Generator) -> dict[str, Floats]:
    """Returns the rows as they are before the first step; drawn by numpy, since JAX compiles a generator per shape."""
    names = {"user": "user_row", "activity": "activity", "met": "video_row", "video": "video_row", "word": "words"}
    sizes = {kind: int(facts[name].max(initial=0)) + 1 for kind, name in names.items()} | {"age": len(AGE_EDGES) + 2}
    biased = ("video", "word", "age")
    rows = {
        kind: START * draw.standard_normal((size, plan.dimensions + (kind in biased)), np.float32)
        for kind, size in sizes.items()
    }
    with_row = facts["video_row"] > 0
    rows["video"][facts["video_row"][with_row], -1] = facts["popularity"][with_row]
    return {**rows, "taste": np.ones(2, np.float32)}


def _batches(among: Ints, met: Met, features: Features, plan: Plan, draw: np.random.Generator) -> Iterator[Any]:
    """Yields steps: examples `among` the rows, other videos and their ages, whose ids (users', videos') to hide."""
    order = draw.permutation(among)[: plan.most_examples]
    for start in range(0, len(order) - plan.batch + 1, plan.batch):
        drawn = order[start : start + plan.batch]
        others = draw.integers(0, len(features.uploaded), plan.negatives)
        ages = _age(met.day[draw.choice(among, plan.negatives)], features.uploaded[others])
        hide = [draw.random(size, np.float32) < plan.hidden for size in ((3, plan.batch), len(others) + 2 * plan.batch)]
        yield (*(array.astype(np.int32) for array in (drawn, others, ages)), *hide)


def _learn(learned: Any, facts: Facts, batches: Iterator[Any], plan: Plan) -> tuple[Any, int, float]:
    """Returns rows and optimiser's state after `batches`, the number of examples and the mean loss."""
    losses = []
    for batch in batches:
        learned, loss = _step(learned, facts, batch, plan)
        losses.append(loss)
    return learned, len(losses) * plan.batch, float(np.mean(losses)) if losses else float("nan")


@partial(jax.jit, static_argnames="plan", donate_argnums=0)
def _step(learned: Any, facts: Facts, batch: Any, plan: Plan) -> tuple[Any, jax.Array]:
    gradient, loss = jax.grad(_loss, has_aux=True)(learned[0], facts, batch, plan)
    change, state = optax.adagrad(plan.rate).update(gradient, learned[1])
    return (optax.apply_updates(learned[0], change), state), loss


def _loss(rows: Rows, facts: Facts, batch: Any, plan: Plan) -> tuple[jax.Array, jax.Array]:
    """Returns the batch's summed loss, and its weighted mean."""
    drawn, others, ages, hide, hide_video = batch
    user, skipped = facts["user"][drawn], facts["skipped"][drawn]
    of_user = (facts["user_row"][user], facts["activity"][user])
    user_row, activity = (jnp.where(hidden, 0, row) for hidden, row in zip(hide[:2], of_user, strict=True))
    users = _users(rows, facts, plan, user_row, activity, jnp.where(hide[2], drawn, facts["since"][user]), drawn)
    shown = jnp.concatenate([facts["video"][drawn], others, facts["video"][skipped]])
    aged = jnp.concatenate([facts["age"][drawn], ages, facts["age"][skipped]])
    videos = _videos(rows, jnp.where(hide_video, 0, facts["video_row"][shown]), facts["words"][shown], aged)
    among = plan.batch + plan.negatives
    scores = users @ videos[:among, :-1].T + videos[:among, -1]
    # The same video drawn again is no negative.
    again = (shown[: plan.batch, None] == shown[:among]) & ~jnp.eye(plan.batch, among, dtype=bool)
    corrected = jnp.where(again, -jnp.inf, scores - facts["log_expected"][shown[:among]])
    softmax = jax.nn.logsumexp(corrected, axis=1) - jnp.diagonal(corrected)
    against = (users * videos[among:, :-1]).sum(axis=1) + videos[among:, -1] - jnp.diagonal(scores)
    is_long_view = facts["is_long_view"][drawn]
    hard = plan.hard * jax.nn.softplus(against) * is_long_view * (skipped >= 0)
    weight = 1.0 + plan.weight * is_long_view
    total = (weight * (softmax + hard)).sum()
    return total, total / weight.sum()


def _users(rows: Rows, facts: Facts, plan: Plan, user_row: Any, activity: Any, since: Any, until: Any) -> Any:
    """Returns the vectors, (users, dimensions), of users whose histories are the rows from `since` to before `until`.

    Like `_videos`, made of what numpy and JAX arrays have in common.
    """
    places = until[:, None] - 1 - np.arange(plan.history)
    there = places >= since[:, None]
    places = places * there
    taste = rows["taste"][facts["is_long_view"][places]] * there
    history = (taste[:, :, None] * rows["met"][facts["video_row"][facts["video"][places]]]).sum(axis=1)
    length = there.sum(axis=1)
    return rows["user"][user_row] + rows["activity"][activity] + history / ((length + (length == 0)) ** 0.5)[:, None]


def _videos(rows: Rows, video_row: Any, words: Any, ages: Any) -> Any:
    """Returns the vectors, (videos, dimensions + 1), of videos of these words and ages."""
    described = (rows["word"][words] * (words > 0)[:, :, None]).sum(axis=1)
    return rows["video"][video_row] + rows["age"][ages] + described


def _recall(rows: Rows, facts: Facts, met: Met, features: Features, cut: int, judges: Ints, plan: Plan) -> float:
    """Returns the share of `judges` whose video is among the JUDGED_AT (of a small pool a tenth) best unseen ones."""
    wanted, found = min(JUDGED_AT, int(features.may_show.sum()) // 10 + 1), 0
    ages = _age(int(met.day[met.at >= cut].min()), features.uploaded)
    videos = _videos(rows, facts["video_row"], facts["words"], ages)
    until = facts["since"] + np.bincount(met.user[met.at < cut], minlength=len(facts["since"]))
    for start in range(0, len(judges), 256):
        judge = judges[start : start + 256]
        users = met.user[judge]
        by_user = [array[users] for array in (facts["user_row"], facts["activity"], facts["since"], until)]
        scores = _with_one(_users(rows, facts, plan, *by_user)) @ videos.T
        judged = scores[np.arange(len(judge)), met.video[judge]]
        scores[:, ~features.may_show] = -np.inf
        for row, user in enumerate(users):
            scores[row, met.video[facts["since"][user] : until[user]]] = -np.inf
        found += int(((scores > judged[:, None]).sum(axis=1) < wanted).sum())
    return found / max(len(judges), 1)


def _embed(
    rows: Rows, facts: Facts, met: Met, features: Features, tomorrow: int, epochs: tuple[Epoch, ...], plan: Plan
) -> Towers:
    """Returns the vectors of everyone and everything, and of anyone: row 0, class 0 and no history."""
    until = np.searchsorted(met.user, np.arange(len(features.activity)), side="right")
    by_user = [np.append(array, 0) for array in (facts["user_row"], facts["activity"], facts["since"], until)]
    users = [
        _with_one(_users(rows, facts, plan, *(array[start : start + USERS_AT_ONCE] for array in by_user)))
        for start in range(0, len(until) + 1, USERS_AT_ONCE)
    ]
    everyone = np.concatenate(users)
    videos = _videos(rows, facts["video_row"], facts["words"], _age(tomorrow, features.uploaded))
    return Towers(everyone[:-1], videos.astype(np.float32), everyone[-1:], epochs)


def _with_one(users: Floats) -> Floats:
    return np.concatenate([users, np.ones((len(users), 1))], axis=1).astype(np.float32)
