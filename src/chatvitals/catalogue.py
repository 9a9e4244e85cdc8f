"""Every metric, declared once (SEMANTICS.md 10): collector, documentation and tests derive from this module."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from chatvitals import vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "chatvitals_"
NUMBER = "phone_number_id"

HUMAN_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 14400.0)
SEND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
HANDLER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


TURN = ("first", "next")
RUN_OUTCOME = (
    "completed", "handed_over", "abandoned_by_user", "abandoned_by_business", "restarted", "expired"
)  # fmt: skip
OUTCOME = ("answered", "dismissed", "failed", "unanswered")


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family; names and buckets are final, in seconds where the name says so."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    closed: tuple[tuple[str, ...], ...] = ()
    """Label values (after `phone_number_id`, where the family has it) whose series start at 0."""
    hours: bool = False
    """Whether the label `in_hours` follows, empty where no opening hours are set."""

    @property
    def per_number(self) -> bool:
        """Whether the first label is the business number."""
        return self.labels[:1] == (NUMBER,)

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The labels in the order in which values are given."""
        return (*self.labels, "in_hours") if self.hours else self.labels


FAMILIES: dict[str, Family] = {}


def _family(  # noqa: PLR0913 - a declaration names all there is
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    help_text: str,
    labels: str = "",
    *,
    number: bool = True,
    buckets: tuple[float, ...] = (),
    closed: Mapping[str, Iterable[str]] | Iterable[tuple[str, ...]] | None = None,
    hours: bool = False,
) -> Family:
    own = tuple(labels.split())
    all_labels = (NUMBER, *own) if number else own
    starts: tuple[tuple[str, ...], ...] = ()
    if isinstance(closed, Mapping):
        starts = tuple(itertools.product(*(tuple(closed[label]) for label in own)))
    elif closed is not None:
        starts = tuple(closed)
    elif kind == "counter" and not own:
        starts = ((),)
    family = Family(PREFIX + name, kind, help_text, all_labels, buckets, starts, hours)
    if family.name in FAMILIES:
        raise ValueError(f"{family.name} is declared twice")
    FAMILIES[family.name] = family
    return family


