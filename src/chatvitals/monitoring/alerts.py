"""Alerts: what a person should act on before Meta does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chatvitals.monitoring.recording_rules import one
from chatvitals.monitoring.slo import BURNS, Objective
from chatvitals.whatsapp import enums

RUNBOOK: Final = "https://github.com/chatvitals/chatvitals/blob/main/grafana/README.md"
_NUMBER: Final = "by (phone_number_id)"
_RATINGS: Final = "1 RED, 2 YELLOW, 3 GREEN"
_REFUSALS: Final = "|".join(enums.QUALITY_REFUSALS)


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


def alerts(objective: Objective) -> list[Alert]:
    """Return all alerts, in the order of the runbook."""
    return [*_quality(), *_templates(), *_responsiveness(objective), *_journeys(), *_delivery(), *_plumbing()]


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
                f"{ratio}{long} > {limit}\nand {ratio}{short} > {limit}\nand {opened}{long} >= 20\n"
                f"and {ratio}{long} * {opened}{long} >= 5",
                severity, "responsiveness",
                "{{ $value | humanizePercentage }} of customers of {{ $labels.phone_number_id }} wait longer than "
                f"{objective.threshold} s",
                f"Over the last {long}, {factor:g} times as many as the objective of {objective.share:g} allows. See "
                "on the response dashboard whether all answers are slow or some handlers, and what was deployed.",
                hold, dashboard=page, labels={"short": short, "long": long},
            )
        )  # fmt: skip
    late = one('increase(chatvitals_turns_overdue_total{threshold="3600"}[1h])')
    before = one("increase(chatvitals_turns_opened_total[1h] offset 1h)")  # those who have waited an hour by now
    unanswered = f"sum {_NUMBER} ({late})\n/ (sum {_NUMBER} ({before}) >= 20) > 0.05"
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
    run, step = "phone_number_id_journey:chatvitals_journey", "phone_number_id_journey_step:chatvitals_journey"
    completed, started = f"{run}_runs_completed:increase6h", f"{run}_runs_started:increase6h"
    dropped, ended = f"{step}_step_dropped:ratio_increase1d", f"{step}_step_ended:increase1d"
    share, stalled = f"{step}_runs_stalled:ratio_started1d", f"{step}_runs_stalled:max"

    # A week's ratio is of sums: an hour's, in which few begin, can be above 1. A campaign takes hours.
    ratio = f"({completed} / ({started} >= 20))"
    week = f"(sum_over_time({completed}[7d:1h] offset 6h) / (sum_over_time({started}[7d:1h] offset 6h) > 0))"
    mostly = f"clamp_max({week} {_known(started, '6h')}, 1)"

    def beyond_chance(difference: str, usual: str, of: str) -> str:
        return f"{difference} > 4 * sqrt({usual} * (1 - {usual}) / {of})"  # standard deviations

    often, before = _usual(dropped, "1d"), _usual(share, "1h")
    return [
        Alert(
            "WhatsAppJourneyCompletionDropped",
            f"{ratio} < 0.7 * {mostly}\nand {beyond_chance(f'{mostly} - {ratio}', mostly, started)}", "warning",
            "journey", "Fewer customers complete {{ $labels.journey }}",
            "{{ $value | humanizePercentage }} in the last six hours, less than 70 % of the week's and more than "
            "chance explains. The journeys dashboard shows at which step they stop.", "2h", dashboard=page,
        ),
        Alert(
            "WhatsAppJourneyStepDropOff",
            # against the same day, too: runs that are given up on a Monday began on a Saturday, completed ones did not
            f"{dropped} > 0.1\nand {dropped} > 1.5 * {often}\nand {dropped} > 1.5 * ({dropped} offset 1w)\n"
            f"and {beyond_chance(f'{dropped} - {often}', often, ended)}\nand {ended} >= 20",
            "warning", "journey", "Customers leave {{ $labels.journey }} at {{ $labels.step }}",
            "{{ $value | humanizePercentage }} of the runs that ended there within a day, half as many again as in "
            "the week before and on that day a week ago. Try the step yourself; look at fallbacks and waits there.",
            "15m", dashboard=page,
        ),
        Alert(
            "WhatsAppJourneyStalls",
            f"{share} > 1.5 * {before}\n"
            f"and {stalled} * (1 - {before} / {share}) > 4 * sqrt({stalled} * {before} / {share})\n"
            f"and {stalled} >= 20",
            "warning", "journey", "Runs of {{ $labels.journey }} stall at {{ $labels.step }}",
            "{{ $value | humanizePercentage }} of a day's runs stand still there, half as many again as in the week "
            "before. Do customers get an answer, and do they know what to do next?", "30m", dashboard=page,
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
    failed, refused = (
        f"sum by (phone_number_id, code) ({one(f'increase({series}[30m])')})"
        for series in (
            f'chatvitals_message_failures_total{{code=~"{_REFUSALS}"}}',
            f'chatvitals_sends_total{{result="rejected",code=~"{_REFUSALS}"}}',
        )
    )
    page = "chatvitals-templates"
    return [
        Alert(
            "WhatsAppReadRateDropped",
            f"{read} < 0.8 * {_usual(read, '6h')}\nand {read} < 0.8 * ({read} offset 1w)\n"
            f"and {delivered} >= 100", "warning", "delivery",
            "Customers of {{ $labels.phone_number_id }} read less",
            "{{ $value | humanizePercentage }} of what was delivered in the last six hours, a fifth below the week "
            "before and these hours a week ago. A low read rate lowers template quality: send fewer campaigns, to "
            "customers who want them.", "1h",
            dashboard=page,
        ),
        Alert(
            "WhatsAppOptOutSurge",
            f"{opt_outs} > 0.01\nand {opt_outs} > 3 * {_usual(opt_outs, '6h')}\nand {how_many} >= 5",
            "warning", "delivery", "Customers of {{ $labels.phone_number_id }} opt out",
            "{{ $value | humanizePercentage }} of those whom messages reached in the last six hours, three times the "
            "usual. Stop the campaign that runs.", "10m", dashboard=page,
        ),
        Alert(
            "WhatsAppSendsRefusedForQuality", f"{failed} > 0\nor\n{refused} > 0", "critical", "delivery",
            "WhatsApp refuses sends of {{ $labels.phone_number_id }} for quality (code {{ $labels.code }})",
            "{{ $value | humanize }} in half an hour. Stop campaigns before the number is restricted. 131048, 131064: "
            "the number is limited; 132015, 132016: the template is paused or disabled; 131031, 368: the account is "
            "locked or blocked.", keep="30m", dashboard=page,
        ),
    ]  # fmt: skip


def _plumbing() -> list[Alert]:
    page = "chatvitals-instrumentation"
    silent = "\nor ".join(
        f"({_accepted(window)} == 0 and {_accepted(window, ' offset 1w')} > {usual})"
        for window, usual in (("30m", 200), ("3h", 200), ("1d", 50))
    )
    unsigned = one('increase(chatvitals_webhooks_total{result=~"unsigned|bad_signature"}[15m])')
    dropped = one('increase(chatvitals_events_dropped_total{reason!~"stale|no_turn"}[15m])')
    errors = "sum by (job, where) (chatvitals_internal_errors_total%s)"
    builds = "group by (job) (chatvitals_build_info%s)"
    return [
        Alert(
            "WhatsAppWebhookSilent",
            silent, "critical", "plumbing",
            "No webhook comes any more",
            "A week ago there were many in this half hour, these three hours or this day, and now there is none. Is "
            "the bot reachable, and is the app still subscribed? Run `chatvitals doctor`.", "5m", dashboard=page,
        ),
        Alert(
            "WhatsAppMetricsAbsent",
            f"absent(chatvitals_build_info)\nor ({builds % ' offset 1h'} unless {builds % ''})", "critical",
            "plumbing", "No metrics of chatvitals {{ $labels.job }}",
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
            "time() - max by (job) (chatvitals_poller_last_success_timestamp_seconds)\n"
            "> 3 * max by (job) (chatvitals_poller_interval_seconds)", "warning", "plumbing",
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
            f"sum by (job, where) ({one('increase(chatvitals_internal_errors_total[15m])')}) > 0\nor {_born(errors)}",
            "warning", "plumbing", "Errors inside chatvitals ({{ $labels.where }})",
            "The bot is not affected; some numbers may be missing. The log has the place; please report it.", "10m",
            dashboard=page,
        ),
        Alert(
            "WhatsAppEventsDropped", f"sum by (job, reason) ({dropped}) > 0",
            "warning", "plumbing", "Events were not used ({{ $labels.reason }})",
            "{{ $value | humanize }} in a quarter of an hour. queue_full and store: the store was away too long; "
            "malformed, unknown_tier: WhatsApp sent something new.", keep="30m", dashboard=page,
        ),
    ]  # fmt: skip


def _accepted(window: str, offset: str = "") -> str:
    increase = f'increase(chatvitals_webhooks_total{{result="accepted"}}[{window}]{offset})'
    return f"sum by (job) ({one(increase)})"


def _usual(series: str, since: str) -> str:
    """Return a ratio's average over a week, once three days of it are known."""
    return f"(avg_over_time({series}[7d:1h] offset {since}) {_known(series, since)})"


def _known(series: str, since: str) -> str:
    return f"and count_over_time({series}[7d:1h] offset {since}) >= 72"


def _born(counts: str) -> str:
    """Return counters that began within 15 minutes while their target was there before: `increase` misses the start."""
    known = "count by (job) (chatvitals_build_info offset 15m)"
    return f"({counts % ''} unless {counts % ' offset 15m'} and on (job) {known})"
