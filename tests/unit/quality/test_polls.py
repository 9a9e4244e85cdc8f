"""The effects of a poll: templates that are gone, limits that are not set, numbers in two spellings."""

from __future__ import annotations

from typing import Any

import pytest

from chatvitals.events import Poll, PollerState
from chatvitals.quality import polls, state
from chatvitals.quality.state import Account, Flags, Quality
from tests.helpers.quality_bench import N1, N2, NOW, W1, Bench

OFFER = {"name": "offer", "language": "en", "status": "APPROVED", "quality_score": "GREEN"}
NEWS = {**OFFER, "name": "news"}
SHOWN = 'template_status{template="news",status="PAUSED"}'


def paused(bench: Bench, time: float) -> None:
    """Report that the template `news` was paused."""
    value = {"event": "PAUSED", "message_template_name": "news", "message_template_language": "en"}
    bench.change("message_template_status_update", value, time=int(time))


def lists(bench: Bench, *templates: dict[str, Any], waba: str = W1) -> None:
    """Apply a poll that lists these templates and no other."""
    bench.vitals.record_poll(Poll(waba_id=waba, templates=list(templates)))
    bench.vitals.settle()


def document(bench: Bench) -> Quality:
    """Return the state of the business that the store holds."""
    return state.decode(bench.store.document(state.DOCUMENT))


@pytest.mark.parametrize("row", [{"quality_score": s} for s in ({"score": "YELLOW"}, "YELLOW", [{"score": "YELLOW"}])])
def test_a_rating_may_have_its_other_name(row: dict[str, Any]) -> None:
    """A page about throughput names the field `quality_score`."""
    bench = Bench()
    bench.poll(row)
    assert bench.differs({"quality_rating": 2}) == []
    bench.clock.advance(300)
    bench.poll({"quality_rating": "RED", **row})
    assert bench.differs({"quality_rating": 1}) == []


def test_a_list_without_any_scores_leaves_the_scores_as_they_were() -> None:
    """An account may not be allowed to read them. A webhook knows more."""
    bench = Bench()
    lists(bench, OFFER)
    bench.clock.advance(10)
    value = {"new_quality_score": "YELLOW", "message_template_name": "offer", "message_template_language": "en"}
    bench.change("message_template_quality_update", value, time=int(bench.clock.now))
    bench.clock.advance(10)
    lists(bench, {name: value for name, value in OFFER.items() if name != "quality_score"})
    assert bench.differs({'template_quality{template="offer"}': 2}) == []
    bench.clock.advance(10)
    lists(bench, {**OFFER, "quality_score": {"score": "GREEN"}})
    assert bench.differs({'template_quality{template="offer"}': 3}) == []


def test_an_event_older_than_the_list_brings_no_template_back() -> None:
    """It is counted all the same."""
    bench = Bench()
    lists(bench, OFFER, NEWS)
    bench.clock.advance(100)
    lists(bench, OFFER)
    paused(bench, NOW + 50)
    changes = {'template_status_changes_total{template="news",status="PAUSED"}': 1}
    assert bench.differs(changes, ('template_status{template="news"}', 'template_quality{template="news"}')) == []
    bench.clock.advance(100)
    paused(bench, NOW + 150)
    assert bench.differs({SHOWN: 1}) == []


def test_an_empty_list_ends_all_templates_of_its_account_alone() -> None:
    bench = Bench()
    lists(bench, OFFER)
    lists(bench, NEWS, waba="990001112223399")
    bench.clock.advance(100)
    lists(bench)
    assert bench.differs({'template_status{template="news"}': 1}, ('template_status{template="offer"}',)) == []


