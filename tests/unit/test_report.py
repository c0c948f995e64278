"""The reports on tables written for it: what they show, what they say is missing, and that no name can break them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from written_tables import write

from core.job import Job, JobContext
from core.lake import Lake
from core.recipe import load_recipe
from core.settings import Settings, load_settings, with_home
from core.tables.candidates import TABLE as CANDIDATES
from core.tables.cohort_calibrations import TABLE as COHORT_CALIBRATIONS
from core.tables.evaluations import TABLE as EVALUATIONS
from core.tables.feed_metrics import TABLE as FEED_METRICS
from core.tables.feeds import TABLE as FEEDS
from core.tables.health import TABLE as HEALTH
from core.tables.impressions import TABLE as IMPRESSIONS
from core.tables.parity import TABLE as PARITY
from core.tables.preranks import TABLE as PRERANKS
from core.tables.promotions import TABLE as PROMOTIONS
from core.tables.quarantined_impressions import TABLE as QUARANTINED
from core.tables.scored_candidates import TABLE as SCORED_CANDIDATES
from core.tables.source_fits import TABLE as SOURCE_FITS
from core.tables.source_quality import TABLE as SOURCE_QUALITY
from core.tables.stage_recall import TABLE as STAGE_RECALL
from jobs.write_report import JOB, night_page, night_report
from jobs.write_training_report import JOB as TRAINING_JOB
from models.heads import head_names

DAY = date(2026, 1, 10)
RECIPE = load_recipe("for_you")
EVIL = "<script>alert(1)</script>"
NOBODY = "http://127.0.0.1:9"
"""An address where no MLflow server answers."""
USERS, SLOTS = 20, 5


def figure(value: float, width: float = 0.01) -> dict[str, float]:
    return {"value": value, "low": value - width, "high": value + width}


def feed(user: int) -> list[dict[str, Any]]:
    terms = [{"head": name, "prediction": 0.1, "weight": RECIPE.value[name], "term": 0.1} for name in head_names()]
    named = [{"source": "als", "rank": 3, "score": 0.5}]
    one = {"recipe": RECIPE.name, "user_id": user, "tier": "personal", "terms": terms, "sources": named, "value": 0.4}
    one |= {"rules": ["author_cap"], "propensity": 0.97}
    return [one | {"slot": slot, "video_id": 10 * slot + user} for slot in range(1, SLOTS + 1)]


def publish_night(lake: Lake) -> None:
    """Puts a night's feeds and funnel there, and nothing that training or the health of a night would tell."""
    write(lake, FEEDS, DAY, [row for user in range(USERS) for row in feed(user)])
    pairs = [{"user_id": user, "video_id": video} for user in range(USERS) for video in range(40)]
    write(lake, CANDIDATES, DAY, pairs)
    write(lake, SCORED_CANDIDATES, DAY, [pair for pair in pairs if pair["video_id"] < 10])
    write(lake, IMPRESSIONS, DAY, pairs[:399])
    write(lake, QUARANTINED, DAY, pairs[:1])


