"""Every payload sample about the business, and the samples that `/metrics` shows after it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chatvitals.whatsapp import enums
from tests.helpers.quality_bench import N1, SECRET, W1, Bench

PAYLOADS = Path(__file__).parents[2] / "payloads"
EPOCH_OF_SAMPLES = 1_795_392_000
OTHER_WABA = "990001112225555"
EXPIRY = "1796004800"
DIRECT_SEND = (
    f'restriction_expires_timestamp_seconds{{waba_id="{W1}",restriction="RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES"}}'
)


def event(field: str, name: str, waba: str = W1) -> dict[str, Any]:
    """One account event."""
    return {
        f'account_events_total{{waba_id="{waba}",field="{field}",event="{name}"}}': 1,
        "account_events_total": 1,
        "events_dropped_total": 0,
    }


def update(name: str, waba: str = W1) -> dict[str, Any]:
    """One `account_update`, which restricts nothing unless more is expected."""
    return {**event("account_update", name, waba), "restriction_expires_timestamp_seconds": 0}


def restricted(**kinds: Any) -> dict[str, Any]:
    """One `ACCOUNT_RESTRICTION` with the expiry of each restriction."""
    name = "restriction_expires_timestamp_seconds"
    shown = {f'{name}{{waba_id="{W1}",restriction="{kind}"}}': expires for kind, expires in kinds.items()}
    return {**event("account_update", "ACCOUNT_RESTRICTION"), **shown}


def template(status: str, reason: str = "NONE") -> dict[str, Any]:
    """One change of the sample template's status."""
    labels = f'waba_id="{W1}",template="order_update",language="en_US",status="{status}"'
    return {
        f'template_status_changes_total{{{labels},reason="{reason}"}}': 1,
        "template_status_changes_total": 1,
        f"template_status{{{labels}}}": 1,
        "template_status": 1,
        "template_quality": 0,
        "account_events_total": 0,
        "events_dropped_total": 0,
    }


def scored(value: int) -> dict[str, Any]:
    """The sample template's rating, and no change of its status."""
    return {
        f'template_quality{{waba_id="{W1}",template="order_update",language="en_US"}}': value,
        "template_status_changes_total": 0,
        "events_dropped_total": 0,
    }


def number(name: str, **more: Any) -> dict[str, Any]:
    """One event about N1, whose rating stays what the poll said."""
    return {
        f'quality_events_total{{phone_number_id="{N1.phone_number_id}",event="{name}"}}': 1,
        "quality_events_total": 1,
        f'quality_rating{{phone_number_id="{N1.phone_number_id}"}}': 3,
        "quality_changes_total": 0,
        "account_events_total": 0,
        "events_dropped_total": 0,
        **more,
    }


NUMBER_LIMIT = f'messaging_limit{{phone_number_id="{N1.phone_number_id}",scope="number"}}'
PORTFOLIO_LIMIT = f'messaging_limit{{waba_id="{W1}",scope="portfolio"}}'
NO_LIMIT = {"messaging_limit": 0}
FLAGGED = f'number_flagged_timestamp_seconds{{phone_number_id="{N1.phone_number_id}"}}'

