"""A world in which a fifth of the slots are random, and what is true of them: where debiasing can be judged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unittest import mock

from core.lake import Lake
from core.recipe import load_recipe
from core.run import Request, run_jobs
from core.settings import Settings, with_home
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.training_examples import TABLE as TRAINING_EXAMPLES
from features.catalog import feature_names, neutral_values
from sim.world import WorldConfig

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from models.examples import Examples

DAYS, EXPLORATION = 14, 0.2
JOBS = ("ingest_events", "build_features", "fit_machine", "build_training_set")
LABELS = ("long_view", "watch_seconds", "watch_debiased")
FACTS = ("user_id", "video_id", "shown_at", "shown_on", "surface", "is_random", "duration_ms")


@dataclass(frozen=True)
class Traffic:
    """Rows, and of each what the training examples leave out.

    Of each row of `rows` (rows,): `is_random`; `duration_seconds`, NaN where unknown; and what the
    world alone knows: `long_view`, the true probability of a long view at the first place, and `interest`.
    """

    rows: Examples
    is_random: NDArray[np.bool_]
    duration_seconds: NDArray[np.float64]
    long_view: NDArray[np.float64]
    interest: NDArray[np.float64]

    def where(self, mask: NDArray[np.bool_]) -> Traffic:
        """Returns the rows of `mask` (rows,), in the same order."""
        arrays = {each.name: getattr(self, each.name)[mask] for each in fields(self) if each.name != "rows"}
        of_rows = {
            each.name: getattr(self.rows, each.name)[mask] for each in fields(self.rows) if each.name != "label_names"
        }
        return replace(self, rows=replace(self.rows, **of_rows), **arrays)


@contextmanager
def installation(settings: Settings) -> Iterator[tuple[Settings, WorldConfig]]:
    """Yields a scratch installation with a training set of the world, and the world's configuration."""
    from jobs._registry import all_jobs
    from sim.logs import write_days

    config = WorldConfig(seed=settings.seed, exploration_share=EXPLORATION)
    days = [config.first_day + timedelta(days=i) for i in range(DAYS)]
    with TemporaryDirectory() as home, mock.patch.dict("os.environ", {"REELFEED_HOME": home}):
        scratch = replace(with_home(settings, Path(home)), lake_uri="")
        logs = str(Path(home) / "logs")
        write_days(config, logs, days)
        request = Request(days[-1], days[0], load_recipe("for_you"), "simulated", logs)
        run_jobs(all_jobs(), JOBS, request, scratch)
        yield scratch, config


def traffic(settings: Settings, config: WorldConfig) -> tuple[Traffic, Traffic]:
    """Returns what to fit on, parts train and validate, and the random slots of the test days as a feed sees them."""
    from models.examples import PARTS, at_scoring

    every = _with_truth(settings, config)
    is_test = every.rows.part == PARTS.index("test")
    judged = every.where(is_test & every.is_random)
    rows = replace(judged.rows, features=at_scoring(judged.rows.features, neutral_values()))
    return every.where(~is_test), replace(judged, rows=rows)


def _with_truth(settings: Settings, config: WorldConfig) -> Traffic:
    import numpy as np
    import pandas as pd

    from models.examples import PARTS, examples
    from sim.user import expected_long_view, interest

    lake, last = Lake(settings.lake), config.first_day + timedelta(days=DAYS - 1)
    rows = examples(lake.read_arrow(TRAINING_EXAMPLES, [last]), PARTS, len(feature_names()), LABELS)
    facts = lake.read_arrow(IMPRESSIONS, lake.days(IMPRESSIONS), list(FACTS)).to_pandas()
    facts["shown_at"] = facts["shown_at"].astype("datetime64[us, UTC]").astype("int64")
    keys = pd.DataFrame({"user_id": rows.user, "video_id": rows.video, "shown_at": rows.shown_at})
    found = keys.merge(facts, how="left", validate="one_to_one")
    shown_on, surface = found["shown_on"].to_numpy(), found["surface"].to_numpy()
    long_view, cares = np.empty(len(found)), np.empty(len(found))
    for day in sorted(set(shown_on.tolist())):
        on = np.flatnonzero(shown_on == day)
        pairs = (config, day, rows.user[on], rows.video[on])
        long_view[on] = expected_long_view(*pairs, surface=surface[on])
        cares[on] = interest(*pairs, surface[on])
    return Traffic(
        rows=rows,
        is_random=found["is_random"].to_numpy().astype(bool),
        duration_seconds=found["duration_ms"].to_numpy().astype(np.float64) / 1000,
        long_view=long_view,
        interest=cares,
    )
