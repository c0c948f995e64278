"""
### nightly_feed · an Airflow DAG

Yesterday's events in, today's feeds out. Tier 1: users see the result.

* **Late or failed?** Readers keep the last good version. Nothing half-made is ever visible.
* **A bad feed?** `publish_feeds` withholds feeds that break a promise; one that got through: DAG `rollback`.
* **Re-run or backfill?** Yes, any task, any day: each replaces exactly one `ds` partition.
* **Another day, recipe or log folder?** Trigger it by hand: the form asks for them.
* **Where do the arrows come from?** From `reads` and `writes` at the foot of each jobs/ file.
"""

from dags._kit import nightly

dag = nightly(
    "nightly_feed",
    doc=__doc__,
    owner="feed-ranking",
    at="02:30",
    tags=["tier-1"],
    jobs=[
        "ingest_events",
        "build_features",
        "fit_machine",
        "fit_sources",
        "export_index",
        "propose_candidates",
        "score_candidates",
        "build_feed",
        "publish_feeds",
        "export_feeds",
        "write_report",
    ],
)
