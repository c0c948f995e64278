"""
### rollback · an Airflow DAG

Earlier feeds are served again, at once, and the ledger (table `publications`) says why. Tier 1: users see the result.

* **When does it run?** When a person triggers it; the form asks which publication, and for the reason.
* **Late or failed?** What was served still is. It says which publications there are to go back to.
* **Re-run or backfill?** Re-run yes: what is served already is only handed over again. Backfill has no meaning.
* **And the next night?** Publishes as always. A night that is run again with the same feeds does not undo a rollback.
"""

from dags._kit import PARAMS, Param, commanded

dag = commanded(
    "rollback",
    doc=__doc__,
    owner="feed-ranking",
    tags=["tier-1"],
    params={
        "recipe": PARAMS["recipe"],
        "to": Param(
            "",
            # Of one that may not be null, the form asks for a text that is not empty.
            type=["null", "string"],
            pattern=r"^([0-9]+|[0-9]{4}-[0-9]{2}-[0-9]{2})?$",
            title="Publication",
            description="Its number, or its night, YYYY-MM-DD. Empty: the one before the one that is served.",
        ),
        "reason": Param("", type="string", minLength=1, title="Reason", description="Why, for the ledger."),
    },
)
