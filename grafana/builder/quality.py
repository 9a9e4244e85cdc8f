"""Cause and effect on one time axis: waits, reactions of customers, and ratings of WhatsApp."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from builder import promql
from builder.board import Board, row
from builder.kit import BLUE, QUIET, Column, Query, grid, lines, stat_panel, states
from builder.promql import (
    BUDGET,
    OPENED,
    OVERDUE,
    RANGE,
    count,
    counted,
    named,
    of,
    own,
    quantile,
    rate,
    ratio,
    seen,
    where_enough_or_a_day,
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
_YOUNG = "{}. In the first hour choose a shorter time range"
"""In a graph of 30 days a point is half an hour wide, so a younger history has no point."""
_BUSINESS = 'waba_id=~"$business"'


def board() -> Board:
    """Return the dashboard with the main picture."""
    return Board(
        "chatvitals-quality",
        "WhatsApp quality and response",
        "Read from the bottom up. Campaigns and slow answers are causes. Unread, failed and opted-out messages are "
        "the first effects. Templates fall before the number does.",
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
        "Rating of the number", "WhatsApp rates a number by blocks and reports of the last seven days. So the rating "
        "falls days after the cause, and rises days after the repair. The panels below show what moved first. "
        "Of more than four numbers, those with the lowest ratings of the range are shown.",
        Query(named(promql.lowest(4, "quality_rating")), _NAME), mapping="rating", nothing=_YOUNG.format("no number polled yet"), axis=_AXIS,
    )  # fmt: skip


def _templates() -> Panel:
    return states(
        "Rating of templates", "A template falls before its number does. YELLOW: reword it, or send it to fewer "
        "customers. RED: stop it before WhatsApp pauses it.",
        Query(f"{_TEMPLATES} and on (waba_id) {promql.ACCOUNTS}", "{{template}} {{language}}"),
        mapping="rating", nothing=_YOUNG.format("no template polled yet"), axis=_AXIS,
    )  # fmt: skip


def _late() -> Panel:
    return lines(
        "Share of turns over $threshold s", "Share of turns that are late. Slow answers drive customers away. Above "
        "the dashed line the objective is missed. Windows with under 10 turns are left out. With few turns a day, each "
        "point is the day before it.",
        [Query(named(where_enough_or_a_day(lambda window: ratio(OVERDUE, OPENED, window))), _NAME)],
        unit="percentunit", objective=BUDGET, axis=_AXIS, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _waits() -> Panel:
    return lines(
        "First response: p50, and p90 dashed", "The typical and the slow first answer. Each number has its own "
        "colour. A p90 of 4 h stands for waits that ended without an answer. The grey line is the objective.",
        [Query(named(where_enough_or_a_day(partial(_first, share))), _NAME) for share in (0.5, 0.9)],
        unit="s", log=True, objective="$threshold", axis=_AXIS, second_dashed=True, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _first(share: float, window: str) -> str:
    return quantile(share, "wait_seconds", window, matchers='turn="first"')


def _read() -> Panel:
    return lines(
        "Read ratio", "Read over delivered messages of 24 h. It falls where customers mute or block a number. "
        "Customers without read receipts never count as read.",
        [Query(named(f"clamp_max({ratio(_READ, _DELIVERED, '1d')}, 1)"), _NAME)], unit="percentunit", axis=_AXIS, soft=0.4, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _troubles() -> Panel:
    return lines(
        "Opt-outs, and failures dashed, a day", "Each number has its own colour. Opt-outs rise when messages annoy. "
        "Failures with 131048 or 131049: WhatsApp holds messages back. Stop the campaign that caused them.",
        [Query(named(count(_OPT_OUTS, "1d")), _NAME),
         Query(named(counted(of("message_failures_total"), "1d", promql.P)), _NAME)],
        axis=_AXIS, second_dashed=True, nothing=_YOUNG.format(QUIET),
    )  # fmt: skip


def _campaigns() -> Panel:
    return lines(
        "Campaign messages an hour", "Many messages to customers who did not ask for them are the usual cause of a "
        "fall. While the rating is YELLOW, send less.",
        [Query(named(count(of("sends_total", 'kind="campaign",result="accepted"'), "1h")), _NAME)],
        bars=True, nothing=_YOUNG.format("no campaign seen"), axis=_AXIS,
    )  # fmt: skip


def _by_rating() -> Panel:
    measures = _measures("phone_number_id", "phone_number_id, rating", while_rated)
    return grid(
        "While the number was rated", "The same numbers by the rating at that time. Differences show where to start. "
        "Ratings are days late, so choose 30 days.",
        [Column("Number", label="display_phone_number", width=140), Column("Id", label="phone_number_id", hidden=True),
         Column("Rating", label="rating", rated="rating"),
         *(replace(column, expr=named(column.expr)) for column in measures)],
        sort="Rating, Number", nothing="from six hours of ratings on",
    )  # fmt: skip


def _by_version() -> Panel:
    seen_first = f"min by (app_version) (min_over_time(timestamp({promql.VERSION})[{RANGE}:30m]))"
    started = count(of("journey_runs_started_total"), "30m", "by (job)")
    completed = count(of("journey_runs_total", 'outcome="completed"'), "30m", "by (job)")
    per = "sum by (app_version)"
    whole = f"({per} ({while_running(started)}) > 0)"
    return grid(
        "While this version of the bot ran", "The same numbers by the setting app_version, so before and after a "
        "deploy. The order in time proves no cause. `chatvitals compare --version` gives intervals and the usual "
        "range.",
        [Column("Version", label="app_version"), Column("Since", f"1000 * {seen_first}", "dateTimeAsIso", width=190),
         *_measures("job", "app_version", while_running),
         Column("Completed", f"{per} ({while_running(completed)}) / {whole}", "percentunit", 1)],
        sort="Since", nothing="from the first half hour on",
    )  # fmt: skip


def _measures(counted_by: str, shown_by: str, during: Callable[[str], str]) -> list[Column]:
    """Return columns of turns and messages, split by the rating or the version of that time.

    Args:
        counted_by: labels of a half hour's counts.
        shown_by: labels of the sums over the range.
        during: splits the counts of half hours, and sums them over the range.

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
    worst = promql.among_lowest(2, "quality_rating")
    return stat_panel(
        "Late in the 24 h before the first fall, and in the 4 days before",
        "Share of turns over $threshold s before the first fall of the rating in this time range. Much more than in "
        "the days before: slow answers are a likely cause. Of more than two numbers, those with the lowest ratings of the "
        "range are shown.",
        [Query(named(f"({day}) {worst}"), f"24 h {_NAME}"), Query(named(f"({days}) {worst}"), f"4 days {_NAME}")],
        unit="percentunit", decimals=1, limits=((None, BLUE),),
        nothing="no fall seen in this range",
    )  # fmt: skip


