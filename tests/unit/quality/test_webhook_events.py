"""The rules of conversations/README.md 8 beyond the scenarios: order, silence, restarts, unknown words, bad rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import GraphCall, Poll, PollerState
from chatvitals.quality import state as quality_state
from tests.helpers.quality_bench import N1, N2, NOW, W1, Bench
from tests.helpers.quality_values import CONNECTED, FLAGGED, RATING, UPDATED, at, health, template_value

if TYPE_CHECKING:
    from pathlib import Path


# Silence


def test_nothing_heard_is_unknown() -> None:
    """A number that settings name is shown as unknown, without any time of confirmation."""
    bench = Bench(phone_number_id=N1.phone_number_id)
    bench.vitals.settle()
    assert f"chatvitals_{RATING} 0.0" in bench.exposition()
    assert (
        bench.differs({}, (UPDATED, "number_status", "template_quality", "poller_last_success_timestamp_seconds")) == []
    )


def test_a_number_that_only_writes_is_unknown() -> None:
    """A webhook's metadata names a number and says nothing of its quality."""
    bench = Bench()
    bench.change("messages", {"metadata": {"display_phone_number": N1.display, "phone_number_id": N1.phone_number_id}})
    assert f"chatvitals_{RATING} 0.0" in bench.exposition()
    assert bench.differs({f'number_info{{display_phone_number="{N1.display}"}}': 1}, (UPDATED,)) == []


@pytest.mark.parametrize("word", ["NA", "UNKNOWN", "", None, "PURPLE", 3, {"score": "NA"}])
def test_no_data_is_never_green(word: object) -> None:
    """Whatever is no rating makes the number unknown, also after it was green."""
    bench = Bench()
    bench.poll({"quality_rating": "GREEN"})
    bench.clock.advance(300)
    bench.poll({"quality_rating": word})
    assert bench.differs({RATING: 0, UPDATED: at(300), 'quality_changes_total{from="GREEN",to="UNKNOWN"}': 1}) == []
    assert bench.differs({'events_dropped_total{reason="malformed"}': int(word in ("PURPLE", 3))}) == []


def test_a_restart_keeps_the_gauges_with_their_old_confirmation(tmp_path: Path) -> None:
    """What was known is there before the first poll, and its age shows that nobody has confirmed it since."""
    bench = Bench(f"sqlite:///{tmp_path / 'store.db'}")
    bench.poll({**CONNECTED, **health(PHONE_NUMBER="LIMITED")}, templates=[{"name": "offer", "language": "en"}])
    value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "RESTRICTED_UTILITY_TEMPLATES"}]}
    bench.change("account_update", value)
    bench.vitals._emit(PollerState(interval=300, received=NOW))
    bench.vitals.settle()
    bench.clock.advance(86_400)
    bench.restart()
    expected = {
        RATING: 3,
        UPDATED: at(0),
        'number_status{status="CONNECTED"}': 1,
        'health_status{entity="number"}': 1,
        "restriction_expires_timestamp_seconds": "+Inf",
        "poller_last_success_timestamp_seconds": at(0),
        "poller_interval_seconds": 300,
    }
    assert bench.differs(expected) == []
    assert 'chatvitals_template_quality{language="en",template="offer"' in bench.exposition()


def test_a_document_that_cannot_be_read_is_begun_anew() -> None:
    """Neither messages nor the next poll fail over it, and the rating is unknown until then."""
    bench = Bench()
    bench.store.set_if_absent(quality_state.DOCUMENT, b"garbage")
    metadata = {"display_phone_number": N1.display, "phone_number_id": N1.phone_number_id}
    bench.change("messages", {"metadata": metadata, "messages": [{"id": "m", "from": "1", "type": "text"}]})
    assert f"chatvitals_{RATING} 0.0" in bench.exposition()
    bench.poll(CONNECTED)
    assert bench.differs({RATING: 3, "messages_received_total": 1}) == []


# Order


