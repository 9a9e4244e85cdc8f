"""Promtool tests: a firing and a quiet case for every alert, on two instances that show one store.

The shipped tests hold for every objective: in their firing cases all turns are late, in their quiet ones none.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from chatvitals.monitoring import rules_yaml
from chatvitals.monitoring.slo import BURNS, THRESHOLDS, Objective

NUMBER: Final = {"phone_number_id": "1"}
ACCOUNT: Final = {"waba_id": "9"}
TEMPLATE: Final = {**ACCOUNT, "template": "offer", "language": "en"}
RUN: Final = {**NUMBER, "journey": "order"}
STEP: Final = {**RUN, "step": "address"}
WEEK: Final = 7 * 24 * 60  # minutes
_BURNT: Final = (90, 120, 240, 300)  # minutes after which each of the four fires
_SELDOM: Final = 60  # minutes. Each offset and range of the slow cases is a multiple


@dataclass(frozen=True, slots=True)
class Series:
    """One input series. `values` is promtool's notation, with one value a minute (or every `Case.interval`)."""

    metric: str
    values: str
    labels: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """Input series, and the number of alerts that fire at `minute`."""

    alert: str
    minute: int
    firing: int
    series: tuple[Series, ...]
    labels: dict[str, str] = field(default_factory=dict)
    interval: int = 1  # minutes between values


def pair(alert: str, minute: int, firing: list[Series], quiet: list[Series], **more: object) -> list[Case]:
    """Return a firing and a quiet case of one alert."""
    return [
        Case(alert, minute, 1, tuple(firing), **more),  # type: ignore[arg-type]
        Case(alert, minute, 0, tuple(quiet), **more),  # type: ignore[arg-type]
    ]


def _gauge(alert: str, minute: int, metric: str, labels: dict[str, str], firing: str, quiet: str) -> list[Case]:
    return pair(alert, minute, [Series(metric, firing, labels)], [Series(metric, quiet, labels)])


_AWAY: Final = Series("chatvitals_store_up", "1x30 0x30 1x30")


def quality() -> list[Case]:
    """Return cases of ratings, flags, limits and restrictions."""
    rating = "chatvitals_quality_rating"
    return [
        *_gauge("WhatsAppQualityRatingRed", 10, rating, NUMBER, "1x20", "2x20"),
        *_gauge("WhatsAppQualityRatingDropped", 50, rating, NUMBER, "3x30 2x30", "2x60"),
        Case("WhatsAppQualityRatingRed", 50, 1, (Series(rating, "1x30 _x30 1x30", NUMBER), _AWAY)),
        *pair(
            "WhatsAppQualityRatingUnknown", 80,
            [Series(rating, "0x90", NUMBER), Series("chatvitals_poller_interval_seconds", "300x90")],
            [Series(rating, "0x90", NUMBER)],  # nobody polls
        ),
        *_gauge(
            "WhatsAppQualityStale", 100, "chatvitals_quality_updated_timestamp_seconds", NUMBER, "0x120", "0+60x120"
        ),
        *_gauge(
            "WhatsAppNumberFlagged", 10, "chatvitals_number_flagged_timestamp_seconds", NUMBER, "60x20", "_x20"
        ),
        *pair(  # first the store is away, then the flag is gone and the store is there
            "WhatsAppNumberFlagged", 50,
            [Series("chatvitals_number_flagged_timestamp_seconds", "60x30 _x30 60x30", NUMBER), _AWAY],
            [Series("chatvitals_number_flagged_timestamp_seconds", "60x30 _x60", NUMBER),
             Series("chatvitals_store_up", "1x90")],
        ),
        *_gauge(
            "WhatsAppMessagingLimitDecreased", 50, "chatvitals_messaging_limit",
            {**NUMBER, **ACCOUNT, "scope": "portfolio"}, "10000x30 2000x30", "2000x30 10000x30",
        ),
        *_gauge(
            "WhatsAppMessagingBlocked", 10, "chatvitals_health_status", {**NUMBER, "entity": "number"}, "0x20", "1x20"
        ),
        *_gauge(
            "WhatsAppAccountRestricted", 18, "chatvitals_restriction_expires_timestamp_seconds",
            {**ACCOUNT, "restriction": "RESTRICTED_BIZ_INITIATED_MESSAGING"}, "100000x20", "100x20",
        ),
    ]  # fmt: skip


