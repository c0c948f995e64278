"""Figures of the reports: small enough for a phone, in colours that the colour-blind tell apart (Okabe and Ito)."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np

from models.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from models.cohorts import CohortCalibration

BLACK, ORANGE, BLUE, GREEN, VERMILION = "#000000", "#E69F00", "#0072B2", "#009E73", "#D55E00"
COLOURS = (BLUE, VERMILION, GREEN, ORANGE, BLACK)
MARKS = "os^Dv"
"""Beside the colour, so that lines are told apart in black and white."""
WIDTH, ROW, FRAME = 4.2, 0.27, 0.95
"""Inches: of a figure, of one of its rows, and of title and axis together."""
STYLE: dict[Any, Any] = {
    "font.size": 8.5,
    "axes.titlesize": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "reelfeed",
    # A dollar sign in a name is no formula.
    "text.parse_math": False,
}

Named = Sequence[tuple[str, Estimate]]


@dataclass(frozen=True)
class Drawing:
    """A picture, and what it shows in words, for those who don't see it."""

    content: bytes
    alt: str
    type: str = "image/svg+xml"


def bars(title: str, rows: Named, unit: str, within: Mapping[str, float] | None = None) -> Drawing:
    """Returns a bar a row, first on top, with its interval; `within` names the part of a bar that is drawn darker."""
    with _styled(len(rows)) as (figure, axes):
        place = np.arange(len(rows))[::-1]
        axes.barh(place, [one.value for _, one in rows], color=BLUE, alpha=0.45, height=0.7)
        if within:
            axes.barh(place, [within.get(name, 0.0) for name, _ in rows], color=BLUE, height=0.35)
        _intervals(axes, place, [one for _, one in rows], BLACK, "")
        axes.set_yticks(place, [name for name, _ in rows])
        axes.set(title=title, xlabel=unit)
        axes.set_xlim(left=0)
        return _drawing(figure, f"{title}, {unit}: {_told(rows)}")


def dots(title: str, rows: Named, unit: str, zero: bool = False) -> Drawing:
    """Returns a dot a row, first on top, with its interval; with a line at 0 where the rows are differences."""
    with _styled(len(rows)) as (figure, axes):
        place = np.arange(len(rows))[::-1]
        _intervals(axes, place, [one for _, one in rows], BLUE, "o")
        axes.set_yticks(place, [name for name, _ in rows])
        axes.set_ylim(-0.6, len(rows) - 0.4)
        if zero:
            axes.axvline(0, color="0.5", linewidth=1, linestyle="--")
        axes.locator_params(axis="x", nbins=6)
        axes.set(title=title, xlabel=unit)
        return _drawing(figure, f"{title}, {unit}: {_told(rows)}")


def reliability(head: str, unit: str, cohorts: Sequence[CohortCalibration], band: float) -> Drawing:
    """Returns mean observed over mean predicted, both in `unit`, a mark for each of the `cohorts` of one head.

    On the diagonal predictions mean what they say; the grey band is `band` around it, as a share. The bar is the 95 %
    interval. A square is a cohort whose whole interval lies beyond the band.
    """
    with _styled(6) as (figure, axes):
        marks = np.array([_observed(one) for one in cohorts])
        predicted = np.array([one.predicted / one.rows for one in cohorts])
        edge = 1.1 * max(float(predicted.max()), float(marks[:, 0].max())) or 1.0
        ends = np.array([0.0, edge])
        axes.fill_between(ends, ends / (1 + band), ends / (1 - band), color="0.9", linewidth=0)
        axes.plot(ends, ends, color="0.5", linewidth=1)
        off = np.array([is_off(one, band) for one in cohorts])
        looks = ((~off, BLUE, "o", "may be within"), (off, VERMILION, "s", "beyond the band"))
        for chosen, colour, mark, name in looks:
            if chosen.any():
                look: dict[str, Any] = {
                    "color": colour,
                    "marker": mark,
                    "markersize": 4,
                    "linewidth": 0.8,
                    "alpha": 0.8,
                }
                observed = marks[chosen]
                spans = np.abs(observed[:, 1:].T - observed[:, 0])
                axes.errorbar(predicted[chosen], observed[:, 0], yerr=spans, linestyle="", label=name, **look)
        axes.set(title=head, xlabel=f"predicted, {unit}", ylabel=f"observed, {unit}", xlim=(0, edge), ylim=(0, edge))
        axes.locator_params(nbins=5)
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        told = ", ".join(f"{one.cohort} {one.ratio:.2f}" for one, there in zip(cohorts, off, strict=True) if there)
        return _drawing(
            figure,
            f"Reliability of {head}, {len(cohorts)} cohorts; predicted over observed shown to lie outside "
            f"{1 - band:g} and {1 + band:g}: {told or 'none'}",
        )


def _observed(one: CohortCalibration) -> tuple[float, float, float]:
    """Returns the mean label of a cohort, and what it would be at both ends of predicted over observed."""
    mean, predicted = one.observed / one.rows, one.predicted / one.rows
    return mean, predicted / one.high if one.high > 0 else mean, predicted / one.low if one.low > 0 else mean


def is_off(one: CohortCalibration, band: float) -> bool:
    """Returns whether the whole interval of predicted over observed lies further than `band` from 1."""
    return one.low > 1 + band or one.high < 1 - band


def lines(title: str, days: Sequence[date], series: Mapping[str, Sequence[float]], unit: str) -> Drawing:
    """Returns a line over `days` for each of `series`, NaN where it has no value."""
    with _styled(6) as (figure, axes):
        shown = [day.strftime("%m-%d") for day in days]
        for place, (name, values) in enumerate(series.items()):
            axes.plot(shown, values, marker=MARKS[place % 5], markersize=4, color=COLOURS[place % 5], label=name)
        axes.set(title=title, ylabel=unit)
        axes.set_ylim(bottom=0)
        axes.tick_params(axis="x", labelrotation=45 if len(days) > 7 else 0)
        figure.legend(loc="outside lower center", frameon=False, ncols=2)
        last = ", ".join(f"{name} {values[-1]:.3f}" for name, values in series.items())
        return _drawing(figure, f"{title}, {unit}, {len(days)} nights until {days[-1]}; last: {last}")


@contextmanager
def _styled(rows: int) -> Iterator[tuple[Figure, Axes]]:
    """Yields a figure that is high enough for so many rows, and its axes, under STYLE."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, FRAME + ROW * rows), layout="constrained")
        yield figure, figure.subplots()


def _intervals(axes: Axes, place: np.ndarray, figures: Sequence[Estimate], colour: str, mark: str) -> None:
    for y, one in zip(place, figures, strict=True):
        axes.plot([one.value], [y], marker=mark, markersize=5, color=colour)
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [y, y], color=colour, linewidth=1.4)


def _told(rows: Named) -> str:
    return ", ".join(f"{name} {one.told(3)}" for name, one in rows)


def _drawing(figure: Figure, alt: str) -> Drawing:
    made = io.BytesIO()
    figure.savefig(made, format="svg", metadata={"Date": None})
    return Drawing(made.getvalue(), alt)
