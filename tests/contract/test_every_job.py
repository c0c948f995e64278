"""What every job promises: its reads have a writer, it says what it does, and importing it is light."""

from __future__ import annotations

import subprocess
import sys

import pytest

from core.job import Job, in_order
from jobs._registry import all_jobs

JOBS = all_jobs()
HEAVY = ("pyspark", "pandas", "lightgbm", "mlflow", "great_expectations", "sklearn", "numpy", "pyarrow", "deltalake")


@pytest.mark.parametrize("job", JOBS.values(), ids=lambda job: job.name)
def test_every_read_has_a_writer(job: Job) -> None:
    written = {table.name for other in JOBS.values() for table in other.writes}
    assert {table.name for table in job.reads} <= written
    assert job.doc.strip().endswith(".")


def test_the_jobs_have_an_order_in_which_writers_come_first() -> None:
    placed: set[str] = set()
    for job in in_order(JOBS):
        assert {t.name for t in job.reads} <= placed | {t.name for t in job.writes}
        placed |= {t.name for t in job.writes}


def test_declarations_import_without_anything_heavy() -> None:
    code = (
        "import sys\n"
        "from jobs._registry import all_jobs, all_tables\n"
        "all_jobs(); all_tables()\n"
        f"print(sorted(set({HEAVY!r}) & set(sys.modules)))\n"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
