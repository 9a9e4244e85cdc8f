from __future__ import annotations

import base64
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from chatvitals.events import AccountEvent, Echo, IdentityChange, Message, PersonEvent, Preference, Status
from chatvitals.whatsapp import webhook_parser

SAMPLES = {path.stem: path for path in (Path(__file__).parents[2] / "payloads").glob("*.json")}
NUMBER = "990005556667778"
ADA, GRACE = "15550004321", "15550005678"
ADA_ID, GRACE_ID = "US.90000000000000000001", "US.90000000000000000002"
PARENT_ID = "US.ENT.90000000000000000077"

# Which events come out of which sample. A and B are the phones of two people, UA and UB their business-scoped ids, UP
# an id for linked portfolios, G is a group, W and W2 are accounts, P a portfolio; `#1F` is a message id by the serial
# number in it; times are seconds since 1795400000. Of an account event's value its most telling part is named; the
# whole is compared with the sample.
EXPECTED = """
account_alerts__legacy_flat: account account_alerts W 261 INCREASED_CAPABILITIES_ELIGIBILITY_FAILED
account_alerts__limit_increase_deferred: account account_alerts W 260 alert_info
account_alerts__limit_increase_failed: account account_alerts W 260 alert_info
account_alerts__oba_rejected: account account_alerts W 260 alert_info
account_review_update__approved: account account_review_update W 262 APPROVED
account_review_update__pending: account account_review_update W 262 PENDING
account_settings_update__phone_number_settings: account account_settings_update W - phone_number_settings
account_update__account_deleted: account account_update W 250 ACCOUNT_DELETED
account_update__account_reconnected: account account_update W 250 ACCOUNT_RECONNECTED
account_update__account_restriction_customer_initiated: account account_update W 250 ACCOUNT_RESTRICTION
account_update__account_restriction_no_expiration: account account_update W 250 ACCOUNT_RESTRICTION
account_update__account_violation_pickup_rate: account account_update 0 250 ACCOUNT_VIOLATION
account_update__ad_account_linked: account account_update P 250 AD_ACCOUNT_LINKED
account_update__auth_intl_price_eligibility: account account_update W 250 AUTH_INTL_PRICE_ELIGIBILITY_UPDATE
account_update__direct_send_offboard: account account_update W 252 ACCOUNT_RESTRICTION
account_update__direct_send_rate_limit: account account_update W 252 ACCOUNT_RESTRICTION
account_update__direct_send_rate_limit_recovery: account account_update W 254 ACCOUNT_RESTRICTION
account_update__direct_send_strike_1: account account_update W 252 ACCOUNT_RESTRICTION
account_update__direct_send_strike_2: account account_update W 252 ACCOUNT_RESTRICTION
account_update__disabled_update_disable: account account_update W 250 DISABLED_UPDATE
account_update__disabled_update_schedule_for_disable: account account_update W 250 DISABLED_UPDATE
account_update__mm_lite_terms_signed: account account_update P 250 MM_LITE_TERMS_SIGNED
account_update__partner_app_installed: account account_update P 250 PARTNER_APP_INSTALLED
account_update__partner_app_uninstalled: account account_update P 250 PARTNER_APP_UNINSTALLED
account_update__partner_client_certification_status:
  account account_update W 250 PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE
account_update__partner_removed: account account_update P 250 PARTNER_REMOVED
account_update__partner_removed_disconnection: account account_update P 250 PARTNER_REMOVED
account_update__verified_account: account account_update W 250 VERIFIED_ACCOUNT
automatic_events__lead_submitted: nothing
business_capability_update__legacy_per_phone: account business_capability_update W 210 max_phone_numbers_per_business
business_capability_update__legacy_unlimited: account business_capability_update W 210 max_phone_numbers_per_business
business_capability_update__portfolio_tier_string: account business_capability_update W 210 max_phone_numbers_per_waba
business_capability_update__portfolio_unlimited_string:
  account business_capability_update W 210 max_daily_conversations_per_business
business_username_update__reserved_old_field_name: account business_username_update W 270 reserved
business_username_updates__deleted: account business_username_updates W 269 deleted
calls__connect_user_initiated: nothing
calls__status_ringing: nothing
calls__terminate_completed: nothing
calls__terminate_failed_errors: nothing
flows__endpoint_availability_activated: account flows W 430 ENDPOINT_AVAILABILITY
flows__endpoint_error_rate_activated: account flows W 430 ENDPOINT_ERROR_RATE
flows__endpoint_error_rate_deactivated: account flows W 430 ENDPOINT_ERROR_RATE
flows__status_change_blocked: account flows W 430 FLOW_STATUS_CHANGE
flows__status_change_throttled: account flows W 430 FLOW_STATUS_CHANGE
flows__version_expiry_warning: account flows W 430 FLOW_VERSION_EXPIRY_WARNING
group_lifecycle_update__create_failed: account group_lifecycle_update W - groups
group_participants_update__added: account group_participants_update W - groups
group_settings_update__partial_failure: account group_settings_update W - groups
group_status_update__suspended: account group_status_update W - groups
history__declined: nothing
history__media: nothing
history__threads: nothing
message_template_components_update__buttons: account message_template_components_update W 244 message_template_buttons
message_template_quality_update__red_to_green: account message_template_quality_update W 230 GREEN
message_template_quality_update__under_status_field_name: account message_template_status_update W 231 YELLOW
message_template_quality_update__unknown_to_green: account message_template_quality_update W 230 GREEN
message_template_quality_update__yellow_to_red: account message_template_quality_update W 230 RED
message_template_status_update__approved: account message_template_status_update W 220 APPROVED
message_template_status_update__approved_minimal: account message_template_status_update W 220 APPROVED
message_template_status_update__archived: account message_template_status_update W 220 ARCHIVED
message_template_status_update__deleted: account message_template_status_update W 220 DELETED
message_template_status_update__disabled: account message_template_status_update W 220 DISABLED
message_template_status_update__flagged: account message_template_status_update W 220 FLAGGED
message_template_status_update__in_appeal: account message_template_status_update W 220 IN_APPEAL
message_template_status_update__paused_first: account message_template_status_update W 220 PAUSED
message_template_status_update__paused_second: account message_template_status_update W 220 PAUSED
message_template_status_update__pending: account message_template_status_update W 220 PENDING
message_template_status_update__pending_deletion_null_reason:
  account message_template_status_update W 220 PENDING_DELETION
message_template_status_update__rejected_abusive_content: account message_template_status_update W 220 REJECTED
message_template_status_update__rejected_incorrect_category: account message_template_status_update W 220 REJECTED
message_template_status_update__rejected_info_beside_value: account message_template_status_update W 220 REJECTED
message_template_status_update__rejected_promotional: account message_template_status_update W 220 REJECTED
message_template_status_update__unarchived: account message_template_status_update W 220 UNARCHIVED
messages__audio_voice: message audio #F A/- 15
messages__batch_two_entries:
  message text #2D A/- 45
  message text #2E A/- 46
  message text #2F B/- 40
  status read #38D A/- 48
  status delivered #38D A/- 47
  account account_update W2 49 ACCOUNT_VIOLATION
messages__contacts: message contacts #14 A/- 20
messages__contacts_from_contact_request: message contacts #15 -/UA 21
messages__conversation_context_summary: message text #2B A/- 43
messages__document: message document #11 A/- 17
messages__errors_value_level: nothing
messages__image: message image #D A/- 13
messages__image_no_url_no_caption: message image #E A/- 14
messages__interactive_call_permission_accept: message interactive #1C A/- 28
messages__interactive_call_permission_reject: message interactive #1D A/- 29
messages__interactive_empty_with_value_errors: message interactive #1E A/- 30
messages__interactive_list_reply: message interactive #19 A/- 25
messages__interactive_list_reply_no_description: message interactive #1A A/- 26
messages__interactive_nfm_reply_flow: message interactive #1B A/- 27
messages__messages_and_statuses_same_value: message text #32 A/- 50; status read #38E A/- 50
messages__order: message order #1F A/- 31
messages__revoke: message revoke #2A A/- 42 of #1
messages__status_batch_out_of_order:
  status read #50 A/- 82
  status sent #50 A/- 80
  status delivered #50 A/- 81
  status delivered #50 A/- 81
messages__status_biz_opaque_callback_data: status delivered #46 A/- 70
messages__status_delivered_pricing: status delivered #42 A/- 66 marketing
messages__status_failed_131049: status failed #5D A/- 93 code 131049
messages__status_failed_131053: status failed #61 A/- 97 code 131053
messages__status_failed_131056: status failed #62 A/- 98 code 131056
messages__status_failed_132016: status failed #64 A/- 100 code 132016
messages__status_group_aggregated: status delivered #4D G/- 77 group_service group; status read #4D G/- 79 group
messages__status_group_participant_recipient_id: status read #4E G/- 78 group
messages__status_identity_key_hash: status delivered #47 A/- 71
messages__status_read: status read #44 A/- 68
messages__status_sent_bare: status sent #3E A/- 62
messages__status_sent_free_entry_point: status sent #3F A/- 63 referral_conversion
messages__status_sent_service_charged: status sent #41 A/- 65 service
messages__status_sent_service_free: status sent #40 A/- 64 service
messages__status_sent_v23_conversation: status sent #3C A/- 60 marketing
messages__status_with_contacts_bsuid: status delivered #48 A/UA 72 marketing
messages__system_user_changed_number: message system #23 A/- 35; change A/- -> B/-
messages__system_user_changed_user_id: change A/- -> -/UP; message system #24 A/- 36; change A/- -> B/UB
messages__system_user_changed_user_id_previous_ids: message system #25 -/UA 37; change -/UA -> -/UB
messages__text_bsuid_and_phone: message text #9 A/UA 9
messages__text_bsuid_and_phone_parent: change A/UA -> -/UP; message text #A A/UA 10
messages__text_bsuid_only: message text #B -/UA 11
messages__text_group: message text #C A/- 12 group
messages__text_identity_key_hash: message text #8 A/- 8
messages__text_referral_ctwa: message text #6 A/- 6
messages__text_referred_product: message text #5 A/- 5
messages__text_reply_context: message text #2 A/- 2
messages__unsupported: message unsupported #27 A/- 39
messages__unsupported_legacy: message unsupported #28 A/- 40
messages__video: message video #10 A/- 16
messaging_handovers__control_taken: account messaging_handovers W - control_taken
partner_solutions__created: account partner_solutions P 411 SOLUTION_CREATED
payment_configuration_update__needs_testing: account payment_configuration_update W 410 Needs Testing
phone_number_name_update__approved: account phone_number_name_update W 263 APPROVED
phone_number_quality_update__both_limits: account phone_number_quality_update W 200 THROUGHPUT_UPGRADE
phone_number_quality_update__downgrade: account phone_number_quality_update W 200 DOWNGRADE
phone_number_quality_update__flagged_current_limit: account phone_number_quality_update W 200 FLAGGED
phone_number_quality_update__onboarding_portfolio_limit: account phone_number_quality_update W 200 ONBOARDING
phone_number_quality_update__throughput_upgrade_current_limit:
  account phone_number_quality_update W 200 THROUGHPUT_UPGRADE
phone_number_quality_update__unflagged: account phone_number_quality_update W 200 UNFLAGGED
phone_number_quality_update__upgrade: account phone_number_quality_update W 200 UPGRADE
security__pin_request_success: account security W 267 PIN_REQUEST_SUCCESS
security__pin_reset_request: account security W 266 PIN_RESET_REQUEST
smb_app_state_sync__contact_add: nothing
smb_message_echoes__edit: echo edit #12E A/- 302
smb_message_echoes__revoke: echo revoke #12F A/- 303
standby__message: nothing
standby__message_echo: echo text #1CD A/- 461
template_category_update__impending: account template_category_update W 240 category_update_timestamp
template_category_update__no_previous: account template_category_update W 242 new_category
template_correct_category_detection__misuse: account template_correct_category_detection W 243 correct_category
tracking_events__sent: nothing
unknown_field__future: account some_field_of_2027 W 470 anything
user_preferences__signup: preference marketing_messages signup A/- 282
user_preferences__stop_bsuid_only: preference marketing_messages stop -/UA 283
"""
SHORT = {"": "-", ADA: "A", GRACE: "B", ADA_ID: "UA", GRACE_ID: "UB", PARENT_ID: "UP", "EXAMPLEGROUPID0001": "G",
         "990001112223334": "W", "990001112229999": "W2", "990009998887776": "P", "0": "0"}  # fmt: skip
