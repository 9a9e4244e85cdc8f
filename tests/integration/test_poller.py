"""The quality poller against a stand-in for the Graph API, over real HTTP."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette

from chatvitals.exporters.prometheus import render
from chatvitals.graph_api import poller, schedule
from chatvitals.graph_api.client import GraphClient, GraphError
from chatvitals.settings import Settings, SettingsError
from chatvitals.simulator import graph_api, payloads
from chatvitals.simulator.graph_api import GraphEdges, number_row, template_row
from chatvitals.simulator.people import BusinessNumber
from chatvitals.vitals import Vitals
from tests.conftest import sign
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TOKEN = "EAAGm0PX4ZCpsBA-a-made-up-token"
SECRET = "an-app-secret"
WABA = BusinessNumber().waba_id
NUMBER = BusinessNumber().phone_number_id


@pytest.fixture
def edges() -> GraphEdges:
    """The answers of the stand-in. Each test changes them."""
    return GraphEdges(access_token=TOKEN)


@pytest.fixture
def graph_url(edges: GraphEdges, serve: Callable[[Any], int]) -> str:
    """The address of the running stand-in."""
    return f"http://127.0.0.1:{serve(Starlette(routes=edges.routes()))}"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Vitals]]:
    """Start a `Vitals` on the test's store. Its clock may be ahead. Other keywords are settings."""
    started: list[Vitals] = []

    def make(*, ahead: float = 0.0, **settings: Any) -> Vitals:
        given = {"store": f"sqlite:///{tmp_path / 'bot.db'}", "hooks": False, "app_secret": SECRET, **settings}
        started.append(Vitals(Settings.load(given, environ={}), clock=lambda: time.time() + ahead))
        return started[-1]

    yield make
    for vitals in started:
        vitals.close()


def shown(vitals: Vitals, line: str) -> bool:
    """Return whether `/metrics` has a line that begins so."""
    return any(text.startswith(line) for text in render(vitals.collector)[0].decode().splitlines())


def requests(vitals: Vitals, result: str) -> bool:
    """Return whether a request has had this result, once or more often."""
    line = f'chatvitals_graph_requests_total{{result="{result}"}} '
    return shown(vitals, line) and not shown(vitals, f"{line}0.0")


def rating(vitals: Vitals, value: float) -> bool:
    """Return whether the number's rating is shown as this."""
    return shown(vitals, f'chatvitals_quality_rating{{phone_number_id="{NUMBER}"}} {value}')


def watch(vitals: Vitals, url: str, every: float = 1.0, **more: Any) -> None:
    """Have the stand-in's account polled."""
    vitals.watch_quality(access_token=TOKEN, waba_ids=[WABA], graph_url=url, every=every, **more)


def test_ratings_and_templates_are_polled_and_followed(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals]
) -> None:
    """The first poll brings everything. A rating that falls is seen with the next."""
    vitals = start()
    watch(vitals, graph_url)
    until("GREEN", lambda: rating(vitals, 3.0))
    assert shown(
        vitals, f'chatvitals_template_quality{{language="en_US",template="order_update",waba_id="{WABA}"}} 3.0'
    )
    assert shown(vitals, "chatvitals_poller_interval_seconds 1.0")
    edges.numbers = [number_row(BusinessNumber(), "RED")]
    until("RED", lambda: rating(vitals, 1.0))
    assert shown(vitals, f'chatvitals_quality_changes_total{{from="GREEN",phone_number_id="{NUMBER}",to="RED"}} 1.0')
    templates = [call for call in edges.calls if "templates" in call]
    assert len(templates) == 1, "the list of templates is asked for once an hour"


def test_all_pages_are_read_and_a_forgotten_cursor_begins_again(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals]
) -> None:
    """A page missing would make numbers vanish."""
    edges.page_size = 1
    edges.forgets_cursors = 1
    edges.templates = [template_row(f"template_{i}") for i in range(3)]
    vitals = start()
    watch(vitals, graph_url, every=60.0)
    until(
        "the last template", lambda: shown(vitals, 'chatvitals_template_quality{language="en_US",template="template_2"')
    )
    assert shown(vitals, 'chatvitals_template_quality{language="en_US",template="template_0"')


