"""Alerts on the basis of all other alerts: webhooks, metrics, store and poller."""

from __future__ import annotations

from functools import partial
from typing import Final

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.expressions import counted, held, increase

_JOB: Final = "by (job)"
_ACCEPTED: Final = 'chatvitals_webhooks_total{result="accepted"}'
_EARLIER: Final = ("6d23h20m", "23h20m", "1d23h20m", "2d23h20m")
_alert = partial(Alert, component="plumbing", dashboard="chatvitals-instrumentation")


def alerts() -> list[Alert]:
    """Return the alerts on the instrumentation and its surroundings."""
    return [*_sources(), *_losses()]


def _sources() -> list[Alert]:
    # In a busy hour 40 minutes are long. What is usual is counted over two hours around that time, because a single
    # half hour varies by half. Neither a closing hour nor a quieter week may alarm.
    suddenly = (
        f"({_none('40m')} and {_usually('2h', 360, _EARLIER)} "
        f"and {_accepted('40m', ' offset 1w')} > 60 and {_accepted('1h', ' offset 40m')} > 100)"
    )
    silent = [f"({_none(window)} and {_usually(window, n)})" for window, n in (("30m", 200), ("3h", 200), ("1d", 50))]
    # A night in which few would write ends no outage.
    still = f'({_none("30m")} and on (job) ALERTS{{alertname="WhatsAppWebhookSilent",alertstate="firing"}})'
    builds = "count by (job) (%s)"
    known, now = builds % "last_over_time(chatvitals_build_info[1d])", builds % "chatvitals_build_info"
    polled = held("chatvitals_poller_last_success_timestamp_seconds", _JOB)
    interval = held("chatvitals_poller_interval_seconds", _JOB)
    never = f"1800 * (max {_JOB} (chatvitals_poller_interval_seconds offset 30m) > bool 0) unless {polled}"
    return [
        _alert(
            name="WhatsAppWebhookSilent", expr="\nor ".join((*silent, suddenly, still)), severity="critical",
            hold="5m", keep="15m", summary="No webhooks arrive at {{ $labels.job }}",
            description="Many arrive at this time, and now there is none. Customers may write and get no answer.",
            look="Run `chatvitals doctor`: is the bot reachable, and is the app still subscribed?",
            mend="Repair the callback URL, its certificate or the subscription. See WhatsApp's status page.",
            verify='"Latest webhook" on the instrumentation dashboard is seconds old.',
        ),
        _alert(
            name="WhatsAppMetricsAbsent",
            expr=f"({known} unless {now})\nor (absent(chatvitals_build_info) unless on () {known})",
            severity="critical", hold="10m",
            summary="No metrics of chatvitals {{ $labels.job }}",
            description="Prometheus scrapes no bot of this job, or the bot does not run. No other chatvitals alert can "
            "fire until this is fixed.",
            look="Prometheus's page of targets: is the target down, or gone?",
            mend="Start the bot, or repair the scrape configuration or the metrics token. Where the bot was removed on "
            "purpose, silence this alert for a day.",
            verify='"Targets" on the instrumentation dashboard shows UP.',
        ),
        _alert(
            name="WhatsAppStoreDown", expr="min by (job) (chatvitals_store_up) == 0", severity="critical", hold="2m",
            keep="15m", summary="The store of {{ $labels.job }} cannot be reached",
            description="The bot goes on. Its numbers stand still, and events are dropped once the queue is full.",
            look="The bot's log names the store's error.",
            mend="Start Redis, free disk space, or repair the store's address.",
            verify='"Store" on the instrumentation dashboard shows UP.',
        ),
        _alert(
            name="WhatsAppQualityPollerStale",
            expr=f"time() - {polled}\n> 3 * {interval}\nor {never}", severity="warning", hold="5m",
            summary="Ratings have not been polled for {{ $value | humanizeDuration }}",
            description="No webhook carries a rating, so a fall would stay unnoticed.",
            look="Run `chatvitals doctor`. See the Graph API's results on the instrumentation dashboard.",
            mend="Renew the token, or give the poller network access.",
            verify='"Latest poll, in intervals" is near 1.',
        ),
    ]  # fmt: skip


def _losses() -> list[Alert]:
    unsigned = increase('chatvitals_webhooks_total{result=~"unsigned|bad_signature"}', "15m", _JOB)
    wrong = increase('chatvitals_webhooks_total{result="bad_signature"}', "6h", _JOB)
    every = f"({wrong} >= 2.5) unless {_accepted('6h')} > 0"
    dropped = increase('chatvitals_events_dropped_total{reason!~"stale|no_turn"}', "15m", "by (job, reason)")
    errors = counted("chatvitals_internal_errors_total", "15m", "by (job, where)")
    return [
        _alert(
            name="WhatsAppWebhookSignatureFailures", expr=f"{unsigned} > 5\nor {every}", severity="warning",
            hold="5m", keep="15m", summary="Webhooks without a valid signature arrive at {{ $labels.job }}",
            description="{{ $value | humanize }} in a quarter of an hour, or all of six hours. Possible causes: the "
            "app secret changed, a proxy rewrites request bodies, or someone sends forged webhooks. These webhooks are "
            "not counted.",
            look="Was the app secret changed? Is there a new proxy before the bot?",
            mend="Set the new app secret, or let the proxy pass bodies unchanged.",
            verify='"Webhooks an hour, by result" shows accepted ones alone.',
        ),
        _alert(
            name="WhatsAppInstrumentationErrors", expr=f"{errors} > 0", severity="warning", hold="10m", keep="30m",
            summary="Errors inside chatvitals ({{ $labels.where }})",
            description="The bot is not affected. Some numbers may be missing.",
            look="The bot's log shows the error's place.",
            mend="Report it with the bot's log. A store that was away explains errors at the store.",
            verify='"Internal errors" on the instrumentation dashboard is 0.',
        ),
        _alert(
            name="WhatsAppEventsDropped", expr=f"{dropped} > 0", severity="warning", keep="30m",
            summary="Events were not used ({{ $labels.reason }})",
            description="{{ $value | humanize }} in a quarter of an hour. queue_full and store: the store was away too "
            "long. malformed and unknown_tier: WhatsApp sent something new.",
            look="\"Events dropped an hour\" on the instrumentation dashboard, and the bot's log.",
            mend="Repair the store. For malformed events update chatvitals, or report them.",
            verify='"Events lost" stays the same.',
        ),
    ]  # fmt: skip


def _accepted(window: str, offset: str = "") -> str:
    return increase(_ACCEPTED, window, _JOB, offset)


def _none(window: str) -> str:
    """Return the condition that no webhook arrived. A target that was not seen when the window began may hide some."""
    return f"{_accepted(window)} == 0 and max {_JOB} (last_over_time({_ACCEPTED}[10m] offset {window})) >= 0"


def _usually(window: str, least: int, days: tuple[str, ...] = ("1w", "1d", "2d", "3d")) -> str:
    """Return the condition that more arrived at this time a week ago, and on one of the last three days.

    Statuses of a small bot's campaign make one day unusual.
    """
    before = [f"{_accepted(window, f' offset {day}')} > {least}" for day in days]
    return f"{before[0]} and ({' or '.join(before[1:])})"
