"""Every job and every table there is, found by folder."""

from __future__ import annotations

from core import tables
from core.job import Job
from core.registry import declarations
from core.table import Table
from features.catalog import all_groups
from features.running import can_carry

TRAINING = (
    "fit_blend",
    "build_training_set",
    "measure_drift",
    "train_ranker",
    "evaluate",
    "promote",
    "write_training_report",
)
"""The jobs of DAG train_models, which `make run` runs too."""


def all_jobs() -> dict[str, Job]:
    """Returns every job by name, sorted: the files of jobs/."""
    import jobs

    return declarations(jobs, "JOB")


def all_tables() -> dict[str, Table]:
    """Returns every table by name, sorted: the files of core/tables/, and those of each feature group."""
    found: dict[str, Table] = declarations(tables, "TABLE")
    for group in all_groups().values():
        of_group = (group.tiles, group.snapshot, *([group.sums] if can_carry(group) else []))
        found |= {table.name: table for table in of_group}
    return dict(sorted(found.items()))
