"""The useful things to do now: ranked by cost, with the data that is not measured."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

import pytest

from chatvitals.analysis import document as documents
from chatvitals.analysis import now, now_document
from chatvitals.analysis.now import Situation
from chatvitals.cli import main
from chatvitals.events import Message, Webhook
from chatvitals.exporters.scrape import Sample
from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_795_392_000.0
NUMBER = {"phone_number_id": "1055"}


def shown(found: Situation) -> str:
    return documents.text(now_document.document(found))


def test_who_waits_comes_first() -> None:
    samples = [
        Sample(
            "chatvitals_number_info", {**NUMBER, "display_phone_number": "15550001234", "verified_name": "Bakery"}, 1
        ),
        Sample("chatvitals_quality_rating", NUMBER, 1.0),
        Sample("chatvitals_quality_updated_timestamp_seconds", NUMBER, NOW - 240),
        Sample("chatvitals_turns_open", {**NUMBER, "turn": "first"}, 2.0),
        Sample("chatvitals_turns_open", {**NUMBER, "turn": "next"}, 1.0),
        Sample("chatvitals_oldest_open_turn_timestamp_seconds", {**NUMBER, "turn": "first"}, NOW - 600),
    ]
    text = shown(now_document.from_samples(samples, NOW))
    assert "Rating: RED, confirmed 4 minutes ago." in text
    assert "1 Answer now: 3 customers wait, the longest for 10 minutes." in text
    assert "2 Bakery +1 555 000-1234 is rated RED" in text


def test_a_quiet_store_has_nothing_to_do() -> None:
    text = shown(now_document.from_samples([Sample("chatvitals_quality_rating", NUMBER, 3.0)], NOW))
    assert "Rating: GREEN." in text
    assert "Waiting: nobody waits." in text
    assert "Nothing: all is as usual." in text
    assert "blocks and reports" in text


def test_an_unknown_rating_is_not_green() -> None:
    text = shown(now_document.from_samples([Sample("chatvitals_quality_rating", NUMBER, 0.0)], NOW))
    assert "Rating: UNKNOWN." in text
    assert "Not measured: the rating of some numbers" in text


def test_five_things_at_most() -> None:
    found = Situation(NOW, 0.0)
    for place in range(9):
        found.add(f"thing {place}", place)
    assert [todo.what for todo in found.ranked()] == [f"thing {place}" for place in (8, 7, 6, 5, 4)]


def test_old_numbers_are_said_first() -> None:
    assert now.lights(Situation(NOW, 7200.0))[0].startswith("The newest numbers are 2 hours old")


def test_a_store_answers_now_and_compare(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Prometheus, from the file that the bot writes."""
    monkeypatch.delenv("CHATVITALS_PROMETHEUS", raising=False)
    store = f"sqlite:///{tmp_path}/v.db"
    clock = FakeClock(NOW)
    vitals = Vitals(Settings.load({"store": store, "hooks": False}, environ={}), clock=clock, background=False)
    greeting = vitals.experiment("greeting", {"plain": 1, "emoji": 1})
    for person in range(60):
        greeting.variant(contact=f"1555000{person:04d}", phone_number_id="1055")
    event = Message(
        phone_number_id="1055", wa_id="15550000001", received=NOW, id="wamid.1", type="text", timestamp=int(NOW)
    )
    vitals._emit(Webhook(result="accepted", received=NOW, events=[event], fields={("messages", True): 1}))
    clock.now += 60
    vitals._pipeline.drain()
    vitals.close()
    assert main.main(["compare", "greeting", "--store", store, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["contacts"] == 60
    assert found["verdict"] == "no conclusion"
    assert found["days"] is None
    assert main.main(["now", "--store", store]) == 0
    assert "1 customer waits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("compare",), 2, "give one thing to compare"),
        (("compare", "greeting", "--on", "2026-11-10"), 2, "give one thing to compare"),
        (("compare", "--on", "2026-11-10"), 2, "--on needs --against"),
        (("compare", "--on", "2026-11-10", "--against", "2026-11-03"), 2, "give --prometheus"),
        (("compare", "greeting", "--store", "memory:"), 3, "ends with its process"),
        (("compare", "greeting", "--store", "mysql://x"), 2, "store must be"),
        (("report", "journey"), 2, "needs the name of one journey"),
        (("report", "templates", "order"), 2, "needs the name of one journey"),
        (("report", "templates", "--html", "x.html"), 2, "--html is for the report on a drop"),
        (("report",), 2, "give --prometheus"),
        (("report", "--prometheus", "localhost:9090"), 2, "must be an address such as"),
        (("now", "--at", "2026-11-10"), 2, "--at needs --prometheus"),
        (("now", "--tz", "Mars"), 2, "there is no time zone"),
    ],
)
def test_wrong_words_are_a_sentence_and_a_status(
    words: tuple[str, ...],
    status: int,
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CHATVITALS_PROMETHEUS", raising=False)
    assert main.main([*words]) == status
    assert sentence in capsys.readouterr().err


def test_no_number_is_shown_for_what_is_not_known() -> None:
    assert "nan" not in shown(Situation(NOW, 0.0, polled=math.nan)).lower()