EXPECTED: dict[str, dict[str, Any]] = {
    "account_alerts__legacy_flat": event("account_alerts", "INCREASED_CAPABILITIES_ELIGIBILITY_FAILED"),
    "account_alerts__limit_increase_deferred": event("account_alerts", "INCREASED_CAPABILITIES_ELIGIBILITY_DEFERRED"),
    "account_alerts__limit_increase_failed": event("account_alerts", "INCREASED_CAPABILITIES_ELIGIBILITY_FAILED"),
    "account_alerts__oba_rejected": event("account_alerts", "OBA_REJECTED"),
    "account_review_update__approved": event("account_review_update", "APPROVED"),
    "account_review_update__pending": event("account_review_update", "PENDING"),
    "account_settings_update__phone_number_settings": event("account_settings_update", "UPDATE"),
    "account_update__account_deleted": update("ACCOUNT_DELETED"),
    "account_update__account_reconnected": update("ACCOUNT_RECONNECTED"),
    "account_update__account_restriction_customer_initiated": restricted(
        RESTRICTED_BIZ_INITIATED_MESSAGING=EXPIRY, RESTRICTED_CUSTOMER_INITIATED_MESSAGING=EXPIRY
    ),
    "account_update__account_restriction_no_expiration": restricted(RESTRICTED_UTILITY_TEMPLATES="+Inf"),
    # its entry is "0": the number inside tells the account
    "account_update__account_violation_pickup_rate": update("ACCOUNT_VIOLATION"),
    "account_update__ad_account_linked": update("AD_ACCOUNT_LINKED", OTHER_WABA),
    "account_update__auth_intl_price_eligibility": update("AUTH_INTL_PRICE_ELIGIBILITY_UPDATE"),
    "account_update__direct_send_offboard": {**event("account_update", "ACCOUNT_RESTRICTION"), DIRECT_SEND: EXPIRY},
    "account_update__direct_send_rate_limit": {**event("account_update", "ACCOUNT_RESTRICTION"), DIRECT_SEND: EXPIRY},
    "account_update__direct_send_rate_limit_recovery": update("ACCOUNT_RESTRICTION"),
    "account_update__direct_send_strike_1": {**event("account_update", "ACCOUNT_RESTRICTION"), DIRECT_SEND: EXPIRY},
    "account_update__direct_send_strike_2": {**event("account_update", "ACCOUNT_RESTRICTION"), DIRECT_SEND: EXPIRY},
    "account_update__disabled_update_disable": {
        **event("account_update", "DISABLED_UPDATE"),
        f'restriction_expires_timestamp_seconds{{waba_id="{W1}",restriction="DISABLED"}}': "+Inf",
    },
    "account_update__disabled_update_schedule_for_disable": update("DISABLED_UPDATE"),
    "account_update__mm_lite_terms_signed": update("MM_LITE_TERMS_SIGNED", OTHER_WABA),
    "account_update__partner_app_installed": update("PARTNER_APP_INSTALLED", OTHER_WABA),
    "account_update__partner_app_uninstalled": update("PARTNER_APP_UNINSTALLED", OTHER_WABA),
    "account_update__partner_client_certification_status": update("PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE"),
    "account_update__partner_removed": update("PARTNER_REMOVED", OTHER_WABA),
    "account_update__partner_removed_disconnection": update("PARTNER_REMOVED", OTHER_WABA),
    "account_update__verified_account": update("VERIFIED_ACCOUNT"),
    "business_capability_update__legacy_per_phone": {
        **event("business_capability_update", "UPDATE"),
        PORTFOLIO_LIMIT: 1000,
    },
    "business_capability_update__legacy_unlimited": {
        **event("business_capability_update", "UPDATE"),
        PORTFOLIO_LIMIT: "+Inf",
    },
    "business_capability_update__portfolio_tier_string": {
        **event("business_capability_update", "UPDATE"),
        PORTFOLIO_LIMIT: 10_000,
    },
    "business_capability_update__portfolio_unlimited_string": {
        **event("business_capability_update", "UPDATE"),
        PORTFOLIO_LIMIT: "+Inf",
    },
    "business_username_update__reserved_old_field_name": event("business_username_update", "UPDATE"),
    "business_username_updates__deleted": event("business_username_updates", "UPDATE"),
    "flows__endpoint_availability_activated": event("flows", "ENDPOINT_AVAILABILITY"),
    "flows__endpoint_error_rate_activated": event("flows", "ENDPOINT_ERROR_RATE"),
    "flows__endpoint_error_rate_deactivated": event("flows", "ENDPOINT_ERROR_RATE"),
    "flows__status_change_blocked": event("flows", "FLOW_STATUS_CHANGE"),
    "flows__status_change_throttled": event("flows", "FLOW_STATUS_CHANGE"),
    "flows__version_expiry_warning": event("flows", "FLOW_VERSION_EXPIRY_WARNING"),
    "group_status_update__suspended": event("group_status_update", "group_suspend"),
    "message_template_components_update__buttons": event("message_template_components_update", "UPDATE"),
    "message_template_quality_update__red_to_green": scored(3),
    "message_template_quality_update__under_status_field_name": scored(2),
    "message_template_quality_update__unknown_to_green": scored(3),
    "message_template_quality_update__yellow_to_red": scored(1),
    "message_template_status_update__approved": template("APPROVED"),
    "message_template_status_update__approved_minimal": template("APPROVED"),
    "message_template_status_update__archived": template("ARCHIVED"),
    "message_template_status_update__deleted": template("DELETED"),
    "message_template_status_update__disabled": template("DISABLED"),
    "message_template_status_update__flagged": template("FLAGGED"),
    "message_template_status_update__in_appeal": template("IN_APPEAL"),
    "message_template_status_update__paused_first": template("PAUSED"),
    "message_template_status_update__paused_second": template("PAUSED"),
    "message_template_status_update__pending": template("PENDING"),
    "message_template_status_update__pending_deletion_null_reason": template("PENDING_DELETION"),
    "message_template_status_update__rejected_abusive_content": template("REJECTED", "ABUSIVE_CONTENT"),
    "message_template_status_update__rejected_incorrect_category": template("REJECTED", "INCORRECT_CATEGORY"),
    "message_template_status_update__rejected_info_beside_value": template("REJECTED", "INVALID_FORMAT"),
    "message_template_status_update__rejected_promotional": template("REJECTED", "PROMOTIONAL"),
    "message_template_status_update__unarchived": template("UNARCHIVED"),
    # two accounts' messages and an account event in one POST
    "messages__batch_two_entries": event("account_update", "ACCOUNT_VIOLATION", "990001112229999"),
    # the entry is a portfolio's, and nothing says which account: no `waba_id`
    "partner_solutions__created": event("partner_solutions", "SOLUTION_CREATED", ""),
    "payment_configuration_update__needs_testing": event("payment_configuration_update", "UPDATE"),
    "phone_number_name_update__approved": event("phone_number_name_update", "APPROVED"),
    # `TIER_UNLIMITED` is a throughput there, not a limit
    "phone_number_quality_update__both_limits": number("THROUGHPUT_UPGRADE", **NO_LIMIT),
    "phone_number_quality_update__downgrade": number("DOWNGRADE", **{NUMBER_LIMIT: 1000}),
    "phone_number_quality_update__flagged_current_limit": number(
        "FLAGGED", **{NUMBER_LIMIT: 10_000, FLAGGED: f"epoch+{1_795_400_200 - EPOCH_OF_SAMPLES}"}
    ),
    "phone_number_quality_update__onboarding_portfolio_limit": number("ONBOARDING", **{PORTFOLIO_LIMIT: 250}),
    "phone_number_quality_update__throughput_upgrade_current_limit": number("THROUGHPUT_UPGRADE", **NO_LIMIT),
    "phone_number_quality_update__unflagged": number("UNFLAGGED", **{NUMBER_LIMIT: 1000, FLAGGED: 0}),
    "phone_number_quality_update__upgrade": number("UPGRADE", **{NUMBER_LIMIT: 10_000}),
    "security__pin_request_success": event("security", "PIN_REQUEST_SUCCESS"),
    "security__pin_reset_request": event("security", "PIN_RESET_REQUEST"),
    "template_category_update__impending": event("template_category_update", "UPDATE"),
    "template_category_update__no_previous": event("template_category_update", "UPDATE"),
    "template_correct_category_detection__misuse": event("template_correct_category_detection", "UPDATE"),
}


