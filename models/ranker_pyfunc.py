"""The ranker as MLflow serves it: this file is the model's code, its artifact the folder that `Ranker.save` wrote."""

from __future__ import annotations

from pathlib import Path

import mlflow
import numpy as np
from mlflow.pyfunc.model import PythonModel, PythonModelContext

from models.ranker import load

ARTIFACT = "ranker"


class ServedRanker(PythonModel):
    """Calibrated predictions, float64 (rows, heads), of a float32 matrix (rows, features) in the order of training."""

    def load_context(self, context: PythonModelContext) -> None:
        self.ranker = load(Path(context.artifacts[ARTIFACT]))

    # Without type hints: MLflow would take them for the model's schema, which its signature already gives.
    def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
        return self.ranker.predict(np.asarray(model_input, dtype=np.float32))


mlflow.models.set_model(ServedRanker())
