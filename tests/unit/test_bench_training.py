"""The benchmark of training compares like with like: every way but the quantised one grows the same trees."""

from __future__ import annotations

from pathlib import Path

from reelfeed.bench_training import PEER, Size, grown, table, write


def test_separate_calls_of_lightgbm_and_one_dataset_for_all_heads_learn_the_same(tmp_path: Path) -> None:
    size = Size(rows=6_000, stop=1_000, heads=2, rounds=4)
    write(tmp_path, size)
    alone, in_memory, streamed = (grown(way, tmp_path, size)["loss"] for way in (PEER, "in_memory", "streamed"))
    assert alone == in_memory == streamed
    assert grown("quantised", tmp_path, size)["loss"] != alone


def test_ratios_are_to_the_separate_calls() -> None:
    half = {f"{way} {key}": 50.0 for way in ("in_memory", "streamed", "quantised") for key in ("s", "busy", "peak")}
    peer = {f"{PEER} {key}": 100.0 for key in ("s", "busy", "peak")}
    losses = {f"{way} loss": 0.25 for way in (PEER, "in_memory", "streamed", "quantised")}
    told = table(half | peer | losses, Size(), 3)
    assert "2,000,000 rows × 60 features, 7 heads, 200 rounds" in told
    assert "| models/boosting.py, the matrix in a file | 50 | 0.50 | 50 | 0.50 | 0 | 0.50 | 0.25000 |" in told