def test_an_older_poll_changes_nothing() -> None:
    """Two workers may commit their polls in either order."""
    bench = Bench()
    bench.poll({"quality_rating": "YELLOW", "status": "FLAGGED"})
    bench.poll({"quality_rating": "GREEN", "status": "CONNECTED"}, received=NOW - 100)
    assert (
        bench.differs({RATING: 2, "quality_changes_total": 0, FLAGGED: at(0), 'number_status{status="FLAGGED"}': 1})
        == []
    )


def test_a_second_flag_keeps_the_first_ones_time() -> None:
    """The countdown of seven days runs from the first."""
    bench = Bench()
    bench.poll(CONNECTED, received=NOW - 1000)
    for time in (NOW - 400, NOW - 500, NOW - 300):
        bench.change(
            "phone_number_quality_update", {"display_phone_number": N1.display, "event": "FLAGGED"}, time=int(time)
        )
    assert bench.differs({FLAGGED: at(-500), RATING: 3}) == []


def test_a_poll_that_finds_the_number_connected_ends_the_flag() -> None:
    """Without an UNFLAGGED event, which may never come."""
    bench = Bench()
    bench.poll({"quality_rating": "RED", "status": "FLAGGED"}, received=NOW - 1000)
    bench.poll({"quality_rating": "RED", "status": "FLAGGED"}, received=NOW - 700)
    assert bench.differs({FLAGGED: at(-1000)}) == []
    bench.poll(CONNECTED)
    assert bench.differs({}, (FLAGGED,)) == []


def test_an_event_from_the_future_does_not_block_the_next_ones() -> None:
    """A time more than 5 s ahead is replaced by ours and counted."""
    bench = Bench()
    bench.change("message_template_status_update", template_value(event="PAUSED"), time=int(NOW) + 86_400)
    bench.clock.advance(60)
    bench.change("message_template_status_update", template_value(event="APPROVED"), time=int(NOW) + 60)
    assert bench.differs({'template_status{status="APPROVED"}': 1, "clock_skews_total": 1}) == []


def test_an_event_older_than_seven_days_is_stale() -> None:
    """Copies are remembered for no longer, so it cannot be told from one."""
    bench = Bench()
    bench.change("account_review_update", {"decision": "APPROVED"}, time=int(NOW) - 8 * 86_400)
    assert bench.differs({'events_dropped_total{reason="stale"}': 1, "account_events_total": 0}) == []


def test_a_missing_time_is_the_time_of_receipt() -> None:
    """Some fields have no `entry.time`."""
    bench = Bench()
    bench.change("message_template_status_update", template_value(event="PAUSED"), time=int(NOW) - 60)
    bench.change("message_template_status_update", template_value(event="APPROVED"), time=None)
    assert bench.differs({'template_status{status="APPROVED"}': 1, "clock_skews_total": 0}) == []


# Numbers that are not named yet


@pytest.mark.parametrize("by_poll", [True, False])
def test_an_event_waits_until_its_number_is_named(by_poll: bool) -> None:  # noqa: FBT001 - parametrized
    """A poll or any webhook of messages names it, also after a restart."""
    bench = Bench()
    value = {"display_phone_number": "+1 (555) 000-1234", "event": "FLAGGED", "current_limit": "TIER_1K"}
    bench.change("phone_number_quality_update", value)
    assert bench.differs({"quality_events_waiting": 1, "quality_events_total": 0}, (FLAGGED,)) == []
    bench.restart()
    if by_poll:
        bench.poll(CONNECTED, received=NOW - 1)
    else:
        metadata = {"display_phone_number": N1.display, "phone_number_id": N1.phone_number_id}
        bench.change("messages", {"metadata": metadata})
    label = f'{{phone_number_id="{N1.phone_number_id}",event="FLAGGED"}}'
    expected = {f"quality_events_total{label}": 1, FLAGGED: at(0), 'messaging_limit{scope="number"}': 1000}
    assert bench.differs(expected, ("quality_events_waiting",)) == []


