"""Limits have one normal form, and restrictions end when they are lifted."""

from __future__ import annotations

import pytest

from chatvitals.quality import messaging_limits
from tests.helpers.quality_bench import N1, NOW, W1, Bench
from tests.helpers.quality_values import health


@pytest.mark.parametrize(
    ("spelling", "users"),
    [("TIER_1K", 1000), ("tier_2k", 2000), (2000.0, 2000), ("10000", 10_000), (-1, float("inf")), ("-1", float("inf")),
     ("UNLIMITED", float("inf")), ("TIER_NOT_SET", None)],
)  # fmt: skip
def test_a_limit_has_one_normal_form(spelling: object, users: float | None) -> None:
    """All spellings of a limit become one number (whatsapp/README.md 4.3)."""
    assert messaging_limits.normal(spelling) == messaging_limits.Users(users)


@pytest.mark.parametrize("spelling", ["TIER_3K", "", True, None, [2000], {}, -2, 10**40, 1.5, "1e3", "٣"])
def test_what_is_no_limit_is_not_guessed(spelling: object) -> None:
    """Not even where it looks like one."""
    assert messaging_limits.normal(spelling) is None


def test_a_poll_repeats_an_unknown_tier_and_it_counts_once() -> None:
    """Every five minutes would be a counter of time."""
    bench = Bench()
    bench.poll({"whatsapp_business_manager_messaging_limit": "TIER_2K"})
    for _ in range(3):
        bench.clock.advance(300)
        bench.poll({"whatsapp_business_manager_messaging_limit": "TIER_20M"})
    limit = f'messaging_limit{{waba_id="{W1}",scope="portfolio"}}'
    assert bench.differs({limit: 2000, 'events_dropped_total{reason="unknown_tier"}': 1}) == []


def test_the_limit_of_older_api_versions_is_the_numbers() -> None:
    """Where the portfolio's is not given, and only there."""
    bench = Bench()
    bench.poll({"messaging_limit_tier": "TIER_1K"})
    assert bench.differs({f'messaging_limit{{phone_number_id="{N1.phone_number_id}",scope="number"}}': 1000}) == []
    assert bench.differs({}, ('messaging_limit{scope="portfolio"}',)) == []


def test_the_whole_chain_has_its_health() -> None:
    """Of several entities of one kind the worst counts. The account's node holds for all its numbers."""
    bench = Bench()
    row = health(PHONE_NUMBER="AVAILABLE", WABA="AVAILABLE", BUSINESS="LIMITED", APP="AVAILABLE")
    row["health_status"]["entities"].append({"entity_type": "APP", "id": "2", "can_send_message": "BLOCKED"})
    bench.poll(row)
    shown = {f'health_status{{entity="{e}"}}': v for e, v in {"number": 2, "waba": 2, "business": 1, "app": 0}.items()}
    assert bench.differs(shown) == []
    bench.clock.advance(60)
    bench.poll(account={"id": W1, **health(WABA="BLOCKED")})
    assert bench.differs({**shown, 'health_status{entity="waba"}': 0}) == []


@pytest.mark.parametrize("in_row", [True, False])
def test_an_available_account_has_no_restrictions(in_row: bool) -> None:  # noqa: FBT001 - parametrized
    """Most lifts come with no webhook. One that is older than the restriction lifts nothing."""
    bench = Bench()
    value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "RESTRICTED_UTILITY_TEMPLATES"}]}
    bench.change("account_update", value)

    def poll(received: float) -> None:
        found = health(WABA="AVAILABLE")
        bench.poll(*[found] * in_row, account=None if in_row else found, received=received)

    poll(NOW - 1)
    assert bench.differs({"restriction_expires_timestamp_seconds": "+Inf"}) == []
    poll(NOW + 1)
    assert bench.differs({}, ("restriction_expires_timestamp_seconds",)) == []


@pytest.mark.parametrize("lifted", [False, True])
def test_a_restriction_that_names_a_number_alone_waits_for_its_account(lifted: bool) -> None:  # noqa: FBT001 - a column
    """Events about calls may have no account. The next poll tells it, and may find that the restriction is over."""
    bench = Bench()
    kind = "RESTRICTED_BUSINESS_INITIATED_CALLING"
    info = [{"restriction_type": kind}]
    for display in (N1.display, "+1 555-000-1234", "15559990000"):
        value = {"event": "ACCOUNT_RESTRICTION", "phone_number": display, "restriction_info": info}
        bench.change("account_update", value, entry="0", time=int(NOW))
    name = "restriction_expires_timestamp_seconds"
    assert bench.differs({f'{name}{{waba_id="",restriction="{kind}"}}': "+Inf"}) == []
    bench.clock.advance(60)
    bench.poll(health(WABA="AVAILABLE" if lifted else "LIMITED"))
    placed = f'{name}{{waba_id="{W1}",restriction="{kind}"}}'
    assert bench.differs({} if lifted else {placed: "+Inf"}, (placed,) if lifted else ()) == []


@pytest.mark.parametrize("state", ["REINSTATE", ["REINSTATE"]])
def test_a_reinstated_account_is_free(state: object) -> None:
    """Text on one page of Meta's, a list on another. All restrictions end with the ban."""
    bench = Bench()
    value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": "RESTRICTED_UTILITY_TEMPLATES"}]}
    bench.change("account_update", value, time=int(NOW) - 9)
    bench.change(
        "account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": ["DISABLE"]}}, time=int(NOW) - 8
    )
    assert bench.differs({'restriction_expires_timestamp_seconds{restriction="DISABLED"}': "+Inf"}) == []
    bench.change("account_update", {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}})
    assert bench.differs({}, ("restriction_expires_timestamp_seconds",)) == []


@pytest.mark.parametrize("event", ["ACCOUNT_RESTRICTION", "ACCOUNT_VIOLATION"])
def test_a_lift_of_direct_send_leaves_other_restrictions(event: str) -> None:
    """`…_UNBAN` is about Direct Send alone. The type of violation tells that it is a lift, whatever the event."""
    bench = Bench()
    kinds = ("RESTRICTED_UTILITY_TEMPLATES", "RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES")
    value = {"event": "ACCOUNT_RESTRICTION", "restriction_info": [{"restriction_type": kind} for kind in kinds]}
    bench.change("account_update", value, time=int(NOW) - 9)
    lift = {"violation_type": "DIRECT_SEND_UTILITY_TEMPLATE_ABUSE_UNBAN"}
    bench.change("account_update", {"event": event, "violation_info": lift})
    name = "restriction_expires_timestamp_seconds"
    assert (
        bench.differs({f'{name}{{restriction="{kinds[0]}"}}': "+Inf"}, (f'{name}{{restriction="{kinds[1]}"}}',)) == []
    )