def templates() -> list[Case]:
    """Return cases of template status and quality."""
    cases = []
    for alert, status in (("Disabled", "DISABLED"), ("Paused", "PAUSED"), ("Rejected", "REJECTED")):
        labels = {**TEMPLATE, "status": status}
        cases += _gauge(f"WhatsAppTemplate{alert}", 5, "chatvitals_template_status", labels, "1x10", "0x10")
    cases += pair("WhatsAppTemplatePaused", 50, *_pauses_before_a_deploy())
    metric = "chatvitals_template_quality"
    return cases + _gauge("WhatsAppTemplateQualityDropped", 50, metric, TEMPLATE, "3x30 2x30", "2x60")


def _pauses_before_a_deploy() -> tuple[list[Series], list[Series]]:
    """Return a pause that lasts while no target is up, and a pause that had ended before."""
    metric, up = "chatvitals_template_status", Series("chatvitals_store_up", "1x40 _x20")
    paused, approved = {**TEMPLATE, "status": "PAUSED"}, {**TEMPLATE, "status": "APPROVED"}
    lasting = [up, Series(metric, "1x40 _x20", paused), Series(metric, "0x40 _x20", approved)]
    ended = [up, Series(metric, "1x15 stale _x44", paused), Series(metric, "0x15 1x25 _x20", approved)]
    return lasting, ended


def burns() -> list[Case]:
    """Return cases of the budget's burn that hold for every objective: all turns are late, or none is."""
    alert, cases = "WhatsAppSlowAnswersBudgetBurn", []
    for (short, _, _), minute in zip(BURNS, _BURNT, strict=True):
        cases += pair(alert, minute, _turns(10), _turns(0), labels={"short": short})
    return [*cases, Case(alert, 90, 0, tuple(_turns(10, opened="0+0.1x400")))]  # the last: too few to tell


def burns_of(objective: Objective) -> list[Case]:
    """Return cases of the budget's burn just above and just below the limits of an objective."""
    alert, cases = "WhatsAppSlowAnswersBudgetBurn", []
    for (short, _, factor), minute in zip(BURNS, _BURNT, strict=True):
        limit = factor * objective.budget
        more, less = 10 * min(1.0, limit * 1.2), 10 * limit * 0.8  # of ten turns a minute
        late = (objective.threshold,)
        cases += pair(alert, minute, _turns(more, late), _turns(less, late), labels={"short": short})
    return cases


def responsiveness() -> list[Case]:
    """Return cases of slow and missing answers."""
    return [
        *burns(),
        *_gauge(
            "WhatsAppOldestCustomerWaiting", 40, "chatvitals_oldest_open_turn_timestamp_seconds", NUMBER,
            "60x60", "0+60x60",
        ),
        *pair(
            "WhatsAppCustomersIgnored", 45,
            [*_turns(3, (300,)), _answered("0+7x400")], [*_turns(1, (300,)), _answered("0+9x400")],
        ),
        *pair(  # a small bot that answers nobody, and one that answers most
            "WhatsAppCustomersIgnored", 150,
            [*_turns(0.02, (300,), "0+0.02x400"), _answered("10x400"), _waiting("0x400")],
            [*_turns(0.02, (300,), "0+0.2x400"), _answered("0+0.18x400"), _waiting("0x400")],
        ),
        Case(  # at night two late answers, and nobody has written since
            "WhatsAppCustomersIgnored", 210, 0,
            (Series("chatvitals_turns_opened_total", "100x119 102x280", {**NUMBER, "turn": "first"}),
             Series("chatvitals_turns_overdue_total", "3x124 5x280", {**NUMBER, "turn": "first", "threshold": "300"}),
             _answered("95x125 97x280"), _waiting("_x119 7200x5 stale"), Series("chatvitals_store_up", "1x400")),
        ),
        *pair("WhatsAppCustomersUnanswered", 90, _turns(1, (3600,)), _turns(0, (3600,))),
    ]  # fmt: skip