def test_an_event_of_a_number_that_nobody_names_is_dropped_after_a_week() -> None:
    """It is counted then, and no sooner."""
    bench = Bench()
    bench.change("phone_number_quality_update", {"display_phone_number": "15559999999", "event": "FLAGGED"})
    bench.clock.advance(6 * 86_400)
    bench.poll(CONNECTED)
    assert bench.differs({"quality_events_waiting": 1, 'events_dropped_total{reason="stale"}': 0}) == []
    bench.clock.advance(2 * 86_400)
    bench.poll(CONNECTED)
    assert bench.differs({"quality_events_waiting": 0, 'events_dropped_total{reason="stale"}': 1}) == []


def test_waiting_events_are_bounded() -> None:
    """Ten thousand display numbers that nobody knows cost no more than some hundred."""
    bench = Bench()
    changes = [
        {"field": "phone_number_quality_update", "value": {"display_phone_number": f"1555{i:07}", "event": "FLAGGED"}}
        for i in range(1000)
    ]
    bench.post({"entry": [{"id": W1, "time": int(NOW), "changes": changes}]})
    assert bench.differs({"quality_events_waiting": 256, 'events_dropped_total{reason="stale"}': 744}) == []


# Words that are on no list


def test_unknown_words_are_counted_and_not_guessed() -> None:
    """A new event, reason, status or restriction is `other` until it is known. A new tier keeps the last value."""
    bench = Bench()
    bench.poll({**CONNECTED, "status": "DANCING"})
    display = {"display_phone_number": N1.display}
    bench.change("phone_number_quality_update", {**display, "event": "EXPLODED"})
    bench.change("phone_number_quality_update", {**display, "event": "UPGRADE", "current_limit": "TIER_20M"})
    bench.change("account_update", {"event": "SOMETHING_NEW"})
    bench.change("account_update", {"no": "event"})
    bench.change("message_template_status_update", template_value(event="MELTED", reason="HEAT"))
    restriction = {"restriction_info": [{"restriction_type": "RESTRICTED_BREATHING", "expiration": "soon"}]}
    bench.change("account_update", {"event": "ACCOUNT_RESTRICTION", **restriction})
    expected = {
        'number_status{status="other"}': 1,
        "number_status": 1,
        'quality_events_total{event="other"}': 1,
        'account_events_total{field="account_update",event="other"}': 2,
        'template_status_changes_total{status="other",reason="other"}': 1,
        'restriction_expires_timestamp_seconds{restriction="other"}': "+Inf",
        'events_dropped_total{reason="unknown_tier"}': 1,
        "messaging_limit": 0,
    }
    assert bench.differs(expected) == []


@pytest.mark.parametrize(
    "value",
    [
        {},
        {"event": 3, "display_phone_number": 5},
        {"event": "FLAGGED"},
        {"display_phone_number": "no digits", "event": "FLAGGED"},
        {"new_quality_score": ["RED"]},
        template_value(),
        {"message_template_name": 7, "event": "PAUSED"},
    ],
)
@pytest.mark.parametrize("field", ["phone_number_quality_update", "message_template_status_update"])
def test_a_value_that_says_nothing_is_malformed(field: str, value: dict[str, Any]) -> None:
    """It is counted, and no gauge appears."""
    bench = Bench()
    bench.change(field, value)
    assert bench.differs({'events_dropped_total{reason="malformed"}': 1}, ("template_status", "template_quality")) == []


@pytest.mark.parametrize("value", [None, [], "x", {"restriction_type": 4}, [4], [{"restriction_type": None}]])
def test_a_restriction_that_cannot_be_read_restricts_nothing(value: object) -> None:
    """The event is counted all the same."""
    bench = Bench()
    bench.change("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": value, "violation_info": [1]})
    expected = {'account_events_total{event="ACCOUNT_RESTRICTION"}': 1}
    assert bench.differs(expected, ("restriction_expires_timestamp_seconds",)) == []


