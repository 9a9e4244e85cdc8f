"""Recording rules: series that Prometheus computes every minute, for alerts that compare.

Each name is `level:metric:operation`. `job` is kept in each beside the labels of its name. A group has at most
20 rules, which is Mimir's default limit, and no rule reads another one of its group. `silence.STILL` reads its own
latest value.
Ratios are over what is above 0, because the average of a week with one NaN is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring import silence
from chatvitals.monitoring.expressions import IN_HOURS, NUMBER, RUN, STEP, increase, one

if TYPE_CHECKING:
    from chatvitals.monitoring.slo import Objective

LIMIT: Final = 20
"""Rules that a group may hold."""
_COMPLETED: Final = 'chatvitals_journey_runs_total{outcome="completed"}'


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed every minute."""

    name: str
    expr: str


def groups(objective: Objective) -> dict[str, list[Recording]]:
    """Return the recorded series by group. Ratios of slow answers use the objective's threshold."""
    return {
        "chatvitals-recording-responsiveness": _responsiveness(objective),
        "chatvitals-recording-delivery": _delivery(),
        "chatvitals-recording-journey": _journeys(),
        "chatvitals-recording-silence": [Recording(silence.SILENT, silence.silent())],
        "chatvitals-recording-silence-still": [Recording(silence.STILL, silence.still())],
    }


def recordings(objective: Objective) -> list[Recording]:
    """Return the recorded series of all groups."""
    return [rule for rules in groups(objective).values() for rule in rules]


def _responsiveness(objective: Objective) -> list[Recording]:
    overdue = f'chatvitals_turns_overdue_total{{threshold="{objective.threshold}",{IN_HOURS}}}'
    opened = f"chatvitals_turns_opened_total{{{IN_HOURS}}}"
    rules = [
        Recording(
            "phone_number_id:chatvitals_response_seconds:mean_rate5m",
            f"sum {NUMBER} (rate(chatvitals_response_seconds_sum[5m]))\n"
            f"/ (sum {NUMBER} (rate(chatvitals_response_seconds_count[5m])) > 0)",
        )
    ]
    rules += [
        Recording(
            f"phone_number_id_turn:chatvitals_wait_seconds:p{percent}_rate15m",
            f"histogram_quantile(0.{percent}, "
            "sum by (job, le, phone_number_id, turn) (rate(chatvitals_wait_seconds_bucket[15m])))",
        )
        for percent in (50, 90, 95)
    ]
    rules += [
        Recording(
            f"phone_number_id:chatvitals_turns_overdue:ratio_rate{window}",
            f"sum {NUMBER} (rate({overdue}[{window}]))\n/ (sum {NUMBER} (rate({opened}[{window}])) > 0)",
        )
        for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    ]
    return rules + [
        Recording(f"phone_number_id:chatvitals_turns_opened:increase{window}", increase(opened, window))
        for window in ("1h", "6h", "1d", "3d")
    ]


def _delivery() -> list[Recording]:
    read = increase('chatvitals_message_statuses_total{status="read"}', "6h")
    delivered = increase('chatvitals_message_statuses_total{status="delivered"}', "6h")
    opt_outs = increase("chatvitals_opt_outs_total", "6h")
    return [
        Recording("phone_number_id:chatvitals_messages_read:ratio_increase6h", f"{read}\n/ ({delivered} > 0)"),
        Recording("phone_number_id:chatvitals_messages_delivered:increase6h", delivered),
        Recording("phone_number_id:chatvitals_opt_outs:ratio_increase6h", f"{opt_outs}\n/ ({delivered} > 0)"),
        Recording("phone_number_id:chatvitals_opt_outs:increase6h", opt_outs),
    ]


def _journeys() -> list[Recording]:
    """Return the series of journeys and their steps. A missing series counts as 0."""
    run, step = "phone_number_id_journey:chatvitals_journey", "phone_number_id_journey_step:chatvitals_journey"
    dropped = increase("chatvitals_journey_step_dropped_total", "1d", STEP)
    ended = increase("chatvitals_journey_step_ended_total", "1d", STEP)
    stalled = f"sum {STEP} ({one('chatvitals_journey_runs_stalled')})"
    started = increase("chatvitals_journey_runs_started_total", "1d", RUN)
    # No alert reads the hour's series. They are for dashboards and alerts of the bot's owner.
    begun = increase("chatvitals_journey_runs_started_total", "1h", RUN)
    rules = [
        Recording(
            f"{run}_completed:ratio_increase1h", f"({increase(_COMPLETED, '1h', RUN)} or 0 * {begun})\n/ ({begun} > 0)"
        ),
        Recording(f"{run}_runs_started:increase1h", begun),
    ]
    for window in ("6h", "3d"):
        begun = increase("chatvitals_journey_runs_started_total", window, RUN)
        completed = f"{increase(_COMPLETED, window, RUN)}\nor 0 * {begun}"
        rules.append(Recording(f"{run}_runs_completed:increase{window}", completed))
        rules.append(Recording(f"{run}_runs_started:increase{window}", begun))
    return [
        *rules,
        Recording(f"{step}_step_dropped:ratio_increase1d", f"({dropped} or 0 * {ended})\n/ ({ended} > 0)"),
        Recording(f"{step}_step_ended:increase1d", ended),
        Recording(
            f"{step}_runs_stalled:ratio_started1d",
            f"{stalled}\n/ on (job, phone_number_id, journey) group_left () ({started} > 0)",
        ),
        Recording(f"{step}_runs_stalled:max", stalled),
    ]
