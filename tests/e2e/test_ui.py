"""The night as an operator sees it: triggered by the form in a browser, run by the scheduler, its runs in MLflow."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from worlds import NIGHT, as_it_was_before_the_night

from core.settings import ROOT, Settings
from models.heads import head_names
from reelfeed.processes import members

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.drill,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on the PATH: apt-get install chromium"),
]

REELFEED = Path(sys.executable).parent / "reelfeed"
MINUTES = 60_000

ENDED_RUN = """async () => {
    for (;;) {
        const answer = await fetch('/api/v2/dags/nightly_feed/dagRuns?run_type=manual');
        const run = (await answer.json()).dag_runs[0];
        if (run && ['success', 'failed'].includes(run.state)) return run;
        await new Promise(again => setTimeout(again, 2000));
    }
}"""


@dataclass(frozen=True)
class Running:
    """Airflow and MLflow as `reelfeed ui` runs them, over a small world whose history is loaded and trained."""

    process: subprocess.Popen[str]
    airflow: str
    mlflow: str
    password: str
    logs: Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def running(trained: Settings, logs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = as_it_was_before_the_night(trained, tmp_path_factory.mktemp("ui")).home_path
    environment = os.environ | {"REELFEED_HOME": str(home)}
    ports = free_port(), free_port(), free_port()
    process = subprocess.Popen(
        [REELFEED, "ui", "--airflow-port", str(ports[0]), "--mlflow-port", str(ports[1]), "--feed-port", str(ports[2])],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        told = "".join(takewhile(lambda line: "Ctrl-C" not in line, process.stdout))
        assert all(str(port) in told for port in ports), told
        password = json.loads((home / "airflow" / "simple_auth_manager_passwords.json.generated").read_text())["admin"]
        assert password in told
        yield Running(process, f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}", password, logs)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)


@pytest.fixture
def page(running: Running, tmp_path: Path) -> Iterator[Page]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser.new_page(viewport={"width": 1400, "height": 1100})
        browser.close()


def shot(page: Page, name: str, folder: Path) -> None:
    """Keeps a picture of `page`, in the folder REELFEED_SCREENSHOTS where that is set."""
    page.screenshot(path=Path(os.environ.get("REELFEED_SCREENSHOTS", folder)) / f"{name}.png")


@pytest.mark.timeout(1500)
def test_a_night_triggered_from_the_form_with_changed_params_succeeds(
    running: Running, page: Page, tmp_path: Path
) -> None:
    page.goto(running.airflow)
    page.fill("input[name=username]", "admin")
    page.fill("input[name=password]", running.password)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url, timeout=2 * MINUTES)
    page.goto(f"{running.airflow}/dags/nightly_feed")
    page.get_by_role("button", name="Trigger").first.click(timeout=2 * MINUTES)
    form = page.locator("[role=dialog][data-state=open]")
    form.locator("#element_ds").fill(str(NIGHT))
    form.locator("#element_logs_dir").fill(str(running.logs))
    shot(page, "airflow-form", tmp_path)
    form.get_by_role("button", name="Trigger", exact=True).click()
    ended = page.evaluate(ENDED_RUN)
    page.goto(f"{running.airflow}/dags/nightly_feed/runs/{ended['dag_run_id']}")
    page.get_by_text("write_report").first.wait_for(timeout=MINUTES)
    shot(page, "airflow-run", tmp_path)
    assert ended["state"] == "success"
    assert ended["conf"]["ds"] == str(NIGHT)
    assert ended["conf"]["logs_dir"] == str(running.logs)


def test_mlflow_shows_the_runs_and_their_plots(running: Running, page: Page, tmp_path: Path) -> None:
    import mlflow

    page.goto(f"{running.mlflow}/#/experiments")
    page.get_by_text("train_models").first.wait_for(timeout=MINUTES)
    shot(page, "mlflow-experiments", tmp_path)
    client = mlflow.MlflowClient(running.mlflow)
    experiment = client.get_experiment_by_name("train_models")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id], "tags.`reelfeed.key` != ''")
    below = client.search_runs([experiment.experiment_id], f"tags.`mlflow.parentRunId` = '{run.info.run_id}'")
    assert {head.info.run_name for head in below} == set(head_names())
    for head in below:
        assert {file.path for file in client.list_artifacts(head.info.run_id)} == {"test.png", "validate.png"}
    address = f"{running.mlflow}/#/experiments/{experiment.experiment_id}/runs/{run.info.run_id}"
    page.goto(address)
    page.get_by_text("validate.long_view.rounds").first.wait_for(timeout=MINUTES)
    shot(page, "mlflow-run", tmp_path)
    page.goto(f"{address}/artifacts/importance.png")
    page.locator("img[alt='importance.png']").wait_for(timeout=MINUTES)
    shot(page, "mlflow-plot", tmp_path)


def test_ctrl_c_leaves_no_process(running: Running) -> None:
    """Last of the file: it ends what the others use."""
    import psutil

    started = psutil.Process(running.process.pid).children()
    leaders = [child.pid for child in started]
    assert len(leaders) == 6
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(timeout=120) == 0
    assert [process for leader in leaders for process in members(leader)] == []