TELLING = ("event", "decision", "new_quality_score", "type", "status", "alert_type")


def expected() -> dict[str, list[str]]:
    """Read the table above."""
    rows = re.findall(r"^(\w+):((?: .*)?(?:\n  .*)*)$", EXPECTED, re.MULTILINE)
    return {name: [told.strip() for told in re.split(r"[;\n]", text) if told.strip()] for name, text in rows}


def tell(event: PersonEvent | AccountEvent) -> str:
    """Return an event in the table's words."""
    if isinstance(event, AccountEvent):
        telling = next((str(event.value[key]) for key in TELLING if key in event.value), list(event.value)[-1])
        return f"account {event.field} {SHORT[event.entry]} {_time(event.time)} {telling}"
    assert event.phone_number_id == NUMBER
    who = f"{SHORT[event.wa_id]}/{SHORT[event.user_id]}"
    if isinstance(event, IdentityChange):
        return f"change {who} -> {SHORT[event.new_wa_id]}/{SHORT[event.new_user_id]}"
    if isinstance(event, Preference):
        return f"preference {event.category} {event.value} {who} {_time(event.timestamp)}"
    assert isinstance(event, Message | Status | Echo)
    what = event.status if isinstance(event, Status) else event.type
    words = [type(event).__name__.lower(), what, _serial(event.id), who, _time(event.timestamp)]
    if isinstance(event, Status):
        words += [event.category, f"code {event.code}" if event.code else "", "group" if event.group else ""]
    elif isinstance(event, Message):
        words += [f"of {_serial(event.of)}" if event.of else "", "group" if event.group else ""]
        words += ["only_errors" if event.only_errors else ""]
    return " ".join(filter(None, words))


