"""A report as one HTML file that needs no other: sections of sentences, figures and tables, all text escaped."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import MissingDataError
from core.job import JobContext, log
from core.recipe import Recipe
from core.settings import Settings

if TYPE_CHECKING:
    from models.report_plots import Drawing

TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True)
class Grid:
    """A table of text: one heading a column, rows of as many cells."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Section:
    """One part of a report: sentences first, then figures, then tables."""

    title: str
    text: tuple[str, ...] = ()
    drawings: tuple[Drawing, ...] = ()
    grids: tuple[Grid, ...] = ()


def section(title: str, make: Callable[[], Section]) -> Section:
    """Returns what `make` does, or, where it fails, a section that says so: no report is worth a night."""
    try:
        return make()
    except Exception as error:
        log.exception("the report's section %r could not be made", title)
        return Section(title, (f"This section could not be made: {type(error).__name__}: {error}",))


def page(title: str, subtitle: str, sections: Sequence[Section]) -> str:
    """Returns the page of `sections`, whole: styles and figures are inside, no address is asked for anything."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined)
    environment.filters["data_uri"] = _data_uri
    template = environment.from_string(TEMPLATE.read_text("utf-8"))
    return template.render(title=title, subtitle=subtitle, sections=sections)


def path(settings: Settings, recipe: Recipe, kind: str, ds: date) -> Path:
    """Returns where the report of `kind`, night or training, of `ds` lies."""
    return settings.home_path.absolute() / "reports" / recipe.name / f"{kind}_{ds}.html"


def write(target: Path, html: str) -> None:
    """Puts the page in its place, whole or not at all, and logs where that is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    half = target.with_suffix(".part")
    half.write_text(html, "utf-8")
    half.replace(target)
    log.info("report: %s", target)


def log_to_mlflow(
    ctx: JobContext,
    experiment: str,
    html: str,
    tags: Mapping[str, str],
    figures: Mapping[str, float],
    texts: Mapping[str, str],
) -> None:
    """Logs the page as report.html, with tags, figures and texts by file name, to the run of `ctx`'s night.

    An MLflow that does not answer is said in the log: the page itself is in its place.
    """
    from core import tracking

    try:
        with tracking.run(ctx.settings, experiment, f"{ctx.recipe.name} {ctx.ds}", tags=tags):
            import mlflow

            mlflow.log_metrics(dict(figures))
            for name, text in {"report.html": html, **texts}.items():
                mlflow.log_text(text, name)
    except MissingDataError as error:
        log.warning("the report is not in MLflow: %s", error)


def _data_uri(drawing: Drawing) -> str:
    return f"data:{drawing.type};base64,{base64.b64encode(drawing.content).decode()}"
