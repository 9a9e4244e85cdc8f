"""Families of webhooks, store and queue: whether chatvitals itself works."""

from __future__ import annotations

from chatvitals.metrics.family import COMMIT_SECONDS, declare

WEBHOOKS = declare(
    "webhooks_total",
    "counter",
    "POSTs on the webhook path, by what became of them.",
    "result",
    number=False,
    starts={
        "result": ("accepted", "foreign", "unsigned", "bad_signature", "undecodable", "oversize", "rejected", "unread")
    },
    unit="webhook",
)
WEBHOOK_FIELDS = declare(
    "webhook_fields_total",
    "counter",
    "Changes in accepted webhooks, by field.",
    "field known",
    number=False,
    unit="change",
)
DUPLICATES = declare(
    "duplicates_total",
    "counter",
    "Deliveries that had been seen before and changed nothing.",
    "kind",
    number=False,
    starts={"kind": ("message", "status", "echo", "preference", "account_event")},
    unit="delivery",
)
EVENTS_DROPPED = declare(
    "events_dropped_total",
    "counter",
    "Events that were not used, by reason.",
    "reason",
    number=False,
    starts={"reason": ("malformed", "stale", "unknown_tier", "no_turn", "queue_full", "store")},
    scope="health",
    unit="event",
)
INTERNAL_ERRORS = declare(
    "internal_errors_total",
    "counter",
    "Errors inside chatvitals, by place. The bot is not affected by them.",
    "where",
    number=False,
    scope="health",
    unit="error",
)
SERIES_OVERFLOW = declare(
    "series_overflow_total",
    "counter",
    "Label values beyond the cap, shown as `other`.",
    "label",
    number=False,
    scope="health",
    unit="value",
)
CLOCK_SKEWS = declare(
    "clock_skews_total",
    "counter",
    "Timestamps that were missing, unreadable or from the future, and times clamped at 0.",
    number=False,
    scope="health",
    unit="time",
)
LAST_WEBHOOK = declare(
    "last_webhook_timestamp_seconds",
    "gauge",
    "When the last accepted webhook was received (Unix time).",
    number=False,
)
STORE_COMMIT_SECONDS = declare(
    "store_commit_seconds",
    "histogram",
    "How long one batch took to read, reduce and commit.",
    number=False,
    buckets=COMMIT_SECONDS,
    starts={},
    scope="health",
)
STORE_UP = declare(
    "store_up",
    "gauge",
    "1 when this process reaches the store, else 0.",
    number=False,
    scope="process",
)
QUEUE_EVENTS = declare(
    "queue_events",
    "gauge",
    "Events of this process that wait to be committed.",
    number=False,
    scope="process",
    unit="event",
)
QUEUE_CAPACITY = declare(
    "queue_capacity_events",
    "gauge",
    "Events that may wait before the oldest are dropped.",
    number=False,
    scope="process",
    unit="event",
)
BUILD_INFO = declare(
    "build_info",
    "gauge",
    "Always 1. A change of the labels marks a deploy.",
    "version app_version",
    number=False,
    scope="process",
)
