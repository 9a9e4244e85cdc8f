"""Recording rules: series that are computed every minute, for alerts that compare.

Ratios are over what is above 0: the average of a week in which there was a NaN is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from chatvitals.monitoring.slo import Objective

_NUMBER: Final = "by (phone_number_id)"
_COMPLETED: Final = 'increase(chatvitals_journey_runs_total{outcome="completed"}[6h])'


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed every minute."""

    name: str
    expr: str


def recordings(objective: Objective) -> list[Recording]:
    """Return the recorded series; ratios of slow answers are over the objective's threshold."""
    overdue = f'chatvitals_turns_overdue_total{{threshold="{objective.threshold}"}}'
    opened = "chatvitals_turns_opened_total"
    rules = [
        Recording(
            "phone_number_id:chatvitals_response_seconds:mean_rate5m",
            f"sum {_NUMBER} (rate(chatvitals_response_seconds_sum[5m]))\n"
            f"/ (sum {_NUMBER} (rate(chatvitals_response_seconds_count[5m])) > 0)",
        )
    ]
    rules += [
        Recording(
            f"phone_number_id_turn:chatvitals_wait_seconds:p{percent}_rate15m",
            f"histogram_quantile(0.{percent}, "
            "sum by (le, phone_number_id, turn) (rate(chatvitals_wait_seconds_bucket[15m])))",
        )
        for percent in (50, 90, 95)
    ]
    rules += [
        Recording(
            f"phone_number_id:chatvitals_turns_overdue:ratio_rate{window}",
            f"sum {_NUMBER} (rate({overdue}[{window}]))\n/ (sum {_NUMBER} (rate({opened}[{window}])) > 0)",
        )
        for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    ]
    rules += [
        Recording(f"phone_number_id:chatvitals_turns_opened:increase{window}", _increase(opened, window))
        for window in ("1h", "6h", "1d", "3d")
    ]
    read = _increase('chatvitals_message_statuses_total{status="read"}', "6h")
    delivered = _increase('chatvitals_message_statuses_total{status="delivered"}', "6h")
    opt_outs = _increase("chatvitals_opt_outs_total", "6h")
    rules += [
        Recording("phone_number_id:chatvitals_messages_read:ratio_increase6h", f"{read}\n/ ({delivered} > 0)"),
        Recording("phone_number_id:chatvitals_messages_delivered:increase6h", delivered),
        Recording("phone_number_id:chatvitals_opt_outs:ratio_increase6h", f"{opt_outs}\n/ ({delivered} > 0)"),
        Recording("phone_number_id:chatvitals_opt_outs:increase6h", opt_outs),
    ]
    return rules + _journeys()


def _journeys() -> list[Recording]:
    """Return the series of journeys and of their steps; what never happened yet has no series and counts as 0."""
    run, by_run = "phone_number_id_journey:chatvitals_journey", "by (phone_number_id, journey)"
    level, step = "phone_number_id_journey_step", "by (phone_number_id, journey, step)"
    completed = f"sum {by_run} ({one(_COMPLETED)})"
    begun = f"sum {by_run} ({one('increase(chatvitals_journey_runs_started_total[6h])')})"
    dropped = f"sum {step} ({one('increase(chatvitals_journey_step_dropped_total[1d])')})"
    ended = f"sum {step} ({one('increase(chatvitals_journey_step_ended_total[1d])')})"
    stalled = f"sum {step} ({one('chatvitals_journey_runs_stalled')})"
    started = f"sum {by_run} ({one('increase(chatvitals_journey_runs_started_total[1d])')})"
    return [
        Recording(f"{run}_runs_completed:increase6h", f"{completed}\nor 0 * {begun}"),
        Recording(f"{run}_runs_started:increase6h", begun),
        Recording(
            f"{level}:chatvitals_journey_step_dropped:ratio_increase1d", f"({dropped} or 0 * {ended})\n/ ({ended} > 0)"
        ),
        Recording(f"{level}:chatvitals_journey_step_ended:increase1d", ended),
        Recording(
            f"{level}:chatvitals_journey_runs_stalled:ratio_started1d",
            f"{stalled}\n/ on (phone_number_id, journey) group_left () ({started} > 0)",
        ),
        Recording(f"{level}:chatvitals_journey_runs_stalled:max", stalled),
    ]


def one(expression: str) -> str:
    """Return one target's value of what every target of a store shows alike."""
    return f"max without (instance, pod) ({expression})"


def _increase(series: str, window: str) -> str:
    return f"sum {_NUMBER} ({one(f'increase({series}[{window}])')})"
