"""The log's sentences about webhooks of the business, from samples of each field."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import AccountEvent
from chatvitals.pipeline.account_log import AccountLog
from chatvitals.pipeline.account_notices import notice
from chatvitals.testing import FakeClock
from chatvitals.whatsapp import enums
from tests.helpers.json_mutants import PAYLOADS, REPLACEMENTS, mutant, places
from tests.helpers.quality_bench import W1, Bench

if TYPE_CHECKING:
    from collections.abc import Iterator

SAMPLES = {path.stem: path for path in PAYLOADS}
TEMPLATE = "The template order_update (en_US) of account 990001112223334"
DIRECT = (
    "WhatsApp restricts account 990001112223334: RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES until 2026-11-30 02:13 UTC"
)
LIFTED = "WhatsApp has lifted a restriction of account 990001112223334"
VIOLATION = {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": "ALCOHOL"}}
SENTENCE = f"WhatsApp reports a violation by account {W1}: ALCOHOL."


def changes(name: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield entry id, field and value of each change about the business in a sample."""
    for entry in json.loads(SAMPLES[name].read_text()).get("entry", ()):
        for change in entry["changes"]:
            if change["field"] in enums.BUSINESS_FIELDS:
                yield entry["id"], change["field"], change["value"]


def of(entry: str, field: str, value: dict[str, Any]) -> str:
    """Return the sentence about one change."""
    return notice(AccountEvent(field=field, entry=entry, time=None, value=value))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (
            "account_alerts__limit_increase_failed",
            "WhatsApp has an alert for account 990001112223334: INCREASED_CAPABILITIES_ELIGIBILITY_FAILED (CRITICAL).",
        ),
        ("account_review_update__approved", ""),
        (
            "account_update__account_restriction_no_expiration",
            "WhatsApp restricts account 990001112223334: RESTRICTED_UTILITY_TEMPLATES.",
        ),
        (
            "account_update__account_violation_pickup_rate",
            "WhatsApp reports a violation by an account: USER_INITIATED_CALLS_LOW_PICKUP_RATE.",
        ),
        ("account_update__direct_send_strike_1", f"{DIRECT}, for DIRECT_SEND_UTILITY_CATEGORY_ABUSE_STRIKE_1."),
        (
            "account_update__direct_send_rate_limit_recovery",
            f"{LIFTED}: DIRECT_SEND_UTILITY_CATEGORY_ABUSE_RATE_LIMIT_RECOVERY.",
        ),
        ("account_update__disabled_update_disable", "WhatsApp has disabled account 990001112223334."),
        (
            "account_update__disabled_update_schedule_for_disable",
            "WhatsApp will disable account 990001112223334. WhatsApp Manager shows the date.",
        ),
        (
            "account_update__partner_removed_disconnection",
            "No more webhooks may come from account 990001112225555: PARTNER_REMOVED, PRIMARY_INACTIVITY.",
        ),
        ("account_update__verified_account", ""),
        (
            "flows__endpoint_error_rate_activated",
            "The flow 990100000000001 of account 990001112223334 is in trouble: ENDPOINT_ERROR_RATE.",
        ),
        ("flows__endpoint_error_rate_deactivated", ""),
        (
            "flows__status_change_throttled",
            "The flow 990100000000001 of account 990001112223334 is in trouble: THROTTLED.",
        ),
        ("message_template_quality_update__yellow_to_red", ""),
        ("message_template_status_update__approved", ""),
        ("message_template_status_update__disabled", f"{TEMPLATE} is DISABLED."),
        ("message_template_status_update__paused_second", f"{TEMPLATE} is PAUSED: SECOND_PAUSE."),
        ("message_template_status_update__rejected_promotional", f"{TEMPLATE} is REJECTED: PROMOTIONAL."),
        (
            "security__pin_reset_request",
            "The PIN of a number of account 990001112223334: PIN_RESET_REQUEST. Check who did it.",
        ),
        (
            "template_category_update__impending",
            f"{TEMPLATE} will have the category MARKETING on 2026-11-24 02:13 UTC. Its price changes with it.",
        ),
        (
            "template_category_update__no_previous",
            f"{TEMPLATE} has the category MARKETING. Its price changed with it.",
        ),
        ("phone_number_quality_update__upgrade", ""),
    ],
)
def test_a_sentence_names_the_cause(name: str, sentence: str) -> None:
    """The sentence is empty where nobody needs to act."""
    assert [of(*change) for change in changes(name)] == [sentence]


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        (
            "account_update",
            {"event": "ACCOUNT_RESTRICTION", "violation_info": [{"violation_type": "X_ABUSE_WARN"}]},
            f"WhatsApp warns account {W1}: X_ABUSE_WARN.",
        ),
        (
            "account_update",
            {"event": "DISABLED_UPDATE", "ban_info": [{"waba_ban_state": ["reinstate"]}]},
            f"WhatsApp has reinstated account {W1}.",
        ),
        ("account_update", {"event": "DISABLED_UPDATE"}, ""),
        ("account_review_update", {"decision": "REJECTED"}, f"WhatsApp's review has rejected account {W1}."),
        (
            "phone_number_name_update",
            {"decision": "REJECTED", "rejection_reason": "NAME_X"},
            f"WhatsApp has rejected the display name of a number of account {W1}: NAME_X.",
        ),
        ("phone_number_name_update", {"decision": "APPROVED"}, ""),
        (
            "phone_number_username_update",
            {"decision": "REJECTED", "rejection_reasons": ["NOT_AVAILABLE", "some prose", "ACCOUNT_INELIGIBLE"]},
            f"WhatsApp has rejected the username of a number of account {W1}: NOT_AVAILABLE, ACCOUNT_INELIGIBLE.",
        ),
        (
            "phone_number_username_update",
            {"decision": "REJECTED"},
            f"WhatsApp has rejected the username of a number of account {W1}.",
        ),
        ("phone_number_username_update", {"decision": "APPROVED"}, ""),
        ("account_alerts", {"alert_severity": "CRITICAL", "alert_status": "NONE", "alert_type": "OBA_REJECTED"}, ""),
        (
            "account_alerts",
            {"alert_info": [{"alert_severity": "warning", "alert_type": "OBA_REJECTED"}]},
            f"WhatsApp has an alert for account {W1}: OBA_REJECTED (WARNING).",
        ),
        ("template_category_update", {}, ""),
    ],
)
def test_sentences_of_rare_events(field: str, value: dict[str, Any], sentence: str) -> None:
    assert of(W1, field, value) == sentence