def _rolling() -> Panel:
    late = OVERDUE
    now, usual = ratio(late, OPENED, "24h"), ratio(late, OPENED, "7d", at=" offset 3d")
    return lines(
        "Late turns, times the usual", "Share of late turns in 24 h, over that of the week that ended three days "
        "ago. Above 3: something changed, look for a deploy. Empty in the first days.",
        [Query(named(f"({now}) / (({usual}) > 0)"), _NAME)], nothing="from the eleventh day on",
    )  # fmt: skip


def _codes() -> Panel:
    failures = of("message_failures_total")
    return lines(
        "Failures a day, by code", "131048: too many blocks, stop. 131049: WhatsApp limits marketing to that "
        "customer. 131026: the customer cannot receive it. 131047: the answer came after the 24 h window.",
        [Query(seen(counted(failures, "1d", "by (code)"), failures, "by (code)"), "{{code}}")], nothing="no failure seen",
    )  # fmt: skip


def _events() -> Panel:
    changes = (
        f'label_join({counted(of("quality_changes_total"), RANGE, "by (from, to)")}, "what", " to ", "from", "to")'
    )
    account = f'label_join({counted(own("account_events_total", _BUSINESS), RANGE, "by (field, event)")}, "what", " ", "field", "event")'
    number = f'label_join({counted(of("quality_events_total"), RANGE, "by (event)")}, "what", "", "event")'
    return grid(
        "Ratings changed, account and number events", "Changes of ratings, and events of the account and its numbers "
        "in this time range. WhatsApp Manager names the policy behind restrictions and violations.",
        [Column("What", label="what"),
         Column("Times", f"sum by (what) ({changes} or {account} or {number}) > 0", decimals=0, width=100)],
        nothing="no event seen", sort="What",
    )  # fmt: skip
