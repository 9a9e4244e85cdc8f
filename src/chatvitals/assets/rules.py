"""Recording and alerting rules, as Prometheus reads them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chatvitals import vocabulary
from chatvitals.assets.objective import BURNS, Objective

RUNBOOK: Final = "https://github.com/chatvitals/chatvitals/blob/main/grafana/README.md"
_NUMBER: Final = "by (phone_number_id)"
_RATINGS: Final = "1 RED, 2 YELLOW, 3 GREEN"
_REFUSALS: Final = "|".join(vocabulary.QUALITY_REFUSALS)


@dataclass(frozen=True, slots=True)
class Recording:
    """A series that is computed every minute."""

    name: str
    expr: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A condition on which a person acts; `hold` is its `for`, `keep` its `keep_firing_for`."""

    name: str
    expr: str
    severity: str
    component: str
    summary: str
    description: str
    hold: str = ""
    keep: str = ""
    dashboard: str = "chatvitals-overview"
    labels: dict[str, str] = field(default_factory=dict)


def recordings(objective: Objective) -> list[Recording]:
    """Return the recorded series; ratios of slow answers are over the objective's threshold."""
    overdue = f'chatvitals_turns_overdue_total{{threshold="{objective.threshold}"}}'
    opened = "chatvitals_turns_opened_total"
    rules = [
        Recording(
            "phone_number_id:chatvitals_response_seconds:mean_rate5m",
            f"sum {_NUMBER} (rate(chatvitals_response_seconds_sum[5m]))\n"
            f"/ sum {_NUMBER} (rate(chatvitals_response_seconds_count[5m]))",
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
            f"sum {_NUMBER} (rate({overdue}[{window}]))\n/ sum {_NUMBER} (rate({opened}[{window}]))",
        )
        for window in ("5m", "30m", "1h", "2h", "6h", "1d", "3d")
    ]
    rules += [
        Recording(f"phone_number_id:chatvitals_turns_opened:increase{window}", _increase(opened, window))
        for window in ("1h", "6h", "1d", "3d")
    ]
    journey = "by (phone_number_id, journey)"
    completed = 'increase(chatvitals_journey_runs_total{outcome="completed"}[1h])'
    started = "increase(chatvitals_journey_runs_started_total[1h])"
    read = _increase('chatvitals_message_statuses_total{status="read"}', "6h")
    delivered = _increase('chatvitals_message_statuses_total{status="delivered"}', "6h")
    opt_outs = _increase("chatvitals_opt_outs_total", "6h")
    rules += [
        Recording(
            "phone_number_id_journey:chatvitals_journey_completed:ratio_increase1h",
            f"sum {journey} ({one(completed)})\n/ sum {journey} ({one(started)})",
        ),
        Recording(
            "phone_number_id_journey:chatvitals_journey_runs_started:increase1h", f"sum {journey} ({one(started)})"
        ),
        Recording("phone_number_id:chatvitals_messages_read:ratio_increase6h", f"{read}\n/ {delivered}"),
        Recording("phone_number_id:chatvitals_messages_delivered:increase6h", delivered),
        Recording("phone_number_id:chatvitals_opt_outs:ratio_increase6h", f"{opt_outs}\n/ {delivered}"),
        Recording("phone_number_id:chatvitals_opt_outs:increase6h", opt_outs),
    ]
    return rules


def one(expression: str) -> str:
    """Return one target's value of what every target of a store shows alike."""
    return f"max without (instance, pod) ({expression})"


def alerts(objective: Objective) -> list[Alert]:
    """Return all alerts, in the order of the runbook."""
    return [*_quality(), *_templates(), *_responsiveness(objective), *_journeys(), *_delivery(), *_plumbing()]


def _increase(series: str, window: str) -> str:
    return f"sum {_NUMBER} ({one(f'increase({series}[{window}])')})"