@pytest.mark.parametrize(
    "row",
    [
        {"id": None},
        {"id": ["1"]},
        {"health_status": [1]},
        {"health_status": {"entities": [1, {"entity_type": 5}, {"entity_type": "WABA", "can_send_message": "MAYBE"}]}},
        {"display_phone_number": {}, "verified_name": 5, "status": 5},
    ],
)
def test_a_bad_row_does_not_spoil_the_good_one(row: dict[str, Any]) -> None:
    """The Graph API may answer with anything."""
    bench = Bench()
    bench.poll(row, {"id": N2.phone_number_id, **CONNECTED})
    assert bench.differs({f'quality_rating{{phone_number_id="{N2.phone_number_id}"}}': 3}) == []


def test_free_text_is_no_label() -> None:
    """Values beyond the cap, newlines and long texts show as `other` (tests/safety/README.md 37)."""
    bench = Bench(label_cap=3)
    for i in range(6):
        value = template_value(new_quality_score="RED" if i == 5 else "GREEN")
        bench.change("message_template_quality_update", {**value, "message_template_name": f"offer_{i}"})
    bench.change("message_template_status_update", template_value(event="PAUSED", message_template_name="a\nb" * 999))
    shown = bench.exposition()
    assert bench.differs({'template_quality{template="other"}': 1, 'template_quality{template="offer_2"}': 3}) == []
    assert shown.count("chatvitals_template_quality{") == 4
    assert bench.differs({'series_overflow_total{label="template"}': 4}) == []


# The poller


def test_requests_to_the_graph_api_are_counted_by_result() -> None:
    """All results start at 0. One that is on no list is `other`."""
    bench = Bench()
    for result in ("ok", "ok", "rate_limited", "weather"):
        bench.vitals._emit(GraphCall(waba_id=W1, result=result))
    bench.vitals.settle()
    shown = {"ok": 2, "rate_limited": 1, "other": 1, "timeout": 0}
    assert bench.differs({f'graph_requests_total{{result="{result}"}}': count for result, count in shown.items()}) == []
    assert 'chatvitals_graph_requests_total{result="budget"} 0.0' in bench.exposition()


def test_a_webhook_about_the_business_is_a_reason_to_poll() -> None:
    """The document tells when the last one came. Copies and messages are no news."""
    bench = Bench()
    bench.change("account_review_update", {"decision": "APPROVED"})
    heard = quality_state.decode(bench.store.document(quality_state.DOCUMENT)).heard
    bench.clock.advance(60)
    bench.change("account_review_update", {"decision": "APPROVED"})
    bench.change("messages", {"metadata": {"display_phone_number": N1.display, "phone_number_id": N1.phone_number_id}})
    assert heard == NOW
    assert quality_state.decode(bench.store.document(quality_state.DOCUMENT)).heard == NOW


def test_a_poll_without_a_time_was_made_now() -> None:
    """As a bot that polls by itself tells it."""
    bench = Bench()
    poll = Poll(waba_id=W1, numbers=[])
    bench.vitals.record_poll(poll)
    bench.vitals.settle()
    assert bench.differs({"poller_last_success_timestamp_seconds": at(0)}) == []


# Cost


def test_messages_of_a_known_number_do_not_touch_the_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the first webhook that names a number does."""
    bench = Bench()
    loads: list[str] = []
    document = bench.store.document

    def counting(name: str) -> bytes | None:
        loads.append(name)
        return document(name)

    monkeypatch.setattr(bench.store, "document", counting)
    metadata = {"display_phone_number": N1.display, "phone_number_id": N1.phone_number_id}
    for i in range(5):
        bench.change("messages", {"metadata": metadata, "messages": [{"id": f"m{i}", "from": "1", "type": "text"}]})
    assert loads.count(quality_state.DOCUMENT) == 2  # once to learn the labels, once to name the number


def test_a_deep_value_is_contained() -> None:
    """Readable items count. An item that is too deep is malformed (tests/safety/README.md 14)."""
    bench = Bench()
    deep = '{"event":"PIN_CHANGED","x":' + "[" * 700 + "]" * 700 + "}"
    body = json.dumps({"entry": [{"id": W1, "time": int(NOW), "changes": [{"field": "security", "value": "@"}]}]})
    bench.post(body.replace('"@"', deep).encode())
    assert bench.differs({"account_events_total": 1}) == []
