"""The catalogue against the table of conversations/README.md 10, written down here a second time."""

from __future__ import annotations

import re

import pytest

from chatvitals.metrics import catalogue
from chatvitals.metrics.catalogue import FAMILIES, Family
from chatvitals.metrics.family import Bot, declare

N = "phone_number_id"
# name without prefix: (type, labels); `+` marks the families that carry `in_hours` when a schedule is set
PAGE: dict[str, tuple[str, str]] = {
    "messages_received_total": ("counter", f"{N} type"),
    "conversations_started_total": ("counter", f"{N} origin"),
    "turns_opened_total": ("counter", f"{N} turn +"),
    "turns_total": ("counter", f"{N} turn outcome +"),
    "response_seconds": ("histogram", f"{N} turn actor evidence +"),
    "wait_seconds": ("histogram", f"{N} turn +"),
    "turns_overdue_total": ("counter", f"{N} turn threshold +"),
    "turns_open": ("gauge", f"{N} turn +"),
    "oldest_open_turn_timestamp_seconds": ("gauge", f"{N} turn +"),
    "webhook_lag_seconds": ("histogram", N),
    "human_first_response_seconds": ("histogram", f"{N} +"),
    "handovers_total": ("counter", N),
    "fallbacks_total": ("counter", N),
    "handovers_open": ("gauge", f"{N} +"),
    "oldest_open_handover_timestamp_seconds": ("gauge", f"{N} +"),
    "handler_seconds": ("histogram", f"{N} handler result"),
    "sends_total": ("counter", f"{N} kind result code"),
    "send_seconds": ("histogram", N),
    "message_statuses_total": ("counter", f"{N} status category"),
    "message_failures_total": ("counter", f"{N} code category"),
    "template_messages_total": ("counter", f"{N} template language status"),
    "template_failures_total": ("counter", f"{N} template language code"),
    "template_opt_outs_total": ("counter", f"{N} template language"),
    "late_failures_total": ("counter", N),
    "opt_outs_total": ("counter", f"{N} category"),
    "opt_ins_total": ("counter", f"{N} category"),
    "journey_runs_started_total": ("counter", f"{N} journey"),
    "journey_runs_total": ("counter", f"{N} journey outcome"),
    "journey_step_reached_total": ("counter", f"{N} journey step"),
    "journey_step_visits_total": ("counter", f"{N} journey step"),
    "journey_step_loops_total": ("counter", f"{N} journey step"),
    "journey_step_fallbacks_total": ("counter", f"{N} journey step"),
    "journey_step_messages_total": ("counter", f"{N} journey step"),
    "journey_transitions_total": ("counter", f"{N} journey from_step to_step"),
    "journey_step_dropped_total": ("counter", f"{N} journey step outcome"),
    "journey_step_ended_total": ("counter", f"{N} journey step"),
    "journey_step_seconds": ("histogram", f"{N} journey step end"),
    "journey_runs_open": ("gauge", f"{N} journey step"),
    "journey_runs_stalled": ("gauge", f"{N} journey step"),
    "journey_step_info": ("gauge", "journey step index"),
    "experiment_contacts_total": ("counter", f"{N} experiment variant"),
    "experiment_outcomes_total": ("counter", f"{N} experiment variant outcome"),
    "experiment_wait_seconds": ("histogram", f"{N} experiment variant"),
    "experiment_weight": ("gauge", "experiment variant index journey"),
    "experiment_planned_contacts": ("gauge", "experiment"),
    "quality_rating": ("gauge", N),
    "quality_changes_total": ("counter", f"{N} from to"),
    "quality_updated_timestamp_seconds": ("gauge", N),
    "quality_changed_timestamp_seconds": ("gauge", N),
    "quality_events_total": ("counter", f"{N} event"),
    "quality_events_waiting": ("gauge", ""),  # not on the page: nothing may wait unseen
    "number_status": ("gauge", f"{N} status"),
    "number_flagged_timestamp_seconds": ("gauge", N),
    "messaging_limit": ("gauge", f"waba_id {N} scope"),
    "health_status": ("gauge", f"{N} entity"),
    "restriction_expires_timestamp_seconds": ("gauge", "waba_id restriction"),
    "number_info": ("gauge", f"{N} waba_id display_phone_number verified_name"),
    "template_quality": ("gauge", "waba_id template language"),
    "template_status": ("gauge", "waba_id template language status"),
    "template_status_changes_total": ("counter", "waba_id template language status reason"),
    "account_events_total": ("counter", "waba_id field event"),
    "webhooks_total": ("counter", "result"),
    "webhook_fields_total": ("counter", "field known"),
    "duplicates_total": ("counter", "kind"),
    "events_dropped_total": ("counter", "reason"),
    "internal_errors_total": ("counter", "where"),
    "series_overflow_total": ("counter", "metric"),
    "clock_skews_total": ("counter", ""),
    "graph_requests_total": ("counter", "result"),
    "queue_events": ("gauge", ""),
    "store_commit_seconds": ("histogram", ""),
    "store_up": ("gauge", ""),
    "poller_last_success_timestamp_seconds": ("gauge", ""),
    "poller_interval_seconds": ("gauge", ""),
    "queue_capacity_events": ("gauge", ""),
    "last_webhook_timestamp_seconds": ("gauge", ""),
    "build_info": ("gauge", "version app_version"),
}
OF_TURNS = [
    name for name in PAGE if not re.match("quality|number|messaging|health|restriction|template_[qs]|acc", name)
]
OF_TURNS = [name for name in OF_TURNS if not name.startswith(("graph_", "poller_"))]  # they come with the poller
BOT = Bot(
    thresholds=("10", "60"),
    journeys={"order": ("menu", "paid")},
    experiments={"greeting": ("plain", "warm")},
    in_hours=True,
)
HUMAN_SCALE = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400)

families = pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)


@pytest.mark.parametrize("name", OF_TURNS)
def test_everything_about_turns_is_declared(name: str) -> None:
    """All families that do not need the Graph API or account webhooks are there."""
    assert f"chatvitals_{name}" in FAMILIES


@families
def test_a_family_is_as_the_page_has_it(family: Family) -> None:
    """Type, labels and their order follow the page. Nothing is declared that the page does not know."""
    kind, labels = PAGE[family.name.removeprefix("chatvitals_")]
    if family.name == "chatvitals_series_overflow_total":
        labels = "label"  # the cap is on a label whatever the metric, and this tells which one overflows
    assert (family.kind, family.labels, family.hours) == (kind, tuple(labels.replace("+", "").split()), "+" in labels)


@families
def test_names_are_valid_and_follow_prometheus_s_conventions(family: Family) -> None:
    """Counters end in `_total` and nothing else does. Times are in seconds. Help is a sentence without a line break."""
    assert re.fullmatch(r"chatvitals_[a-z][a-z0-9_]*", family.name)
    assert (family.kind == "counter") == family.name.endswith("_total")
    assert (family.kind == "histogram") <= family.name.endswith("_seconds")
    assert not re.search(r"_(bucket|sum|count|created)$", family.name)
    for label in family.all_labels:
        assert re.fullmatch(r"[a-z][a-z0-9_]*", label)
        assert label not in {"le", "quantile", "job", "instance"}
    assert len(set(family.all_labels)) == len(family.all_labels)
    assert family.help.endswith(".")
    assert "\n" not in family.help
    assert "|" not in family.help


@families
def test_every_histogram_has_rising_buckets_and_nothing_else_has_any(family: Family) -> None:
    """Buckets are final upper bounds in seconds, +Inf not among them."""
    assert (family.kind == "histogram") == bool(family.buckets)
    assert list(family.buckets) == sorted(set(family.buckets))
    assert all(0 < bound < float("inf") for bound in family.buckets)


def test_buckets_are_those_of_the_page() -> None:
    """Human-scale times share one row of buckets. Calls and handlers have finer ones."""
    for name in (
        "response_seconds wait_seconds webhook_lag_seconds human_first_response_seconds journey_step_seconds "
        "experiment_wait_seconds"
    ).split():
        assert FAMILIES[f"chatvitals_{name}"].buckets == HUMAN_SCALE, name
    handler, send = FAMILIES["chatvitals_handler_seconds"].buckets, FAMILIES["chatvitals_send_seconds"].buckets
    assert (handler[0], handler[-1]) == (0.005, 30.0)
    assert (send[0], send[-1]) == (0.05, 30.0)


@families
def test_series_that_start_at_zero_fit_the_labels(family: Family) -> None:
    """A start names a value for each of the family's own labels."""
    own = len(family.all_labels) - family.per_number
    starts = family.start_values(BOT)
    assert all(len(values) == own for values in starts)
    assert len(set(starts)) == len(starts)
    if family.kind == "counter" and not own:
        assert starts == [()]