def _quality() -> list[Alert]:
    rating = f"max {_NUMBER} (chatvitals_quality_rating)"
    worst = f"max {_NUMBER} (max_over_time(chatvitals_quality_rating[1d]))"
    limit = "by (phone_number_id, waba_id, scope)"
    page = "chatvitals-quality"
    return [
        Alert(
            "WhatsAppQualityRatingRed", f"{rating} == 1", "critical", "quality",
            "Quality rating of {{ $labels.phone_number_id }} is RED",
            "Customers block or report this number; Meta may pause its templates and refuse sends next. Stop campaigns "
            "on it now, then look at the quality dashboard for what moved before the drop.", "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppQualityRatingDropped", f"({rating} > 0) < {worst}", "warning", "quality",
            "Quality rating of {{ $labels.phone_number_id }} fell",
            f"It is {{{{ $value }}}} now ({_RATINGS}) and was better within the last day. Compare waits, read rate "
            "and opt-outs before the drop with the days before, and undo what changed.", "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppQualityRatingUnknown", f"{rating} == 0", "warning", "quality",
            "Quality rating of {{ $labels.phone_number_id }} is unknown",
            "WhatsApp gives no rating, which is not the same as a good one. New numbers have none for some days; else "
            "run `chatvitals doctor`.", "1h", dashboard=page,
        ),
        Alert(
            "WhatsAppQualityStale",
            f"time() - max {_NUMBER} (chatvitals_quality_updated_timestamp_seconds) > 3600", "warning", "quality",
            "Quality rating of {{ $labels.phone_number_id }} has not been confirmed for "
            "{{ $value | humanizeDuration }}",
            "What the dashboard shows is old. Check the poller and its token: run `chatvitals doctor`.", "5m",
            dashboard=page,
        ),
        Alert(
            "WhatsAppNumberFlagged",
            f"max {_NUMBER} (chatvitals_number_flagged_timestamp_seconds) + 604800 - time()", "critical", "quality",
            "{{ $labels.phone_number_id }} is flagged",
            "{{ $value | humanizeDuration }} are left of the seven days in which its quality must recover. Stop "
            "campaigns on this number until it is no longer flagged.", dashboard=page,
        ),
        Alert(
            "WhatsAppMessagingLimitDecreased",
            f"min {limit} (chatvitals_messaging_limit) < max {limit} (max_over_time(chatvitals_messaging_limit[1d]))",
            "warning", "quality", "Messaging limit fell to {{ $value }} a day",
            "Fewer customers can be written to first. Put campaigns off that need more, and look at quality.", "5m",
            dashboard=page,
        ),
        Alert(
            "WhatsAppMessagingBlocked", "max by (phone_number_id, entity) (chatvitals_health_status) == 0", "critical",
            "quality", "Messaging of {{ $labels.phone_number_id }} is blocked ({{ $labels.entity }})",
            "WhatsApp's health status says that nothing can be sent. Its possible solution stands in WhatsApp Manager "
            "and in `chatvitals doctor`.", "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppAccountRestricted",
            "max by (waba_id, restriction) (chatvitals_restriction_expires_timestamp_seconds) - time() > 0", "critical",
            "quality", "Account {{ $labels.waba_id }} is restricted: {{ $labels.restriction }}",
            "The restriction ends in {{ $value | humanizeDuration }} (+Inf: not by itself). Read the reason in "
            "WhatsApp Manager, remove the cause, then appeal.", dashboard=page,
        ),
    ]  # fmt: skip


def _templates() -> list[Alert]:
    def status(pattern: str) -> str:
        return f"max by (waba_id, template, language, status) (chatvitals_template_status{{status{pattern}}}) == 1"

    name = "Template {{ $labels.template }} ({{ $labels.language }})"
    by = "by (waba_id, template, language)"
    page = "chatvitals-templates"
    return [
        Alert(
            "WhatsAppTemplateDisabled", status('="DISABLED"'), "critical", "template", f"{name} is disabled",
            "WhatsApp disabled it for good after repeated low quality; every send fails. Switch to another template, "
            "and ask what customers disliked before sending that one.", dashboard=page,
        ),
        Alert(
            "WhatsAppTemplatePaused", status('=~"PAUSED|FLAGGED|LIMIT_EXCEEDED|LOCKED"'), "warning", "template",
            f"{name} is {{{{ $labels.status }}}}",
            "Sends of it fail or will soon. Send it to fewer and better chosen customers once it is back; the next "
            "pause lasts longer, the third disables it.", dashboard=page,
        ),
        Alert(
            "WhatsAppTemplateRejected", status('="REJECTED"'), "info", "template", f"{name} was rejected",
            "The reason stands on the templates dashboard and in WhatsApp Manager. Edit and submit it again.",
            dashboard=page,
        ),
        Alert(
            "WhatsAppTemplateQualityDropped",
            f"(max {by} (chatvitals_template_quality) > 0)\n"
            f"< max {by} (max_over_time(chatvitals_template_quality[1d]))",
            "warning", "template", f"Quality of {name[0].lower() + name[1:]} fell",
            f"It is {{{{ $value }}}} now ({_RATINGS}): customers block or ignore it. At RED it is paused. Send it to "
            "fewer customers, or change it.", "5m", dashboard=page,
        ),
    ]  # fmt: skip


