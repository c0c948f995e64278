"""Great Expectations: a table's declaration as one suite, run on a publish, with Data Docs to read afterwards."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.contract import Finding
from core.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def suite(table: Table) -> list[Any]:
    """Returns the Great Expectations expectations that `table` declares, each with its severity.

    Not null, bounds and choices come from the columns; uniqueness from the key; means from the table's checks.
    """
    import great_expectations.expectations as gxe

    stop, tell = {"severity": "critical"}, {"severity": "warning"}
    found: list[Any] = [gxe.ExpectTableRowCountToBeBetween(min_value=table.min_rows, **stop)]
    for column in table.columns:
        if not column.nullable:
            found.append(gxe.ExpectColumnValuesToNotBeNull(column=column.name, **stop))
        if column.minimum is not None or column.maximum is not None:
            bounds = {"min_value": column.minimum, "max_value": column.maximum}
            found.append(gxe.ExpectColumnMinToBeBetween(column=column.name, min_value=column.minimum, **stop))
            if column.maximum is not None:
                found.append(gxe.ExpectColumnMaxToBeBetween(column=column.name, max_value=bounds["max_value"], **stop))
        if column.choices:
            found.append(gxe.ExpectColumnValuesToBeInSet(column=column.name, value_set=list(column.choices), **stop))
    found.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=["ds", *table.key], **stop))
    for check in table.checks:
        severity = stop if check.severity == "stop" else tell
        found.append(
            gxe.ExpectColumnMeanToBeBetween(
                column=check.column, min_value=check.minimum, max_value=check.maximum, **severity
            )
        )
    return found


def findings(frame: DataFrame, table: Table, docs: Path) -> list[Finding]:
    """Returns every expectation of `table` that `frame` breaks, and renews the Data Docs below `docs`."""
    warnings.filterwarnings("ignore", module="great_expectations")
    for noisy in ("great_expectations", "py4j"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.checkpoint import UpdateDataDocsAction

    context = gx.get_context(mode="file", project_root_dir=docs)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_or_update_spark(name="lake")
    batch = source.add_dataframe_asset(name=table.name).add_batch_definition_whole_dataframe("publish")
    expectations = gx.ExpectationSuite(name=table.name, expectations=suite(table))
    checked = context.suites.add_or_update(expectations)
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=table.name, data=batch, suite=checked)
    )
    checkpoint = context.checkpoints.add_or_update(
        gx.Checkpoint(
            name=table.name, validation_definitions=[definition], actions=[UpdateDataDocsAction(name="data_docs")]
        )
    )
    numeric = [c.name for c in table.columns if c.type == "boolean" and any(c.name == k.column for k in table.checks)]
    seen = frame.withColumns({name: frame[name].cast("int") for name in numeric}) if numeric else frame
    outcome = checkpoint.run(batch_parameters={"dataframe": seen})
    return [_finding(result) for run in outcome.run_results.values() for result in run.results if not result.success]


def _finding(result: Any) -> Finding:
    config = result.expectation_config
    settings = {k: v for k, v in config.kwargs.items() if k not in ("batch_id", "severity")}
    seen = {k: v for k, v in (result.result or {}).items() if k in ("observed_value", "unexpected_count")}
    severity = "tell" if str(getattr(config, "severity", "critical")).lower().endswith("warning") else "stop"
    problem = (result.exception_info or {}).get("exception_message") or ""
    return Finding(severity, f"{config.type}({settings}) saw {seen} {problem}".strip())
