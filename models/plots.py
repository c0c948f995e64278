"""Figures that a person looks at before trusting a ranker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]

SHOWN_FEATURES = 25
HEAD_FEATURES = 10
COLOURS = 10
"""Of matplotlib's cycle."""


def reliability(title: str, unit: str, curves: Mapping[str, Curve]) -> Figure:
    """Returns mean label over mean prediction, both in `unit`, a line per curve of models.metrics.reliability.

    On the diagonal a prediction means what it says.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5, 5), layout="constrained")
    _reliability(figure.subplots(), title, unit, curves)
    return figure


def head(
    title: str,
    unit: str,
    curves: Mapping[str, Curve],
    lifts: Mapping[str, NDArray[np.float64]],
    gains: Mapping[str, float] | None = None,
) -> Figure:
    """Returns all that is to be seen of one head in one picture: reliability, lift and what it splits on.

    `curves` as `reliability` takes them, `lifts` of models.lift.lift, `gains` by feature; without gains, without them.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 8) if gains else (10, 4.5))
    figure.suptitle(title)
    # Margins by hand: matplotlib's own layout draws everything again, which nine heads would pay for every night.
    margins = {"left": 0.33, "top": 0.9, "bottom": 0.07} if gains else {"left": 0.07, "top": 0.85, "bottom": 0.12}
    panels = figure.subplot_mosaic("RL;II" if gains else "RL", gridspec_kw={**margins, "right": 0.98, "hspace": 0.35})
    _reliability(panels["R"], "reliability", unit, curves)
    panel = panels["L"]
    for name, of_parts in lifts.items():
        panel.plot(np.arange(len(of_parts)) + 1, of_parts, marker="o", markersize=4, label=name)
    panel.axhline(1, color="0.7", linewidth=1)
    panel.set(title="lift", xlabel="tenth of the rows, highest predicted first", ylim=(0, None))
    panel.set_ylabel("mean label over that of all rows")
    if gains:
        shares = _shares(gains)
        shown = sorted(shares, key=lambda name: (-shares[name], name))[:HEAD_FEATURES][::-1]
        panels["I"].barh(shown, [shares[name] for name in shown])
        panels["I"].set(title="importance", xlabel="share of the head's gain")
    return figure


def _reliability(axes: Axes, title: str, unit: str, curves: Mapping[str, Curve]) -> None:
    highest = max(
        (float(np.max(values)) for curve in curves.values() for values in curve[:2] if len(values)), default=0.0
    )
    edge = (highest or 1.0) * 1.05
    axes.plot([0, edge], [0, edge], color="0.7", linewidth=1)
    for name, (predicted, observed, _) in curves.items():
        axes.plot(predicted, observed, marker="o", markersize=4, label=name)
    axes.set(title=title, xlabel=f"predicted, {unit}", ylabel=f"observed, {unit}", xlim=(0, edge), ylim=(0, edge))
    axes.legend()


def importance(gains: Mapping[str, Mapping[str, float]]) -> Figure:
    """Returns what each head splits on: share of `gains` (head to feature to gain) of the strongest features."""
    from matplotlib.figure import Figure

    shares = {head: _shares(of_head) for head, of_head in gains.items() if sum(of_head.values()) > 0}
    names = {name for of_head in shares.values() for name in of_head}
    total = {name: sum(of_head.get(name, 0.0) for of_head in shares.values()) for name in names}
    shown = sorted(total, key=lambda name: (-total[name], name))[:SHOWN_FEATURES][::-1]
    figure = Figure(figsize=(8, 1.5 + 0.3 * len(shown)), layout="constrained")
    axes = figure.subplots()
    left = np.zeros(len(shown))
    for head, of_head in shares.items():
        width = np.array([of_head.get(name, 0.0) for name in shown])
        axes.barh(shown, width, left=left, label=head)
        left += width
    axes.set(title="What the heads split on", xlabel="share of the head's gain, summed over heads")
    if shares:
        axes.legend()
    return figure


def _shares(gains: Mapping[str, float]) -> dict[str, float]:
    total = sum(gains.values())
    return {name: gain / total for name, gain in gains.items()}


def recall(rows: Sequence[Mapping[str, Any]]) -> Figure:
    """Returns recall over the length of the list, a line per system, of rows of table source_quality; all users."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        if row["metric"].startswith("recall@") and row["cohort"] == "all" and "_minus_" not in row["system"]:
            found.setdefault(row["system"], []).append((int(row["metric"].partition("@")[2]), row["value"]))
    for place, (system, points) in enumerate(sorted(found.items(), key=lambda item: -max(item[1])[1])):
        depths, values = zip(*sorted(points), strict=True)
        line = "-" if place < COLOURS else ":"
        axes.plot(depths, values, marker="o", markersize=4, label=system, color=f"C{place}", linestyle=line)
        axes.set_xticks(depths)
    axes.set(
        title="long views of the days after that a list had named", xlabel="first k of the list", ylabel="recall@k"
    )
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def trade_off(points: Mapping[str, Sequence[Mapping[str, float]]], objective: str, other: str) -> Figure:
    """Returns what weights give of `objective` over what of `other`, a mark per trial of each kind of `points`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axes = figure.subplots()
    for place, (name, trials) in enumerate(points.items()):
        x, y = ([trial[head] for trial in trials] for head in (other, objective))
        axes.plot(x, y, linestyle="", marker=".sD*X"[place], markersize=4 + place, color=f"C{place}", label=name)
    axes.set(title="What the first five of a list gave", xlabel=f"{other}, mean", ylabel=f"{objective}, mean")
    axes.legend(fontsize="small")
    return figure
