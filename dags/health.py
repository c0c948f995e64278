"""
### health · an Airflow DAG

Looks after the night once its feeds are out. Tier 3: nothing waits for it.

* **When does it run?** As soon as `build_feed` has published, for the same day.
* **What does it say?** Table `health`: how late every table is. Table `parity`: whether the features of the last
  night's feeds, and of those refreshed since, are what training makes of the same rows; the rate must be 0. Table
  `stage_recall`: how much of what users then watched each stage of that night had kept. Table `feed_metrics`: how much
  of the catalogue tonight's feeds show, how evenly, how varied and how new. Then the night's report is written again.
* **Failed?** Feeds are out all the same; `docs/runbook.md` names the cause and the cure, also of a rate above 0.
* **Re-run or backfill?** Yes, any task, any day.
"""

from dags._kit import following

dag = following(
    "health",
    doc=__doc__,
    owner="feed-data",
    after="build_feed",
    tags=["tier-3"],
    jobs=["check_health", "check_parity", "measure_recall", "measure_feed", "write_report"],
)
