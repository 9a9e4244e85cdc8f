"""Families of the business itself: ratings, limits, templates, accounts and the poller."""

from __future__ import annotations

import itertools

from chatvitals.metrics.family import declare
from chatvitals.whatsapp import enums

QUALITY_RATING = declare(
    "quality_rating",
    "gauge",
    "How WhatsApp rates the number, by the last poll: 3 GREEN, 2 YELLOW, 1 RED, 0 UNKNOWN (also where never polled).",
)
QUALITY_CHANGES = declare(
    "quality_changes_total",
    "counter",
    "Changes of a number's rating from one poll to the next. The first poll is no change.",
    "from to",
    starts=tuple(itertools.permutations(enums.RATINGS, 2)),
    unit="change",
)
QUALITY_UPDATED = declare(
    "quality_updated_timestamp_seconds",
    "gauge",
    "When a poll last confirmed the rating (Unix time). Absent where none has.",
)
QUALITY_CHANGED = declare(
    "quality_changed_timestamp_seconds",
    "gauge",
    "When the rating last changed (Unix time). Absent where it has not.",
)
QUALITY_EVENTS = declare(
    "quality_events_total",
    "counter",
    "Webhooks about a number's quality, limit or throughput, by event. They never carry the rating.",
    "event",
    starts={"event": enums.QUALITY_EVENTS},
    unit="event",
)
QUALITY_EVENTS_WAITING = declare(
    "quality_events_waiting",
    "gauge",
    "Webhooks about a number whose display number nothing has named yet. quality_events_total counts them once it is.",
    number=False,
    unit="event",
)
NUMBER_STATUS = declare(
    "number_status", "gauge", "1 for the status that the last poll found for the number, 0 for all others.", "status"
)
NUMBER_FLAGGED = declare(
    "number_flagged_timestamp_seconds",
    "gauge",
    "Since when WhatsApp flags the number (Unix time). Absent unless flagged.",
)
MESSAGING_LIMIT = declare(
    "messaging_limit",
    "gauge",
    "People who may be written to first within 24 h. +Inf is unlimited. A portfolio's limit is shown by waba_id.",
    "waba_id phone_number_id scope",
    number=False,
    capped="waba_id phone_number_id",
    unit="contact",
)
HEALTH_STATUS = declare(
    "health_status",
    "gauge",
    "Whether each link of the chain lets the number send: 2 AVAILABLE, 1 LIMITED, 0 BLOCKED.",
    "entity",
)
RESTRICTION_EXPIRES = declare(
    "restriction_expires_timestamp_seconds",
    "gauge",
    "When a restriction of the account ends (Unix time), +Inf where it does not. Absent when unrestricted.",
    "waba_id restriction",
    number=False,
    capped="waba_id",
)
NUMBER_INFO = declare(
    "number_info",
    "gauge",
    "Always 1. The labels name the number.",
    "waba_id display_phone_number verified_name",
    capped="waba_id verified_name",
)
TEMPLATE_QUALITY = declare(
    "template_quality",
    "gauge",
    "How WhatsApp rates the template: 3 GREEN, 2 YELLOW, 1 RED, 0 UNKNOWN.",
    "waba_id template language",
    number=False,
    capped="waba_id template language",
)
TEMPLATE_STATUS = declare(
    "template_status",
    "gauge",
    "1 for the template's status, 0 for APPROVED while it is another one.",
    "waba_id template language status",
    number=False,
    capped="waba_id template language",
)
TEMPLATE_STATUS_CHANGES = declare(
    "template_status_changes_total",
    "counter",
    "Webhooks about a template's status, with WhatsApp's reason.",
    "waba_id template language status reason",
    number=False,
    capped="waba_id template language",
    unit="change",
)
ACCOUNT_EVENTS = declare(
    "account_events_total",
    "counter",
    "Webhooks about an account, by field and event. Each webhook counts once.",
    "waba_id field event",
    number=False,
    capped="waba_id",
    unit="event",
)
GRAPH_REQUESTS = declare(
    "graph_requests_total",
    "counter",
    "Requests of the quality poller to the Graph API, by result.",
    "result",
    number=False,
    starts={"result": enums.GRAPH_RESULTS},
    unit="request",
)
POLLER_LAST_SUCCESS = declare(
    "poller_last_success_timestamp_seconds",
    "gauge",
    "When the quality poller last had an answer (Unix time).",
    number=False,
)
POLLER_INTERVAL = declare(
    "poller_interval_seconds", "gauge", "Seconds between two polls, as they are set.", number=False
)
