"""Cause and effect on one time axis: waits, what customers do about them, and what WhatsApp makes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from builder import promql
from builder.board import Board, row
from builder.kit import BLUE, QUIET, Column, Query, grid, lines, stat_panel, states
from builder.promql import (
    BUDGET,
    OPENED,
    OVERDUE,
    RANGE,
    WINDOW,
    count,
    counted,
    named,
    of,
    own,
    quantile,
    rate,
    ratio,
    seen,
    where_enough,
    while_rated,
    while_running,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from builder.kit import Panel

_NAME = "{{display_phone_number}}"
_READ = of("message_statuses_total", 'status="read"')
_DELIVERED = of("message_statuses_total", 'status="delivered"')
_OPT_OUTS = of("opt_outs_total")
_TEMPLATES = f"max by (waba_id, template, language) (chatvitals_template_quality{{{promql.BUSINESS}}})"
_AXIS = 87.0  # pixels, the same for all panels of the main picture, so that times stand below each other
_YOUNG = "{}; in the first hour choose a shorter time range"
"""A point of 30 days is half an hour wide, and so a younger history has none."""
_BUSINESS = 'waba_id=~"$business"'


def board() -> Board:
    """Return the dashboard with the main picture."""
    return Board(
        "chatvitals-quality",
        "WhatsApp quality and response",
        "Read from the bottom up: campaigns and slow answers are causes; unread, opted out and failed messages the "
        "first effects; templates fall before the number does.",
        [
            row(4, (24, _ratings())),
            row(4, (24, _templates())),
            row(6, (24, _late())),
            row(7, (24, _waits())),
            row(5, (24, _read())),
            row(5, (24, _troubles())),
            row(5, (24, _campaigns())),
            row(8, (24, _by_rating()), heading="What goes with which rating"),
            row(6, (24, _by_version())),
            row(7, (12, _drop()), (12, _rolling())),
            row(7, (12, _codes()), (12, _events())),
        ],
        since="now-30d",
        variables=("drop",),
    )


def _ratings() -> Panel:
    return states(
        "Rating of the number", "WhatsApp rates by the last seven days of blocks and reports, so it falls days after the "
        "cause and rises days after the cure. Look down for what moved first.",
        Query(named(promql.RATING), _NAME), mapping="rating", nothing=_YOUNG.format("no number polled yet"), axis=_AXIS,
    )  # fmt: skip


def _templates() -> Panel:
    return states(
        "Rating of templates", "A template falls earlier than its number. YELLOW: send it to fewer people or reword it; "
        "RED: stop it before WhatsApp pauses it.",
        Query(f"{_TEMPLATES} and on (waba_id) {promql.ACCOUNTS}", "{{template}} {{language}}"),
        mapping="rating", nothing=_YOUNG.format("no template polled yet"), axis=_AXIS,
    )  # fmt: skip


def _late() -> Panel:
    return lines(
        "Share of turns over $threshold s", "Customers who waited too long, as it happens. This is what "
        "drives people away: above the dashed line the objective is missed. Windows with under 10 turns are left out.",
        [Query(named(where_enough(ratio(OVERDUE, OPENED, WINDOW), WINDOW)), _NAME)],
        unit="percentunit", objective=BUDGET, axis=_AXIS, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _waits() -> Panel:
    return lines(
        "First response: p50, and p90 dashed", "The typical and the slow first answer; a number has one colour. A p90 at "
        "4 h stands for waits that ended without an answer. The grey line is the objective.",
        [Query(named(where_enough(quantile(share, "wait_seconds", WINDOW, matchers='turn="first"'), WINDOW)), _NAME)
         for share in (0.5, 0.9)],
        unit="s", log=True, objective="$threshold", axis=_AXIS, by_number=True, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _read() -> Panel:
    return lines(
        "Read ratio", "Read over delivered messages, in 24 h. Falls where people mute or block: the first sign that a "
        "number annoys. People who switched read receipts off never count.",
        [Query(named(ratio(_READ, _DELIVERED, "1d")), _NAME)], unit="percentunit", axis=_AXIS, soft=0.4, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _troubles() -> Panel:
    return lines(
        "Opt-outs, and failures dashed, a day", "A number has one colour. Opt-outs rise with annoyance; failures with 131048 or 131049 mean that "
        "WhatsApp holds messages back. Stop the campaign that caused them.",
        [Query(named(count(_OPT_OUTS, "1d")), _NAME),
         Query(named(count(of("message_failures_total"), "1d")), _NAME)],
        axis=_AXIS, by_number=True, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _campaigns() -> Panel:
    return lines(
        "Campaign messages an hour", "Many at once to people who did not ask are the usual cause of a "
        "fall; while the rating is YELLOW, send less.",
        [Query(named(count(of("sends_total", 'kind="campaign",result="accepted"'), "1h")), _NAME)],
        bars=True, nothing=_YOUNG.format("no campaign seen"), axis=_AXIS,
    )  # fmt: skip


def _by_rating() -> Panel:
    measures = _measures("phone_number_id", "phone_number_id, rating", while_rated)
    return grid(
        "While the number was rated", "The same measures by the rating that the number had at the time, over the chosen "
        "range. If they differ, you know what to mend; ratings lag by days, so choose 30 days.",
        [Column("Number", label="display_phone_number"), Column("Id", label="phone_number_id", hidden=True),
         Column("Rating", label="rating", rated="rating"),
         *(replace(column, expr=named(column.expr)) for column in measures)],
        sort="Number, Rating", nothing="from six hours of ratings on",
    )  # fmt: skip


def _by_version() -> Panel:
    seen_first = f"min by (app_version) (min_over_time(timestamp({promql.VERSION})[{RANGE}:30m]))"
    started = count(of("journey_runs_started_total"), "30m", "by (job)")
    completed = count(of("journey_runs_total", 'outcome="completed"'), "30m", "by (job)")
    per = "sum by (app_version)"
    whole = f"({per} ({while_running(started)}) > 0)"
    return grid(
        "While this version of the bot ran", "The same measures by the setting app_version, so before and after a deploy. "
        "The order in time is no proof: `chatvitals compare --version` gives intervals and the usual range.",
        [Column("Version", label="app_version"), Column("Since", f"1000 * {seen_first}", "dateTimeAsIso", width=190),
         *_measures("job", "app_version", while_running),
         Column("Completed", f"{per} ({while_running(completed)}) / {whole}", "percentunit", 1)],
        sort="Since", nothing="from the first half hour on",
    )  # fmt: skip


def _measures(counted_by: str, shown_by: str, during: Callable[[str], str]) -> list[Column]:
    """Return what turns and messages were like, by something that the number or the bot had at the time.

    Args:
        counted_by: labels of a half hour's counts.
        shown_by: labels of the sums over the range.
        during: gives a half hour's counts that something, summed over the range.

    """
    by, per = f"by ({counted_by})", f"sum by ({shown_by})"

    def total(series: str) -> str:
        return f"{per} ({during(count(series, '30m', by))})"

    waits = during(count(of("wait_seconds_bucket", 'turn="first"'), "30m", f"by (le, {counted_by})"))
    delivered = f"({total(_DELIVERED)} > 0)"
    answers = f"({total(of('response_seconds_count'))} > 0)"
    return [
        Column("Turns", total(OPENED), decimals=0),
        Column("Late", f"{total(OVERDUE)} / ({total(OPENED)} > 0)", "percentunit", 1),
        Column("First p90", f"histogram_quantile(0.9, sum by (le, {shown_by}) ({waits}))", "s", 1),
        Column("Average", f"{total(of('response_seconds_sum'))} / {answers}", "s", 1),
        Column("Read", f"{total(_READ)} / {delivered}", "percentunit", 1),
        Column("Opt-outs/1k", f"1000 * {total(_OPT_OUTS)} / {delivered}", "short", 1),
    ]


def _drop() -> Panel:
    late = OVERDUE
    day = f"{rate(late, '24h', at=' @ $drop')} / ({rate(OPENED, '24h', at=' @ $drop')} > 0)"
    days = f"{rate(late, '4d', at=' @ $drop offset 24h')} / ({rate(OPENED, '4d', at=' @ $drop offset 24h')} > 0)"
    return stat_panel(
        "Late in the 24 h before the first fall, and in the 4 days before",
        "Share of turns over $threshold s before the rating first fell in this range. Much more than before: slow answers are a likely cause.",
        [Query(named(day), f"24 h {_NAME}"), Query(named(days), f"4 days {_NAME}")],
        unit="percentunit", decimals=1, limits=((None, BLUE),),
        nothing="no fall in this range",
    )  # fmt: skip


def _rolling() -> Panel:
    late = OVERDUE
    now, usual = ratio(late, OPENED, "24h"), ratio(late, OPENED, "7d", at=" offset 3d")
    return lines(
        "Late turns, times the usual", "The share of slow turns in 24 h over that of the week that ended three days ago. "
        "Above 3: something changed, look for a deploy. Empty in the first days.",
        [Query(named(f"({now}) / (({usual}) > 0)"), _NAME)], nothing="from the eleventh day on",
    )  # fmt: skip


def _codes() -> Panel:
    failures = of("message_failures_total")
    return lines(
        "Failures a day, by code", "131048: too many blocks, stop. 131049: WhatsApp limits marketing to that person. "
        "131026: the person cannot get it. 131047: answered after the 24 h window.",
        [Query(seen(counted(failures, "1d", "by (code)"), failures, "by (code)"), "{{code}}")], nothing="no failure",
    )  # fmt: skip


def _events() -> Panel:
    changes = (
        f'label_join({counted(of("quality_changes_total"), RANGE, "by (from, to)")}, "what", " to ", "from", "to")'
    )
    account = f'label_join({counted(own("account_events_total", _BUSINESS), RANGE, "by (field, event)")}, "what", " ", "field", "event")'
    number = f'label_join({counted(of("quality_events_total"), RANGE, "by (event)")}, "what", "", "event")'
    return grid(
        "Ratings changed, account and number events", "What changed or came from WhatsApp in this time range. Read "
        "restrictions and violations in the WhatsApp Manager; they name the policy.",
        [Column("What", label="what"),
         Column("Times", f"sum by (what) ({changes} or {account} or {number}) > 0", decimals=0, width=100)],
        nothing="no event", sort="What",
    )  # fmt: skip
