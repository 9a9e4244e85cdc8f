"""Every metric, declared once (conversations/README.md 10). Collector, documents and tests derive from it."""

from __future__ import annotations

import itertools

from chatvitals.metrics.family import (
    COMMIT_SECONDS,
    FAMILIES,
    HANDLER_SECONDS,
    HUMAN_SECONDS,
    NUMBER,
    SEND_SECONDS,
    Family,
    declare,
    markdown,
)
from chatvitals.whatsapp import enums

__all__ = ["FAMILIES", "NUMBER", "Family", "markdown"]

TURN = ("first", "next")
RUN_OUTCOME = (
    "completed", "handed_over", "abandoned_by_user", "abandoned_by_business", "restarted", "expired"
)  # fmt: skip
OUTCOME = ("answered", "dismissed", "failed", "unanswered")

MESSAGES_RECEIVED = declare(
    "messages_received_total", "counter", "Inbound messages, by type; each message id counts once.", "type"
)
CONVERSATIONS_STARTED = declare(
    "conversations_started_total",
    "counter",
    "Conversations begun: the first message, or the first after 24 h of silence or after resolve().",
    "origin",
    closed={"origin": ("new", "returning")},
)
TURNS_OPENED = declare(
    "turns_opened_total",
    "counter",
    "Turns opened: bursts of inbound messages that wait for a reply.",
    "turn",
    closed={"turn": TURN},
    hours=True,
)
TURNS = declare(
    "turns_total",
    "counter",
    "Turns ended, by outcome. Turns opened = sum over outcomes + turns open, always.",
    "turn outcome",
    closed={"turn": TURN, "outcome": OUTCOME},
    hours=True,
)
RESPONSE_SECONDS = declare(
    "response_seconds",
    "histogram",
    "From a turn's first message to its first reply; answered turns only. turn=first is the first response time.",
    "turn actor evidence",
    buckets=HUMAN_SECONDS,
    closed={"turn": TURN, "actor": ("bot",), "evidence": ("api",)},  # the usual ones; others begin with their first
    hours=True,
)
WAIT_SECONDS = declare(
    "wait_seconds",
    "histogram",
    "How long customers waited, over all ended turns; unanswered and failed ones lie in the +Inf bucket alone.",
    "turn",
    buckets=HUMAN_SECONDS,
    closed={"turn": TURN},
    hours=True,
)
TURNS_OVERDUE = declare(
    "turns_overdue_total",
    "counter",
    "Open turns whose age crossed a threshold (seconds), answered later or not.",
    "turn threshold",
)
TURNS_OPEN = declare("turns_open", "gauge", "Turns that wait for a reply now.", closed={})
OLDEST_OPEN_TURN = declare(
    "oldest_open_turn_timestamp_seconds",
    "gauge",
    "When the oldest open turn began (Unix time); absent when none is open.",
)
WEBHOOK_LAG = declare(
    "webhook_lag_seconds",
    "histogram",
    "From a customer's message (WhatsApp's clock, plus 1 s) to its webhook here: slow delivery, not a slow bot.",
    buckets=HUMAN_SECONDS,
    closed={},
)
HUMAN_FIRST_RESPONSE = declare(
    "human_first_response_seconds",
    "histogram",
    "From handover() to the first reply of a person.",
    buckets=HUMAN_SECONDS,
    closed={},
)
HANDOVERS = declare("handovers_total", "counter", "Conversations handed over to a person.")
FALLBACKS = declare("fallbacks_total", "counter", "Turns that the bot said it did not understand.")
HANDOVERS_OPEN = declare("handovers_open", "gauge", "Contacts handed over and not yet answered by a person.", closed={})
OLDEST_OPEN_HANDOVER = declare(
    "oldest_open_handover_timestamp_seconds",
    "gauge",
    "When the oldest open handover was made (Unix time); absent when none is open.",
)
SENDS = declare(
    "sends_total",
    "counter",
    "Calls of the bot's HTTP clients to the messages endpoint; code is Meta's error code where rejected.",
    "kind result code",
    closed={"kind": ("reply", "campaign"), "result": ("rejected",), "code": enums.QUALITY_REFUSALS},  # alerted on
)
SEND_SECONDS_FAMILY = declare(
    "send_seconds", "histogram", "How long those calls took.", buckets=SEND_SECONDS, closed={}
)
MESSAGE_STATUSES = declare(
    "message_statuses_total",
    "counter",
    "Outbound messages that reached a status; each status counts once per message and implies the lower ones.",
    "status category",
)
MESSAGE_FAILURES = declare(
    "message_failures_total",
    "counter",
    "Outbound messages that failed, by Meta's error code.",
    "code category",
    closed={"code": enums.QUALITY_REFUSALS, "category": ("marketing", "utility", "service", "unknown")},
)
TEMPLATE_MESSAGES = declare(
    "template_messages_total",
    "counter",
    "Template messages sent through watched clients that reached a status.",
    "template language status",
)
LATE_FAILURES = declare("late_failures_total", "counter", "Replies that failed after they had been counted as answers.")
OPT_OUTS = declare(
    "opt_outs_total",
    "counter",
    "Customers who stopped a category of messages.",
    "category",
    closed={"category": ("marketing_messages",)},
)
OPT_INS = declare(
    "opt_ins_total",
    "counter",
    "Customers who resumed or signed up for a category of messages.",
    "category",
    closed={"category": ("marketing_messages",)},
)
HANDLER_SECONDS_FAMILY = declare(
    "handler_seconds",
    "histogram",
    "How long the bot's handlers took, by name and result.",
    "handler result",
    buckets=HANDLER_SECONDS,
)
JOURNEY_RUNS_STARTED = declare(
    "journey_runs_started_total", "counter", "Runs begun: a contact entered a journey.", "journey"
)
JOURNEY_RUNS = declare(
    "journey_runs_total",
    "counter",
    "Runs ended, by outcome. Runs started = sum over outcomes + runs open, always.",
    "journey outcome",
)
JOURNEY_STEP_REACHED = declare(
    "journey_step_reached_total", "counter", "Runs that reached a step: the funnel.", "journey step"
)
JOURNEY_STEP_VISITS = declare(
    "journey_step_visits_total", "counter", "Entries into a step; a run may enter one several times.", "journey step"
)
JOURNEY_STEP_LOOPS = declare(
    "journey_step_loops_total", "counter", "Runs that entered a step three times or more.", "journey step"
)
JOURNEY_STEP_DROPPED = declare(
    "journey_step_dropped_total",
    "counter",
    "Runs abandoned at a step, by cause: the customer left, or the business did not answer. "
    "Drop-off = dropped ÷ ended.",
    "journey step outcome",
)
JOURNEY_STEP_ENDED = declare(
    "journey_step_ended_total", "counter", "Ended runs that had reached a step.", "journey step"
)
JOURNEY_STEP_SECONDS = declare(
    "journey_step_seconds",
    "histogram",
    "Time in a step: from entering it to the next step or the end; abandoned ones up to the last activity.",
    "journey step end",
    buckets=HUMAN_SECONDS,
)
JOURNEY_RUNS_OPEN = declare("journey_runs_open", "gauge", "Runs under way, by current step.", "journey step")
JOURNEY_RUNS_STALLED = declare(
    "journey_runs_stalled", "gauge", "Open runs in which nothing happens, by current step.", "journey step"
)
JOURNEY_STEP_INFO = declare(
    "journey_step_info", "gauge", "Always 1; the declared order of the steps.", "journey step index", number=False
)
EXPERIMENT_CONTACTS = declare(
    "experiment_contacts_total", "counter", "Contacts that have seen a variant.", "experiment variant"
)
EXPERIMENT_OUTCOMES = declare(
    "experiment_outcomes_total",
    "counter",
    "Contacts that reached an outcome after seeing a variant. Counted once per contact and outcome.",
    "experiment variant outcome",
)
EXPERIMENT_WAIT = declare(
    "experiment_wait_seconds",
    "histogram",
    "As wait_seconds, of turns that ended after their contact had seen a variant.",
    "experiment variant",
    buckets=HUMAN_SECONDS,
)
EXPERIMENT_WEIGHT = declare(
    "experiment_weight",
    "gauge",
    "The declared weight of a variant. The control has the index 1; the journey is the goal.",
    "experiment variant index journey",
    number=False,
)
EXPERIMENT_PLANNED = declare(
    "experiment_planned_contacts",
    "gauge",
    "Contacts of all variants together that the experiment is planned for.",
    "experiment",
    number=False,
)
QUALITY_RATING = declare(
    "quality_rating",
    "gauge",
    "How WhatsApp rates the number, by the last poll: 3 GREEN, 2 YELLOW, 1 RED, 0 UNKNOWN (also where never polled).",
)
QUALITY_CHANGES = declare(
    "quality_changes_total",
    "counter",
    "Changes of a number's rating from one poll to the next; the first poll is no change.",
    "from to",
    closed=tuple(itertools.permutations(enums.RATINGS, 2)),
)
QUALITY_UPDATED = declare(
    "quality_updated_timestamp_seconds",
    "gauge",
    "When a poll last confirmed the rating (Unix time); absent where none has.",
)
QUALITY_CHANGED = declare(
    "quality_changed_timestamp_seconds",
    "gauge",
    "When the rating last changed (Unix time); absent where it has not.",
)
QUALITY_EVENTS = declare(
    "quality_events_total",
    "counter",
    "Webhooks about a number's quality, limit or throughput, by event; they never carry the rating.",
    "event",
    closed={"event": enums.QUALITY_EVENTS},
)
QUALITY_EVENTS_WAITING = declare(
    "quality_events_waiting",
    "gauge",
    "Webhooks about a number whose display number nothing has named yet; counted in quality_events_total once it is.",
    number=False,
)
NUMBER_STATUS = declare(
    "number_status", "gauge", "1 for the status that the last poll found for the number, 0 for all others.", "status"
)
NUMBER_FLAGGED = declare(
    "number_flagged_timestamp_seconds",
    "gauge",
    "Since when WhatsApp flags the number (Unix time); absent unless flagged.",
)
MESSAGING_LIMIT = declare(
    "messaging_limit",
    "gauge",
    "People who may be written to first within 24 h; +Inf is unlimited. A portfolio's limit is shown by waba_id.",
    "waba_id phone_number_id scope",
    number=False,
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
    "When a restriction of the account ends (Unix time), +Inf where it does not; absent when unrestricted.",
    "waba_id restriction",
    number=False,
)
NUMBER_INFO = declare(
    "number_info", "gauge", "Always 1; names the number.", "waba_id display_phone_number verified_name"
)
TEMPLATE_QUALITY = declare(
    "template_quality",
    "gauge",
    "How WhatsApp rates the template: 3 GREEN, 2 YELLOW, 1 RED, 0 UNKNOWN.",
    "waba_id template language",
    number=False,
)
TEMPLATE_STATUS = declare(
    "template_status",
    "gauge",
    "1 for the template's status, 0 for all others.",
    "waba_id template language status",
    number=False,
)
TEMPLATE_STATUS_CHANGES = declare(
    "template_status_changes_total",
    "counter",
    "Webhooks about a template's status, with WhatsApp's reason.",
    "waba_id template language status reason",
    number=False,
)
ACCOUNT_EVENTS = declare(
    "account_events_total",
    "counter",
    "Webhooks about an account, by field and event; each counts once.",
    "waba_id field event",
    number=False,
)
GRAPH_REQUESTS = declare(
    "graph_requests_total",
    "counter",
    "Requests of the quality poller to the Graph API, by result.",
    "result",
    number=False,
    closed={"result": enums.GRAPH_RESULTS},
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
WEBHOOKS = declare(
    "webhooks_total",
    "counter",
    "POSTs on the webhook path, by what became of them.",
    "result",
    number=False,
    closed={"result": ("accepted", "unsigned", "bad_signature", "undecodable", "oversize", "rejected")},
)
WEBHOOK_FIELDS = declare(
    "webhook_fields_total", "counter", "Changes in accepted webhooks, by field.", "field known", number=False
)
DUPLICATES = declare(
    "duplicates_total",
    "counter",
    "Deliveries that had been seen before and changed nothing.",
    "kind",
    number=False,
    closed={"kind": ("message", "status", "echo", "preference", "account_event")},
)
EVENTS_DROPPED = declare(
    "events_dropped_total",
    "counter",
    "Events that were not used, by reason.",
    "reason",
    number=False,
    closed={"reason": ("malformed", "stale", "unknown_tier", "no_turn", "queue_full", "store")},
)
INTERNAL_ERRORS = declare(
    "internal_errors_total",
    "counter",
    "Errors inside chatvitals, by place; the bot is not affected by them.",
    "where",
    number=False,
)
SERIES_OVERFLOW = declare(
    "series_overflow_total",
    "counter",
    "Label values beyond the cap, shown as `other`.",
    "label",
    number=False,
)
CLOCK_SKEWS = declare(
    "clock_skews_total",
    "counter",
    "Timestamps that were missing, unreadable or from the future, and times clamped at 0.",
    number=False,
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
    closed={},
)
STORE_UP = declare("store_up", "gauge", "1 when this process reaches the store, else 0.", number=False)
QUEUE_EVENTS = declare("queue_events", "gauge", "Events of this process that wait to be committed.", number=False)
QUEUE_CAPACITY = declare(
    "queue_capacity_events", "gauge", "Events that may wait before the oldest are dropped.", number=False
)
BUILD_INFO = declare(
    "build_info", "gauge", "Always 1; a change of the labels marks a deploy.", "version app_version", number=False
)

OWN_HEALTH = frozenset(
    family.name for family in (CLOCK_SKEWS, EVENTS_DROPPED, INTERNAL_ERRORS, SERIES_OVERFLOW, STORE_COMMIT_SECONDS)
)
"""Counted in each process and carried to the store by its next commit; shown even while the store is away."""
