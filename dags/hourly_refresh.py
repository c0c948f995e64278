"""
### hourly_refresh · an Airflow DAG

The feeds of users who are active today, made anew every hour: without what they have seen since, with what is new or
trends. Tier 2: without it everyone keeps the night's feed.

* **When does it run?** Ten minutes after every hour from that after which the night's feeds are served until midnight
  (hour 24), for what had arrived when the hour began. It is the one DAG that reads a day in progress.
* **What does it need?** Logs that can be read within the day, and the night before published. Simulated and KuaiRand
  logs hold whole days: they are replayed. Where there is nothing to read it says so; leave it paused.
* **Late or failed?** Users keep the feed of the hour before, or the night's. The next hour covers the one that failed.
* **Skipped?** The night before is not what is served: it was rolled back, or is late. Nothing to mend here.
* **Re-run or backfill?** The newest hour yes, to the same feeds. An earlier one is refused: users saw more since.
* **A new edition, or a rollback?** Makes what was refreshed before void at once; nothing has to be removed.
"""

from dags._kit import hourly

dag = hourly(
    "hourly_refresh",
    doc=__doc__,
    owner="feed-ranking",
    minute=10,
    tags=["tier-2"],
    jobs=["ingest_today", "refresh_feeds", "export_refresh"],
)