def test_prose_of_a_webhook_is_not_logged() -> None:
    """Only words, ids and names of templates are. Anybody may have written the rest."""
    prose = "call +1 555-000-4321\n"
    value = {"event": "PAUSED", "message_template_name": prose, "reason": prose, "other_info": {"title": prose}}
    assert of(prose, "message_template_status_update", value) == "A template of an account is PAUSED."
    violation = {"event": "ACCOUNT_VIOLATION", "violation_info": {"violation_type": prose}}
    assert of(prose, "account_update", violation) == "WhatsApp reports a violation by an account."
    value = {"flow_id": prose, "alert_state": "ACTIVATED", "event": "ENDPOINT_LATENCY", "message": prose}
    assert of("0", "flows", value) == "A flow of an account is in trouble: ENDPOINT_LATENCY."


def test_no_value_stops_a_batch() -> None:
    """A sentence is made within the commit of a batch, so that an error would cost the batch."""
    for path in PAYLOADS:
        for entry, field, value in changes(path.stem):
            for place in places(value):
                for replacement in REPLACEMENTS:
                    assert isinstance(of(entry, field, json.loads(mutant(value, place, replacement))), str)


def test_a_webhook_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """Its copies are not logged, since other workers may get them."""
    bench = Bench()
    for _ in range(2):
        bench.change("account_update", VIOLATION)
    bench.restart()
    bench.change("account_update", VIOLATION)
    records = [record for record in caplog.records if record.name == "chatvitals.pipeline.account_log"]
    assert [(record.levelno, record.getMessage()) for record in records] == [(logging.WARNING, SENTENCE)]


def test_a_flood_of_webhooks_floods_no_log(caplog: pytest.LogCaptureFixture) -> None:
    """Twenty lines in an hour, and one that says where the others are counted."""
    clock = FakeClock(0.0)
    log = AccountLog(clock)
    log.write(["the same", "the same"])
    log.write(f"sentence {index}" for index in range(100))
    assert len(caplog.messages) == 21
    assert "chatvitals_account_events_total" in caplog.messages[-1]
    clock.advance(3600.0)
    log.write(["the same"])
    assert caplog.messages[-1] == "the same"


def test_a_log_handler_that_raises_costs_nothing() -> None:
    """The batch is committed by then. Counted once more, its events would count twice."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError(record.name)

    broken, logger = Broken(), logging.getLogger("chatvitals")
    logger.addHandler(broken)
    try:
        bench = Bench()
        bench.change("account_update", VIOLATION)
        bench.vitals.handover()  # it explains that it knows no contact
        bench.vitals.settle()
    finally:
        logger.removeHandler(broken)
    lines = bench.exposition().splitlines()
    assert next(line for line in lines if line.startswith("chatvitals_account_events_total{")).endswith(" 1.0")
    assert 'chatvitals_internal_errors_total{where="no_contact"} 1.0' in lines
