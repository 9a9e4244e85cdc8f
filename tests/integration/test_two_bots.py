"""Two bots of two businesses in one Prometheus: whoever looks at one sees nothing of the other."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from chatvitals.simulator.history import History
from chatvitals.simulator.story import DAY, HOUR, STORIES, StoryLine
from tests.helpers.grafana import PAGES, VALUES, asked, expanded, page, selectors, variables
from tests.helpers.month import backfill
from tests.helpers.openmetrics_history import write
from tests.helpers.prometheus import Prometheus, prometheus

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.slow
START = 1_790_553_600.0 // DAY * DAY + 10 * HOUR
END = START + 6 * HOUR
BAKERY = StoryLine("990005556667778", "15550001234", "Corner Bakery", 60.0, troubled=True)
FLORIST = StoryLine("990005556667790", "15550009876", "Rose & Thorn", 60.0, troubled=True)
ACCOUNTS = {"bakery": "990001112223334", "florist": "990001112229999"}
WINDOWS = {"__rate_interval": "16m", "__range": "6h", "__interval": "5m", "window": "1h"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A Prometheus with six hours of both; the florist's bot is gone in the last half hour."""
    folder = tmp_path_factory.mktemp("two-bots")
    for job, line, days in (("bakery", BAKERY, 0.25), ("florist", FLORIST, 0.25 - 0.5 / 24)):
        story = replace(STORIES["calm"], lines=(line,), waba=ACCOUNTS[job])
        write(History(story, start=START, days=days, seed=3, every=60.0), folder / job, job=job)
        backfill("--max-block-duration=486h", "openmetrics", str(folder / job), str(folder / "data"))
    with prometheus("{global: {evaluation_interval: 1h}}", folder) as found:
        yield found


def labels(server: Prometheus, query: str, label: str, at: float = END) -> set[str]:
    """Return the values of a label in a query's result."""
    found = server.get("query", query=query, time=f"{at}")["result"]
    return {each["metric"][label] for each in found if label in each["metric"]}


def test_every_record_and_every_alert_is_about_one_bot(server: Prometheus) -> None:
    """Both bots have records of their own, and the one that is gone is named."""
    for rule in recordings(Objective()):
        if rule.name.startswith("phone_number_id:"):
            assert labels(server, rule.expr, "job", END - HOUR) == {"bakery", "florist"}, rule.name
    absent = next(alert for alert in alerts(Objective()) if alert.name == "WhatsAppMetricsAbsent")
    assert labels(server, absent.expr, "job") == {"florist"}


def test_the_business_is_chosen_by_name_and_narrows_the_numbers(server: Prometheus) -> None:
    """Also while its bot is gone: the range has seen it."""
    by_name = {each["name"]: each for each in variables(page(PAGES[0]))}
    (businesses,) = (text for text in selectors(page(PAGES[0])) if "verified_name" in text)
    assert labels(server, expanded(businesses, VALUES | WINDOWS), "verified_name") == {"Corner Bakery", "Rose & Thorn"}
    assert "allValue" not in by_name["phone"]
    (numbers,) = (text for text in selectors(page(PAGES[0])) if "display_phone_number" in text)
    chosen = expanded(numbers, VALUES | WINDOWS | {"business": ACCOUNTS["florist"]})
    assert labels(server, chosen, "phone_number_id") == {FLORIST.number}


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
@pytest.mark.parametrize("by", ["job", "business"])
def test_a_dashboard_of_one_bot_shows_nothing_of_the_other(server: Prometheus, path: Path, by: str) -> None:
    """Whichever way it is chosen: no series of a dashboard names the florist's number, account or job."""
    chosen = {"job": "bakery"} if by == "job" else {"business": ACCOUNTS["bakery"], "phone": BAKERY.number}
    values = {**VALUES, **WINDOWS, "drop": f"{END}", **chosen}
    others = {FLORIST.number, FLORIST.display, ACCOUNTS["florist"]} | ({"florist"} if by == "job" else set())
    for query in asked(page(path)):
        found = server.get("query", query=expanded(query.expr, values), time=f"{END - HOUR}")["result"]
        seen = {value for each in found for value in each["metric"].values()}
        assert not seen & others, query.name
