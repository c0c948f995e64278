"""Features in a file: read and binned block by block, so that the matrix is never in memory whole."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import lightgbm

BLOCK = 16_384
"""Rows read at a time."""

SAMPLE = 200_000
"""Rows that the bins are found from: as many as LightGBM takes of a matrix in memory."""


@dataclass(frozen=True)
class Stored:
    """A matrix of `rows` × `width` float32 in a file without header, row after row; NaN where unknown.

    The first `before` rows of the file are not of it. Read by plain reads, not mapped: pages of a mapped file would
    count as this process's memory.
    """

    path: Path
    rows: int
    width: int
    before: int = 0

    def __len__(self) -> int:
        return self.rows

    def block(self, start: int, stop: int) -> NDArray[np.float32]:
        """Returns rows `start` to `stop`, not included."""
        size = self.width * np.dtype(np.float32).itemsize
        numbers = np.fromfile(self.path, np.float32, (stop - start) * self.width, offset=(self.before + start) * size)
        return numbers.reshape(-1, self.width)

    def part(self, start: int, stop: int) -> Stored:
        """Returns rows `start` to `stop`, not included, where they are."""
        return replace(self, rows=stop - start, before=self.before + start)

    def take(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Returns the rows at places that ascend, in one pass over the file."""
        found = np.empty((len(rows), self.width), np.float32)
        for start in range(0, self.rows, BLOCK):
            stop = min(start + BLOCK, self.rows)
            first, last = np.searchsorted(rows, (start, stop))
            if first < last:
                found[first:last] = self.block(start, stop)[rows[first:last] - start]
        return found

    def in_order(self, order: NDArray[np.intp], path: Path) -> Stored:
        """Returns the rows at the places `order`, each once and in any order, written to a file at `path`."""
        with path.open("wb") as file:
            for start in range(0, len(order), BLOCK):
                # Mapped anew for each block, so that only the pages of one count as memory.
                mapped = np.memmap(self.path, np.float32, "r", shape=(self.before + self.rows, self.width))
                mapped[self.before + order[start : start + BLOCK]].tofile(file)
        return Stored(path, len(order), self.width)


def binned(features: Stored, parameters: dict[str, Any], **described: Any) -> lightgbm.Dataset:
    """Returns the binned dataset of `features`, with labels of 0; `described`: names and codes, as Dataset takes them.

    Bins are found from SAMPLE rows, drawn by the seed of `parameters`, or all if there are fewer: then the dataset is
    that of the matrix in memory, and so are the trees grown from it.
    """
    import lightgbm

    class Blocks(lightgbm.Sequence):
        batch_size = BLOCK

        def __len__(self) -> int:
            return features.rows

        def __getitem__(self, rows: Any) -> NDArray[np.float32]:  # of a slice, since nothing is sampled here
            return features.block(rows.start, rows.stop)

    count = min(SAMPLE, features.rows)
    drawn = np.random.default_rng(parameters["seed"]).choice(features.rows, count, replace=False, shuffle=False)
    # LightGBM leaves out features that no split of so many rows can use: as many of a sample as of all in proportion.
    fewest = {"min_data_in_leaf": parameters["min_data_in_leaf"] * count // features.rows}
    bins = lightgbm.Dataset(features.take(np.sort(drawn)), params={**parameters, **fewest}, **described).construct()
    labels = np.zeros(features.rows, np.float32)
    # By reference to the sample's bins. Without one LightGBM would draw a sample row by row, as float64, twice over.
    return lightgbm.Dataset(
        Blocks(), label=labels, reference=bins, params=parameters, free_raw_data=False, **described
    ).construct()
