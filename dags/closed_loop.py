"""
### closed_loop · an Airflow DAG

The night of a simulated world whose users are shown what it publishes: today's feeds make tomorrow's logs. Tier 3.

* **When does it run?** When triggered, for a day; then for the day after, and so on. As after any night,
  `train_models` and `health` follow: what is learned tomorrow comes of what was shown today.
* **What is it for?** Feedback loops: whether popularity feeds on itself, and what exploration does about it.
* **Failed?** No person is served by it. A day that users have lived already can't be given other feeds.
* **Re-run or backfill?** Re-run yes, with the same feeds; backfill no: days follow from each other.
"""

from dags._kit import triggered

dag = triggered(
    "closed_loop",
    doc=__doc__,
    owner="feed-ranking",
    tags=["tier-3"],
    jobs=[
        "ingest_events",
        "build_features",
        "fit_machine",
        "fit_sources",
        "propose_candidates",
        "score_candidates",
        "build_feed",
        "serve_world",
        "write_report",
    ],
)