MESSAGES_RECEIVED = _family(
    "messages_received_total", "counter", "Inbound messages, by type; each message id counts once.", "type"
)
CONVERSATIONS_STARTED = _family(
    "conversations_started_total",
    "counter",
    "Conversations begun: the first message, or the first after 24 h of silence or after resolve().",
    "origin",
    closed={"origin": ("new", "returning")},
)
TURNS_OPENED = _family(
    "turns_opened_total",
    "counter",
    "Turns opened: bursts of inbound messages that wait for a reply.",
    "turn",
    closed={"turn": TURN},
    hours=True,
)
TURNS = _family(
    "turns_total",
    "counter",
    "Turns ended, by outcome. Turns opened = sum over outcomes + turns open, always.",
    "turn outcome",
    closed={"turn": TURN, "outcome": OUTCOME},
    hours=True,
)
RESPONSE_SECONDS = _family(
    "response_seconds",
    "histogram",
    "From a turn's first message to its first reply; answered turns only. turn=first is the first response time.",
    "turn actor evidence",
    buckets=HUMAN_SECONDS,
    hours=True,
)
WAIT_SECONDS = _family(
    "wait_seconds",
    "histogram",
    "How long customers waited, over all ended turns; unanswered and failed ones lie in the +Inf bucket alone.",
    "turn",
    buckets=HUMAN_SECONDS,
    closed={"turn": TURN},
    hours=True,
)
TURNS_OVERDUE = _family(
    "turns_overdue_total",
    "counter",
    "Open turns whose age crossed a threshold (seconds), answered later or not.",
    "turn threshold",
)
TURNS_OPEN = _family("turns_open", "gauge", "Turns that wait for a reply now.", closed={})
OLDEST_OPEN_TURN = _family(
    "oldest_open_turn_timestamp_seconds",
    "gauge",
    "When the oldest open turn began (Unix time); absent when none is open.",
)
WEBHOOK_LAG = _family(
    "webhook_lag_seconds",
    "histogram",
    "From a customer's message (WhatsApp's clock, plus 1 s) to its webhook here: slow delivery, not a slow bot.",
    buckets=HUMAN_SECONDS,
    closed={},
)
HUMAN_FIRST_RESPONSE = _family(
    "human_first_response_seconds",
    "histogram",
    "From handover() to the first reply of a person.",
    buckets=HUMAN_SECONDS,
    closed={},
)
HANDOVERS = _family("handovers_total", "counter", "Conversations handed over to a person.")
FALLBACKS = _family("fallbacks_total", "counter", "Turns that the bot said it did not understand.")
HANDOVERS_OPEN = _family("handovers_open", "gauge", "Contacts handed over and not yet answered by a person.", closed={})
OLDEST_OPEN_HANDOVER = _family(
    "oldest_open_handover_timestamp_seconds",
    "gauge",
    "When the oldest open handover was made (Unix time); absent when none is open.",
)
SENDS = _family(
    "sends_total",
    "counter",
    "Calls of the bot's HTTP clients to the messages endpoint; code is Meta's error code where rejected.",
    "kind result code",
)
SEND_SECONDS_FAMILY = _family(
    "send_seconds", "histogram", "How long those calls took.", buckets=SEND_SECONDS, closed={}
)
MESSAGE_STATUSES = _family(
    "message_statuses_total",
    "counter",
    "Outbound messages that reached a status; each status counts once per message and implies the lower ones.",
    "status category",
)
MESSAGE_FAILURES = _family(
    "message_failures_total", "counter", "Outbound messages that failed, by Meta's error code.", "code category"
)
TEMPLATE_MESSAGES = _family(
    "template_messages_total",
    "counter",
    "Template messages sent through watched clients that reached a status.",
    "template language status",
)
LATE_FAILURES = _family("late_failures_total", "counter", "Replies that failed after they had been counted as answers.")
OPT_OUTS = _family(
    "opt_outs_total",
    "counter",
    "Customers who stopped a category of messages.",
    "category",
    closed={"category": ("marketing_messages",)},
)
OPT_INS = _family(
    "opt_ins_total",
    "counter",
    "Customers who resumed or signed up for a category of messages.",
    "category",
    closed={"category": ("marketing_messages",)},
)
HANDLER_SECONDS_FAMILY = _family(
    "handler_seconds",
    "histogram",
    "How long the bot's handlers took, by name and result.",
    "handler result",
    buckets=HANDLER_SECONDS,
)
JOURNEY_RUNS_STARTED = _family(
    "journey_runs_started_total", "counter", "Runs begun: a contact entered a journey.", "journey"
)
JOURNEY_RUNS = _family(
    "journey_runs_total",
    "counter",
    "Runs ended, by outcome. Runs started = sum over outcomes + runs open, always.",
    "journey outcome",
)
JOURNEY_STEP_REACHED = _family(
    "journey_step_reached_total", "counter", "Runs that reached a step: the funnel.", "journey step"
)
JOURNEY_STEP_VISITS = _family(
    "journey_step_visits_total", "counter", "Entries into a step; a run may enter one several times.", "journey step"
)
JOURNEY_STEP_LOOPS = _family(
    "journey_step_loops_total", "counter", "Runs that entered a step three times or more.", "journey step"
)
JOURNEY_STEP_DROPPED = _family(
    "journey_step_dropped_total",
    "counter",
    "Runs abandoned at a step, by who fell silent. Drop-off = dropped ÷ ended.",
    "journey step outcome",
)
JOURNEY_STEP_ENDED = _family(
    "journey_step_ended_total", "counter", "Ended runs that had reached a step.", "journey step"
)
JOURNEY_STEP_SECONDS = _family(
    "journey_step_seconds",
    "histogram",
    "Time in a step: from entering it to the next step or the end; abandoned ones up to the last activity.",
    "journey step end",
    buckets=HUMAN_SECONDS,
)
JOURNEY_RUNS_OPEN = _family("journey_runs_open", "gauge", "Runs under way, by current step.", "journey step")
JOURNEY_RUNS_STALLED = _family(
    "journey_runs_stalled", "gauge", "Open runs in which nothing happens, by current step.", "journey step"
)
JOURNEY_STEP_INFO = _family(
    "journey_step_info", "gauge", "Always 1; the declared order of the steps.", "journey step index", number=False
)
EXPERIMENT_CONTACTS = _family(
    "experiment_contacts_total", "counter", "Contacts that have seen a variant.", "experiment variant"
)
EXPERIMENT_OUTCOMES = _family(
    "experiment_outcomes_total",
    "counter",
    "Contacts to whom an outcome came after they had seen a variant, once each.",
    "experiment variant outcome",
)
EXPERIMENT_WAIT = _family(
    "experiment_wait_seconds",
    "histogram",
    "As wait_seconds, of turns that ended after their contact had seen a variant.",
    "experiment variant",
    buckets=HUMAN_SECONDS,
)
QUALITY_RATING = _family(
    "quality_rating",
    "gauge",
    "How WhatsApp rates the number, by the last poll: 3 GREEN, 2 YELLOW, 1 RED, 0 UNKNOWN (also where never polled).",
)
QUALITY_CHANGES = _family(
    "quality_changes_total",
    "counter",
    "Changes of a number's rating from one poll to the next; the first poll is no change.",
    "from to",
    closed=tuple(itertools.permutations(vocabulary.RATINGS, 2)),
)
QUALITY_UPDATED = _family(
    "quality_updated_timestamp_seconds",
    "gauge",
    "When a poll last confirmed the rating (Unix time); absent where none has.",
)
QUALITY_CHANGED = _family(
    "quality_changed_timestamp_seconds",
    "gauge",
    "When the rating last changed (Unix time); absent where it has not.",
)
QUALITY_EVENTS = _family(
    "quality_events_total",
    "counter",
    "Webhooks about a number's quality, limit or throughput, by event; they never carry the rating.",
    "event",
    closed={"event": vocabulary.QUALITY_EVENTS},
)
QUALITY_EVENTS_WAITING = _family(
    "quality_events_waiting",
    "gauge",
    "Webhooks about a number whose display number nothing has named yet; counted in quality_events_total once it is.",
    number=False,
)
NUMBER_STATUS = _family(
    "number_status", "gauge", "1 for the status that the last poll found for the number, 0 for all others.", "status"
)
NUMBER_FLAGGED = _family(
    "number_flagged_timestamp_seconds",
    "gauge",
    "Since when WhatsApp flags the number (Unix time); absent unless flagged.",
)
MESSAGING_LIMIT = _family(
    "messaging_limit",
    "gauge",
    "People who may be written to first within 24 h; +Inf is unlimited. A portfolio's limit is shown by waba_id.",
    "waba_id phone_number_id scope",
    number=False,
)
HEALTH_STATUS = _family(
    "health_status",
    "gauge",
    "Whether each link of the chain lets the number send: 2 AVAILABLE, 1 LIMITED, 0 BLOCKED.",
    "entity",
)
RESTRICTION_EXPIRES = _family(
    "restriction_expires_timestamp_seconds",
    "gauge",
    "When a restriction of the account ends (Unix time), +Inf where it does not; absent when unrestricted.",
    "waba_id restriction",
    number=False,
)
NUMBER_INFO = _family(
    "number_info", "gauge", "Always 1; names the number.", "waba_id display_phone_number verified_name"
)
TEMPLATE_QUALITY = _family(
    "template_quality",
    "gauge",
    "How WhatsApp rates the template: 3 GREEN, 2 YELLOW, 1 RED, 0 UNKNOWN.",
    "waba_id template language",
    number=False,
)
TEMPLATE_STATUS = _family(
    "template_status",
    "gauge",
    "1 for the template's status, 0 for all others.",
    "waba_id template language status",
    number=False,
)
TEMPLATE_STATUS_CHANGES = _family(
    "template_status_changes_total",
    "counter",
    "Webhooks about a template's status, with WhatsApp's reason.",
    "waba_id template language status reason",
    number=False,
)
ACCOUNT_EVENTS = _family(
    "account_events_total",
    "counter",
    "Webhooks about an account, by field and event; each counts once.",
    "waba_id field event",
    number=False,
)
GRAPH_REQUESTS = _family(
    "graph_requests_total",
    "counter",
    "Requests of the quality poller to the Graph API, by result.",
    "result",
    number=False,
    closed={"result": vocabulary.GRAPH_RESULTS},
)
POLLER_LAST_SUCCESS = _family(
    "poller_last_success_timestamp_seconds",
    "gauge",
    "When the quality poller last had an answer (Unix time).",
    number=False,
)
POLLER_INTERVAL = _family(
    "poller_interval_seconds", "gauge", "Seconds between two polls, as they are set.", number=False
)
WEBHOOKS = _family(
    "webhooks_total",
    "counter",
    "POSTs on the webhook path, by what became of them.",
    "result",
    number=False,
    closed={"result": ("accepted", "unsigned", "bad_signature", "undecodable", "oversize", "rejected")},
)
WEBHOOK_FIELDS = _family(
    "webhook_fields_total", "counter", "Changes in accepted webhooks, by field.", "field known", number=False
)
DUPLICATES = _family(
    "duplicates_total",
    "counter",
    "Deliveries that had been seen before and changed nothing.",
    "kind",
    number=False,
    closed={"kind": ("message", "status", "echo", "preference", "account_event")},
)
EVENTS_DROPPED = _family(
    "events_dropped_total",
    "counter",
    "Events that were not used, by reason.",
    "reason",
    number=False,
    closed={"reason": ("malformed", "stale", "unknown_tier", "no_turn", "queue_full", "store")},
)
INTERNAL_ERRORS = _family(
    "internal_errors_total",
    "counter",
    "Errors inside chatvitals, by place; the bot is not affected by them.",
    "where",
    number=False,
)
SERIES_OVERFLOW = _family(
    "series_overflow_total",
    "counter",
    "Label values beyond the cap, shown as `other`.",
    "label",
    number=False,
)
CLOCK_SKEWS = _family(
    "clock_skews_total",
    "counter",
    "Timestamps that were missing, unreadable or from the future, and times clamped at 0.",
    number=False,
)
LAST_WEBHOOK = _family(
    "last_webhook_timestamp_seconds",
    "gauge",
    "When the last accepted webhook was received (Unix time).",
    number=False,
)
STORE_COMMIT_SECONDS = _family(
    "store_commit_seconds",
    "histogram",
    "How long one batch took to read, reduce and commit.",
    number=False,
    buckets=COMMIT_SECONDS,
    closed={},
)
STORE_UP = _family("store_up", "gauge", "1 when this process reaches the store, else 0.", number=False)
QUEUE_EVENTS = _family("queue_events", "gauge", "Events of this process that wait to be committed.", number=False)
QUEUE_CAPACITY = _family(
    "queue_capacity_events", "gauge", "Events that may wait before the oldest are dropped.", number=False
)
BUILD_INFO = _family(
    "build_info", "gauge", "Always 1; a change of the labels marks a deploy.", "version app_version", number=False
)

OWN_HEALTH = frozenset(
    family.name for family in (EVENTS_DROPPED, INTERNAL_ERRORS, SERIES_OVERFLOW, STORE_COMMIT_SECONDS)
)
"""Counted in each process and carried to the store by its next commit; shown even while the store is away."""


def markdown() -> str:
    """Return the catalogue as a Markdown table, as it stands in the README."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family in FAMILIES.values():
        labels = ", ".join(f"`{label}`" for label in family.all_labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |")
    return "\n".join(rows)
