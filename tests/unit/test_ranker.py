"""The ranker: same data and seed, same model; saved and loaded, same predictions; bad input, one clear error."""

from __future__ import annotations

import math
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from core.errors import ContractError, MissingDataError, UsageError
from models.examples import Examples, ExamplesInFile, examples, examples_in_file
from models.heads import HEADS, head_labels
from models.labels import LABELS, label_names, label_sql
from models.metrics import auc, calibration_ratio
from models.ranker import Ranker, load
from models.ranker_training import FitReport, fit
from models.stored import Stored

NAMES = tuple(f"feature_{i}" for i in range(6))
CODES = (NAMES[-1],)
ROWS = 6_000


def made(seed: int = 1) -> Examples:
    """Rows whose long views and watch time follow two features and one code; likes are rare, and all else is not."""
    generator = np.random.default_rng(seed)
    matrix = generator.normal(size=(ROWS, len(NAMES))).astype(np.float32)
    matrix[:, -1] = generator.integers(0, 3, ROWS)
    chance = 1 / (1 + np.exp(-(matrix[:, 0] + matrix[:, 1] * (matrix[:, -1] == 1))))
    labels = np.zeros((ROWS, len(head_labels())), np.float32)
    labels[:, 0] = generator.random(ROWS) < chance
    labels[:, 1] = generator.random(ROWS) < chance / 10
    labels[:, 2] = 30 * chance
    labels[::50, 1] = np.nan
    part = np.repeat(np.array([0, 1, 2], np.int8), [ROWS // 2, ROWS // 4, ROWS // 4])
    ids = np.arange(ROWS)
    return Examples(
        features=matrix,
        labels=labels,
        user=ids % 100,
        video=ids % 37,
        shown_at=ids,
        snapshot=np.zeros(ROWS, np.int32),
        part=part,
        popularity=chance.astype(np.float64),
        weight=np.ones(ROWS, np.float32),
        label_names=head_labels(),
    )


def fitted(rows: Examples | ExamplesInFile, seed: int = 1, threads: int = 1) -> tuple[Ranker, FitReport]:
    return fit(rows, features=NAMES, categorical=CODES, heads=HEADS, neutral={}, seed=seed, threads=threads)


@pytest.fixture(scope="module")
def rows() -> Examples:
    return made()


@pytest.fixture(scope="module")
def trained(rows: Examples) -> tuple[Ranker, FitReport]:
    return fitted(rows)


def test_it_learns_and_its_predictions_mean_what_they_say(rows: Examples, trained: tuple[Ranker, FitReport]) -> None:
    test = rows.part == 2
    predictions = trained[0].predict(rows.features[test])
    labels = rows.labels[test].astype(np.float64)
    assert auc(labels[:, 0], predictions[:, 0]) > 0.7
    assert calibration_ratio(labels[:, 0], predictions[:, 0]) == pytest.approx(1.0, abs=0.1)
    assert calibration_ratio(labels[:, 2], predictions[:, 2]) == pytest.approx(1.0, abs=0.05)
    assert np.corrcoef(labels[:, 2], predictions[:, 2])[0, 1] > 0.9


def test_predictions_keep_their_bounds(trained: tuple[Ranker, FitReport]) -> None:
    wild = np.random.default_rng(1).normal(scale=100, size=(500, len(NAMES))).astype(np.float32)
    wild[:, -1] = np.abs(wild[:, -1]).astype(int)
    wild[::3] = np.nan
    predictions = trained[0].predict(wild)
    assert predictions.shape == (500, len(HEADS))
    assert (predictions >= 0).all()
    binary = [i for i, head in enumerate(HEADS) if head.kind == "binary"]
    assert (predictions[:, binary] <= 1).all()


def test_same_rows_and_seed_make_the_same_model_on_any_number_of_threads(
    rows: Examples, trained: tuple[Ranker, FitReport]
) -> None:
    again, _ = fitted(rows, threads=2)
    assert again == trained[0]
    assert again.model_id == trained[0].model_id
    assert fitted(rows, seed=2)[0].model_id != again.model_id


def test_features_in_a_file_make_the_same_model(
    rows: Examples, trained: tuple[Ranker, FitReport], tmp_path: Path
) -> None:
    rows.features.tofile(tmp_path / "features")
    stored_features = Stored(tmp_path / "features", *rows.features.shape)
    assert fitted(ExamplesInFile(**{**vars(rows), "features": stored_features}))[0] == trained[0]


AVERAGED = (replace(HEADS[0], averaged=NAMES[2]),)
"""long_view, averaged with a feature."""


def averaging(rows: Examples, log_odds: np.ndarray) -> Ranker:
    matrix = rows.features.copy()
    matrix[:, 2] = log_odds
    told = replace(rows, features=matrix)
    return fit(told, features=NAMES, categorical=CODES, heads=AVERAGED, neutral={}, seed=1, threads=1)[0]


def test_log_odds_that_help_are_averaged_with_and_are_in_no_tree(rows: Examples) -> None:
    chance = np.clip(rows.popularity, 0.01, 0.99)
    ranker = averaging(rows, np.log(chance / (1 - chance)))
    (model,) = ranker.models
    assert model.averaged == NAMES[2]
    splits = [line.partition("=")[2].split() for line in model.booster.splitlines() if line.startswith("split_feature")]
    assert {int(place) for tree in splits for place in tree} == {0, 1, 3, 4, 5}
    trees = replace(ranker, models=(replace(model, averaged=""),))
    known, unknown = rows.features[rows.part == 2], rows.features[rows.part == 2]
    known[:, 2], unknown[:, 2] = 1.5, np.nan
    own = trees.raw(known)
    halfway = 1 / (1 + np.exp(-(np.log(own / (1 - own)) + 1.5) / 2))
    assert ranker.raw(known) == pytest.approx(halfway, abs=1e-9)
    assert np.array_equal(ranker.raw(unknown), own), "where nothing is known the trees speak alone"


def test_log_odds_that_say_nothing_are_left_out_and_the_ranker_is_what_it_was_before_there_were_any(
    rows: Examples, tmp_path: Path
) -> None:
    ranker = averaging(rows, 3 * np.random.default_rng(5).normal(size=ROWS))
    assert ranker.models[0].averaged == ""
    ranker.save(tmp_path)
    assert "averaged" not in (tmp_path / "ranker.json").read_text()
    assert load(tmp_path) == ranker


def test_what_is_averaged_with_is_saved_with_the_ranker(rows: Examples, tmp_path: Path) -> None:
    chance = np.clip(rows.popularity, 0.01, 0.99)
    ranker = averaging(rows, np.log(chance / (1 - chance)))
    ranker.save(tmp_path)
    assert load(tmp_path) == ranker
    declaration = tmp_path / "ranker.json"
    declaration.write_text(declaration.read_text().replace(f'"averaged": "{NAMES[2]}"', f'"averaged": "{NAMES[1]}"'))
    with pytest.raises(ContractError, match="saved as"):
        load(tmp_path)


def test_a_head_with_nothing_to_learn_predicts_its_base_rate_and_says_so(trained: tuple[Ranker, FitReport]) -> None:
    ranker, report = trained
    assert [note.split()[1] for note in report.notes] == list(head_labels()[3:])
    predictions = ranker.predict(np.zeros((2, len(NAMES)), np.float32))
    assert predictions[:, 3] == pytest.approx(0.5 / (ROWS // 2 + 1))


def test_a_head_that_nobody_has_a_label_of_predicts_nothing(rows: Examples) -> None:
    labels = rows.labels.copy()
    labels[:, 1] = np.nan
    ranker, report = fitted(replace(rows, labels=labels))
    assert any("like" in note for note in report.notes)
    assert (ranker.predict(rows.features[:5])[:, 1] == 0).all()


def test_validation_rows_do_not_teach(rows: Examples, trained: tuple[Ranker, FitReport]) -> None:
    """Rows of the test part may hold anything: the model is the same."""
    labels = rows.labels.copy()
    labels[rows.part == 2] = 0
    assert fitted(replace(rows, labels=labels))[0].model_id == trained[0].model_id


def test_saved_and_loaded_it_predicts_the_same_from_text_alone(
    rows: Examples, trained: tuple[Ranker, FitReport], tmp_path: Path
) -> None:
    ranker = trained[0]
    ranker.save(tmp_path)
    assert {file.suffix for file in tmp_path.iterdir()} == {".json", ".txt"}
    assert load(tmp_path) == ranker
    assert np.array_equal(load(tmp_path).predict(rows.features[:100]), ranker.predict(rows.features[:100]))
    travelled = pickle.loads(pickle.dumps(ranker))  # as Spark sends it to its workers
    assert np.array_equal(travelled.predict(rows.features[:100]), ranker.predict(rows.features[:100]))


def test_a_damaged_or_absent_model_is_refused(trained: tuple[Ranker, FitReport], tmp_path: Path) -> None:
    trained[0].save(tmp_path)
    file = tmp_path / "like.lightgbm.txt"
    file.write_text(file.read_text().replace("leaf_value=", "leaf_value=9", 1))
    with pytest.raises(ContractError, match="saved as"):
        load(tmp_path)
    file.unlink()
    with pytest.raises(MissingDataError, match=r"like\.lightgbm\.txt"):
        load(tmp_path)


def test_wrong_features_are_refused_by_name(trained: tuple[Ranker, FitReport]) -> None:
    with pytest.raises(ContractError, match="6 features"):
        trained[0].predict(np.zeros((2, 5), np.float32))
    with pytest.raises(ContractError, match="feature_3"):
        trained[0].columns_in([name for name in NAMES if name != "feature_3"])
    assert trained[0].columns_in(["new", *NAMES]) == [1, 2, 3, 4, 5, 6]


def test_no_rows_predict_nothing(trained: tuple[Ranker, FitReport]) -> None:
    assert trained[0].predict(np.zeros((0, len(NAMES)), np.float32)).shape == (0, len(HEADS))


def stored(parts: list[str], width: int = 2) -> pa.Table:
    count = len(parts)
    return pa.table(
        {
            "user_id": pa.array(range(count, 0, -1), pa.int64()),
            "video_id": pa.array(range(count), pa.int64()),
            "shown_at": pa.array([1_000_000 * i for i in range(count)], pa.timestamp("us", "UTC")),
            "snapshot_ds": pa.array([20_000] * count, pa.int32()).cast(pa.date32()),
            "part": parts,
            "weight": pa.array([1.0] * count, pa.float32()),
            "features": pa.array([[float(i)] * (width - 1) + [None] for i in range(count)], pa.list_(pa.float32())),
            "labels": pa.array([range(len(LABELS))] * count, pa.list_(pa.float32())),
            "popularity": [0.5] * count,
            "examined": pa.array([*range(count - 1), None], pa.float32()),
        }
    )


def test_examples_have_one_order_however_they_were_stored(tmp_path: Path) -> None:
    table = stored(["validate", "train", "test", "train"])
    found = examples(table, ("train", "validate"), 2, ("like",))
    backwards = examples(table.take([3, 2, 1, 0]), ("train", "validate"), 2, ("like",))
    assert found.user.tolist() == [1, 3, 4]
    assert found.part.tolist() == [0, 0, 1]
    assert found.features[:, 0].tolist() == [3.0, 1.0, 0.0]
    assert np.isnan(found.features[:, 1]).all()
    in_file = examples_in_file(table.to_batches(max_chunksize=1), ("train", "validate"), 2, ("like",), tmp_path)
    assert np.array_equal(in_file.features.block(0, 3), found.features, equal_nan=True)
    assert in_file.user.tolist() == found.user.tolist()
    for name in ("features", "labels", "user", "video", "shown_at", "snapshot", "part", "popularity", "examined"):
        assert np.array_equal(getattr(found, name), getattr(backwards, name), equal_nan=True)


def test_labels_are_picked_by_name_whatever_their_order() -> None:
    wanted = ("not_interested", "long_view", "watch_debiased")
    found = examples(stored(["train", "train"]), ("train",), 2, wanted)
    assert found.labels.tolist() == [[label_names().index(name) for name in wanted]] * 2
    for name in wanted:
        assert found.label(name).tolist() == [label_names().index(name)] * 2
    with pytest.raises(ContractError, match="without label 'like'"):
        found.label("like")


def test_heads_in_another_order_are_fitted_to_their_own_labels(
    rows: Examples, trained: tuple[Ranker, FitReport]
) -> None:
    backwards = replace(rows, labels=rows.labels[:, ::-1], label_names=rows.label_names[::-1])
    assert fitted(backwards)[0].model_id == trained[0].model_id


def test_examples_of_other_features_or_labels_or_without_a_part_are_refused() -> None:
    table = stored(["train"])
    with pytest.raises(ContractError, match="expected 3"):
        examples(table, ("train",), 3, ("like",))
    with pytest.raises(ContractError, match="part test"):
        examples(table, ("train", "test"), 2, ("like",))
    with pytest.raises(UsageError, match="unknown label 'likes'"):
        examples(table, ("train",), 2, ("likes",))
    short = table.set_column(
        table.schema.get_field_index("labels"), "labels", pa.array([[1.0]], pa.list_(pa.float32()))
    )
    with pytest.raises(ContractError, match="'labels' holds arrays of"):
        examples(short, ("train",), 2, ("like",))


def test_labels_are_what_they_say(spark: object) -> None:
    row = """select true is_long_view, false is_like, true is_click, 90000L watch_ms, true is_not_interested,
        true is_follow, false is_comment, true is_share, false is_profile_visit, 
        cast(null as double) watch_percentile"""
    [found] = spark.sql(f"select {label_sql()} labels from ({row})").collect()  # type: ignore[attr-defined]
    named = dict(zip(label_names(), found["labels"], strict=True))
    assert math.isnan(named.pop("watch_debiased"))
    assert named == {
        "long_view": 1.0,
        "watch_seconds": 60.0,
        "click": 1.0,
        "like": 0.0,
        "follow": 1.0,
        "comment": 0.0,
        "share": 1.0,
        "profile_visit": 0.0,
        "not_interested": 1.0,
    }