def _turns(late: float, thresholds: tuple[int, ...] = THRESHOLDS, opened: str = "0+10x400") -> list[Series]:
    first = {**NUMBER, "turn": "first"}
    overdue = "chatvitals_turns_overdue_total"
    return [
        Series("chatvitals_turns_opened_total", opened, first),
        *(Series(overdue, f"0+{late:g}x400", {**first, "threshold": f"{each}"}) for each in thresholds),
    ]


def _answered(values: str) -> Series:
    return Series("chatvitals_turns_total", values, {**NUMBER, "turn": "first", "outcome": "answered"})


def _waiting(since: str) -> Series:
    return Series("chatvitals_oldest_open_turn_timestamp_seconds", since, {**NUMBER, "turn": "first"})


def delivery() -> list[Case]:
    """Return cases of sends that WhatsApp refuses."""
    failures = "chatvitals_message_failures_total"
    sends = "chatvitals_sends_total"
    alert = "WhatsAppSendsRefusedForQuality"
    rejected = {**NUMBER, "kind": "campaign", "result": "rejected", "code": "132015"}
    accepted = Series(sends, "0+0.2x60 12x120", {**NUMBER, "kind": "reply", "result": "accepted", "code": ""})
    expired = {**NUMBER, "kind": "reply", "result": "rejected", "code": "190"}
    return [
        *pair(  # an expired token, and two refusals of seven sends
            "WhatsAppSendsFailing", 110,
            [accepted, Series(sends, "0x60 0.2+0.2x120", expired)],
            [Series(sends, "0+0.2x180", accepted.labels), Series(sends, "0+0.1x180", expired)],
        ),
        *pair(
            alert, 10,
            [Series(failures, "0x4 1x20", {**NUMBER, "code": "131048", "category": "unknown"})],
            [Series(failures, "0x4 1x20", {**NUMBER, "code": "131026", "category": "marketing"})],
        ),
        *pair(
            alert, 10, [Series(sends, "0x4 2x20", rejected)], [Series(sends, "0x4 2x20", {**rejected, "code": "100"})]
        ),
    ]  # fmt: skip


def plumbing() -> list[Case]:
    """Return cases of our own health."""
    job = {"job": "bot"}
    webhooks = "chatvitals_webhooks_total"
    here = Series("chatvitals_build_info", "1x120", job)
    polled, interval = "chatvitals_poller_last_success_timestamp_seconds", "chatvitals_poller_interval_seconds"
    every_five = Series(interval, "300x60", job)
    return [
        Case("WhatsAppMetricsAbsent", 15, 1, (Series("up", "1x20", job),)),
        Case("WhatsAppMetricsAbsent", 15, 0, (here,)),
        Case("WhatsAppMetricsAbsent", 80, 1, (here, Series(here.metric, "1x60", {"job": "other"}))),  # one of two ends
        Case(
            "WhatsAppMetricsAbsent", 240, 1,
            (Series(here.metric, "1x300", job), Series(here.metric, "1x60", {"job": "other"})),
        ),
        *_gauge("WhatsAppStoreDown", 5, "chatvitals_store_up", job, "0x10", "1x10"),
        *pair("WhatsAppQualityPollerStale", 30, [Series(polled, "60x60", job), every_five], [
            Series(polled, "0+60x60", job), every_five]),
        Case("WhatsAppQualityPollerStale", 30, 0, (Series(polled, "60x60", job), Series(interval, "3600x60", job))),
        *_gauge(
            "WhatsAppWebhookSignatureFailures", 25, webhooks, {**job, "result": "bad_signature"}, "0+2x30", "0x30"
        ),
        *_gauge(
            "WhatsAppInstrumentationErrors", 25, "chatvitals_internal_errors_total", {**job, "where": "reducer"},
            "0+1x30", "3x30",
        ),
        *pair(  # the first ones of a place, and ones of long ago that come into sight with their target
            "WhatsAppInstrumentationErrors", 33,
            [here, Series("chatvitals_internal_errors_total", "_x20 5x40", {**job, "where": "reducer"})],
            [Series(here.metric, "_x20 1x40", job),
             Series("chatvitals_internal_errors_total", "_x20 5x40", {**job, "where": "reducer"})],
        ),
        Case(  # errors of long ago, which a store outage of half an hour hid
            "WhatsAppInstrumentationErrors", 110, 0,
            (Series(here.metric, "1x200", job),
             Series("chatvitals_internal_errors_total", "5x60 stale _x29 5x110", {**job, "where": "reducer"})),
        ),
        *_gauge(
            "WhatsAppEventsDropped", 10, "chatvitals_events_dropped_total", {**job, "reason": "queue_full"},
            "0x5 9x20", "9x30",
        ),
    ]  # fmt: skip


