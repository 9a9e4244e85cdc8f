"""A real Prometheus scrapes a live bot: it takes everything without a complaint, and the contract's query is right."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families
from starlette.applications import Starlette
from starlette.requests import Request  # noqa: TC002 - Starlette looks at a handler's annotations
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from chatvitals.cli import main
from chatvitals.exporters.prometheus import render
from chatvitals.simulator.history import History
from chatvitals.simulator.story import STORIES
from tests.helpers.prometheus import Prometheus, prometheus
from tests.helpers.recorded_events import EPOCH, PHONE, ListeningVitals, item
from tests.helpers.services import free_port, require
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.integrations.asgi import ASGIApp

TOKEN = "scrapers-only"
AVERAGE = "sum(rate(chatvitals_response_seconds_sum[5m])) / sum(rate(chatvitals_response_seconds_count[5m]))"
CONFIG = """
global: {{scrape_interval: 1s, scrape_timeout: 1s}}
scrape_configs:
  - job_name: bot
    metrics_path: /metrics
    authorization: {{credentials: {token}}}
    static_configs: [{{targets: ["127.0.0.1:{bot}"]}}]
  - job_name: stranger
    metrics_path: /metrics
    authorization: {{credentials: guessed}}
    static_configs: [{{targets: ["127.0.0.1:{bot}"]}}]
"""


@contextmanager
def scraping(folder: Path, bot: int) -> Iterator[Prometheus]:
    """Run a Prometheus that scrapes the bot every second, with the token and with a wrong one."""
    with prometheus(CONFIG.format(token=TOKEN, bot=bot), folder, "--log.level=debug") as server:
        yield server


def failed(job: str, log: Path) -> list[str]:
    """Return what Prometheus says about scrapes that failed, but for the haste of a second each."""
    lines = [line for line in log.read_text().splitlines() if 'msg="Scrape failed"' in line]
    return [line for line in lines if f"scrape_pool={job} " in line and "deadline exceeded" not in line]


@pytest.fixture
def vitals() -> ListeningVitals:
    return ListeningVitals(metrics_token=TOKEN)


@pytest.fixture
def bot(vitals: ListeningVitals, serve: Callable[[ASGIApp], int]) -> int:
    """A bot behind a port that serves the metrics to holders of the token."""

    async def webhook(_: Request) -> PlainTextResponse:
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/webhook", webhook, methods=["POST"])])
    vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")
    return serve(app)


def answered_after(vitals: ListeningVitals, seconds: float) -> None:
    """Let a customer write and the bot answer so many seconds later."""
    with vitals.receive(item(at=vitals.time())):
        vitals.time.advance(seconds)
        vitals.record_reply(contact=PHONE)
    vitals.time.advance(20.0)


def test_prometheus_takes_all_and_the_average_response_time_is_right(
    vitals: ListeningVitals, bot: int, tmp_path: Path
) -> None:
    """Answers after 4 s and 6 s between two scrapes are an average of 5 s. A scrape without the token gets 401."""
    for _ in range(5):  # what a series begins with is in no rate, and near 0 rates extrapolate with care
        answered_after(vitals, 20.0)
    with scraping(tmp_path, bot) as server:
        server.wait_for("sum(chatvitals_response_seconds_count)", 5.0)
        answered_after(vitals, 4.0)
        answered_after(vitals, 6.0)
        server.wait_for("sum(chatvitals_response_seconds_count)", 7.0)
        assert server.value(AVERAGE) == pytest.approx(5.0)
        server.wait_for('up{job="bot"}', 1.0)
        until("the stranger's 401", lambda: failed("stranger", server.log))
        assert all("401" in line for line in failed("stranger", server.log))
        assert failed("bot", server.log) == []
        taken = server.value('max_over_time(scrape_samples_post_metric_relabeling{job="bot"}[5m])')
        assert taken is not None
        assert taken == server.value('max_over_time(scrape_samples_scraped{job="bot"}[5m])')
        assert taken > 100
        helps = server.get("targets/metadata", match_target='{job="bot"}', metric="chatvitals_response_seconds")
        assert [each["type"] for each in helps] == ["histogram"]
    complaints = [line for line in server.log.read_text().splitlines() if "level=warn" in line or "level=error" in line]
    assert complaints == []


@pytest.mark.parametrize("hours", [None, {"timezone": "Europe/Rome", "days": {"mon": [["09:00", "18:00"]]}}])
def test_promtool_finds_nothing_to_say(hours: dict[str, Any] | None) -> None:
    """Names, types, units and help texts are as Prometheus's own linter wants them."""
    promtool = require("promtool")
    vitals = ListeningVitals(in_hours=hours)
    vitals.journey("order", ["menu", "paid"], completed_by="paid").reach("menu", contact=PHONE, phone_number_id="1")
    answered_after(vitals, 3.0)
    text = render(vitals.collector)[0]
    assert b"chatvitals_journey_step_reached_total" in text
    done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, check=False)
    assert (done.returncode, done.stdout.decode(), done.stderr.decode()) == (0, "", "")


def test_all_readers_take_a_bot_that_has_seen_much() -> None:
    """Six hours with sends, people, an experiment, templates and ratings: promtool and both parsers agree."""
    history = History(STORIES["quality-drop"], start=EPOCH - EPOCH % 86_400, days=0.25, seed=1, every=900.0)
    *_, (_, collector) = history.samples()
    text, openmetrics = (render(collector, accept)[0].decode() for accept in ("", "application/openmetrics-text"))
    done = subprocess.run(
        [require("promtool"), "check", "metrics"], input=text, capture_output=True, check=False, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    seen = [
        {sample.name for family in families(page) for sample in family.samples if not sample.name.endswith("_created")}
        for families, page in ((text_families, text), (openmetrics_families, openmetrics))
    ]
    assert seen[0] == seen[1]
    assert len(seen[0]) > 60


def test_prometheus_runs_on_what_assets_writes(tmp_path: Path) -> None:
    """With rules for another objective than the default, all of them healthy. Only addresses and haste are changed."""
    assert main.main(["assets", "--out", str(tmp_path), "--slo", "0.99", "--threshold", "300"]) == 0
    config = (tmp_path / "prometheus.yml").read_text()
    for name in ("9464", "alertmanager:9093"):
        assert name in config
    config = (
        config.replace("_interval: 15s", "_interval: 1s")
        .replace("9464", f"{free_port()}")
        .replace("alertmanager:9093", f"127.0.0.1:{free_port()}")
    )
    for rules in (tmp_path / "rules").glob("*.yml"):  # evaluated at once, not within a minute
        rules.write_text(rules.read_text().replace("interval: 1m", "interval: 1s"))
    with prometheus(config, tmp_path) as server:
        rules_seen: list[dict[str, Any]] = []

        def are_evaluated() -> bool:
            rules_seen[:] = [rule for group in server.get("rules")["groups"] for rule in group["rules"]]
            return all(rule["health"] != "unknown" for rule in rules_seen)

        until("the health of all rules", are_evaluated)
        assert len(rules_seen) > 40
        assert [(rule["name"], rule["lastError"]) for rule in rules_seen if rule["health"] != "ok"] == []
