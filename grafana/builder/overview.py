"""The first page: is anything wrong now, and with which number?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder import promql, trust
from builder.board import Board, at_same_time, of_number, of_row, row
from builder.kit import Column, Query, grid, lines, stat_panel, states
from builder.promql import (
    BUDGET,
    FEWEST_RUNS,
    OPENED,
    OVERDUE,
    RANGE,
    WINDOW,
    count,
    fresh,
    gauge,
    lowest,
    mean,
    named,
    of,
    oldest_wait,
    points,
    quantile,
    rate,
    ratio,
    total,
)

if TYPE_CHECKING:
    from builder.kit import Panel

_COMPLETED = of("journey_runs_total", 'outcome="completed"')
_STARTED = of("journey_runs_started_total")
_NAME = "{{display_phone_number}}"


def board() -> Board:
    """Return the overview."""
    return Board(
        "chatvitals-overview",
        "WhatsApp overview",
        "Is anything wrong now, and with which number? Follow a number to the dashboard that explains it.",
        [
            row(4, *_first_stats()),
            row(4, *_second_stats()),
            row(5, (24, _ratings())),
            row(8, (12, _response()), (12, _statuses())),
            row(5, (24, _numbers())),
            row(6, (12, _health()), (12, _alerts())),
        ],
    )


def _first_stats() -> list[tuple[int, Panel]]:
    restricted = (
        f"count(max by (waba_id, restriction) (chatvitals_restriction_expires_timestamp_seconds{{{promql.BUSINESS}}}))"
    )
    flagged = gauge("number_flagged_timestamp_seconds", over="min")
    limit = (
        f"min({gauge('messaging_limit', 'by (phone_number_id, waba_id)')} or "
        f"(max by (waba_id) (chatvitals_messaging_limit{{{promql.BUSINESS}}}) and on (waba_id) {promql.ACCOUNTS}))"
    )
    return [
        (8, stat_panel(
            "Quality rating", "WhatsApp's rating now, of the three numbers with the lowest rating. RED: stop campaigns "
            "on it today. The quality dashboard shows what moved first. UNKNOWN: check that the poller runs.",
            [Query(named(f"bottomk(3, {promql.RATING})"), _NAME)], mapping="rating", nothing="no number polled yet",
            link=of_number("chatvitals-quality"))),
        (8, stat_panel(
            "Restrictions and flags", "Restrictions that WhatsApp has announced, flagged numbers, and the time until "
            "the seven days of a flag end. Any: read the account's events, then appeal or wait.",
            [Query(fresh(restricted), "restrictions"),
             Query(fresh(f"count({flagged})"), "flagged"),
             Query(fresh(f"min({flagged} + 604800 - time())"), "flag ends in")],
            mapping="none", nothing="no fresh numbers", limits=((None, "red"),), units={"flag ends in": "s"})),
        (8, stat_panel(
            "Messaging limit", "Customers that a number may write to first within 24 h. The lowest limit of the "
            "chosen numbers. Plan campaigns below it.", [Query(limit)], mapping="limit", nothing="not polled yet")),
    ]  # fmt: skip


def _second_stats() -> list[tuple[int, Panel]]:
    waiting = total("turns_open")
    completion = ratio(_COMPLETED, _STARTED, "6h", "")
    before = ratio(_COMPLETED, _STARTED, "6h", "", " offset 1w")
    enough = (
        f"{count(_STARTED, '6h', '')} >= {FEWEST_RUNS} and {count(_STARTED, '6h', '', ' offset 1w')} >= {FEWEST_RUNS}"
    )
    return [
        (5, stat_panel(
            "People waiting", "Customers without a reply to their latest message. Keeps growing: the bot is down or "
            "slow. See the response times.", [Query(waiting)], mapping="nobody", nothing="no fresh numbers", link=at_same_time("chatvitals-response"))),
        (5, stat_panel(
            "Oldest wait", "Wait of the customer who has waited longest. Answer, or call dismiss() for a message "
                "that needs no reply.",
            [Query(oldest_wait())], unit="s", mapping="nobody", nothing="no fresh numbers", link=at_same_time("chatvitals-response"))),
        (5, stat_panel(
            "First p90", 'Nine of ten conversations had their first reply within this time. Customers who still wait '
            'are not included. "Oldest wait" shows them.',
            [Query(quantile(0.9, "wait_seconds", RANGE, "", 'turn="first"'))], unit="s", decimals=1,
            link=at_same_time("chatvitals-response"))),
        (4, stat_panel(
            "Budget left", "Share of the allowed turns over $threshold s that is left in this time range. The "
            "objective is $slo. Below 0: the objective is missed. Stop risky deploys.",
            [Query(f"1 - ({rate(OVERDUE, RANGE, '')} / {rate(OPENED, RANGE, '')}) / "
                   f"{BUDGET}")],
            unit="percentunit", decimals=0, limits=((None, "red"), (0.0, "yellow"), (0.25, "green")))),
        (5, stat_panel(
            "Completion vs last week", "Completed over started runs of 6 h, minus the same 6 h a week ago. Falls: "
            "see the funnel. Shown where both have 20 runs, so not in the first week.",
            [Query(points(completion, before, enough))], unit="suffix: points", decimals=1,
            limits=((None, "red"), (-5.0, "yellow"), (0.0, "green")), nothing="needs 20 runs, now and a week ago", link=at_same_time("chatvitals-journeys"))),
    ]  # fmt: skip


def _ratings() -> Panel:
    return states(
        "Quality rating over time", "The rating falls days after the cause. The quality dashboard shows what moved "
            "before. Of more than six numbers, those with the lowest ratings of the range are shown.",
        Query(named(lowest(6, "quality_rating")), _NAME), mapping="rating", nothing="no number polled yet",
        link=of_number("chatvitals-quality"),
    )  # fmt: skip


def _response() -> Panel:
    return lines(
        "First response p50, p90", "p90 rises and p50 does not: some answers are slow, see the handlers. Both rise: "
        "the bot or its host is slow. 14,400 s (4 h) stands for waits that ended without an answer.",
        [Query(quantile(0.5, "wait_seconds", WINDOW, "", 'turn="first"'), "p50"),
         Query(quantile(0.9, "wait_seconds", WINDOW, "", 'turn="first"'), "p90")],
        unit="s", log=True,
    )  # fmt: skip


def _statuses() -> Panel:
    return lines(
        "Messages an hour, by status", "Messages that reached each status. read falls and delivered does not: "
        "customers lose interest. failed rises: see the failures by code.",
        [Query(count(of("message_statuses_total", 'status!="sent"'), "1h", "by (status)"), "{{status}}")],
        colors={"failed": "red", "read": "blue", "delivered": "green"},
    )  # fmt: skip


def _numbers() -> Panel:
    late = ratio(OVERDUE, OPENED, RANGE)
    read = ratio(
        of("message_statuses_total", 'status="read"'), of("message_statuses_total", 'status="delivered"'), RANGE
    )
    return grid(
        "Numbers", "Each number over the chosen time range. Click a number to open the quality dashboard for it.",
        [Column("Number", label="display_phone_number", link=of_row("chatvitals-quality"), width=140),
         Column("Id", label="phone_number_id", hidden=True),
         Column("Rating", named(promql.RATING), rated="rating"),
         Column("Turns", named(count(OPENED, RANGE)), decimals=0),
         Column("Late", named(late), "percentunit", 1),
         Column("Average", named(mean("response_seconds", RANGE)), "s", 1),
         Column("Read", named(read), "percentunit", 1),
         Column("Waiting", named(total("turns_open", promql.P)), decimals=0)],
        sort="Rating, Number",
    )  # fmt: skip


def _health() -> Panel:
    health = lowest(6, "health_status", "by (phone_number_id, entity)")
    return states(
        "Health by entity", "WhatsApp's health status of each entity that a send needs. BLOCKED: the number cannot "
        "send. Open WhatsApp Manager and follow its steps. Of more than six entities, those that were lowest are "
        "shown.", Query(named(health), "{{display_phone_number}} {{entity}}"),
        mapping="health", nothing="not polled yet",
    )  # fmt: skip


def _alerts() -> Panel:
    by = "by (alertname, severity, phone_number_id, template, journey, step, job)"
    firing = f'max {by} (ALERTS{{alertname=~"WhatsApp.*",alertstate="firing"}})'
    quiet = f'label_replace(vector(1) and on () count({trust.RULES}), "alertname", "none", "", "")'
    return grid(
        "Firing alerts", 'Alerts of this Prometheus that fire now. The runbook says what to do about each. "none" is '
        'shown only where the rules are loaded. Alerts of another system, such as Grafana, are not shown.',
        [Column("Alert", label="alertname", width=280), Column("Severity", label="severity", width=90),
         Column("Number id", label="phone_number_id"), Column("Template", label="template"),
         Column("Journey", label="journey"), Column("Step", label="step"), Column("Job", label="job"),
         Column("Firing", f"{firing} or ({quiet} unless on () {firing})", hidden=True)],
        nothing="the rules are not loaded here: see grafana/README.md",
    )  # fmt: skip
