"""All trees of a ranker over many rows at once, exactly as LightGBM predicts: sixty-four rows to a word, a bit each.

QuickScorer (Lucchese et al., SIGIR 2015) gives every leaf of a tree a bit and lets each row clear those that it cannot
reach. Here it is turned on its side: every row has a bit. Each distinct condition of the whole forest ("feature 7 is
above 0.3") is asked once for sixty-four rows and answered by one word. A node then sends the rows that reached it on
to its two children by one `and` and one `xor`, without a branch to guess; which leaf each row is in is read off six
words that hold the leaf's number bit by bit.

Leaves are added up in the order of the trees, so that the sums are LightGBM's own to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

MOST_LEAVES = 64
"""Leaves of the largest tree that is covered: as many as six words can number."""
CATEGORICAL, DEFAULT_LEFT, MISSING_BIT = 1, 2, 2
"""Where LightGBM's decision_type says what a node asks, where missing values go, and what it takes for missing."""
NO_MISSING, ZERO_MISSING, NAN_MISSING, CATEGORY = 0, 1, 2, 3
"""What a column takes for missing (LightGBM's own numbers), or that it holds categories."""

Places = NDArray[np.uint32]
Starts = NDArray[np.int64]


@dataclass(frozen=True)
class Forest:
    """The trees of several LightGBM models, in the arrays that the kernel reads.

    Columns are features seen with one notion of missing: `column_feature`, `column_missing`, and from `edges_at` on its
    ascending `edges`: thresholds, or categories. A word per condition: two for each threshold (missing goes left;
    missing goes right), from `words_at` on; after all of those one for each of the sets of categories, whose members
    stand as places among the edges in `members`, from `members_at` on, and whose column in `set_column`.

    A node has a `condition` that sends a row right, and places in the tree for its children: nodes first, then leaves.
    Trees begin at `nodes_at` and `leaves_at`; `model` says whose they are. `slope` is, by model, that of the logistic
    function that its sum goes through, 0 where there is none.
    """

    column_feature: Starts
    column_missing: Starts
    edges: NDArray[np.float64]
    edges_at: Starts
    words_at: Starts
    members: Places
    members_at: Starts
    set_column: Starts
    condition: Places
    left: Places
    right: Places
    nodes_at: Starts
    leaves: NDArray[np.float64]
    leaves_at: Starts
    model: Starts
    slope: NDArray[np.float64]

    def predict(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns predictions, float64 (rows, models), of `matrix`, float32 (rows, features), NaN unknown."""
        from models.forest_kernel import summed

        # The kernel takes the arrays in the order of the fields above.
        *arrays, slope = vars(self).values()
        sums: NDArray[np.float64] = summed(np.ascontiguousarray(matrix, np.float32), *arrays, len(slope))  # type: ignore[call-arg]
        for place in np.flatnonzero(slope):
            sums[:, place] = 1.0 / (1.0 + np.exp(-slope[place] * sums[:, place]))
        return sums


def uncovered(text: str) -> str:
    """Returns why `text`, a LightGBM model, cannot be part of a Forest; empty where it can."""
    header = _fields(text[: text.index("\nTree=")] if "\nTree=" in text else text)
    objective = header.get("objective", "regression").split()
    trees = [_fields(part) for part in text.split("\nTree=")[1:]]
    if header.get("num_tree_per_iteration", "1") != "1":
        return "it has several trees a round"
    if "average_output" in text.partition("\nTree=")[0].split("\n"):
        return "it is a random forest"
    if objective[0] not in ("regression", "binary") or "sqrt" in objective:
        return f"its objective is {' '.join(objective)}"
    if any(tree.get("is_linear", "0") != "0" for tree in trees):
        return "its leaves are linear"
    most = max((int(tree["num_leaves"]) for tree in trees), default=1)
    return f"it has trees of {most} leaves, more than {MOST_LEAVES}" if most > MOST_LEAVES else ""


def forest_of(texts: Sequence[str]) -> Forest:
    """Returns the forest of LightGBM models given as `texts`, each of which must be covered."""
    plan = _Plan()
    slopes = []
    for model, text in enumerate(texts):
        objective = _fields(text[: text.index("\nTree=")]).get("objective", "regression").split()
        slopes.append(float(objective[1].removeprefix("sigmoid:")) if objective[0] == "binary" else 0.0)
        for part in text.split("\nTree=")[1:]:
            plan.add(_fields(part), model)
    return plan.forest(np.array(slopes))


@dataclass
class _Plan:
    """A forest as it is put together: nodes by column and threshold or set, until all of them are known."""

    columns: dict[tuple[int, int], int] = field(default_factory=dict)
    edges: list[set[float]] = field(default_factory=list)
    sets: dict[tuple[int, tuple[int, ...]], int] = field(default_factory=dict)
    nodes: list[tuple[int, float, bool]] = field(default_factory=list)
    children: list[tuple[int, int]] = field(default_factory=list)
    nodes_at: list[int] = field(default_factory=lambda: [0])
    leaves: list[float] = field(default_factory=list)
    leaves_at: list[int] = field(default_factory=lambda: [0])
    model: list[int] = field(default_factory=list)

    def add(self, tree: Mapping[str, str], model: int) -> None:
        values = [float(value) for value in tree["leaf_value"].split()]
        count = len(values) - 1
        if count:
            self._add_nodes(tree, count)
        self.nodes_at.append(len(self.nodes))
        self.leaves += values
        self.leaves_at.append(len(self.leaves))
        self.model.append(model)

    def _add_nodes(self, tree: Mapping[str, str], count: int) -> None:
        names = ("split_feature", "decision_type", "left_child", "right_child")
        feature, kind, left, right = ([int(number) for number in tree[name].split()] for name in names)
        threshold = [float(number) for number in tree["threshold"].split()]
        # Parents are numbered before their children by LightGBM, whose own order will do.
        for node in range(count):
            if kind[node] & CATEGORICAL:
                self.nodes.append((self._set(feature[node], _categories(tree, int(threshold[node]))), np.nan, False))
            else:
                column = self._column(feature[node], kind[node] >> MISSING_BIT & 3)
                self.edges[column].add(threshold[node])
                self.nodes.append((column, threshold[node], bool(kind[node] & DEFAULT_LEFT)))
            self.children.append(tuple(child if child >= 0 else count + ~child for child in (left[node], right[node])))  # type: ignore[arg-type]

    def _column(self, feature: int, missing: int) -> int:
        place = self.columns.setdefault((feature, missing), len(self.columns))
        if place == len(self.edges):
            self.edges.append(set())
        return place

    def _set(self, feature: int, categories: tuple[int, ...]) -> int:
        """Returns the number of the set of `categories` that go left, as -1 - its place."""
        column = self._column(feature, CATEGORY)
        self.edges[column].update(categories)
        return -1 - self.sets.setdefault((column, categories), len(self.sets))

    def forest(self, slope: NDArray[np.float64]) -> Forest:
        edges = [sorted(found) for found in self.edges]
        place = [{edge: i for i, edge in enumerate(found)} for found in edges]
        words = [0 if missing == CATEGORY else 2 * len(edges[i]) for (_, missing), i in self.columns.items()]
        words_at = np.concatenate([[0], np.cumsum(words)]).astype(np.int64)
        members = [[place[column][one] for one in categories] for column, categories in self.sets]
        condition = [
            words_at[-1] - 1 - column
            if column < 0
            else words_at[column] + 2 * place[column][threshold] + (0 if goes_left else 1)
            for column, threshold, goes_left in self.nodes
        ]
        return Forest(
            column_feature=_numbers([feature for feature, _ in self.columns]),
            column_missing=_numbers([missing for _, missing in self.columns]),
            edges=np.array([edge for found in edges for edge in found], np.float64),
            edges_at=_starts(edges),
            words_at=words_at,
            members=_places([one for found in members for one in found]),
            members_at=_starts(members),
            set_column=_numbers([column for column, _ in self.sets]),
            condition=_places(condition),
            left=_places([left for left, _ in self.children]),
            right=_places([right for _, right in self.children]),
            nodes_at=_numbers(self.nodes_at),
            leaves=np.array(self.leaves, np.float64),
            leaves_at=_numbers(self.leaves_at),
            model=_numbers(self.model),
            slope=slope,
        )


def _fields(text: str) -> dict[str, str]:
    """Returns the lines `name=value` of one part of a model's text, up to the first empty line."""
    lines = text.partition("\n\n")[0].split("\n")
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _categories(tree: Mapping[str, str], number: int) -> tuple[int, ...]:
    """Returns the categories of the tree's set `number`, a bit each in words of 32."""
    bounds = [int(bound) for bound in tree["cat_boundaries"].split()]
    words = [int(word) for word in tree["cat_threshold"].split()][bounds[number] : bounds[number + 1]]
    return tuple(32 * i + bit for i, word in enumerate(words) for bit in range(32) if word >> bit & 1)


def _places(numbers: Sequence[int]) -> Places:
    """Unsigned, since numba need not look whether such an index counts from the end."""
    return np.array(numbers, np.uint32)


def _numbers(numbers: Sequence[int] | NDArray[np.int64]) -> Starts:
    return np.array(numbers, np.int64)


def _starts(groups: Sequence[Sequence[object]]) -> Starts:
    return np.concatenate([[0], np.cumsum([len(group) for group in groups])]).astype(np.int64)
