"""A factorisation machine (Rendle 2010) of a yes or no, in JAX: a bias and a vector for every value of every field.

Log odds of a row: w + Σ_f b_f + Σ_{f<g} ⟨v_f, v_g⟩, with b_f and v_f those of the row's value of field f. A value that
no row learnt from had has none: its bias and vector count as 0.

Fitted by coordinate ascent on the parabola that touches the log likelihood at the present log odds η and lies nowhere
above it, of curvature c = tanh(η / 2) / 2η (Jaakkola and Jordan 2000). Given all others, the biases of one field, or
one dimension of its vectors, do not meet in any row, so that all step to their optimum at once, none ever too far.

Biases, and each dimension of the vectors, of one field have a normal prior around 0. Its precision is learnt with them
(empirical Bayes): (values + 1) / (Σ mean² + variance, + 1), the variance of a bias or element being
1 / (Σ c x² + precision), x what multiplies it. The variance of the vectors that it meets counts in x². So there is no
penalty to choose, and a field that says nothing shrinks to 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SPREAD = 0.1
"""Standard deviation of the vectors' elements at first."""


@dataclass(frozen=True)
class Plan:
    """What is chosen rather than learned: elements of a vector, and how often every bias and element steps."""

    rank: int = 4
    sweeps: int = 30


@dataclass(frozen=True)
class Machine:
    """What was learned: of each field the `values` known, ascending, biases (values,) and vectors (values, rank)."""

    intercept: float
    values: tuple[Ints, ...]
    biases: tuple[Floats, ...]
    vectors: tuple[Floats, ...]

    def log_odds(self, fields: Ints) -> Floats:
        """Returns the log odds, float64 (rows,), of `fields`, whole numbers (rows, fields).

        Raises ContractError where there are more or fewer fields than were learnt from.
        """
        if fields.ndim != 2 or fields.shape[1] != len(self.values):
            raise ContractError(
                f"rows of shape {fields.shape} don't hold the {len(self.values)} fields of this machine",
                where="models/factorisation.py",
                next_step="give the fields that it was fitted on, in their order",
            )
        odds = np.full(len(fields), self.intercept)
        total = np.zeros((len(fields), self.vectors[0].shape[1]))
        squares = np.zeros_like(total)
        for field, column in enumerate(fields.T):
            bias, vector = self.learned(field, column)
            odds += bias
            total += vector
            squares += vector**2
        found: Floats = odds + (total**2 - squares).sum(axis=1) / 2
        return found

    def learned(self, field: int, asked: Ints) -> tuple[Floats, Floats]:
        """Returns bias (rows,) and vector (rows, rank) of the values `asked` of a field, 0 where it is a stranger."""
        values = self.values[field]
        place = np.searchsorted(values, asked).clip(max=len(values) - 1)
        known = values[place] == asked
        return self.biases[field][place] * known, self.vectors[field][place] * known[:, None]


def fit(fields: Ints, labels: Floats, seed: int, plan: Plan | None = None) -> Machine:
    """Returns the machine of `fields`, whole numbers (rows, fields), and `labels` (rows,), 0 or 1.

    Same rows in the same order, same seed: same machine. Raises ContractError where there is no row or field, or a
    label is neither 0 nor 1.
    """
    plan = plan or Plan()
    _check(fields, labels)
    found = [np.unique(column, return_inverse=True) for column in fields.T]
    values = tuple(each for each, _ in found)
    starts = np.cumsum([0, *map(len, values)])
    place = np.column_stack([inverse + start for (_, inverse), start in zip(found, starts[:-1], strict=True)])
    field_of = np.repeat(np.arange(len(values)), np.diff(starts))
    drawn = np.random.default_rng(seed).normal(0.0, SPREAD, (starts[-1], plan.rank))
    mean = np.column_stack([np.zeros(starts[-1]), drawn])
    intercept, mean = _ascend(
        jnp.asarray(mean.T, jnp.float32), jnp.asarray(place.T, jnp.int32), jnp.asarray(labels, jnp.float32),
        jnp.asarray(field_of, jnp.int32), plan,
    )  # fmt: skip
    parts = np.split(np.asarray(mean, np.float64).T, starts[1:-1])
    return Machine(float(intercept), values, tuple(p[:, 0] for p in parts), tuple(p[:, 1:] for p in parts))