@pytest.fixture
def bench() -> Bench:
    """A bot whose number a poll has named, long before the samples, and rated GREEN."""
    bench = Bench()
    now, bench.clock.now = bench.clock.now, EPOCH_OF_SAMPLES + 10.5
    bench.poll({"quality_rating": "GREEN"})
    bench.clock.now = now
    return bench


@pytest.mark.parametrize("name", EXPECTED)
def test_a_payload_gives_its_samples_once(bench: Bench, name: str) -> None:
    """The sample itself, and a second delivery that changes nothing and is counted."""
    body = (PAYLOADS / f"{name}.json").read_bytes()
    for copies in range(2):
        assert bench.post(body) == "accepted"
        duplicates = {'duplicates_total{kind="account_event"}': copies}
        assert bench.differs(EXPECTED[name] | duplicates) == []


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.parametrize("secret", [None, "another secret"])
def test_a_forged_payload_changes_nothing(bench: Bench, name: str, secret: str | None) -> None:
    """Without a valid signature only `webhooks_total` moves (tests/safety/README.md 55)."""

    def shown() -> list[str]:
        ours = ("chatvitals_webhooks_total", "chatvitals_store_commit_seconds")
        return [line for line in bench.exposition().splitlines() if not line.startswith(ours)]

    before = shown()
    result = bench.post((PAYLOADS / f"{name}.json").read_bytes(), secret=secret)
    assert result == ("unsigned" if secret is None else "bad_signature")
    assert shown() == before


def test_every_payload_about_the_business_has_its_expectation() -> None:
    """A sample that is added without a row in the table fails here."""
    about = set()
    for path in PAYLOADS.glob("*.json"):
        fields = {change.get("field") for entry in json.loads(path.read_text())["entry"] for change in entry["changes"]}
        if fields & enums.BUSINESS_FIELDS:
            about.add(path.stem)
    assert about == set(EXPECTED)


@pytest.mark.parametrize(
    "name", ["group_participants_update__added", "messaging_handovers__control_taken", "unknown_field__future"]
)
def test_other_fields_are_counted_by_field_alone(bench: Bench, name: str) -> None:
    """They concern people or are unknown: they are no account event, and nothing of them is remembered."""
    bench.post((PAYLOADS / f"{name}.json").read_bytes())
    assert bench.differs({"webhook_fields_total": 1, "account_events_total": 0, "events_dropped_total": 0}) == []


@pytest.mark.parametrize(("name", "outs", "ins"), [("stop_bsuid_only", 1, 0), ("signup", 0, 1)])
def test_preferences_are_opt_outs_and_opt_ins(bench: Bench, name: str, outs: int, ins: int) -> None:
    """Per number and category, once per change of mind."""
    for _ in range(2):
        bench.post((PAYLOADS / f"user_preferences__{name}.json").read_bytes())
    bench.clock.advance(20)  # past the settling window
    bench.vitals.settle()
    label = f'{{phone_number_id="{N1.phone_number_id}",category="marketing_messages"}}'
    assert bench.differs({f"opt_outs_total{label}": outs, f"opt_ins_total{label}": ins}) == []


def test_no_payload_leaves_a_person_in_the_document(bench: Bench) -> None:
    """Account events leave no requester's id, phone or text anywhere (tests/safety/README.md 38)."""
    for name in [*EXPECTED, "messaging_handovers__control_taken"]:
        bench.post((PAYLOADS / f"{name}.json").read_bytes())
    document = bench.store.document("quality") or b""
    assert b"order_update" in document
    for text in (b"990080000000001", b"15550004321", b"Hello {{1}}", SECRET.encode()):
        assert text not in document
        assert text not in bench.exposition().encode()
