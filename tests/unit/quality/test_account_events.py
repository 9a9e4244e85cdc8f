"""Account events in all the forms in which they were recorded."""

from __future__ import annotations

from typing import Any

import pytest

from chatvitals.conversations.identity import Hasher
from chatvitals.events import AccountEvent
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Measurements
from chatvitals.quality import webhook_events
from chatvitals.quality.state import Quality
from tests.helpers.quality_bench import NOW, W1, Bench

BAN = {"waba_ban_state": "DISABLE", "waba_ban_date": "November 26, 2026"}
DISABLED = 'restriction_expires_timestamp_seconds{restriction="DISABLED"}'


@pytest.mark.parametrize("info", [BAN, [BAN], ["junk", BAN], {**BAN, "waba_ban_state": ["DISABLE"]}])
def test_a_ban_is_read_as_an_object_and_as_a_list(info: Any) -> None:
    bench = Bench()
    bench.change("account_update", {"event": "DISABLED_UPDATE", "ban_info": info})
    assert bench.differs({DISABLED: "+Inf"}) == []
    bench.clock.advance(60)
    lifted = {**BAN, "waba_ban_state": "REINSTATE"}
    value = {"event": "DISABLED_UPDATE", "ban_info": [lifted] if isinstance(info, list) else lifted}
    bench.change("account_update", value, time=int(bench.clock()))
    assert bench.differs({}, (DISABLED,)) == []


@pytest.mark.parametrize("info", [None, "DISABLE", [], ["DISABLE"], [[BAN]], {"waba_ban_state": [["DISABLE"]]}, 5])
def test_a_ban_that_cannot_be_read_restricts_nothing(info: Any) -> None:
    bench = Bench()
    bench.change("account_update", {"event": "DISABLED_UPDATE", "ban_info": info})
    expected = {'account_events_total{event="DISABLED_UPDATE"}': 1, 'events_dropped_total{reason="malformed"}': 1}
    assert bench.differs(expected, (DISABLED,)) == []


def test_a_scheduled_ban_is_read_and_restricts_nothing() -> None:
    bench = Bench()
    info = {**BAN, "waba_ban_state": "SCHEDULE_FOR_DISABLE"}
    bench.change("account_update", {"event": "DISABLED_UPDATE", "ban_info": info})
    assert bench.differs({'events_dropped_total{reason="malformed"}': 0}, (DISABLED,)) == []


END = 1_795_480_000
LIMITED = 'restriction_expires_timestamp_seconds{restriction="RESTRICTED_BIZ_INITIATED_MESSAGING"}'


def restricted(bench: Bench, expiration: object) -> None:
    """Report a restriction that ends at `expiration`."""
    item = {"restriction_type": "RESTRICTED_BIZ_INITIATED_MESSAGING", "expiration": expiration}
    bench.change("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": [item]})


@pytest.mark.parametrize(
    "expiration",
    [END, str(END), float(END), END * 1000, f"{END}000", "2026-11-24T00:26:40+0000", "2026-11-24T01:26:40+01:00",
     "2026-11-24T00:26:40", "2026-11-24 00:26:40Z"],
)  # fmt: skip
def test_the_end_of_a_restriction_is_read_however_it_is_written(expiration: object) -> None:
    """A restriction whose end is not read would page for ever."""
    bench = Bench()
    restricted(bench, expiration)
    assert bench.differs({LIMITED: END, 'events_dropped_total{reason="malformed"}': 0}) == []


@pytest.mark.parametrize("expiration", ["soon", "", [END], {}, True, 10**40, "9" * 30, "0001-01-01T00:00:00+23:00"])
def test_an_end_that_cannot_be_read_is_counted_and_the_restriction_holds(expiration: object) -> None:
    """Until a poll or a lift ends it."""
    bench = Bench()
    restricted(bench, expiration)
    assert bench.differs({LIMITED: "+Inf", 'events_dropped_total{reason="malformed"}': 1}) == []