def test_closed_label_sets_are_complete() -> None:
    """`increase` misses a series that begins above 0. So every value of a closed set exists from the start."""
    assert set(catalogue.TURNS.start_values(BOT)) == {
        (turn, outcome, hours)
        for hours in ("yes", "no")
        for turn in ("first", "next")
        for outcome in ("answered", "dismissed", "failed", "unanswered")
    }  # fmt: skip
    assert set(catalogue.CONVERSATIONS_STARTED.start_values(BOT)) == {("new",), ("returning",)}
    assert set(catalogue.WEBHOOKS.start_values(BOT)) == {
        (result,) for result in "accepted foreign unsigned bad_signature undecodable oversize rejected unread".split()
    }
    assert set(catalogue.JOURNEY_STEP_DROPPED.start_values(BOT)) == {
        ("order", step, f"abandoned_by_{cause}") for step in ("menu", "paid") for cause in ("user", "business")
    }
    assert set(catalogue.EXPERIMENT_CONTACTS.start_values(BOT)) == {("greeting", "plain"), ("greeting", "warm")}
    assert set(catalogue.EXPERIMENT_OUTCOMES.start_values(BOT)) == {
        ("greeting", variant, outcome)
        for variant in ("plain", "warm")
        for outcome in ("goal", "opt_out", "unanswered", "send_failed", "handover")
    }
    refusals = {("reply", "rejected", code) for code in ("190", "timeout", "connection", "131048")}
    assert refusals <= set(catalogue.SENDS.start_values(BOT))
    assert {("message",), ("status",), ("echo",), ("preference",)} <= set(catalogue.DUPLICATES.start_values(BOT))
    assert {("malformed",), ("stale",), ("queue_full",), ("store",)} <= set(catalogue.EVENTS_DROPPED.start_values(BOT))


def test_only_the_business_may_be_on_a_label() -> None:
    """No label's name speaks of a person or a message."""
    allowed = {
        N, "in_hours", "type", "origin", "turn", "outcome", "actor", "evidence", "threshold", "handler", "result",
        "kind", "code", "status", "category", "template", "language", "journey", "step", "end", "index", "experiment",
            "from_step", "to_step",
        "variant", "field", "known", "reason", "where", "label", "version", "app_version", "waba_id", "event", "scope",
        "entity", "restriction", "display_phone_number", "verified_name", "from", "to", "metric",
    }  # fmt: skip
    assert {label for family in FAMILIES.values() for label in family.all_labels} <= allowed


def test_own_health_is_a_part_of_the_catalogue() -> None:
    """What is shown while the store is away is declared like everything else, and is no family of a number."""
    assert set(FAMILIES) >= catalogue.OWN_HEALTH
    assert not any(FAMILIES[name].per_number for name in catalogue.OWN_HEALTH)


@families
def test_a_unit_is_seconds_where_the_name_says_so_and_what_is_counted_elsewhere(family: Family) -> None:
    """Counters name what they count. Codes such as ratings have no unit, and never `1`, which becomes `_ratio`."""
    assert (family.unit == "s") == family.name.endswith("_seconds")
    assert family.unit == "s" or re.fullmatch(r"(\{[a-z]+\})?", family.unit)
    assert family.unit or family.kind == "gauge"
    assert family.name == "chatvitals_" + family.otel_name.removeprefix("chatvitals.") + (
        "_seconds" if family.unit == "s" else ""
    ) + ("_total" if family.kind == "counter" else "")


@families
def test_caps_are_on_labels_of_the_family(family: Family) -> None:
    """Whatever WhatsApp or a customer can name is capped wherever it stands."""
    outside = {N, "waba_id", "verified_name", "template", "language"}
    assert set(family.capped) == outside & set(family.labels)


def test_a_name_cannot_be_declared_twice() -> None:
    """Two declarations of one name would show one and count in the other."""
    with pytest.raises(ValueError, match="chatvitals_turns_open is declared twice"):
        declare("turns_open", "gauge", "Again.")


def test_markdown_has_one_row_for_each_family() -> None:
    """The table of conversations/README.md is this one."""
    head, rule, *rows = catalogue.markdown().splitlines()
    assert head == "| metric | type | labels | meaning |"
    assert rule == "|---|---|---|---|"
    assert [row.split("`")[1] for row in rows] == list(FAMILIES)
    assert all(row.count(" | ") == 3 for row in rows)
    turns = next(row for row in rows if row.startswith("| `chatvitals_turns_total` |"))
    assert turns.startswith(
        "| `chatvitals_turns_total` | counter | `phone_number_id`, `turn`, `outcome`, `in_hours` | Turns ended"
    )
