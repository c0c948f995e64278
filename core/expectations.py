"""Great Expectations: a table's declaration as one suite, run on a publish, with Data Docs to read afterwards."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import contract
from core.contract import Finding
from core.table import Table

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def suite(table: Table) -> list[Any]:
    """Returns the expectations that `table` declares, each with its severity (critical stops, warning tells).

    Not null, bounds and choices come from the columns; uniqueness from the key; means from the table's checks.
    """
    import great_expectations.expectations as gxe

    stop: dict[str, Any] = {"severity": "critical"}
    bounds: dict[str, Any]
    found: list[Any] = [gxe.ExpectTableRowCountToBeBetween(min_value=table.min_rows, **stop)]
    for column in table.columns:
        at: dict[str, Any] = {"column": column.name, **stop}
        if not column.nullable:
            found.append(gxe.ExpectColumnValuesToNotBeNull(**at))
        if column.minimum is not None or column.maximum is not None:
            bounds = {"min_value": column.minimum, "max_value": column.maximum}
            found.append(gxe.ExpectColumnValuesToBeBetween(**at, **bounds))
        if column.choices:
            found.append(gxe.ExpectColumnValuesToBeInSet(**at, value_set=list(column.choices)))
    found.append(gxe.ExpectCompoundColumnsToBeUnique(column_list=["ds", *table.key], **stop))
    for check in table.checks:
        severity = "critical" if check.severity == "stop" else "warning"
        bounds = {"min_value": check.minimum, "max_value": check.maximum}
        found.append(gxe.ExpectColumnMeanToBeBetween(column=check.column, severity=severity, **bounds))
    return found


def findings(frame: DataFrame, table: Table, seen: list[Finding], home: Path) -> list[Finding]:
    """Returns every expectation of `table` that `frame` breaks, and renews the Data Docs below `home`/gx.

    Great Expectations says only whether each holds; the contract's own pass, whose findings are `seen`, says
    what was there instead.
    """
    warnings.filterwarnings("ignore", module="great_expectations")
    for noisy in ("great_expectations", "py4j"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    import great_expectations as gx
    from great_expectations.checkpoint.actions import UpdateDataDocsAction

    home.mkdir(parents=True, exist_ok=True)
    context = gx.get_context(mode="file", project_root_dir=home)
    context.variables.progress_bars = {"globally": False}
    source = context.data_sources.add_or_update_spark(name="lake", persist=False)
    batch = source.add_dataframe_asset(name=table.name).add_batch_definition_whole_dataframe("publish")
    checked = context.suites.add_or_update(gx.ExpectationSuite(name=table.name, expectations=suite(table)))
    definition = context.validation_definitions.add_or_update(
        gx.ValidationDefinition(name=table.name, data=batch, suite=checked)
    )
    checkpoint = context.checkpoints.add_or_update(
        gx.Checkpoint(
            name=table.name,
            validation_definitions=[definition],
            actions=[UpdateDataDocsAction(name="data_docs")],
            result_format="BOOLEAN_ONLY",
        )
    )
    # Spark averages no booleans.
    averaged = {check.column for check in table.checks}
    booleans = {c.name: frame[c.name].cast("int") for c in table.columns if c.type == "boolean" and c.name in averaged}
    outcome = checkpoint.run(batch_parameters={"dataframe": frame.withColumns(booleans) if booleans else frame})
    if outcome.success:
        return []
    broken = [_finding(result) for run in outcome.run_results.values() for result in run.results if not result.success]
    seen = [*seen, *contract.repeated_keys(frame, table)]
    told = {finding.text for finding in seen}
    stops = any(finding.severity == "stop" for finding in broken)
    return seen if stops == any(finding.severity == "stop" for finding in seen) and told else [*seen, *broken]


def _finding(result: Any) -> Finding:
    config = result.expectation_config
    settings = {key: value for key, value in config.kwargs.items() if key != "batch_id"}
    raised = (result.exception_info or {}).get("exception_message") or ""
    severity = str(getattr(config, "severity", "critical")).lower()
    text = f"{config.type} {settings} {raised}".strip()
    return Finding("tell" if severity.endswith("warning") else "stop", text)
