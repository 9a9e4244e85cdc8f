"""Meta's closed lists that become label values. A value that is not listed is shown as `other`.

The lists are as of November 2026 (whatsapp/README.md). A new value counts as `other` until it is added here.
Words are compared without case, since Meta's pages differ in it: `schema.lower_word` for what people send and get,
`account_events.upper` and `listed` for what concerns the business. Names of keys and fields are compared as they are.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

OTHER = "other"
_LONGEST_WORD: Final = 64

MESSAGE_TYPES = frozenset(
    "audio button contacts document edit image interactive location order reaction request_welcome revoke sticker "
    "system text unsupported video".split()
)
UNSUPPORTED_ADDS_NO_MESSAGE = frozenset(
    "delete edit event_response keep_in_chat pin poll_update poll_vote reaction revoke unkeep_in_chat unpin".split()
)
"""Types under `unsupported.type` that change or mark another message. With any other type, a person wrote something."""
ADDS_NO_MESSAGE = frozenset({"request_welcome", "system"}) | UNSUPPORTED_ADDS_NO_MESSAGE
"""Types of messages and sends that change or mark another message, or that no person wrote."""
INTERACTIVE_ADDS_NO_MESSAGE = frozenset({"call_permission_reply"})
IDENTITY_CHANGES = frozenset({"user_changed_number", "customer_changed_number", "user_changed_user_id"})
"""Types under `system.type` that give a person another phone number or user id."""
OBJECT = "whatsapp_business_account"
"""The `object` of WhatsApp's webhooks. Other products of Meta may send to the same address."""
MESSAGE_STATUS_TYPES = frozenset({"", "message"})
"""Types under `statuses[].type` that are about a message. Other types are about payments and calls."""
MARKETING_MESSAGES = "marketing_messages"
"""The only category of preferences with its own label."""
STATUSES = ("sent", "delivered", "read", "played", "failed", OTHER)
CATEGORIES = (
    "authentication",
    "authentication_international",
    "marketing",
    "marketing_lite",
    "referral_conversion",
    "service",
    "utility",
    "general_purpose_ai",
    "group_marketing",
    "group_service",
    "group_utility",
)
FAILURE_CODES = frozenset(
    # whatsapp/README.md 3.4, as far as they concern messages
    "0 1 2 3 4 10 33 100 190 200 368 80007 130429 130472 130497 131000 131005 131008 131009 131016 131020 131021 "
    "131026 131030 131031 131037 131041 131042 131043 131044 131045 131047 131048 131049 131050 131051 131052 131053 "
    "131056 131057 131059 131060 131062 131063 131064 131207 131208 131215 132000 132001 132005 132007 132008 132012 "
    "132015 132016 132068 132069 133000 133004 133005 133006 133008 133009 133010 133015 133016 134011 134100 134101 "
    "134102 135000 137000 139200".split()
) | frozenset(map(str, range(200, 300)))  # permissions that are missing
QUALITY_REFUSALS = ("131048", "131064", "132015", "132016", "131031", "368")
"""Error codes with which WhatsApp limits or stops the number or the template for its quality."""
TRANSPORT_CODES = frozenset({"timeout", "connection", "cancelled", "error"})
KNOWN_FIELDS = frozenset(
    "account_alerts account_review_update account_settings_update account_update automatic_events "
    "business_capability_update business_status_update business_username_update business_username_updates calls "
    "consumer_profile flows group_lifecycle_update group_participants_update group_settings_update "
    "group_status_update history message_echoes message_template_components_update message_template_quality_update "
    "message_template_status_update messages messaging_handovers partner_solutions payment_configuration_update "
    "phone_number_name_update phone_number_quality_update phone_number_username_update security smb_app_state_sync "
    "smb_message_echoes standby template_category_update template_correct_category_detection tracking_events "
    "user_preferences".split()
)
RATINGS = ("UNKNOWN", "RED", "YELLOW", "GREEN")
"""Ratings of numbers and templates. The index is the value of the gauge."""
NO_RATING = frozenset({"NA", "UNKNOWN", ""})
QUALITY_EVENTS = ("FLAGGED", "UNFLAGGED", "UPGRADE", "DOWNGRADE", "ONBOARDING", "THROUGHPUT_UPGRADE")
NUMBER_STATUSES = (
    "PENDING",
    "DELETED",
    "MIGRATED",
    "BANNED",
    "RESTRICTED",
    "RATE_LIMITED",
    "FLAGGED",
    "CONNECTED",
    "DISCONNECTED",
    "UNKNOWN",
    "UNVERIFIED",
    "LINKED",
    OTHER,
)
TEMPLATE_STATUSES = (
    "APPROVED",
    "ARCHIVED",
    "UNARCHIVED",
    "DELETED",
    "DISABLED",
    "FLAGGED",
    "IN_APPEAL",
    "LIMIT_EXCEEDED",
    "LOCKED",
    "PAUSED",
    "PENDING",
    "PENDING_DELETION",
    "REJECTED",
    OTHER,
)
TEMPLATE_REASONS = frozenset(
    "ABUSIVE_CONTENT CATEGORY_NOT_AVAILABLE INCORRECT_CATEGORY INVALID_FORMAT NONE PROMOTIONAL SCAM "
    "TAG_CONTENT_MISMATCH".split()
)
HEALTH = ("BLOCKED", "LIMITED", "AVAILABLE")
"""Values of `can_send_message`. The index is the value of the gauge."""
HEALTH_ENTITIES = {"PHONE_NUMBER": "number", "WABA": "waba", "BUSINESS": "business", "APP": "app"}
RESTRICTIONS = frozenset(
    "RESTRICTED_ADD_PHONE_NUMBER_ACTION RESTRICTED_BIZ_INITIATED_MESSAGING RESTRICTED_CUSTOMER_INITIATED_MESSAGING "
    "RESTRICTED_UTILITY_TEMPLATES RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES RESTRICTED_BUSINESS_INITIATED_CALLING "
    "RESTRICTED_USER_INITIATED_CALLING RESTRICTED_BIZ_INITIATED_AND_USER_INITIATED_CALLING "
    "RESTRICTED_USER_INITIATED_CALLING_CALL_BUTTON_HIDDEN".split()
)
BAN = "DISABLED"
_UPDATE = frozenset({"UPDATE"})
_DECISIONS = frozenset("APPROVED REJECTED PENDING DEFERRED".split())
ACCOUNT_EVENTS = {
    "account_update": frozenset(
        "ACCOUNT_VIOLATION ACCOUNT_RESTRICTION DISABLED_UPDATE ACCOUNT_DELETED ACCOUNT_OFFBOARDED ACCOUNT_RECONNECTED "
        "PARTNER_ADDED PARTNER_REMOVED PARTNER_APP_INSTALLED PARTNER_APP_UNINSTALLED "
        "PARTNER_CLIENT_CERTIFICATION_STATUS_UPDATE PARTNER_CLIENT_CERTIFICATION_NEEDED AD_ACCOUNT_LINKED "
        "MM_LITE_TERMS_SIGNED AUTH_INTL_PRICE_ELIGIBILITY_UPDATE VOLUME_BASED_PRICING_TIER_UPDATE "
        "BUSINESS_PRIMARY_LOCATION_COUNTRY_UPDATE VERIFIED_ACCOUNT ACCOUNT_DISABLE ACCOUNT_REINSTATE "
        "BUSINESS_VERIFICATION_STATUS_UPDATE".split()
    ),
    "account_alerts": frozenset(
        "INCREASED_CAPABILITIES_ELIGIBILITY_DEFERRED INCREASED_CAPABILITIES_ELIGIBILITY_FAILED "
        "INCREASED_CAPABILITIES_ELIGIBILITY_NEED_MORE_INFO OBA_APPROVED OBA_REJECTED PROFILE_PICTURE_LOST".split()
    ),
    "account_review_update": _DECISIONS,
    "phone_number_name_update": _DECISIONS,
    "phone_number_username_update": _DECISIONS,
    "security": frozenset("PIN_CHANGED PIN_RESET_REQUEST PIN_REQUEST_SUCCESS".split()),
    "flows": frozenset(
        "FLOW_STATUS_CHANGE CLIENT_ERROR_RATE ENDPOINT_ERROR_RATE ENDPOINT_LATENCY ENDPOINT_AVAILABILITY "
        "FLOW_VERSION_EXPIRY_WARNING".split()
    ),
    "group_status_update": frozenset({"group_suspend", "group_suspend_cleared"}),
    "partner_solutions": frozenset({"SOLUTION_CREATED", "SOLUTION_UPDATED"}),
    "business_capability_update": _UPDATE,
    "business_username_update": _UPDATE,
    "business_username_updates": _UPDATE,
    "account_settings_update": _UPDATE,
    "payment_configuration_update": _UPDATE,
    "template_category_update": _UPDATE,
    "template_correct_category_detection": _UPDATE,
    "message_template_components_update": _UPDATE,
}
"""The events of each field that is counted in `account_events_total`. A field without event names has `UPDATE`."""
MESSAGE_FIELD = "messages"
ECHO_FIELDS = frozenset({"smb_message_echoes", "message_echoes"})
PREFERENCE_FIELD = "user_preferences"
STANDBY_FIELD = "standby"
PRIVATE_FIELDS = frozenset("history calls smb_app_state_sync automatic_events tracking_events consumer_profile".split())
"""Fields about people that no turn depends on, such as old messages and calls. Their content is not passed on."""
WANTED_FIELDS = (
    "messages", "phone_number_quality_update", "message_template_status_update", "message_template_quality_update",
    "account_update", "account_alerts", "account_review_update", "business_capability_update",
    "template_category_update", "message_template_components_update", "phone_number_name_update", "security",
    "user_preferences",
)  # fmt: skip
"""The fields to subscribe to. Without one of them, gauges stay empty or old."""
NUMBER_FIELD = "phone_number_quality_update"
TEMPLATE_FIELDS = frozenset({"message_template_status_update", "message_template_quality_update"})
BUSINESS_FIELDS = frozenset({*ACCOUNT_EVENTS, *TEMPLATE_FIELDS, NUMBER_FIELD})
"""Fields that are about the business and not about a person."""
GRAPH_RESULTS = (
    "ok",
    "rate_limited",
    "unauthorized",
    "error",
    "malformed",
    "timeout",
    "connection",
    "budget",
    OTHER,
)


