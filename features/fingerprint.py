"""Vectors as Arrow batches carry them, and a short name for each: equal ones share it, others almost surely do not."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

SEED = 20260101


def matrix(batch: pyarrow.RecordBatch) -> NDArray[np.float32]:
    """Returns column `features` of `batch`, lists of one length, as float32 (rows, features)."""
    numbers: NDArray[np.float32] = batch.column("features").flatten().to_numpy(zero_copy_only=False)
    return numbers.reshape(batch.num_rows, -1)


def fingerprints(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Returns the fingerprint, int64 (rows,), of each row of `vectors`, float32 (rows, features).

    Multilinear hashing modulo 2⁶⁴ (Carter and Wegman 1979) over the bits of pairs of floats, with odd
    multipliers: a change of one feature always shows, of several but for a chance of about 2⁻³². All NaN are alike, as
    are 0 and −0.
    """
    import numpy as np

    rows, width = vectors.shape
    words = np.zeros((rows, width + width % 2), dtype=np.float32)
    np.add(vectors, np.float32(0), out=words[:, :width])
    words[np.isnan(words)] = np.float32("nan")
    pairs = words.view(np.uint64)
    multipliers = np.random.default_rng(SEED).integers(0, 1 << 63, size=pairs.shape[1], dtype=np.uint64) * 2 + 1
    hashed: NDArray[np.int64] = np.einsum("ij,j->i", pairs, multipliers).view(np.int64)
    return hashed