def test_a_restriction_without_an_end_is_no_mistake() -> None:
    """Some have none."""
    bench = Bench()
    restricted(bench, None)
    assert bench.differs({LIMITED: "+Inf", 'events_dropped_total{reason="malformed"}': 0}) == []


@pytest.mark.parametrize("value", [{}, {"groups": None}, {"groups": True}, {"groups": [[{"type": "group_suspend"}]]}])
def test_an_event_about_groups_that_cannot_be_read_counts_as_other(value: dict[str, Any]) -> None:
    bench = Bench()
    bench.change("group_status_update", value)
    assert bench.differs({'account_events_total{event="other"}': 1}) == []


@pytest.mark.parametrize(("score", "malformed"), [("UNKNOWN", 0), ("NA", 0), (7, 1), (True, 1), (["GREEN"], 1)])
def test_a_score_that_is_no_word_is_unknown_and_counted(score: Any, malformed: int) -> None:
    bench = Bench()
    names = {"message_template_name": "offer", "message_template_language": "en"}
    bench.change("message_template_quality_update", {"new_quality_score": score, **names})
    expected = {"template_quality": 0, 'events_dropped_total{reason="malformed"}': malformed}
    assert bench.differs(expected) == []


@pytest.mark.parametrize("listed", [False, True])
def test_other_objects_may_be_lists_of_one(listed: bool) -> None:  # noqa: FBT001 - a column
    def form(value: dict[str, Any]) -> Any:
        return [value] if listed else value

    bench = Bench()
    restriction = {"restriction_type": "RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES"}
    bench.change("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": form(restriction)})
    assert bench.differs({"restriction_expires_timestamp_seconds": "+Inf"}) == []
    bench.clock.advance(60)
    violation = form({"violation_type": "DIRECT_SEND_UTILITY_CATEGORY_ABUSE_UNBAN"})
    value = {"event": "ACCOUNT_RESTRICTION", "violation_info": violation}
    bench.change("account_update", value, time=int(bench.clock()))
    assert bench.differs({}, ("restriction_expires_timestamp_seconds",)) == []
    bench.change("account_alerts", {"alert_info": form({"alert_type": "OBA_APPROVED"})})
    bench.change("account_update", {"event": "PARTNER_ADDED", "waba_info": form({"waba_id": W1})}, entry="77")
    counted = {
        'account_events_total{event="OBA_APPROVED"}': 1,
        f'account_events_total{{event="PARTNER_ADDED",waba_id="{W1}"}}': 1,
    }
    assert bench.differs(counted) == []


def test_a_capability_update_without_a_limit_changes_none() -> None:
    """It may be about phone numbers only."""
    bench = Bench()
    bench.change("business_capability_update", {"max_daily_conversations_per_business": "TIER_2K"})
    bench.change("business_capability_update", {"max_phone_numbers_per_business": 25})
    expected = {'account_events_total{event="UPDATE"}': 2, 'events_dropped_total{reason="unknown_tier"}': 0}
    assert bench.differs({**expected, "messaging_limit": 2000}) == []


def test_a_decision_about_a_username_is_counted() -> None:
    """Its field is one of three about usernames."""
    bench = Bench()
    value = {"display_phone_number": "15550001234", "decision": "REJECTED", "rejection_reasons": ["NOT_AVAILABLE"]}
    bench.change("phone_number_username_update", value)
    selector = 'account_events_total{field="phone_number_username_update",event="REJECTED"}'
    assert bench.differs({selector: 1, 'webhook_fields_total{known="no"}': 0}) == []


def test_a_value_that_is_too_deep_for_its_key_is_malformed() -> None:
    """The depth that Python allows depends on the stack, so what could be decoded may still be too deep here."""
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    quality, measures = Quality(), Measurements()
    event = AccountEvent(
        field="security", entry=W1, time=int(NOW), value={"event": "PIN_CHANGED", "x": deep}, received=NOW
    )
    webhook_events.apply_event(quality, event, lambda _, value: value, Hasher(b"0123456789abcdef"), measures)
    assert measures.increments == {(catalogue.EVENTS_DROPPED.name, ("malformed",), 0): 1}
    assert quality == Quality()