def slow() -> list[Case]:
    """Return cases that compare with days before. Values every four minutes keep them quick."""
    every = 4

    def counter(*phases: tuple[int, float]) -> str:
        """Return a counter that grows by so much a minute for so many minutes, phase by phase."""
        parts, value = [], 0.0
        for minutes, per_minute in phases:
            steps = minutes // every
            parts.append(f"{value:g}+{per_minute * every:g}x{steps - 1}")
            value += per_minute * every * steps
        return " ".join(parts)

    now = WEEK + 180
    later = 10 * 24 * 60 + 180  # a step that is known for long enough
    days = 5 * 24 * 60  # from three on, a week's average is known
    quiet_day = f"_x{1440 // every} 30x{(days - 1640) // every}"  # nothing stalls before a day of starts is known
    started = Series("chatvitals_journey_runs_started_total", counter((now, 1)), RUN)
    completed = {**RUN, "outcome": "completed"}
    runs = "chatvitals_journey_runs_total"
    arrived = {**NUMBER, "status": "delivered", "category": "service"}
    delivered = Series("chatvitals_message_statuses_total", counter((days, 2)), arrived)
    through = Series("chatvitals_message_statuses_total", counter((now, 2)), arrived)
    read = {**NUMBER, "status": "read", "category": "service"}
    opt_outs = {**NUMBER, "category": "marketing_messages"}
    accepted = {"job": "bot", "result": "accepted"}
    ended = Series("chatvitals_journey_step_ended_total", counter((later, 1)), STEP)
    dropped = {**STEP, "outcome": "abandoned_by_user"}
    campaign = Series(started.metric, counter((WEEK + 100, 1), (80, 10)), RUN)
    first_time = f"_x{(later - 480) // every} {counter((480, 0.6))}"
    return [
        *pair(
            "WhatsAppJourneyCompletionDropped", now,
            [started, Series(runs, counter((WEEK - 400, 0.6), (580, 0.1)), completed)],
            [started, Series(runs, counter((now, 0.6)), completed)],
            interval=every,
        ),
        *pair(  # more runs may end than begin, and a campaign's runs take their time
            "WhatsAppJourneyCompletionDropped", now,
            [started, Series(runs, counter((WEEK - 400, 1.2), (580, 0.1)), completed)],
            [campaign, Series(runs, counter((now, 0.6)), completed)],
            interval=every,
        ),
        *pair(
            "WhatsAppJourneyStepDropOff", later,
            [ended, Series("chatvitals_journey_step_dropped_total", counter((later - 480, 0.1), (480, 0.6)), dropped)],
            [ended, Series("chatvitals_journey_step_dropped_total", counter((later, 0.4)), dropped)],
            interval=every,
        ),
        *pair(  # a step that no run ever left, and a step with first abandoned runs that end a day late
            "WhatsAppJourneyStepDropOff", later,
            [ended, Series("chatvitals_journey_step_dropped_total", first_time, dropped)],
            [Series(ended.metric, f"_x{2 * 1440 // every} {counter((later - 2 * 1440, 1))}", STEP),
             Series("chatvitals_journey_step_dropped_total", first_time, dropped)],
            interval=every,
        ),
        *pair(
            "WhatsAppJourneyStalls", days,
            [started, Series("chatvitals_journey_runs_stalled", f"{quiet_day} 90x{200 // every}", STEP)],
            [started, Series("chatvitals_journey_runs_stalled", f"{quiet_day} 40x{200 // every}", STEP)],
            interval=every,
        ),
        *pair(
            "WhatsAppReadRateDropped", now,
            [through, Series("chatvitals_message_statuses_total", counter((WEEK - 300, 1.6), (480, 0.4)), read)],
            [through, Series("chatvitals_message_statuses_total", counter((now, 1.6)), read)],
            interval=every,
        ),
        *pair(
            "WhatsAppOptOutSurge", days,
            [delivered, Series("chatvitals_opt_outs_total", counter((days - 300, 0.002), (300, 0.2)), opt_outs)],
            [delivered, Series("chatvitals_opt_outs_total", counter((days, 0.002)), opt_outs)],
            interval=every,
        ),
        *pair(
            "WhatsAppWebhookSilent", now,
            [Series("chatvitals_webhooks_total", counter((WEEK + 60, 10), (120, 0)), accepted)],
            [Series("chatvitals_webhooks_total", counter((WEEK + 60, 1), (120, 0)), accepted)],  # too few to tell yet
            interval=every,
        ),
        *pair(  # states last: as long as they do, an alert says so
            "WhatsAppQualityRatingYellow", 40 * 60,
            [Series("chatvitals_quality_rating", "3x90 2x900", NUMBER)],
            [Series("chatvitals_quality_rating", "3x90 2x400 3x500", NUMBER)],
            interval=every,
        ),
        *pair(
            "WhatsAppTemplateQualityLow", 40 * 60,
            [Series("chatvitals_template_quality", "3x90 1x900", TEMPLATE)],
            [Series("chatvitals_template_quality", "3x90 2x400 3x500", TEMPLATE)],
            interval=every,
        ),
        Case(
            "WhatsAppMessagingLimitDecreased", 40 * 60, 1,
            (Series("chatvitals_messaging_limit", "10000x90 2000x900", {**NUMBER, **ACCOUNT, "scope": "portfolio"}),),
            interval=every,
        ),
        *pair(  # a reply that could not be delivered: two hours later, and when it is too late
            "WhatsAppOldestCustomerWaiting", 180,
            [Series("chatvitals_oldest_open_turn_timestamp_seconds", "_x15 3600x60", NUMBER)],
            [Series("chatvitals_oldest_open_turn_timestamp_seconds", "_x15 3600x60", {**NUMBER, "in_hours": "no"})],
            interval=every,
        ),
        Case(
            "WhatsAppOldestCustomerWaiting", 20 * 60, 0,
            (Series("chatvitals_oldest_open_turn_timestamp_seconds", "_x15 3600x400", NUMBER),),
            interval=every,
        ),
        *pair(
            "WhatsAppWebhookSilent", now,
            [Series("chatvitals_webhooks_total", counter((WEEK - 60, 2), (240, 0)), accepted)],
            [Series("chatvitals_webhooks_total", counter((now, 2)), accepted)],
            interval=every,
        ),
    ]  # fmt: skip


