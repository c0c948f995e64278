"""Rankers in MLflow's registry: logged as code and text, never as a pickle, and served by alias.

A registered model per recipe, `reelfeed-<recipe>`. Aliases: `challenger`, the newest trained; `champion`, the one that
serves; `previous`, the one that served before. Aliases have no history, so each night's champion is also a tag of
the registered model, `champion.<ds>`: by it a night that is run again compares with the champion it had. Where people
then put others in its place, the tag holds all of them in order, as in `7,5`.
"""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Sequence
from datetime import date
from importlib.metadata import version as installed
from pathlib import Path

from core.errors import MissingDataError
from core.settings import ROOT, Settings
from core.tracking import connect
from models.ranker import Ranker, load

CHAMPION_OF = "champion."
MODEL_ID = "model_id"
ARTIFACT = "ranker"
# What the served model's code needs of this repository, and of PyPI.
CODE = (
    "core/__init__.py",
    "core/errors.py",
    "models/__init__.py",
    "models/calibration.py",
    "models/forest.py",
    "models/forest_kernel.py",
    "models/metrics.py",
    "models/ranker.py",
    "models/scorer.py",
)
PACKAGES = ("mlflow", "numpy", "numba", "lightgbm", "scipy")


def registered_name(recipe: str) -> str:
    """Returns the name of the registered model that holds the rankers of `recipe`."""
    return f"reelfeed-{recipe}"


def log_ranker(settings: Settings, recipe: str, ranker: Ranker) -> int:
    """Logs `ranker` to the active MLflow run, registers it and returns its version.

    A ranker with the same content that is already registered is not logged again: its version is returned.
    """
    import mlflow

    client, name = connect(settings), registered_name(recipe)
    same = client.search_model_versions(f"name = '{name}' and tag.{MODEL_ID} = '{ranker.model_id}'")
    if same:
        return min(int(found.version) for found in same)
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        # MLflow asks for type hints and an input example, from which it would guess the signature given here.
        warnings.simplefilter("ignore", UserWarning)
        folder, code = Path(scratch) / ARTIFACT, Path(scratch) / "code"
        ranker.save(folder)
        for file in CODE:
            (code / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / file, code / file)
        logged = mlflow.pyfunc.log_model(
            name=ARTIFACT,
            python_model=str(ROOT / "models" / "ranker_pyfunc.py"),
            artifacts={ARTIFACT: str(folder)},
            code_paths=[str(code / "core"), str(code / "models")],
            signature=_signature(ranker),
            pip_requirements=[f"{package}=={installed(package)}" for package in PACKAGES],
            metadata={MODEL_ID: ranker.model_id},
        )
    tags = {MODEL_ID: ranker.model_id}
    return int(mlflow.register_model(logged.model_uri, name, tags=tags).version)


def set_challenger(settings: Settings, recipe: str, version: int) -> None:
    """Points the alias `challenger` of `recipe` at `version`."""
    connect(settings).set_registered_model_alias(registered_name(recipe), "challenger", str(version))


def set_champion(settings: Settings, recipe: str, version: int, ds: date, *, then: Sequence[int] = ()) -> None:
    """Records that `version` is champion of `recipe` after the night `ds`, and points the aliases accordingly.

    `then` are those that people put in its place afterwards, in order. The alias `champion` follows the newest night on
    record, so that an old night run again changes nothing that serves; `previous` is the last other version before it,
    and absent where there is none.
    """
    client, name = connect(settings), registered_name(recipe)
    client.set_registered_model_tag(name, f"{CHAMPION_OF}{ds}", ",".join(map(str, (version, *then))))
    nights = _champions(settings, recipe)
    reigns = [one for night in sorted(nights) for one in nights[night]]
    client.set_registered_model_alias(name, "champion", str(reigns[-1]))
    others = [one for one in reigns if one != reigns[-1]]
    if others:
        client.set_registered_model_alias(name, "previous", str(others[-1]))
    else:
        client.delete_registered_model_alias(name, "previous")


def champion(settings: Settings, recipe: str, *, before: date | None = None) -> tuple[Ranker, int] | None:
    """Returns the champion of `recipe` and its version, None where there is none; `before` as for `champion_version`.

    Raises as `load_version` does where it no longer loads.
    """
    found = champion_version(settings, recipe, before=before)
    return None if found is None else (load_version(settings, recipe, found), found)


