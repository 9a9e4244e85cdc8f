"""Response times: how long people wait, for whom, and how fast the budget goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
    gauge,
    mean,
    named,
    of,
    quantile,
    rate,
    ratio,
    where_enough,
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
            row(4, *_stats()),
            row(8, (12, _heatmap()), (12, _quantiles())),
            row(8, (12, _average()), (12, _within())),
            row(7, (8, _burn()), (8, _open()), (8, _outcomes())),
            row(7, (8, _human()), (8, _handed_over()), (8, _fallbacks()), heading="People and misunderstandings"),
            row(7, (8, _handlers()), (8, _errors()), (8, _sends()), heading="Where the time goes"),
        ],
    )


def _stats() -> list[tuple[int, Panel]]:
    late = f"({rate(OVERDUE, RANGE, '')} / {rate(OPENED, RANGE, '')})"
    oldest = f"max(time() - {gauge('oldest_open_turn_timestamp_seconds', over='min')})"
    return [
        (4, stat_panel(
            "Average response", "Over answered turns of this time range: the sum of the times over their count. A few slow "
            "answers move it far; p50 and p90 say more.",
            [Query(mean("response_seconds", RANGE, ""))], unit="s", decimals=1)),
        (4, stat_panel("First response p50", "Half of the conversations had their first reply within this time. High: "
                       "the bot is slow for everybody.", [Query(quantile(0.5, "wait_seconds", RANGE, "", _FIRST))],
                       unit="s", decimals=1)),
        (4, stat_panel("First response p90", "Nine of ten had it within this time. High with a low p50: some answers are "
                       "slow, see the handlers. Who waits now is not in it.", [Query(quantile(0.9, "wait_seconds", RANGE, "", _FIRST))],
                       unit="s", decimals=1)),
        (4, stat_panel("Answered within $threshold s", "The share of turns that were not late; the objective is "
                       "$slo. Below it, see which hours and handlers are slow.", [Query(f"1 - {late}")],
                       unit="percentunit", decimals=1, limits=((None, BLUE),))),
        (4, stat_panel("Budget left", "What is left of the turns that may be late, in this time range. Below 0: stop "
                       "risky changes.", [Query(f"1 - {late} / {BUDGET}")],
                       unit="percentunit", decimals=0, limits=((None, "red"), (0.0, "yellow"), (0.25, "green")))),
        (4, stat_panel("Oldest wait", "How long the customer who waits longest has waited. Answer, or dismiss() what "
                       "needs no reply.", [Query(oldest)], unit="s", nothing="nobody waits")),
    ]  # fmt: skip


def _heatmap() -> Panel:
    return buckets(
        "First response, all of them", "How many conversations waited how long: each row is a bucket, up to the bound "
        "beside it. A second band higher up is a slow path of the bot; +Inf had no answer.",
        f"sum by (le) (max without (instance, pod) (increase({of('wait_seconds_bucket', _FIRST)}[{RATE}])))",
    )  # fmt: skip


def _quantiles() -> Panel:
    return lines(
        "First response p50, p90, p99", "On a log axis, the objective dashed. Read them together: the gap between p50 "
        "and p90 is how uneven the bot is. 14,400 s (4 h) stands for waits without an answer.",
        [Query(quantile(share, "wait_seconds", WINDOW, "", _FIRST), f"p{share * 100:.0f}") for share in (0.5, 0.9, 0.99)],
        unit="suffix:s", log=True, top=14400.0, objective="$threshold",
    )  # fmt: skip


def _average() -> Panel:
    return lines(
        "Average response by who answered", "Bot and people are not comparable: people take longer, and should. "
        "evidence says how the reply was seen: api is certain, status and echo came by webhook.",
        [Query(mean("response_seconds", WINDOW, "by (actor, evidence)"), "{{actor}}, seen by {{evidence}}")],
        unit="suffix:s", log=True,
    )  # fmt: skip


def _within() -> Panel:
    late = ratio(OVERDUE, OPENED, WINDOW)
    return lines(
        "Answered within $threshold s", "By number; the objective is $slo. It shows late "
        "turns at once, answered or not. Windows with under 10 turns are left out.", [Query(named(where_enough(f"1 - {late}", WINDOW)), _NAME)],
        unit="percentunit", top=1.0, objective="$slo",
    )  # fmt: skip


def _burn() -> Panel:
    return lines(
        "Burn rate", "How fast the budget goes, as a multiple of what the objective allows: above 1 it will not last. "
        "14.4 for an hour, 6 for six and 1 for three days are alerted on.",
        [Query(where_enough(f"({ratio(OVERDUE, OPENED, window, '')}) / {BUDGET}", window, ""), window)
         for window in ("1h", "6h", "3d")],
        objective="1",
    )  # fmt: skip


def _open() -> Panel:
    return lines(
        "People waiting", "Turns without a reply. It follows the day's traffic; if it only grows, nothing answers.",
        [Query(named(gauge("turns_open")), _NAME)],
    )  # fmt: skip


def _outcomes() -> Panel:
    return lines(
        "Turns not answered", "In 6 h: unanswered ones ended 24 h after the last message, so this lags a day; failed ones "
        "had a reply that WhatsApp did not deliver; late failures had been counted as answers.",
        [Query(count(of("turns_total", 'outcome!="answered"'), "6h", "by (outcome)"), "{{outcome}}"),
         Query(count(of("late_failures_total"), "6h", ""), "failed late")],
    )  # fmt: skip


def _human() -> Panel:
    return lines(
        "Human first response", "From handover() to the first reply of a person, in a day. If it grows, the team is too small for "
        "that hour, or nobody sees the handovers.",
        [Query(f"{quantile(share, 'human_first_response_seconds', '1d', '')} / 60", f"p{share * 100:.0f}") for share in (0.5, 0.9)],
        unit="suffix:min", nothing="no handover answered",
    )  # fmt: skip


def _handed_over() -> Panel:
    return lines(
        "Handovers", "In 6 h, and how many wait for a person now. Many: see at which step of a journey the bot gives up.",
        [Query(count(of("handovers_total"), "6h", ""), "made"), Query(f"sum({gauge('handovers_open')})", "open"),
         Query(f"max(time() - {gauge('oldest_open_handover_timestamp_seconds', over='min')}) / 3600", "oldest open, in hours")],
        nothing="no handover",
    )  # fmt: skip


def _fallbacks() -> Panel:
    return lines(
        "Not understood", "Share of turns for which the bot called fallback(). A jump after a deploy: an intent broke.",
        [Query(named(where_enough(ratio(of("fallbacks_total"), OPENED, WINDOW), WINDOW)), _NAME)], unit="percentunit",
    )  # fmt: skip


def _handlers() -> Panel:
    return lines(
        "Handler time p90", "How long the bot's own code takes, by handler. A slow handler with fast sends is the bot's "
        "database or model.", [Query(quantile(0.9, "handler_seconds", WINDOW, "handler"), "{{handler}}")],
        unit="s", nothing="no handler is watched",
    )  # fmt: skip


def _errors() -> Panel:
    return lines(
        "Handler errors", "In 6 h. Each one is a customer who may wait for nothing; the bot's log has the traceback.",
        [Query(counted(of("handler_seconds_count", 'result="error"'), "6h", "by (handler)"), "{{handler}}")],
        nothing="no error",
    )  # fmt: skip


def _sends() -> Panel:
    return lines(
        "Time to send p50, p90", "How long WhatsApp's API takes to accept a message. High: the network or the API; "
        "waits grow with it and no handler shows it.",
        [Query(quantile(share, "send_seconds", WINDOW, ""), f"p{share * 100:.0f}") for share in (0.5, 0.9)], unit="s",
    )  # fmt: skip
