"""Families of contacts: turns, messages, handlers, journeys and experiments."""

from __future__ import annotations

import itertools

from chatvitals.metrics.family import HANDLER_SECONDS, HUMAN_SECONDS, SEND_SECONDS, Bot, declare
from chatvitals.whatsapp import enums

TURN = ("first", "next")
EXPERIMENT_OUTCOME = ("goal", "opt_out", "unanswered", "send_failed", "handover")
RUN_OUTCOME = (
    "completed", "handed_over", "abandoned_by_user", "abandoned_by_business", "restarted", "expired"
)  # fmt: skip
ABANDONED = ("abandoned_by_user", "abandoned_by_business")
OUTCOME = ("answered", "dismissed", "failed", "unanswered")

MESSAGES_RECEIVED = declare(
    "messages_received_total",
    "counter",
    "Inbound messages, by type. Each message id counts once.",
    "type",
    unit="message",
)
CONVERSATIONS_STARTED = declare(
    "conversations_started_total",
    "counter",
    "Conversations begun: the first message, or the first after 24 h of silence or after resolve().",
    "origin",
    starts={"origin": ("new", "returning")},
    unit="conversation",
)
TURNS_OPENED = declare(
    "turns_opened_total",
    "counter",
    "Turns opened: bursts of inbound messages that wait for a reply.",
    "turn",
    starts={"turn": TURN},
    hours=True,
    unit="turn",
)
TURNS = declare(
    "turns_total",
    "counter",
    "Turns ended, by outcome. Turns opened = sum over outcomes + turns open, always.",
    "turn outcome",
    starts={"turn": TURN, "outcome": OUTCOME},
    hours=True,
    unit="turn",
)
RESPONSE_SECONDS = declare(
    "response_seconds",
    "histogram",
    "From a turn's first message to its first reply, in answered turns only. turn=first is the first response time.",
    "turn actor evidence",
    buckets=HUMAN_SECONDS,
    starts={"turn": TURN, "actor": ("bot",), "evidence": ("api",)},  # the usual ones; others begin with their first
    hours=True,
)
WAIT_SECONDS = declare(
    "wait_seconds",
    "histogram",
    "How long customers waited, over all ended turns. Unanswered and failed turns lie in the +Inf bucket alone.",
    "turn",
    buckets=HUMAN_SECONDS,
    starts={"turn": TURN},
    hours=True,
)
TURNS_OVERDUE = declare(
    "turns_overdue_total",
    "counter",
    "Open turns whose age crossed a threshold (seconds), answered later or not.",
    "turn threshold",
    starts=lambda bot: itertools.product(TURN, bot.thresholds),
    hours=True,
    unit="turn",
)
TURNS_OPEN = declare(
    "turns_open",
    "gauge",
    "Turns that wait for a reply now.",
    "turn",
    starts={"turn": TURN},
    hours=True,
    unit="turn",
)
OLDEST_OPEN_TURN = declare(
    "oldest_open_turn_timestamp_seconds",
    "gauge",
    "When the oldest open turn began (Unix time). Absent when none is open.",
    "turn",
    hours=True,
)
WEBHOOK_LAG = declare(
    "webhook_lag_seconds",
    "histogram",
    "From a customer's message (WhatsApp's clock, plus 1 s) to its webhook here: slow delivery, not a slow bot.",
    buckets=HUMAN_SECONDS,
    starts={},
)
HUMAN_FIRST_RESPONSE = declare(
    "human_first_response_seconds",
    "histogram",
    "From handover() to the first reply of a person.",
    buckets=HUMAN_SECONDS,
    starts={},
    hours=True,
)
HANDOVERS = declare(
    "handovers_total",
    "counter",
    "Conversations handed over to a person.",
    unit="handover",
)
FALLBACKS = declare(
    "fallbacks_total",
    "counter",
    "Turns that the bot said it did not understand.",
    unit="turn",
)
HANDOVERS_OPEN = declare(
    "handovers_open",
    "gauge",
    "Contacts handed over and not yet answered by a person.",
    starts={},
    hours=True,
    unit="contact",
)
OLDEST_OPEN_HANDOVER = declare(
    "oldest_open_handover_timestamp_seconds",
    "gauge",
    "When the oldest open handover was made (Unix time). Absent when none is open.",
    hours=True,
)
SENDS = declare(
    "sends_total",
    "counter",
    "Calls of the bot's HTTP clients to the messages endpoint. code is Meta's error code of a rejected call.",
    "kind result code",
    starts={
        "kind": ("reply", "campaign"),
        "result": ("rejected",),
        "code": (*enums.QUALITY_REFUSALS, "190", "timeout", "connection"),  # an alert must see the first of them
    },
    unit="request",
)
SEND_SECONDS_FAMILY = declare(
    "send_seconds", "histogram", "How long those calls took.", buckets=SEND_SECONDS, starts={}
)
MESSAGE_STATUSES = declare(
    "message_statuses_total",
    "counter",
    "Outbound messages that reached a status. Each status counts once per message and implies the lower statuses.",
    "status category",
    unit="message",
)
MESSAGE_FAILURES = declare(
    "message_failures_total",
    "counter",
    "Outbound messages that failed, by Meta's error code.",
    "code category",
    starts={"code": enums.QUALITY_REFUSALS, "category": ("marketing", "utility", "service", "unknown")},
    unit="message",
)
TEMPLATE_MESSAGES = declare(
    "template_messages_total",
    "counter",
    "Template messages sent through watched clients that reached a status.",
    "template language status",
    capped="template language",
    unit="message",
)
TEMPLATE_FAILURES = declare(
    "template_failures_total",
    "counter",
    "Template messages sent through watched clients that failed, by Meta's error code.",
    "template language code",
    capped="template language",
    unit="message",
)
TEMPLATE_OPT_OUTS = declare(
    "template_opt_outs_total",
    "counter",
    "Opt-outs within 72 h after a template message to that contact, counted for the latest one.",
    "template language",
    capped="template language",
    unit="contact",
)
LATE_FAILURES = declare(
    "late_failures_total",
    "counter",
    "Replies that failed after they had been counted as answers.",
    unit="message",
)
OPT_OUTS = declare(
    "opt_outs_total",
    "counter",
    "Customers who stopped a category of messages.",
    "category",
    starts={"category": ("marketing_messages",)},
    unit="contact",
)
OPT_INS = declare(
    "opt_ins_total",
    "counter",
    "Customers who resumed or signed up for a category of messages.",
    "category",
    starts={"category": ("marketing_messages",)},
    unit="contact",
)
HANDLER_SECONDS_FAMILY = declare(
    "handler_seconds",
    "histogram",
    "How long the bot's handlers took, by name and result.",
    "handler result",
    buckets=HANDLER_SECONDS,
)
JOURNEY_RUNS_STARTED = declare(
    "journey_runs_started_total",
    "counter",
    "Runs begun: a contact entered a journey.",
    "journey",
    starts=lambda bot: [(name,) for name in bot.journeys],
    unit="run",
)
JOURNEY_RUNS = declare(
    "journey_runs_total",
    "counter",
    "Runs ended, by outcome. Runs started = sum over outcomes + runs open, always.",
    "journey outcome",
    starts=lambda bot: itertools.product(bot.journeys, RUN_OUTCOME),
    unit="run",
)
JOURNEY_STEP_REACHED = declare(
    "journey_step_reached_total",
    "counter",
    "Runs that reached a step: the funnel.",
    "journey step",
    starts=Bot.steps,
    unit="run",
)
JOURNEY_STEP_VISITS = declare(
    "journey_step_visits_total",
    "counter",
    "Entries into a step. A run may enter a step several times.",
    "journey step",
    starts=Bot.steps,
    unit="visit",
)
JOURNEY_STEP_LOOPS = declare(
    "journey_step_loops_total",
    "counter",
    "Runs that entered a step three times or more.",
    "journey step",
    starts=Bot.steps,
    unit="run",
)
JOURNEY_STEP_FALLBACKS = declare(
    "journey_step_fallbacks_total",
    "counter",
    "Turns not understood while a run stood at a step: which question confuses people.",
    "journey step",
    starts=Bot.steps,
    unit="turn",
)
JOURNEY_STEP_MESSAGES = declare(
    "journey_step_messages_total",
    "counter",
    "Messages of contacts while a run stood at a step. Many messages per visit show a confusing question.",
    "journey step",
    starts=Bot.steps,
    unit="message",
)
JOURNEY_TRANSITIONS = declare(
    "journey_transitions_total",
    "counter",
    "Moves between steps. A run's first move comes from `start`.",
    "journey from_step to_step",
    unit="visit",
)
JOURNEY_STEP_DROPPED = declare(
    "journey_step_dropped_total",
    "counter",
    "Runs abandoned at a step, by cause: the customer left, or the business did not answer. "
    "Drop-off = dropped ÷ ended.",
    "journey step outcome",
    starts=lambda bot: [(*step, cause) for step in bot.steps() for cause in ABANDONED],
    unit="run",
)
JOURNEY_STEP_ENDED = declare(
    "journey_step_ended_total",
    "counter",
    "Ended runs that had reached a step.",
    "journey step",
    starts=Bot.steps,
    unit="run",
)
JOURNEY_STEP_SECONDS = declare(
    "journey_step_seconds",
    "histogram",
    "Time in a step: from its entry to the next step or the end. In abandoned runs it ends at the last activity.",
    "journey step end",
    buckets=HUMAN_SECONDS,
)
JOURNEY_RUNS_OPEN = declare(
    "journey_runs_open",
    "gauge",
    "Runs under way, by current step.",
    "journey step",
    starts=Bot.steps,
    unit="run",
)
JOURNEY_RUNS_STALLED = declare(
    "journey_runs_stalled",
    "gauge",
    "Open runs in which nothing happens, by current step.",
    "journey step",
    starts=Bot.steps,
    unit="run",
)
JOURNEY_STEP_INFO = declare(
    "journey_step_info",
    "gauge",
    "Always 1. The labels give the declared order of the steps.",
    "journey step index",
    number=False,
)
EXPERIMENT_CONTACTS = declare(
    "experiment_contacts_total",
    "counter",
    "Contacts that have seen a variant.",
    "experiment variant",
    starts=Bot.variants,
    unit="contact",
)
EXPERIMENT_OUTCOMES = declare(
    "experiment_outcomes_total",
    "counter",
    "Contacts that reached an outcome after seeing a variant. Counted once per contact and outcome.",
    "experiment variant outcome",
    starts=lambda bot: [(*variant, outcome) for variant in bot.variants() for outcome in EXPERIMENT_OUTCOME],
    unit="contact",
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
    "The declared weight of a variant. The control has the index 1. The journey is the goal.",
    "experiment variant index journey",
    number=False,
)
EXPERIMENT_PLANNED = declare(
    "experiment_planned_contacts",
    "gauge",
    "Contacts of all variants together that the experiment is planned for.",
    "experiment",
    number=False,
    unit="contact",
)