def test_a_tier_that_is_not_set_ends_the_limit_until_something_newer() -> None:
    bench = Bench()
    limit = "whatsapp_business_manager_messaging_limit"
    bench.poll({limit: "TIER_10K"})
    bench.clock.advance(60)
    bench.poll({limit: "TIER_NOT_SET"})
    older = {"max_daily_conversations_per_business": "TIER_2K"}
    bench.change("business_capability_update", older, time=int(NOW) + 30)
    assert bench.differs({'events_dropped_total{reason="unknown_tier"}': 0}, ("messaging_limit",)) == []
    bench.clock.advance(60)
    bench.change("business_capability_update", older, time=int(NOW) + 120)
    assert bench.differs({"messaging_limit": 2000}) == []


def test_a_business_number_is_found_in_another_spelling() -> None:
    """Webhooks and polls may write a Brazilian number with and without its ninth digit."""
    bench = Bench()
    bench.poll({"display_phone_number": "+55 11 98765-4321", "quality_rating": "GREEN"})
    value = {"display_phone_number": "551187654321", "event": "FLAGGED"}
    bench.change("phone_number_quality_update", value)
    counted = f'quality_events_total{{phone_number_id="{N1.phone_number_id}",event="FLAGGED"}}'
    assert bench.differs({counted: 1}) == []


# The account's node, its entities and its list of templates


def test_the_limit_of_the_account_s_node_is_the_portfolio_s() -> None:
    """Rows of numbers may lack it, as with an older API version."""
    bench = Bench()
    bench.poll(account={"id": W1, "whatsapp_business_manager_messaging_limit": "TIER_10K"})
    assert bench.differs({f'messaging_limit{{waba_id="{W1}",scope="portfolio"}}': 10_000}) == []


@pytest.mark.parametrize("words", [("BLOCKED", "AVAILABLE"), ("AVAILABLE", "BLOCKED"), ("BLOCKED", "BLOCKED")])
def test_of_several_entities_of_one_kind_the_worst_counts(words: tuple[str, str]) -> None:
    """Their order says nothing."""
    bench = Bench()
    entities = [{"entity_type": "APP", "id": str(place), "can_send_message": word} for place, word in enumerate(words)]
    bench.poll({"health_status": {"entities": entities}})
    assert bench.differs({'health_status{entity="app"}': 0}) == []


@pytest.mark.parametrize(
    "row", [{"name": "news"}, {"language": "en"}, {"name": 5, "language": "en"}, {**NEWS, "name": ""}]
)
def test_a_template_without_a_name_or_a_language_is_malformed(row: dict[str, Any]) -> None:
    """The other templates of the list count."""
    bench = Bench()
    lists(bench, row, OFFER)
    expected = {'template_status{template="offer",status="APPROVED"}': 1, 'events_dropped_total{reason="malformed"}': 1}
    assert bench.differs(expected, ('template_status{template="news"}',)) == []


