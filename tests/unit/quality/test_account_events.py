"""Account events in all the forms in which they were recorded."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.quality_bench import W1, Bench

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
    assert bench.differs({'account_events_total{event="DISABLED_UPDATE"}': 1}, (DISABLED,)) == []


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