@pytest.mark.parametrize(
    ("fault", "result"),
    [
        (graph_api.HTML, "malformed"),
        (graph_api.EXPIRED, "unauthorized"),
        (graph_api.RATE_LIMITED, "rate_limited"),
    ],
    ids=["html", "expired", "rate-limited"],
)
def test_faults_are_counted_by_kind_and_the_last_rating_stays(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals], fault: graph_api.Fault, result: str
) -> None:
    """The last known values stay with their age. Nothing is guessed."""
    vitals = start()
    watch(vitals, graph_url)
    until("GREEN", lambda: rating(vitals, 3.0))
    edges.always = fault
    until(result, lambda: requests(vitals, result))
    assert rating(vitals, 3.0)
    edges.always = None


def test_an_older_version_of_the_api_loses_only_the_fields_that_it_lacks(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals]
) -> None:
    """Before version 24 the limit has another name, and a request with the new name is refused as a whole."""
    row = number_row(BusinessNumber(), "GREEN")
    del row["whatsapp_business_manager_messaging_limit"]
    edges.numbers = [{**row, "messaging_limit_tier": "TIER_10K"}]
    vitals = start()
    watch(vitals, graph_url)
    until("GREEN", lambda: rating(vitals, 3.0))
    limit = f'chatvitals_messaging_limit{{phone_number_id="{NUMBER}",scope="number"}} 10000.0'
    assert shown(vitals, limit)
    assert shown(vitals, f'chatvitals_number_status{{phone_number_id="{NUMBER}",status="CONNECTED"}} 1.0')
    assert shown(vitals, f'chatvitals_health_status{{entity="number",phone_number_id="{NUMBER}"}} 2.0')


def test_an_expired_token_is_logged_once(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    """Ratings of yesterday look like ratings of today, so somebody must be told."""
    edges.always = graph_api.EXPIRED
    vitals = start()
    with caplog.at_level(logging.WARNING, logger="chatvitals"):
        watch(vitals, graph_url)
        until("two polls", lambda: len(edges.calls) >= 2)
        until("a failure", lambda: any("cannot read account" in record.message for record in caplog.records))
    told = [record.message for record in caplog.records if "cannot read account" in record.message]
    assert len(told) == 1
    assert "code 190" in told[0]
    assert TOKEN not in told[0]


FORBIDDEN = graph_api.Fault.refusal(403, 200, "no permission")


@pytest.mark.parametrize("refused", [WABA, "phone_numbers", "message_templates"])
def test_a_refused_edge_keeps_neither_the_others_nor_the_interval_from_happening(
    edges: GraphEdges,
    graph_url: str,
    start: Callable[..., Vitals],
    refused: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Tokens exist that may read numbers and templates, and not the account's node."""
    edges.refusals[refused] = FORBIDDEN
    vitals = start()
    with caplog.at_level(logging.WARNING, logger="chatvitals"):
        watch(vitals, graph_url)
        until("three polls", lambda: sum(call.endswith("phone_numbers") for call in edges.calls) >= 3)
    if refused != "phone_numbers":
        until("GREEN", lambda: rating(vitals, 3.0))
    if refused != "message_templates":
        until("the template", lambda: shown(vitals, "chatvitals_template_quality{"))
    until("the refusal", lambda: requests(vitals, "unauthorized"))
    told = [record.message for record in caplog.records if "cannot read" in record.message]
    assert len(told) == 1, "a refusal is logged once"
    assert "(#200) no permission" in told[0]


def test_pauses_grow_where_everything_is_refused(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals]
) -> None:
    """Asking again at once would not help."""
    edges.always = FORBIDDEN
    vitals = start()
    watch(vitals, graph_url)
    until("the first poll", lambda: len(edges.calls) >= 3)
    assert not shown(vitals, "chatvitals_poller_last_success_timestamp_seconds")
    until("a failure that is kept", lambda: schedule.decode(vitals.store.document(f"poller:{WABA}")).failures > 0)


def test_a_slow_and_a_dead_api_are_counted(start: Callable[..., Vitals]) -> None:
    """No server listens there."""
    vitals = start()
    watch(vitals, "http://127.0.0.1:9", every=60.0)
    until("connection", lambda: requests(vitals, "connection"))


def test_the_budget_is_hard(edges: GraphEdges, graph_url: str, start: Callable[..., Vitals]) -> None:
    """At an interval that would need more, calls stop at the budget, and that is counted."""
    vitals = start()
    watch(vitals, graph_url, hourly_calls=5)
    until("budget", lambda: requests(vitals, "budget"))
    assert len(edges.calls) == 5


def test_a_webhook_about_quality_brings_the_poll_forward(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals]
) -> None:
    """Whichever worker it reaches: the poller hears of it through the store, within 5 s and not after an hour."""
    assert schedule._FORWARD_GAP + poller._LOOK_SECONDS < 5.0
    polling, other = start(), start()
    watch(polling, graph_url, every=3600.0)
    until("GREEN", lambda: rating(polling, 3.0))
    edges.numbers = [number_row(BusinessNumber(), "YELLOW")]
    value = {"display_phone_number": BusinessNumber().display, "event": "FLAGGED"}
    told = payloads.envelope([(WABA, "phone_number_quality_update", value)])
    told["entry"][0]["time"] = int(time.time())
    body = json.dumps(told).encode()
    assert other.observe_webhook(body, {"X-Hub-Signature-256": sign(body, SECRET)}).result == "accepted"
    until("YELLOW", lambda: rating(polling, 2.0))