def listed(word: object, known: Collection[str]) -> str:
    """Return a word in the spelling of a list, whatever its case, or `other` where the list lacks it.

    enums.listed("pin_changed", enums.ACCOUNT_EVENTS["security"])  # "PIN_CHANGED"

    Args:
        word: a word of Meta's, or any other value.
        known: the list, with its words either in upper or in lower case.

    """
    if not isinstance(word, str) or len(word) > _LONGEST_WORD:
        return OTHER
    return next((spelling for spelling in (word, word.upper(), word.lower()) if spelling in known), OTHER)


def category_label(text: str) -> str:
    """Return a pricing category as a label value. An empty category is `unknown`, an unlisted category is `other`."""
    if not text:
        return "unknown"
    name = text.lower().replace("-", "_")
    return name if name in CATEGORIES else OTHER


def type_label(text: str) -> str:
    """Return a message type as a label value."""
    return text if text in MESSAGE_TYPES else OTHER


def code_label(text: str) -> str:
    """Return a failure's code as a label value: a listed code of Meta, an HTTP status or a transport error."""
    is_http_status = len(text) == 3 and text.isascii() and text.isdigit() and text[0] in "45"
    if text in FAILURE_CODES or text in TRANSPORT_CODES or is_http_status:
        return text
    return OTHER if text else "unknown"


def unlisted_field(field: str) -> str:
    """Return the name of an unknown field if it looks like a name, else `other`. Free text is not passed on."""
    name = field[:64]
    return name if re.fullmatch(r"[a-z0-9_]{1,64}", name, re.ASCII) else OTHER