def _check(fields: Ints, labels: Floats) -> None:
    wrong: Sequence[str] = [
        *(["no rows or no fields"] if not fields.size else []),
        *([f"{len(labels)} labels of {len(fields)} rows"] if len(labels) != len(fields) else []),
        *(["labels other than 0 and 1"] if not np.isin(labels, (0, 1)).all() else []),
    ]
    if wrong:
        raise ContractError(f"nothing to learn a factorisation machine from: {'; '.join(wrong)}", where="rows to fit")


@partial(jax.jit, static_argnames="plan")
def _ascend(mean: Any, place: Any, labels: Any, field_of: Any, plan: Plan) -> tuple[Any, Any]:
    """Returns the intercept, and the biases and vectors (1 + rank, values of all fields), after all sweeps.

    `mean` is shaped like these, `place` (fields, rows) says which values a row has. What a step works on stands by
    itself, element by element, since XLA would copy the whole of an array that it changes a part of.
    """
    fields, elements = len(place), 1 + plan.rank

    def of_fields(values: Any) -> Any:
        return jax.ops.segment_sum(values, field_of, fields)

    def field_step(state: Any, at: Any) -> tuple[Any, None]:
        field, of_row, prior = at
        mean, variance, odds, total, loose = state
        mean, variance, total, loose = map(list, (mean, variance, total, loose))
        for element in range(elements):
            own, own_variance = mean[element][of_row], variance[element][of_row]
            # The bias, element 0, is multiplied by 1; an element of a vector by the sum of the others of its row.
            factor = total[element] - own if element else 1.0
            around = loose[element] - own_variance if element else 0.0
            curvature = _curvature(odds)
            slope = factor * (labels - jax.nn.sigmoid(odds)) - around * curvature * own
            slope = jax.ops.segment_sum(slope, of_row, len(field_of))
            bend = jax.ops.segment_sum(curvature * (factor**2 + around), of_row, len(field_of)) + prior[element]
            before, mine = mean[element], field_of == field
            mean[element] = jnp.where(mine, before + (slope - prior[element] * before) / bend, before)
            variance[element] = jnp.where(mine, 1.0 / bend, variance[element])
            change = mean[element][of_row] - own
            odds = odds + factor * change
            total[element] = total[element] + change
            loose[element] = loose[element] + variance[element][of_row] - own_variance
        return (tuple(mean), tuple(variance), odds, tuple(total), tuple(loose)), None

    def sweep(_: int, state: Any) -> Any:
        intercept, precision, (mean, variance, odds, total, loose) = state
        shift = (labels - jax.nn.sigmoid(odds)).sum() / _curvature(odds).sum()
        of_field = (jnp.arange(fields), place, precision)
        learned = jax.lax.scan(field_step, (mean, variance, odds + shift, total, loose), of_field)[0]
        spread = jnp.stack([of_fields(m**2 + v) for m, v in zip(*learned[:2], strict=True)], axis=1)
        return intercept + shift, (counts + 1.0) / (spread + 1.0), learned

    counts = of_fields(jnp.ones_like(field_of))[:, None]
    total, squares = mean[:, place].sum(axis=1), (mean[:, place] ** 2).sum(axis=1)
    odds = total[0] + ((total**2 - squares) / 2)[1:].sum(axis=0)
    # Were vectors thought as loose at first as their prior, 0 would be an optimum that they never leave.
    learned = (tuple(mean), tuple(jnp.zeros_like(mean)), odds, tuple(total), tuple(jnp.zeros_like(total)))
    state = (jnp.zeros(()), jnp.ones((fields, elements)), learned)
    intercept, _, (mean, *_) = jax.lax.fori_loop(0, plan.sweeps, sweep, state)
    return intercept, jnp.stack(mean)


def _curvature(odds: Any) -> Any:
    """Returns tanh(η / 2) / 2η, at most 1/4, which it is at 0."""
    size = jnp.maximum(jnp.abs(odds), 1e-3)
    return jnp.tanh(size / 2) / (2 * size)