_HOLDER = """
import sys, time
from chatvitals.settings import Settings
from chatvitals.vitals import Vitals
store, url, token, waba = sys.argv[1:]
vitals = Vitals(Settings.load({"store": store, "hooks": False}, environ={}))
vitals.watch_quality(access_token=token, waba_ids=[waba], graph_url=url, every=3600.0)
time.sleep(600)
"""


def test_one_process_polls_and_another_takes_over_within_two_intervals_of_its_death(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals], tmp_path: Path
) -> None:
    """A lease in the store decides. A holder that is killed does not give it back, so it ends by its time."""
    store = f"sqlite:///{tmp_path / 'bot.db'}"
    holder = subprocess.Popen([sys.executable, "-c", _HOLDER, store, graph_url, TOKEN, WABA])
    try:
        until("the first process polls", lambda: edges.calls)
        waiting = start()
        leases: list[bool] = []
        ask = waiting.store.lease
        waiting.store.lease = lambda *asked: leases.append(ask(*asked)) or leases[-1]  # type: ignore[func-returns-value,method-assign]
        watch(waiting, graph_url, every=3600.0)
        until("the second process asks for the lease", lambda: leases)
        until("its GREEN, from the first process", lambda: rating(waiting, 3.0))
    finally:
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    assert leases == [False]
    edges.numbers = [number_row(BusinessNumber(), "RED")]
    heir = start(ahead=2 * 3600.0)
    watch(heir, graph_url, every=3600.0)
    until("its RED", lambda: rating(heir, 1.0))


def test_no_token_is_shown_anywhere(
    edges: GraphEdges, graph_url: str, start: Callable[..., Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    """Neither in logs, nor in errors, nor in any `repr`, also where the API quotes it."""
    edges.always = graph_api.Fault.refusal(401, 190, f"Malformed access token {TOKEN}")
    with caplog.at_level(logging.DEBUG):
        vitals = start()
        watch(vitals, graph_url)
        until("unauthorized", lambda: requests(vitals, "unauthorized"))
        with GraphClient(TOKEN, url=graph_url, version="v26.0") as client:
            with pytest.raises(GraphError) as refused:
                client.get(WABA)
            assert TOKEN not in repr(client)
    assert TOKEN not in caplog.text
    assert TOKEN not in str(refused.value)
    assert TOKEN not in repr(refused.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"access_token": TOKEN}, "needs waba_ids"),
        ({"access_token": TOKEN, "waba_ids": ["W1"]}, "ids that consist of digits"),
        ({"waba_ids": [WABA]}, "needs an access token"),
        ({"access_token": "two words", "waba_ids": [WABA]}, "only ASCII characters and no spaces"),
        ({"access_token": TOKEN, "waba_ids": [WABA], "every": 0}, "every must be"),
        ({"access_token": TOKEN, "waba_ids": [WABA], "graph_url": "ftp://x"}, "graph_url must be"),
        ({"access_token": TOKEN, "waba_ids": [WABA], "hourly_calls": 0}, "hourly_calls must be"),
        ({"access_token": TOKEN, "waba_ids": [WABA], "api_version": "26"}, "api_version must be"),
    ],
)
def test_wrong_words_are_refused_with_a_sentence(
    start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], says: str
) -> None:
    """At the call, and without the token."""
    for name in ("CHATVITALS_ACCESS_TOKEN", "CHATVITALS_WABA_IDS"):
        monkeypatch.delenv(name, raising=False)
    vitals = start()
    with pytest.raises(SettingsError, match=says) as refused:
        vitals.watch_quality(**given)
    assert TOKEN not in str(refused.value)