def _time(seconds: int | None) -> str:
    return "-" if seconds is None else str(seconds - 1795400000)


def _serial(wamid: str) -> str:
    serial = re.search(r"FA4E0*([0-9A-F]+)", base64.b64decode(wamid.removeprefix("wamid.")).decode("latin-1"))
    assert serial is not None
    return "#" + serial[1]


def changes(body: Any) -> list[dict[str, Any]]:
    """Return all changes of a well-formed body."""
    return [change for entry in body["entry"] for change in entry["changes"]]


def test_every_sample_is_in_the_table() -> None:
    """A sample without a row would be untested, a row without a sample a slip."""
    assert set(SAMPLES) == set(expected())
    assert len(SAMPLES) == 147


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_a_sample_gives_exactly_the_events_of_its_row(name: str) -> None:
    """Every sample decodes without anything malformed, into exactly the events of its row, in their order."""
    webhook = webhook_parser.decode(SAMPLES[name].read_bytes(), 7.5)
    assert (webhook.result, webhook.malformed, webhook.received) == ("accepted", 0, 7.5)
    assert ([tell(event) for event in webhook.events] or ["nothing"]) == expected()[name]
    assert {event.received for event in webhook.events} <= {7.5}


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_fields_numbers_and_values_are_those_of_the_sample(name: str) -> None:
    """Changes are counted by field, display numbers are learnt, account events carry their value as it was sent."""
    body = json.loads(SAMPLES[name].read_bytes())
    webhook = webhook_parser.decode(SAMPLES[name].read_bytes())
    fields = [change["field"] for change in changes(body)]
    assert webhook.fields == Counter((field, field != "some_field_of_2027") for field in fields)
    assert webhook.numbers == {
        change["value"]["metadata"]["phone_number_id"]: change["value"]["metadata"]["display_phone_number"]
        for change in changes(body)
        if "metadata" in change["value"]
    }
    for event in webhook.events:
        if isinstance(event, AccountEvent):
            assert event.value in [change["value"] for change in changes(body) if change["field"] == event.field]


@pytest.mark.parametrize("name", sorted(SAMPLES))
def test_the_tolerant_path_gives_the_same(name: str) -> None:
    """A body that only the stdlib's `json` can read gives the same events as one that msgspec reads."""
    body = SAMPLES[name].read_bytes()
    assert webhook_parser.decode(b'{"odd": [NaN, "\\ud83d", 1e999],' + body.lstrip()[1:]) == webhook_parser.decode(body)
    assert webhook_parser.decode(body.decode().encode("utf-16")) == webhook_parser.decode(body)
