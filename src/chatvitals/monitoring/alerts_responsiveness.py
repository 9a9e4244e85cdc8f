"""Alerts on waiting customers. Where opening hours are set, only turns that began in them count."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.expressions import IN_HOURS, NUMBER, held_while_blind, increase
from chatvitals.monitoring.slo import BURNS

if TYPE_CHECKING:
    from chatvitals.monitoring.slo import Objective

_IT: Final = "{{ $labels.phone_number_id }}"
_OPENED: Final = f"chatvitals_turns_opened_total{{{IN_HOURS}}}"
_alert = partial(Alert, component="responsiveness", dashboard="chatvitals-response")


def alerts(objective: Objective) -> list[Alert]:
    """Return the alerts on slow and missing answers."""
    return [*_burns(objective), *_waiting()]


def _burns(objective: Objective) -> list[Alert]:
    opened = "phone_number_id:chatvitals_turns_opened:increase"
    ratio = "phone_number_id:chatvitals_turns_overdue:ratio_rate"
    holds = ("2m", "15m", "1h", "3h")
    keeps = ("15m", "1h", "2h", "6h")
    severities = ("critical", "critical", "warning", "warning")
    found = []
    for (short, long, factor), hold, keep, severity in zip(BURNS, holds, keeps, severities, strict=True):
        limit = f"{round(factor * objective.budget, 6):g}"
        found.append(
            _alert(
                name="WhatsAppSlowAnswersBudgetBurn",
                expr=f"{ratio}{long} > {limit}\nand {ratio}{short} > {limit}\nand {opened}{long} >= 20\n"
                f"and {ratio}{long} * {opened}{long} >= 5",
                severity=severity, hold=hold, keep=keep, labels={"short": short, "long": long},
                summary=f"{{{{ $value | humanizePercentage }}}} of customers of {_IT} wait longer than "
                f"{objective.threshold} s",
                description=f"Over the last {long} this is more than {factor:g} times the share that the objective of "
                f"{objective.share:g} allows.",
                when=f"Over {long} and over {short}, more than {100 * factor * objective.budget:.4g} % of the turns "
                f"were late. Over {long} there were at least 20 turns, and at least 5 of them were late.",
                look="The response dashboard: are all answers slow, or those of one handler? What was deployed?",
                mend="Undo the deploy, restart the slow service, or turn off the slow handler.",
                verify='"Burn rate" is below 1.',
            )
        )  # fmt: skip
    return found


def _waiting() -> list[Alert]:
    def late(threshold: int, window: str) -> str:
        return increase(f'chatvitals_turns_overdue_total{{threshold="{threshold}",{IN_HOURS}}}', window)

    oldest = held_while_blind(f"chatvitals_oldest_open_turn_timestamp_seconds{{{IN_HOURS}}}", NUMBER, "min")

    def nobody(late_within: str, answered_within: str, least: float) -> str:
        answered = increase('chatvitals_turns_total{outcome="answered"}', answered_within)
        return f"({late(300, late_within)} >= {least}) unless {answered} > 0\nand time() - {oldest} > 300"

    # Where people answer and no opening hours are set, a weekend is as it was a week ago.
    late_then = increase(f'chatvitals_turns_overdue_total{{threshold="300",{IN_HOURS}}}', "1d", at=" offset 1w")
    answered_then = increase('chatvitals_turns_total{outcome="answered"}', "1d", at=" offset 1w")
    closed = f"(({late_then} > 0) unless {answered_then} > 0)"
    before = increase(_OPENED, "1h", at=" offset 1h")  # those who have waited an hour by now
    return [
        _alert(
            name="WhatsAppCustomersIgnored",
            expr="\nor\n".join(
                (
                    *(f"({late(300, each)} >= 3)\n> 0.2 * {increase(_OPENED, each)}" for each in ("30m", "1h")),
                    # in a quiet night, those who were late an hour ago may all have their answer
                    nobody("2h", "1h", 1.5),
                    f"{nobody('1d', '1d', 2.5)}\nunless {closed}",  # a bot with few customers a day
                )
            ),
            severity="critical", hold="5m", keep="30m",
            summary=f"{{{{ $value | humanize }}}} customers of {_IT} got no answer within five minutes",
            description="More than a fifth of an hour's customers wait, or nobody got an answer for an hour, or for a "
            "day at a small bot. A handler is dead, or the bot does not answer at all.",
            when="At least 3 turns waited for over 300 s within 30m or 1h, and they are over 20 % of those that began "
            "then. Or at least two did within 2h, nobody got an answer within 1h, and one waits still. Or at least "
            "three did within 1d, nobody got an answer within 1d, one waits still, and that day a week ago was not "
            "like this.",
            look="The response dashboard: handler errors and sends. The journeys dashboard: where do runs stall?",
            mend="Restart the bot, undo the last deploy, or hand the waiting customers over to people.",
            verify='"People waiting" falls, and "Oldest wait" is short.',
        ),
        _alert(
            name="WhatsAppCustomersUnanswered",
            expr=f"{late(3600, '1h')}\n/ ({before} >= 20) > 0.05", severity="warning", hold="15m", keep="1h",
            summary=f"{{{{ $value | humanizePercentage }}}} of customers of {_IT} wait more than an hour",
            description="More than one in twenty customers gets no answer.",
            when="Within 1h, the turns that came to wait for over 3600 s are over 5 % of those that began an hour "
            "before. These are at least 20.",
            look="The response dashboard: outcomes, failed sends and handler errors.",
            mend="Repair the handler that fails. Call dismiss() for messages that need no answer.",
            verify='"Turns not answered, in 6 h" falls.',
        ),
        _alert(
            name="WhatsAppOldestCustomerWaiting",
            expr=f"(time() - {oldest} > 900) < 21600", severity="info", hold="15m", keep="30m",
            summary=f"A customer of {_IT} has waited for {{{{ $value | humanizeDuration }}}}",
            description="Nobody answered this customer. After six hours this alert ends, because it is too late.",
            when="The longest wait is between 900 s and 21600 s.",
            look="The response dashboard: one customer, or many? See handovers and failed sends.",
            mend="Answer, or call dismiss() for a message that needs no answer.",
            verify='"Oldest wait" is short.',
        ),
    ]  # fmt: skip