def publish_everything(lake: Lake) -> None:
    """Puts beside it what training and health tell."""
    of = {"recipe": RECIPE.name}
    systems = {"popularity": 0.6, "champion": 0.65, "challenger": 0.66, "placebo": 0.5, "random": 0.5, "oracle": 1.0}
    systems |= {"challenger_minus_popularity": 0.06, "challenger_minus_champion": 0.01}
    ranked = [
        {**of, "system": system, "head": "long_view", "metric": metric, "rows": 900, "users": 90, **figure(value)}
        for system, value in systems.items()
        for metric in ("gauc", "ndcg@5", "primary")
    ]
    predicted = [
        {
            **of,
            "system": "challenger",
            "head": name,
            "metric": "calibration_ratio",
            "value": 1.01,
            "rows": 9,
            "users": 9,
        }
        for name in head_names()
    ]
    write(lake, EVALUATIONS, DAY, ranked + predicted)
    cohorts = [("everyone", 1.0), ("new user", 1.3), ("new video", 0.95), *((f"tag {tag}", 1.02) for tag in range(12))]
    held = [
        {**of, "head": name, "cohort": cohort, "rows": 2000 + 100 * place, "predicted": ratio * (40 + 9 * place)}
        | {"observed": 40.0 + 9 * place, "ratio": ratio, "low": ratio - 0.05, "high": ratio + 0.05}
        for name in head_names()
        for place, (cohort, ratio) in enumerate(cohorts)
    ]
    write(lake, COHORT_CALIBRATIONS, DAY, held)
    reasons = ["challenger is no worse than champion", f"a reason {EVIL}"]
    decided = {**of, "decision": "promoted", "champion": "abc", "champion_version": 2, "challenger": "abc"}
    write(lake, PROMOTIONS, DAY, [decided | {"reasons": reasons}])
    quality = [
        {**of, "system": system, "cohort": "all", "metric": metric, "users": 90, **figure(value)}
        for place, system in enumerate([*RECIPE.sources, "round_robin", "blend"])
        for metric, value in (("recall@100", 0.1 + 0.03 * place), ("only@100", 0.02), ("videos", 0.4))
    ]
    write(lake, SOURCE_QUALITY, DAY, quality)
    fits = [{"source": name, "state": "fitted", "rows": 1000} for name in sorted(RECIPE.sources)[1:]]
    write(lake, SOURCE_FITS, DAY, [*fits, {"source": sorted(RECIPE.sources)[0], "state": "failed", "reason": EVIL}])
    stages = [
        ("candidates", 0.6),
        ("scored", 0.5),
        ("feed", 0.3),
        *((f"source {name}", 0.2) for name in RECIPE.sources),
    ]
    recalls = [
        {**of, "feed_ds": DAY - timedelta(days=1), "stage": stage, "recall": value, "low": value - 0.02}
        | {"high": value + 0.02, "only": 0.05, "videos": 10.0, "users": 90}
        for stage, value in stages
    ]
    write(lake, STAGE_RECALL, DAY, recalls)
    for back in range(9):
        metrics = {"coverage": 0.7 - back / 50, "exposure_gini": 0.4 + back / 60, "diversity_tags": 0.9, "value": 0.8}
        rows = [
            {**of, "metric": metric, "cohort": "all", "users": USERS, **figure(value)}
            for metric, value in metrics.items()
        ]
        write(lake, FEED_METRICS, DAY - timedelta(days=back), rows)
    write(
        lake, PRERANKS, DAY, [{**of, "users": 9, "candidates": 40, "scored": 10, "value_kept": 0.98, "top_kept": 0.9}]
    )
    write(lake, PARITY, DAY, [{**of, "feed_ds": DAY - timedelta(days=1), "rows": 900, "changed": ["users"]}])
    late = {
        "table": "follows",
        "newest": DAY - timedelta(days=1),
        "lag_hours": 24,
        "allowed_hours": 72,
        "state": "late",
    }
    write(lake, HEALTH, DAY, [late, {"table": "users", "newest": DAY, "allowed_hours": 72, "state": "fresh"}])