def _responsiveness(objective: Objective) -> list[Alert]:
    page = "chatvitals-response"
    opened = "phone_number_id:chatvitals_turns_opened:increase"
    burns = []
    for (short, long, factor), hold, severity in zip(
        BURNS, ("2m", "15m", "1h", "3h"), ("critical", "critical", "warning", "warning"), strict=True
    ):
        limit = f"{round(factor * objective.budget, 6):g}"
        ratio = "phone_number_id:chatvitals_turns_overdue:ratio_rate"
        burns.append(
            Alert(
                "WhatsAppSlowAnswersBudgetBurn",
                f"{ratio}{long} > {limit}\nand {ratio}{short} > {limit}\nand {opened}{long} >= 20",
                severity, "responsiveness",
                "{{ $value | humanizePercentage }} of customers of {{ $labels.phone_number_id }} wait longer than "
                f"{objective.threshold} s",
                f"Over the last {long}, {factor:g} times as many as the objective of {objective.share:g} allows. See "
                "on the response dashboard whether all answers are slow or some handlers, and what was deployed.",
                hold, dashboard=page, labels={"short": short, "long": long},
            )
        )  # fmt: skip
    unanswered = (
        f'sum {_NUMBER} (increase(chatvitals_turns_overdue_total{{threshold="3600"}}[1h]))\n'
        f"/ sum {_NUMBER} (increase(chatvitals_turns_opened_total[1h])) > 0.05\nand {opened}1h >= 20"
    )
    return [
        *burns,
        Alert(
            "WhatsAppOldestCustomerWaiting",
            f"time() - min {_NUMBER} (chatvitals_oldest_open_turn_timestamp_seconds) > 900", "warning",
            "responsiveness",
            "A customer of {{ $labels.phone_number_id }} has waited for {{ $value | humanizeDuration }}",
            "Nobody answered. Look for a handler that fails, a handover that nobody took, or a message type that the "
            "bot ignores; call dismiss() for messages that need no answer.", "2m", dashboard=page,
        ),
        Alert(
            "WhatsAppCustomersUnanswered", unanswered, "warning", "responsiveness",
            "{{ $value | humanizePercentage }} of customers of {{ $labels.phone_number_id }} wait more than an hour",
            "More than one in twenty. The bot is silent to some: look at outcomes, failed sends and handler errors.",
            "15m", dashboard=page,
        ),
    ]  # fmt: skip


def _journeys() -> list[Alert]:
    page = "chatvitals-journeys"
    ratio = "phone_number_id_journey:chatvitals_journey_completed:ratio_increase1h"
    started = "phone_number_id_journey:chatvitals_journey_runs_started:increase1h"
    step = "by (phone_number_id, journey, step)"
    dropped, ended = "chatvitals_journey_step_dropped_total", "chatvitals_journey_step_ended_total"

    def drop_off(window: str) -> str:
        return f"sum {step} (increase({dropped}[{window}])) / sum {step} (increase({ended}[{window}]))"

    earlier = f"sum {step} (increase({dropped}[1d] offset 6h)) / sum {step} (increase({ended}[1d] offset 6h))"
    open_runs = f"sum {step} ({one('chatvitals_journey_runs_open')})"
    return [
        Alert(
            "WhatsAppJourneyCompletionDropped",
            f"{ratio} < 0.7 * ({ratio} offset 1w)\nand {started} >= 20\nand {started} offset 1w >= 20", "warning",
            "journey", "Fewer customers complete {{ $labels.journey }}",
            "{{ $value | humanizePercentage }} in the last hour, less than 70 % of the same hour a week ago. The "
            "journeys dashboard shows at which step they stop.", "15m", dashboard=page,
        ),
        Alert(
            "WhatsAppJourneyStepDropOff",
            f"({drop_off('6h')} > 0.2)\n> 2 * ({earlier})\nand sum {step} ({one(f'increase({ended}[6h])')}) >= 20",
            "warning", "journey", "Customers leave {{ $labels.journey }} at {{ $labels.step }}",
            "{{ $value | humanizePercentage }} of the runs that reached it ended there, twice as many as the day "
            "before. Try the step yourself; look at fallbacks and waits there.", "15m", dashboard=page,
        ),
        Alert(
            "WhatsAppJourneyStalls",
            f"sum {step} ({one('chatvitals_journey_runs_stalled')})\n/ {open_runs} > 0.5\nand {open_runs} >= 20",
            "warning", "journey", "Runs of {{ $labels.journey }} stall at {{ $labels.step }}",
            "In {{ $value | humanizePercentage }} of the open runs there nothing happens. Do customers get an answer, "
            "and do they know what to do next?", "30m", dashboard=page,
        ),
    ]  # fmt: skip


