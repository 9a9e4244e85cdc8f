"""Response times: how long customers wait, for whom, and how fast the budget is used up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder import promql
from builder.board import Board, row
from builder.kit import BLUE, Query, buckets, lines, stat_panel
from builder.promql import (
    BUDGET,
    OPENED,
    OVERDUE,
    RANGE,
    RATE,
    WINDOW,
    count,
    counted,
    fresh,
    gauge,
    mean,
    named,
    of,
    oldest_wait,
    quantile,
    rate,
    ratio,
    total,
    where_enough,
    where_enough_or_a_day,
)

if TYPE_CHECKING:
    from builder.kit import Panel

_NAME = "{{display_phone_number}}"
_FIRST = 'turn="first"'


def board() -> Board:
    """Return the dashboard of response times."""
    return Board(
        "chatvitals-response",
        "WhatsApp response times",
        "How long customers wait for an answer, which answers are slow, and how much of the budget is left.",
        [
            row(4, *_stats()[:6]),
            row(4, *_stats()[6:]),
            row(8, (12, _heatmap()), (12, _quantiles())),
            row(8, (12, _average()), (12, _within())),
            row(7, (8, _burn()), (8, _open()), (8, _outcomes())),
            row(
                7,
                (6, _human()),
                (6, _handed_over()),
                (6, _longest_handover()),
                (6, _fallbacks()),
                heading="People and misunderstandings",
            ),
            row(7, (8, _handlers()), (8, _errors()), (8, _sends()), heading="Where the time goes"),
        ],
    )


def _stats() -> list[tuple[int, Panel]]:
    late = f"({rate(OVERDUE, RANGE, '')} / {rate(OPENED, RANGE, '')})"
    waiting = total("turns_open")
    first = mean("response_seconds", RANGE, "", _FIRST)
    before = mean("response_seconds", RANGE, "", _FIRST, " offset 1w")
    enough = f"{count(OPENED, RANGE, '', ' offset 1w')} >= 20"
    unanswered = fresh(counted(of("turns_total", 'outcome=~"unanswered|failed"'), RANGE, ""))
    return [
        (4, stat_panel(
            "Average", "Average response time of this time range. A few slow answers move it far. p50 and p90 say "
            "more.",
            [Query(mean("response_seconds", RANGE, ""))], unit="s", decimals=1)),
        (4, stat_panel("First p50", "Half of the conversations had their first reply within this time. High: the bot "
                       "is slow for all customers.", [Query(quantile(0.5, "wait_seconds", RANGE, "", _FIRST))],
                       unit="s", decimals=1)),
        (4, stat_panel("First p90", "Nine of ten conversations had their first reply within this time. High with a "
                       "low p50: some answers are slow, see the handlers. Customers who still wait are not included.", [Query(quantile(0.9, "wait_seconds", RANGE, "", _FIRST))],
                       unit="s", decimals=1)),
        (4, stat_panel("Within $threshold s", "Share of turns that were not late. The objective is $slo. Below it: "
                       "see which hours and handlers are slow.", [Query(f"1 - {late}")],
                       unit="percentunit", decimals=1, limits=((None, BLUE),))),
        (4, stat_panel("Budget left", "Share of the allowed late turns that is left in this time range. Below 0: "
                       "stop risky changes.", [Query(f"1 - {late} / {BUDGET}")],
                       unit="percentunit", decimals=0, limits=((None, "red"), (0.0, "yellow"), (0.25, "green")))),
        (4, stat_panel("Oldest wait", "Wait of the customer who has waited longest. Answer, or call dismiss() for a "
                       "message that needs no reply.", [Query(oldest_wait())], unit="s", mapping="nobody", nothing="no fresh numbers")),
        (6, stat_panel("Average first response", "Average time to the first answer of a conversation. A few slow "
                       "answers move it far: see p90.", [Query(first)], unit="s", decimals=1)),
        (6, stat_panel("Against last week", "The average first response minus that of a week ago. Above 0: slower. "
                       "Shown where the week before had 20 turns.", [Query(f"({first}) - ({before}) and ({enough})")],
                       unit="s", decimals=1, limits=((None, "green"), (5.0, "yellow"), (30.0, "red")),
                       nothing="needs 20 turns a week ago")),
        (6, stat_panel("Unanswered", "Turns that ended without an answer in this time range. They end a day after "
                       "the customer's last message.", [Query(unanswered)], decimals=0, nothing="no fresh numbers")),
        (6, stat_panel("People waiting", "Customers without a reply now. It only grows: nothing answers.",
                       [Query(waiting)], decimals=0, mapping="nobody", nothing="no fresh numbers")),
    ]  # fmt: skip


def _heatmap() -> Panel:
    return buckets(
        "First response, distribution", "Each row is a bucket of waiting times, up to the bound beside it. A second "
        "band higher up is a slow path of the bot. Waits in +Inf had no answer.",
        count(of("wait_seconds_bucket", _FIRST), RATE, "by (le)"),
    )  # fmt: skip


def _quantiles() -> Panel:
    return lines(
        "First response p50, p90, p99", "Each line of the axis doubles the time. A wide gap between p50 and p90: "
        "some answers are much slower. 4 h stands for waits without an answer. The grey line is the objective.",
        [Query(quantile(share, "wait_seconds", WINDOW, "", _FIRST), f"p{share * 100:.0f}") for share in (0.5, 0.9, 0.99)],
        unit="s", log=True, objective="$threshold",
    )  # fmt: skip


def _average() -> Panel:
    return lines(
        "Average response by actor", "Bot and people are not comparable, since people take longer. evidence "
        "is the source of the reply: api is exact, status and echo came by webhook.",
        [Query(mean("response_seconds", WINDOW, "by (actor, evidence)"), "{{actor}}, seen by {{evidence}}")],
        unit="s", log=True,
    )  # fmt: skip


def _within() -> Panel:
    return lines(
        "Answered within $threshold s", "By number. The objective is $slo. A late turn counts at once, answered or "
        "not. Windows with under 10 turns are left out. With few turns a day, each point is the day before it.",
        [Query(named(where_enough_or_a_day(lambda window: f"1 - {ratio(OVERDUE, OPENED, window)}")), _NAME)],
        unit="percentunit", top=1.0, soft=0.8, objective="$slo",
    )  # fmt: skip


def _burn() -> Panel:
    return lines(
        "Burn rate", "Speed at which the budget is used up. Above 1 it will not last. Alerts fire above 14.4 for an "
        "hour, 6 for six hours and 1 for three days.",
        [Query(where_enough(f"({ratio(OVERDUE, OPENED, window, '')}) / {BUDGET}", window, ""), window)
         for window in ("1h", "6h", "3d")],
        objective="1",
    )  # fmt: skip


def _open() -> Panel:
    return lines(
        "People waiting", "Customers without a reply. The line follows the day's traffic. It only grows: nothing "
            "answers.",
        [Query(named(total("turns_open", promql.P)), _NAME)],
    )  # fmt: skip


def _outcomes() -> Panel:
    return lines(
        "Turns not answered, in 6 h", "unanswered: ended 24 h after the last message, so this is a day late. failed: "
        "WhatsApp did not deliver the reply. failed late: the reply had counted as an answer before.",
        [Query(count(of("turns_total", 'outcome!="answered"'), "6h", "by (outcome)"), "{{outcome}}"),
         Query(count(of("late_failures_total"), "6h", ""), "failed late")],
    )  # fmt: skip


def _human() -> Panel:
    return lines(
        "Human first response", "Time from handover() to the first reply of a person, in a day. Grows: the team is "
        "too small at that hour, or nobody sees the handovers.",
        [Query(f"({quantile(share, 'human_first_response_seconds', '1d', '')} > 0) / 60", f"p{share * 100:.0f}")
         for share in (0.5, 0.9)],
        unit="suffix:min", nothing="no answered handover seen",
    )  # fmt: skip


def _handed_over() -> Panel:
    return lines(
        "Handovers, in 6 h", "Handovers to people, and customers who wait for a person now. Many: see at which step "
            "of a journey the bot gives up.",
        [Query(count(of("handovers_total"), "6h", ""), "made"), Query(total("handovers_open"), "open now")],
        nothing="no handover seen",
    )  # fmt: skip


def _longest_handover() -> Panel:
    oldest = gauge("oldest_open_handover_timestamp_seconds", over="min")
    return lines(
        "Longest open handover", "Wait of the customer who has waited longest for a person. It grows at night where "
        "nobody works then.", [Query(f"max(time() - {oldest})", "oldest")], unit="s", nothing="no open handover seen",
    )  # fmt: skip


def _fallbacks() -> Panel:
    return lines(
        "Not understood", "Share of turns in which the bot called fallback(). A jump after a deploy: an intent broke. With few turns a day, "
        "each point is the day before it.",
        [Query(named(where_enough_or_a_day(lambda window: ratio(of("fallbacks_total"), OPENED, window))), _NAME)], unit="percentunit",
    )  # fmt: skip


def _handlers() -> Panel:
    slow = where_enough_or_a_day(
        lambda window: quantile(0.9, "handler_seconds", window, "handler"), of("handler_seconds_count"), "by (handler)"
    )
    return lines(
        "Handler time p90", "Time in the bot's own code, by handler. Slow handlers with fast sends: the database or "
        "the model of the bot is slow. Windows with under 10 calls are left out. With few calls a day, each point is the "
        "day before it.", [Query(slow, "{{handler}}")],
        unit="s", nothing="no handler with ten calls seen",
    )  # fmt: skip


def _errors() -> Panel:
    return lines(
        "Handler errors, in 6 h", "After each error a customer may wait for nothing. The bot's log has the traceback.",
        [Query(counted(of("handler_seconds_count", 'result="error"'), "6h", "by (handler)"), "{{handler}}")],
        nothing="no error seen",
    )  # fmt: skip


def _sends() -> Panel:
    return lines(
        "Time to send p50, p90", "Time until WhatsApp's API accepts a message. High: the network or the API is slow. "
        "Response times grow with it, and no handler shows it.",
        [Query(quantile(share, "send_seconds", WINDOW, ""), f"p{share * 100:.0f}") for share in (0.5, 0.9)], unit="s",
    )  # fmt: skip
