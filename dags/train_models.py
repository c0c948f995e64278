"""
### train_models · an Airflow DAG

A challenger every night, a new champion only if it is no worse. Tier 2: feeds keep the last champion without it.

* **When does it run?** As soon as `build_features` has published, for the same day: it follows the data, not a clock.
* **Failed?** Nothing is promoted; the next night's feeds are scored by the champion that there is.
* **Re-run or backfill?** Yes; training and evaluation are seeded and name the table versions they read.
* **Why was it (not) promoted?** The training's report and table `promotions` say so; the MLflow run holds both.
"""

from dags._kit import following
from jobs._registry import TRAINING

dag = following(
    "train_models",
    doc=__doc__,
    owner="feed-ranking",
    after="build_features",
    tags=["tier-2"],
    jobs=TRAINING,
)
