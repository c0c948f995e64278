"""The ranker: one small booster and one calibration per head, saved as text, the same wherever it predicts."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from core.errors import ContractError, MissingDataError
from models.calibration import Calibration, apply, log_odds, sigmoid
from models.scorer import scorer

if TYPE_CHECKING:
    import lightgbm

DECLARATION = "ranker.json"

# Read when LightGBM's OpenMP is loaded. By default its threads spin while they wait for each other: with other work on
# the same cores that made training twenty times slower (90 s for what takes 4 s), and nothing faster on idle ones.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")


@dataclass(frozen=True)
class HeadModel:
    """What predicts one head: `booster` is a LightGBM model as text, its trees alone.

    Where `booster` is empty the head had nothing to learn from and `constant` is predicted for every row. `averaged`
    names the feature whose log odds are averaged with the trees' own, where they are known; empty: none is.
    """

    head: str
    kind: Literal["binary", "regression"]
    booster: str
    constant: float
    calibration: Calibration
    averaged: str = ""


@dataclass(frozen=True)
class Ranker:
    """Predicts every head of a row of features; `features` names them in order, `categorical` those that are codes."""

    features: tuple[str, ...]
    categorical: tuple[str, ...]
    models: tuple[HeadModel, ...]

    @cached_property
    def model_id(self) -> str:
        """Twelve hex digits of the content: same data, config and seed give the same."""
        content = json.dumps(_declared(self), sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()[:12]

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the heads, in the order of the columns that `predict` returns."""
        return tuple(model.head for model in self.models)

    def predict(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns calibrated predictions, float64 (rows, heads), of `matrix`, float32 (rows, features), NaN unknown.

        Binary heads are in [0, 1], regression heads at least 0.
        Raises ContractError where the matrix has another number of features.
        """
        return np.column_stack(
            [
                _within(model.kind, apply(model.calibration, raw))
                for model, raw in zip(self.models, self.raw(matrix).T, strict=True)
            ]
        )

    def raw(self, matrix: NDArray[np.float32]) -> NDArray[np.float64]:
        """Returns the predictions before calibration, in the same shape and bounds."""
        if matrix.ndim != 2 or matrix.shape[1] != len(self.features):
            raise ContractError(
                f"a matrix of shape {matrix.shape} does not hold the {len(self.features)} features of this ranker",
                where=f"ranker {self.model_id}",
            )
        learned = [place for place, model in enumerate(self.models) if model.booster]
        predictions = np.tile([model.constant for model in self.models], (len(matrix), 1))
        predictions[:, learned] = scorer(tuple(self.models[place].booster for place in learned)).predict(matrix)
        for place in learned:
            if name := self.models[place].averaged:
                predictions[:, place] = _averaged(predictions[:, place], matrix[:, self.features.index(name)])
        return np.column_stack(
            [_within(model.kind, raw) for model, raw in zip(self.models, predictions.T, strict=True)]
        )

    def columns_in(self, names: Sequence[str]) -> list[int]:
        """Returns the places of this ranker's features in `names`; raises ContractError naming absent ones."""
        place = {name: i for i, name in enumerate(names)}
        absent = [name for name in self.features if name not in place]
        if absent:
            raise ContractError(
                f"features that the ranker needs are gone: {', '.join(absent)}",
                where=f"ranker {self.model_id}",
                next_step="bring the features back, or train a ranker without them and promote it",
            )
        return [place[name] for name in self.features]

    def save(self, folder: Path) -> None:
        """Writes the ranker into `folder`, made if absent: one JSON file and one text file per booster."""
        folder.mkdir(parents=True, exist_ok=True)
        declaration = {"model_id": self.model_id, **_declared(self)}
        for model in declaration["models"]:
            (folder / _file(model["head"])).write_text(model.pop("booster"), "utf-8")
        (folder / DECLARATION).write_text(json.dumps(declaration, indent=1) + "\n", "utf-8")


def load(folder: Path) -> Ranker:
    """Returns the ranker saved in `folder`, read from JSON and text alone.

    Raises MissingDataError where a file is absent, ContractError where the content is not what was saved.
    """
    try:
        declaration = json.loads((folder / DECLARATION).read_text("utf-8"))
        models = tuple(
            HeadModel(
                head=model["head"],
                kind=model["kind"],
                booster=(folder / _file(model["head"])).read_text("utf-8"),
                constant=model["constant"],
                calibration=Calibration(
                    model["calibration"]["method"], tuple(model["calibration"]["x"]), tuple(model["calibration"]["y"])
                ),
                averaged=model.get("averaged", ""),
            )
            for model in declaration["models"]
        )
    except FileNotFoundError as error:
        raise MissingDataError(f"no ranker: {error.filename} is absent", where=str(folder)) from None
    ranker = Ranker(tuple(declaration["features"]), tuple(declaration["categorical"]), models)
    if ranker.model_id != declaration["model_id"]:
        raise ContractError(
            f"the ranker's content hashes to {ranker.model_id}, it was saved as {declaration['model_id']}",
            where=str(folder),
            next_step="restore the folder, or train again",
        )
    return ranker


def trees(booster: lightgbm.Booster) -> str:
    """Returns the trees of `booster` as text, up to its best round, without the settings of the machine it ran on."""
    text = booster.model_to_string(num_iteration=booster.best_iteration)
    return text[: text.index("\nparameters:")] + "\n"


def _declared(ranker: Ranker) -> dict[str, Any]:
    """Returns what `ranker` is, as JSON holds it. What isn't averaged says nothing of it, as before it could be."""
    declaration = asdict(ranker)
    for model in declaration["models"]:
        if not model["averaged"]:
            del model["averaged"]
    return declaration


def _averaged(probabilities: NDArray[np.float64], others: NDArray[np.float32]) -> NDArray[np.float64]:
    """Returns the probabilities whose log odds are the mean of both; where the `others` are unknown, as they were."""
    mean = (log_odds(probabilities) + others) / 2
    return np.where(np.isnan(mean), probabilities, sigmoid(mean))


def _file(head: str) -> str:
    return f"{head}.lightgbm.txt"


def _within(kind: str, predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(predictions, 0.0, 1.0 if kind == "binary" else None)