def quick() -> list[Case]:
    """Return all cases that need no more than some hours of history."""
    return [*quality(), *templates(), *responsiveness(), *delivery(), *plumbing()]


def files() -> dict[str, str]:
    """Return the text of each file by its name."""
    return {"rules/tests/quick.yml": as_promtool(quick()), "rules/tests/slow.yml": as_promtool(slow())}


def as_promtool(cases: list[Case]) -> str:
    """Return a promtool test file."""
    interval = cases[0].interval
    evaluated = 1 if interval == 1 else _SELDOM
    lines = [
        "# For every alert a firing and a quiet case, each on two instances of one store.",
        "rule_files:",
        "  - ../recording.yml",
        "  - ../alerting.yml",
        f"evaluation_interval: {evaluated}m",
        "group_eval_order:  # alerts read what has just been recorded",
        *(f"  - {group}" for group in rules_yaml.GROUPS),
        "tests:",
    ]
    for case in cases:
        state = "fires" if case.firing else "is quiet"
        lines += [f"  - name: {case.alert} {state}", f"    interval: {interval}m", "    input_series:"]
        for series in case.series:
            for instance in ("a", "b"):
                labels = ", ".join(f'{k}="{v}"' for k, v in {**series.labels, "instance": instance}.items())
                lines += [f"      - series: '{series.metric}{{{labels}}}'", f"        values: '{series.values}'"]
        matchers = "".join(f', {k}="{v}"' for k, v in case.labels.items())
        lines += [
            "    promql_expr_test:",
            f'      - expr: count(ALERTS{{alertname="{case.alert}", alertstate="firing"{matchers}}})',
            f"        eval_time: {case.minute}m",
        ]
        if case.firing:
            lines += ["        exp_samples:", "          - labels: '{}'", f"            value: {case.firing}"]
        else:
            lines.append("        exp_samples: []")
    return "\n".join(lines) + "\n"