def champion_version(settings: Settings, recipe: str, *, before: date | None = None) -> int | None:
    """Returns the version of the champion of `recipe`, None where there is none.

    With `before`: the champion as it stood when that night began. Without: the one that serves now.
    """
    if before is None:
        return _aliases(settings, recipe).get("champion")
    nights = {night: versions for night, versions in _champions(settings, recipe).items() if night < before}
    return nights[max(nights)][-1] if nights else None


def first_served(settings: Settings, recipe: str, version: int) -> date:
    """Returns the first night after which `version` was champion; raises MissingDataError if it never was."""
    nights = [night for night, versions in _champions(settings, recipe).items() if version in versions]
    if not nights:
        raise MissingDataError(f"version {version} was never champion", where=_where(recipe))
    return min(nights)


def last_decided(settings: Settings, recipe: str) -> date | None:
    """Returns the newest night of which a champion of `recipe` is on record, None where there is none."""
    return max(_champions(settings, recipe), default=None)


def versions(settings: Settings, recipe: str) -> dict[int, str]:
    """Returns the content hash of every registered version of `recipe`."""
    found = connect(settings).search_model_versions(f"name = '{registered_name(recipe)}'")
    return {int(one.version): str(one.tags[MODEL_ID]) for one in found}


def load_servable(settings: Settings, recipe: str, version: int, features: Sequence[str]) -> Ranker:
    """Returns the ranker `version` of `recipe`, which `features` suffice to score with.

    Raises as `load_version` does, and ContractError where it needs features that are not among them.
    """
    ranker = load_version(settings, recipe, version)
    ranker.columns_in(features)
    return ranker


def load_version(settings: Settings, recipe: str, version: int) -> Ranker:
    """Returns the ranker that is registered for `recipe` as `version`.

    Raises MissingDataError where there is none or its files cannot be read, ContractError where they were changed.
    """
    import mlflow
    from mlflow.exceptions import MlflowException

    connect(settings)
    try:
        folder = mlflow.artifacts.download_artifacts(f"models:/{registered_name(recipe)}/{version}")
        return load(Path(folder) / "artifacts" / ARTIFACT)
    except (MlflowException, MissingDataError, OSError, LookupError, TypeError, ValueError) as error:
        # What broken JSON raises, or JSON without the fields of a ranker, is as good as no file.
        raise MissingDataError(
            f"ranker version {version} of {recipe!r} is not to be had: {getattr(error, 'what', error)}",
            where=_where(recipe),
            next_step="train_ranker registers one; a version whose files were deleted must be trained again",
        ) from None


def load_model(settings: Settings, recipe: str, model_id: str) -> Ranker:
    """Returns the ranker of `recipe` with the content hash `model_id`; raises MissingDataError where there is none."""
    name = registered_name(recipe)
    found = connect(settings).search_model_versions(f"name = '{name}' and tag.{MODEL_ID} = '{model_id}'")
    if not found:
        raise MissingDataError(f"no ranker {model_id} of {recipe!r}", where=_where(recipe))
    return load_version(settings, recipe, min(int(version.version) for version in found))


def _aliases(settings: Settings, recipe: str) -> dict[str, int]:
    found = connect(settings).search_registered_models(f"name = '{registered_name(recipe)}'")
    return {alias: int(version) for alias, version in found[0].aliases.items()} if found else {}


def _champions(settings: Settings, recipe: str) -> dict[date, list[int]]:
    """Returns the versions that were champion after each night on record, in order."""
    found = connect(settings).search_registered_models(f"name = '{registered_name(recipe)}'")
    tags = found[0].tags if found else {}
    return {
        date.fromisoformat(tag.removeprefix(CHAMPION_OF)): [int(version) for version in told.split(",")]
        for tag, told in tags.items()
        if tag.startswith(CHAMPION_OF)
    }


def _where(recipe: str) -> str:
    return f"registered model {registered_name(recipe)}"


def _signature(ranker: Ranker) -> object:
    # Unnamed: MLflow would hand a named tensor over as a dictionary.
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype(np.float32), (-1, len(ranker.features)))]),
        outputs=Schema([TensorSpec(np.dtype(np.float64), (-1, len(ranker.heads)))]),
    )