def _delivery() -> list[Alert]:
    read, delivered = (
        "phone_number_id:chatvitals_messages_read:ratio_increase6h",
        "phone_number_id:chatvitals_messages_delivered:increase6h",
    )
    opt_outs, how_many = (
        "phone_number_id:chatvitals_opt_outs:ratio_increase6h",
        "phone_number_id:chatvitals_opt_outs:increase6h",
    )
    failed = f'sum by (phone_number_id, code) (increase(chatvitals_message_failures_total{{code=~"{_REFUSALS}"}}[30m]))'
    refused = (
        "sum by (phone_number_id, code) "
        f'(increase(chatvitals_sends_total{{result="rejected",code=~"{_REFUSALS}"}}[30m]))'
    )
    page = "chatvitals-templates"
    return [
        Alert(
            "WhatsAppReadRateDropped",
            f"{read} < 0.8 * avg_over_time({read}[7d:1h] offset 6h)\nand {delivered} >= 100", "warning", "delivery",
            "Customers of {{ $labels.phone_number_id }} read less",
            "{{ $value | humanizePercentage }} of what was delivered in the last six hours, a fifth below the week "
            "before. A low read rate lowers template quality: send fewer campaigns, to customers who want them.", "1h",
            dashboard=page,
        ),
        Alert(
            "WhatsAppOptOutSurge",
            f"{opt_outs} > 0.01\nand {opt_outs} > 3 * avg_over_time({opt_outs}[7d:1h] offset 6h)\nand {how_many} >= 5",
            "warning", "delivery", "Customers of {{ $labels.phone_number_id }} opt out",
            "{{ $value | humanizePercentage }} of those whom messages reached in the last six hours, three times the "
            "usual. Stop the campaign that runs.", "10m", dashboard=page,
        ),
        Alert(
            "WhatsAppSendsRefusedForQuality", f"{failed} > 0\nor\n{refused} > 0", "critical", "delivery",
            "WhatsApp refuses sends of {{ $labels.phone_number_id }} for quality (code {{ $labels.code }})",
            "{{ $value | humanize }} in half an hour. The runbook lists the codes. Stop campaigns before the number "
            "is restricted.", keep="30m", dashboard=page,
        ),
    ]  # fmt: skip


def _plumbing() -> list[Alert]:
    page = "chatvitals-instrumentation"
    accepted = 'increase(chatvitals_webhooks_total{result="accepted"}[30m]'
    unsigned = 'increase(chatvitals_webhooks_total{result=~"unsigned|bad_signature"}[15m])'
    return [
        Alert(
            "WhatsAppWebhookSilent",
            f"sum by (job) ({accepted})) == 0\nand sum by (job) ({accepted} offset 1w)) > 10", "critical", "plumbing",
            "No webhook has come for half an hour",
            "A week ago there were some at this time. Is the bot reachable, and is the app still subscribed? Run "
            "`chatvitals doctor`.", "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppMetricsAbsent", "absent(chatvitals_build_info)", "critical", "plumbing",
            "No metrics of chatvitals",
            "Prometheus scrapes no bot, or the bot does not run. All other alerts are blind meanwhile.", "10m",
            dashboard=page,
        ),
        Alert(
            "WhatsAppStoreDown", "min by (job) (chatvitals_store_up) == 0", "critical", "plumbing",
            "The store of {{ $labels.job }} cannot be reached",
            "The bot goes on; numbers stand still, and events are dropped once the queue is full. The bot's log says "
            "what is wrong with the store.", "2m", dashboard=page,
        ),
        Alert(
            "WhatsAppQualityPollerStale",
            "time() - max by (job) (chatvitals_poller_last_success_timestamp_seconds) > 900", "warning", "plumbing",
            "Ratings have not been polled for {{ $value | humanizeDuration }}",
            "No webhook carries a rating, so it is not known now. Is the token still valid? Run `chatvitals doctor`.",
            "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppWebhookSignatureFailures", f"sum by (job) ({unsigned}) > 5", "warning", "plumbing",
            "Webhooks without a valid signature",
            "{{ $value | humanize }} in a quarter of an hour. A changed app secret, a proxy that rewrites bodies, or "
            "somebody who tries; none of them counts.", "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppInstrumentationErrors",
            "sum by (job, where) (increase(chatvitals_internal_errors_total[15m])) > 0",
            "warning", "plumbing", "Errors inside chatvitals ({{ $labels.where }})",
            "The bot is not affected; some numbers may be missing. The log has the place; please report it.", "10m",
            dashboard=page,
        ),
        Alert(
            "WhatsAppEventsDropped", "sum by (job, reason) (increase(chatvitals_events_dropped_total[15m])) > 0",
            "warning", "plumbing", "Events were not used ({{ $labels.reason }})",
            "{{ $value | humanize }} in a quarter of an hour. queue_full and store: the store was away too long; "
            "malformed: WhatsApp sent something new; stale: old history, harmless.", keep="30m", dashboard=page,
        ),
    ]  # fmt: skip