class Page(HTMLParser):
    """What a browser would meet: tags with their attributes, and the text of all cells and sentences."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data.strip())


def addresses(html: str) -> list[str]:
    """Everything in the page that a browser would fetch or follow."""
    found = [
        value or ""
        for _, attributes in Page(html).tags
        for name, value in attributes.items()
        if name in ("src", "href")
    ]
    return found + re.findall(r"url\([^)]*\)|@import[^;]*", html)


@dataclass(frozen=True)
class Night:
    """One installation: the page of its first night, when nothing else was there, and of the same night with all."""

    settings: Settings
    first: str
    whole: str

    @property
    def texts(self) -> list[str]:
        return Page(self.whole).texts


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("REELFEED_HOME", raising=False)
        settings = with_home(load_settings("local"), tmp_path_factory.mktemp("home"))
        lake = Lake(settings.lake)
        publish_night(lake)
        first = night_page(settings, DAY, RECIPE)
        publish_everything(lake)
        yield Night(settings, first, night_page(settings, DAY, RECIPE))


def test_a_first_night_says_what_is_not_there_yet(night: Night) -> None:
    for sentence in (
        "No ranker was evaluated yet",
        "No challenger was decided about yet",
        "No calibration was measured yet",
        "No source was measured yet",
        "Not measured yet: job measure_feed",
        "No search of value weights was logged yet",
    ):
        assert sentence in night.first
    assert "could not be made" not in night.first
    assert {"800", "200", "100", "75.0%", "50.0%", "0.25% of all rows"} <= set(Page(night.first).texts)


def test_the_page_needs_no_other_and_every_figure_is_told_in_words(night: Night) -> None:
    assert "could not be made" not in night.whole
    assert all(address.startswith(("#s", "data:image/")) for address in addresses(night.whole))
    pictures = [attributes for tag, attributes in Page(night.whole).tags if tag == "img"]
    # Funnel 2, ranker 3, a head each, sources 2, nights 1.
    assert len(pictures) == 2 + 3 + len(head_names()) + 2 + 1
    assert all(len(picture["alt"] or "") > 20 for picture in pictures)
    assert not [tag for tag, _ in Page(night.whole).tags if tag in ("script", "link", "iframe")]


def test_names_from_tables_are_text_and_no_markup(night: Night) -> None:
    assert EVIL not in night.whole
    assert f"failed {EVIL}" in night.texts


def test_figures_and_reasons_are_those_of_the_tables(night: Night) -> None:
    texts = " ".join(night.texts)
    for expected in (
        "0.6600 [0.6500, 0.6700]",
        "challenger minus champion",
        "1. challenger is no worse than champion.",
        "1 of 15 new user 1.30 [1.25, 1.35]",
        "scored lost 0.100 of 0.600; feed lost 0.200 of 0.500",
        "leaves 98.0% of the value",
        "named by als #3; moved by author_cap; propensity 0.97",
        "follows late 2026-01-09",
        "Tables changed since: users.",
    ):
        assert expected in texts


def test_a_section_that_fails_is_said_and_costs_no_other(settings: Settings, lake: Lake) -> None:
    publish_night(lake)
    publish_everything(lake)
    write(lake, PROMOTIONS, DAY, [{"recipe": RECIPE.name, "reasons": None}])
    html = night_page(replace(settings, mlflow_uri=NOBODY), DAY, RECIPE)
    assert html.count("This section could not be made: TypeError") == 1
    assert "challenger minus champion" in html


@pytest.mark.parametrize(("job", "kind"), [(JOB, "night"), (TRAINING_JOB, "training")])
def test_the_page_is_below_the_home_and_in_mlflow_and_the_same_again(night: Night, job: Job, kind: str) -> None:
    from core import tracking

    settings = night.settings
    page = settings.home_path / "reports" / RECIPE.name / f"{kind}_{DAY}.html"
    made = []
    for _ in range(2):
        job.run(JobContext(job, (DAY,), settings, RECIPE, "", "", Lake(settings.lake)))
        made.append(page.read_text("utf-8"))
    assert made[0] == made[1]
    client = tracking.connect(settings)
    experiment = client.get_experiment_by_name({"night": "nightly_feed", "training": "train_models"}[kind])
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    kept = Path(client.download_artifacts(run.info.run_id, "report.html", str(settings.home_path)))
    assert kept.read_text("utf-8") == made[1]
    assert run.data.tags["report"] == str(page)


def test_an_mlflow_that_is_down_costs_the_night_nothing(settings: Settings, lake: Lake) -> None:
    publish_night(lake)
    away = replace(settings, mlflow_uri=NOBODY)
    JOB.run(JobContext(JOB, (DAY,), away, RECIPE, "", "", lake))
    html = (settings.home_path / "reports" / RECIPE.name / f"night_{DAY}.html").read_text("utf-8")
    assert "the MLflow server does not answer" in html


def test_the_text_of_the_night_says_where_the_page_is(settings: Settings, lake: Lake) -> None:
    publish_night(lake)
    text = night_report(settings, DAY, RECIPE, None)
    assert str(settings.home_path / "reports" / RECIPE.name / f"night_{DAY}.html") in text