def test_templates_beyond_the_bound_are_counted_and_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account has at most 6,000 templates, and a forged list must not grow the document without end."""
    monkeypatch.setattr(polls, "_MOST_TEMPLATES", 2)
    bench = Bench()
    lists(bench, OFFER, NEWS, {**OFFER, "name": "third"})
    kept = {'template_status{template="offer",status="APPROVED"}': 1, 'series_overflow_total{label="template"}': 1}
    assert bench.differs(kept, ('template_status{template="third"}',)) == []


# Labels beyond their cap


def test_a_poll_of_a_number_beyond_the_cap_keeps_nothing() -> None:
    """All such numbers would share one state, and each would overwrite the others."""
    bench = Bench(label_cap=1)
    bench.poll({"quality_rating": "GREEN"}, {"id": N2.phone_number_id, "quality_rating": "RED"})
    shown = {f'quality_rating{{phone_number_id="{N1.phone_number_id}"}}': 3}
    gone = (f'quality_rating{{phone_number_id="{N2.phone_number_id}"}}', 'quality_rating{phone_number_id="other"}')
    assert bench.differs({**shown, 'series_overflow_total{label="phone_number_id"}': 1}, gone) == []


def test_a_webhook_names_no_number_beyond_the_cap() -> None:
    """As with polls, its display number would overwrite that of others."""
    bench = Bench(label_cap=1)
    bench.poll({"quality_rating": "GREEN"})
    metadata = {"display_phone_number": N2.display, "phone_number_id": N2.phone_number_id}
    bench.change("messages", {"metadata": metadata})
    assert bench.differs({"number_info": 1}, (f'number_info{{display_phone_number="{N2.display}"}}',)) == []


def test_accounts_that_share_the_label_other_end_no_template_of_each_other() -> None:
    """Each poll lists the templates of one account only."""
    bench = Bench(label_cap=1)
    lists(bench, OFFER)
    for waba, template in (("990001112223399", NEWS), ("990001112223400", {**OFFER, "name": "third"})):
        bench.clock.advance(100)
        lists(bench, template, waba=waba)
    assert len(document(bench).templates) == 3


# The poller


def test_an_older_state_of_the_poller_changes_no_interval() -> None:
    """Two workers may report it in any order."""
    bench = Bench()
    for received, interval in ((NOW, 300.0), (NOW - 60, 900.0)):
        bench.vitals._emit(PollerState(interval=interval, received=received))
        bench.vitals.settle()
    assert bench.differs({"poller_interval_seconds": 300}) == []


# Gauges


def test_a_number_that_settings_name_is_shown_once() -> None:
    """Its rating is unknown until a poll finds it, and then it is that of the poll alone."""
    bench = Bench(phone_number_id=N1.phone_number_id)
    bench.poll({"quality_rating": "YELLOW"})
    assert bench.exposition().count("chatvitals_quality_rating{") == 1
    assert bench.differs({"quality_rating": 2}) == []


def test_a_template_with_a_rating_alone_has_no_status() -> None:
    """A webhook about its quality says nothing of its status."""
    bench = Bench()
    value = {"message_template_name": "news", "message_template_language": "en", "new_quality_score": "RED"}
    bench.change("message_template_quality_update", value)
    assert bench.differs({'template_quality{template="news"}': 1}, ("template_status",)) == []


def test_many_flags_keep_the_first_and_the_latest() -> None:
    """The first is the time since which the number is flagged, and an end may be older than the latest."""
    flags = Flags()
    for second in range(1, 101):
        flags.raise_(float(second))
    assert len(flags.times) == 32
    assert flags.since == 1.0
    flags.clear(90.0)
    assert flags.since == 91.0


def test_a_flag_that_is_known_or_older_than_the_last_end_changes_nothing() -> None:
    """Webhooks come more than once, and in any order."""
    flags = Flags()
    flags.clear(10.0)
    for at in (20.0, 20.0, 5.0, 10.0):
        flags.raise_(at)
    assert flags.times == [20.0]


@pytest.mark.parametrize(("account_at", "shown"), [(NOW - 60, 2), (NOW + 60, 0)])
def test_the_newer_of_a_number_s_and_its_account_s_node_tells_the_account_s_health(
    account_at: float, shown: int
) -> None:
    """Both nodes list the whole chain, and polls of them may come in any order."""
    bench = Bench()
    health = {"entities": [{"entity_type": "WABA", "id": "1", "can_send_message": "AVAILABLE"}]}
    bench.poll({"health_status": health}, received=NOW)
    blocked = {"entities": [{"entity_type": "WABA", "id": "1", "can_send_message": "BLOCKED"}]}
    bench.poll(account={"id": W1, "health_status": blocked}, received=account_at)
    assert bench.differs({'health_status{entity="waba"}': shown}) == []


def test_an_older_restriction_that_comes_late_replaces_no_newer_end() -> None:
    """Webhooks may overtake each other."""
    account = Account()
    account.restrict("RESTRICTED_UTILITY_TEMPLATES", 200.0, 900.0)
    account.restrict("RESTRICTED_UTILITY_TEMPLATES", 100.0, 500.0)
    assert account.in_force(300.0) == {"RESTRICTED_UTILITY_TEMPLATES": 900.0}


WELL = {"entity_type": "PHONE_NUMBER", "can_send_message": "AVAILABLE"}
NUMBER_HEALTH = 'health_status{entity="number"}'


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        ({"can_send_message": "BLOCKED"}, 0),
        ({"can_send_message": "limited", "entities": []}, 1),
        ({"can_send_message": "AVAILABLE", "entities": None}, 2),
        ("BLOCKED", 0),
        (
            {
                "can_send_message": "BLOCKED",
                "entities": [WELL, {"entity_type": "CATALOG", "can_send_message": "BLOCKED"}],
            },
            0,
        ),
        ({"entities": [WELL, {"entity_type": "MESSAGE_TEMPLATE", "can_send_message": "BLOCKED"}]}, 2),
        ({"can_send_message": "BLOCKED", "entities": {"entity_type": "MESSAGE_TEMPLATE"}}, 0),
        ([{"can_send_message": "BLOCKED"}], 0),
        (
            {"can_send_message": "BLOCKED", "entities": {"entity_type": "PHONE_NUMBER", "can_send_message": "LIMITED"}},
            1,
        ),
    ],
)
def test_the_whole_chain_counts_where_its_entities_say_less(status: object, shown: int) -> None:
    """A chain without entities, or one that is blocked by an entity that is not known here, is no silence."""
    bench = Bench()
    bench.poll({"health_status": status})
    assert bench.differs({NUMBER_HEALTH: shown, "events_dropped_total": 0}) == []


def test_the_whole_chain_is_not_blamed_on_the_number_where_another_entity_is_as_bad() -> None:
    bench = Bench()
    entities = [
        {"entity_type": "PHONE_NUMBER", "can_send_message": "AVAILABLE"},
        {"entity_type": "WABA", "can_send_message": "BLOCKED"},
    ]
    bench.poll({"health_status": {"can_send_message": "BLOCKED", "entities": entities}})
    assert bench.differs({NUMBER_HEALTH: 2, 'health_status{entity="waba"}': 0}) == []


def test_an_available_account_without_entities_lifts_its_restrictions() -> None:
    bench = Bench()
    info = [{"restriction_type": "RESTRICTED_UTILITY_TEMPLATES"}]
    bench.change("account_update", {"event": "ACCOUNT_RESTRICTION", "restriction_info": info})
    restriction = "restriction_expires_timestamp_seconds"
    bench.clock.advance(60)
    bench.poll(account={"id": W1, "health_status": {"can_send_message": "BLOCKED"}})
    assert bench.differs({restriction: 1}) != []
    bench.clock.advance(60)
    bench.poll(account={"id": W1, "health_status": {"can_send_message": "AVAILABLE"}})
    assert bench.differs({restriction: 0}) == []


@pytest.mark.parametrize(
    "row",
    [
        {"health_status": {}},
        {"health_status": []},
        {"health_status": 2},
        {"health_status": {"can_send_message": ["BLOCKED"]}},
        {"health_status": {"can_send_message": "PURPLE"}},
        {"status": {"value": "CONNECTED"}},
        {"status": ["CONNECTED"]},
    ],
)
def test_a_field_that_cannot_be_read_is_counted(row: dict[str, Any]) -> None:
    bench = Bench()
    bench.poll({"quality_rating": "GREEN", **row})
    expected = {"quality_rating": 3, 'events_dropped_total{reason="malformed"}': 1}
    assert bench.differs(expected, ("health_status", "number_status")) == []


def test_a_list_with_a_row_that_cannot_be_read_ends_no_template() -> None:
    """The row may be the template that seems to be gone."""
    bench = Bench()
    lists(bench, OFFER, NEWS)
    bench.clock.advance(100)
    lists(bench, OFFER, {})
    assert bench.differs({'template_status{template="news",status="APPROVED"}': 1}) == []
    bench.clock.advance(100)
    lists(bench, OFFER)
    assert bench.differs({'template_status{template="offer"}': 1}, ('template_status{template="news"}',)) == []
