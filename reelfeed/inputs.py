"""`reelfeed ablation inputs`: what other models' scores, and other ways to boost, add to the order of lists.

Every way is judged on the validation days as if they were the test days: learnt from days before them, their lists
frozen. The one most surely better than the ranker is then judged, once, on the test days, beside other people's ways.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median
from time import process_time
from typing import TYPE_CHECKING

import click

from core.run import Request, run_jobs
from core.settings import Settings
from core.tables.machine_factors import RANK
from reelfeed.documents import write_block
from reelfeed.refits import long_views, mean_sums, parts
from reelfeed.ways import CHEAPER, MACHINE, RANKER, RATES, WAYS, Told, Way, log_odds

if TYPE_CHECKING:
    from models.metrics import ListSums


@dataclass(frozen=True)
class Judged:
    """Each user's `sums` by system, means over `seeds`; the median processor `seconds` of each way that was fitted."""

    seeds: tuple[int, ...]
    sums: Mapping[str, ListSums]
    seconds: Mapping[str, float]


def inputs(settings: Settings, request: Request, seeds: int) -> str:
    """Fits long_view in every way of WAYS, over so many `seeds`, for docs/ablation.md.

    Raises MissingDataError where the history leaves no day to train on before the validation days, or the peers'
    environment is missing.
    """
    from jobs._registry import all_jobs
    from reelfeed.bench_ranking import peers
    from reelfeed.peer_runs import check_peers

    check_peers(["ranking"])
    earlier = replace(request, ds=request.ds - timedelta(days=settings.split.test_days))
    run_jobs(all_jobs(), ("build_training_set",), earlier, settings)
    drawn = range(settings.seed, settings.seed + seeds)
    validated = judged(settings, with_scores(settings, earlier), WAYS | CHEAPER, drawn)
    chosen = best(validated)
    rows = with_scores(settings, request)
    tested = judged(settings, rows, {name: WAYS[name] for name in (RANKER, chosen)} | CHEAPER, drawn)
    tested = replace(tested, sums={**tested.sums, **peers(settings, request.ds, rows.judged, drawn)})
    return write_block("ablation.md", "inputs", text(validated, tested, chosen))


def with_scores(settings: Settings, request: Request) -> Told:
    """Returns the rows of the training set of `request.ds` with what every model says of them, out of fold in time."""
    import numpy as np

    from models.evaluation import check_frozen
    from models.machine import USER, VIDEO
    from reelfeed.input_scores import fields_of, impressions, machine, out_of_fold, rates
    from reelfeed.source_scores import source_scores

    train, test = parts(settings, request.ds)
    check_frozen(test)
    known = impressions(settings, request.ds)
    fields = np.concatenate([fields_of(rows, known) for rows in (train, test)])
    snapshot = np.concatenate([train.snapshot, test.snapshot])
    scores = {
        RATES: out_of_fold(snapshot, fields, rates(known)),
        MACHINE: out_of_fold(snapshot, fields, machine(known, settings.seed, RANK)),
        **source_scores(settings, request, snapshot, fields[:, USER], fields[:, VIDEO]),
    }
    cut = len(train.user)
    return Told(train, test, {name: (of_rows[:cut], of_rows[cut:]) for name, of_rows in scores.items()})


def judged(settings: Settings, rows: Told, ways: Mapping[str, Way], seeds: Sequence[int]) -> Judged:
    """Returns how each of `ways` orders the judged rows, and how scores do without a ranker."""
    from models.metrics import list_sums

    of, labels = rows.judged, long_views(rows.judged)
    drawn: dict[str, list[ListSums]] = {name: [] for name in ways}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    with click.progressbar([(name, seed) for seed in seeds for name in ways], label="fitting each way") as bar:
        for name, seed in bar:
            began = process_time()
            scores = log_odds(rows, ways[name], seed, settings.threads)
            seconds[name].append(process_time() - began)
            drawn[name].append(list_sums(of.user, of.video, labels, scores))
    fixed = {f"{name}, alone": rows.scores[name][1] for name in (MACHINE, RATES)} | {"popularity": of.popularity}
    alone = {name: list_sums(of.user, of.video, labels, scores) for name, scores in fixed.items()}
    return Judged(
        tuple(seeds),
        {name: mean_sums(sums) for name, sums in drawn.items()} | alone,
        {name: median(each) for name, each in seconds.items()},
    )


def best(found: Judged) -> str:
    """Returns which of WAYS is most surely better than the ranker in primary metric, the ranker if none surely is.

    The one whose paired interval begins highest, where it begins above 0.
    """
    from models.bootstrap import estimates

    tried = [name for name in WAYS if name in found.sums and name != RANKER]
    told = estimates(found.sums, [(name, RANKER) for name in tried], found.seeds[0])
    surely = {name: told[f"{name}_minus_{RANKER}", "primary"].low or 0.0 for name in tried}
    return max((name for name in tried if surely[name] > 0), key=surely.__getitem__, default=RANKER)


def text(validated: Judged, tested: Judged, chosen: str) -> str:
    """Returns Markdown: every way on the validation days; on the test days the ranker, the `chosen` way and peers."""
    return "\n".join(
        [
            f"Validation days: {_drawn(validated)}.",
            "",
            *_table(validated, RANKER),
            "",
            f"Test days: {_drawn(tested)}. Most surely better on the validation days: *{chosen}*.",
            "",
            *_table(tested, chosen),
        ]
    )


def _drawn(found: Judged) -> str:
    users = len(found.sums[RANKER].ndcg)
    return f"{users:,} users; means over seeds {list(found.seeds)}; 95 % intervals by bootstrap over users, paired"


def _table(found: Judged, against: str) -> list[str]:
    """Returns a row for each system: its metrics, how they differ from those of `against`, and how long it takes."""
    from models.bootstrap import estimates
    from models.metrics import LIST_METRICS
    from reelfeed.ranking_tables import HEADINGS

    others = [name for name in found.sums if name != against]
    told = estimates(found.sums, [(name, against) for name in others], found.seeds[0])
    own = [HEADINGS[metric] for metric in LIST_METRICS]
    less = [f"{heading} less that of *{against}*" for heading in own]
    lines = [f"| | {' | '.join([*own, *less])} | processor time, ratio |", f"|---|{'---|' * 7}"]
    for name in found.sums:
        cells = [told[name, metric].told() for metric in LIST_METRICS]
        for metric in LIST_METRICS:
            cells.append(told[f"{name}_minus_{against}", metric].told(sign="+") if name != against else "")
        cells.append(f"{found.seconds[name] / found.seconds[against]:.2f}" if name in found.seconds else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines
