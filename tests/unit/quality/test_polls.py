"""What a poll settles: templates that are gone, limits that are not set, numbers in two spellings."""

from __future__ import annotations

from typing import Any

from chatvitals.events import Poll
from tests.helpers.quality_bench import N1, NOW, W1, Bench

OFFER = {"name": "offer", "language": "en", "status": "APPROVED", "quality_score": "GREEN"}
NEWS = {**OFFER, "name": "news"}
SHOWN = 'template_status{template="news",status="PAUSED"}'


def paused(bench: Bench, time: float) -> None:
    """Tell that the template `news` was paused."""
    value = {"event": "PAUSED", "message_template_name": "news", "message_template_language": "en"}
    bench.change("message_template_status_update", value, time=int(time))


def lists(bench: Bench, *templates: dict[str, Any], waba: str = W1) -> None:
    """Tell a poll that lists these templates and no other."""
    bench.vitals.record_poll(Poll(waba_id=waba, templates=list(templates)))
    bench.vitals.settle()


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
