"""Alerts on the basis of all other alerts: webhooks, metrics, store and poller."""

from __future__ import annotations

from functools import partial

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.expressions import JOB, counted, held, held_age, increase
from chatvitals.monitoring.silence import SILENT, STILL, accepted

_alert = partial(Alert, component="plumbing", dashboard="chatvitals-instrumentation")


def alerts() -> list[Alert]:
    """Return the alerts on the instrumentation and its surroundings."""
    return [*_sources(), *_losses()]


def _sources() -> list[Alert]:
    builds = "count by (job) (%s)"
    known, now = builds % "last_over_time(chatvitals_build_info[1d])", builds % "chatvitals_build_info"
    success = "chatvitals_poller_last_success_timestamp_seconds"
    polled, since_poll = held(success, JOB), held_age(success, JOB)
    interval = held("chatvitals_poller_interval_seconds", JOB)
    never = f"1800 * (max {JOB} (chatvitals_poller_interval_seconds offset 30m) > bool 0) unless {polled}"
    return [
        _alert(
            name="WhatsAppWebhookSilent", expr=f"{SILENT}\nor {STILL}", severity="critical",
            hold="5m", keep="15m", summary="No webhooks arrive at {{ $labels.job }}",
            description="Many arrive at this time, and now there is none. Customers may write and get no answer.",
            when="No webhook was accepted for 30m or 3h in which over 200 usually are, or for 1d with usually over "
            "50. Usually means a week ago, and on one of the last three days. In a busy hour 40m are enough. From "
            "then on it lasts until a webhook arrives.",
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
            when="A bot whose metrics were there within the last 1d has none, or no bot has any.",
            look="Prometheus's page of targets: is the target down, or gone?",
            mend="Start the bot, or repair the scrape configuration or the metrics token. Where the bot was removed on "
            "purpose, silence this alert for a day.",
            verify='"Targets" on the instrumentation dashboard shows UP.',
        ),
        _alert(
            name="WhatsAppStoreDown", expr="min by (job) (chatvitals_store_up) == 0", severity="critical", hold="2m",
            keep="15m", summary="The store of {{ $labels.job }} cannot be reached",
            description="The bot goes on. Its numbers stand still, and events are dropped once the queue is full.",
            when="A process of the bot cannot reach the store.",
            look="The bot's log names the store's error.",
            mend="Start Redis, free disk space, or repair the store's address.",
            verify='"Store" on the instrumentation dashboard shows UP.',
        ),
        _alert(
            name="WhatsAppQualityPollerStale",
            expr=f"{since_poll}\n> 3 * {interval}\nor {never}", severity="warning", hold="5m",
            summary="Ratings of {{ $labels.job }} have not been polled for {{ $value | humanizeDuration }}",
            description="No webhook carries a rating, so a fall would stay unnoticed.",
            when="The last successful poll was over 3 intervals ago, or a poller that has run for 30m had none.",
            look="Run `chatvitals doctor`. See the Graph API's results on the instrumentation dashboard.",
            mend="Renew the token, or give the poller network access.",
            verify='"Latest poll, in intervals" is near 1.',
        ),
    ]  # fmt: skip


def _losses() -> list[Alert]:
    unsigned = increase('chatvitals_webhooks_total{result=~"unsigned|bad_signature"}', "15m", JOB)
    wrong = increase('chatvitals_webhooks_total{result="bad_signature"}', "6h", JOB)
    every = f"({wrong} >= 2.5) unless {accepted('6h')} > 0"
    dropped = increase('chatvitals_events_dropped_total{reason!~"stale|no_turn"}', "15m", "by (job, reason)")
    errors = counted("chatvitals_internal_errors_total", "15m", "by (job, where)")
    return [
        _alert(
            name="WhatsAppWebhookSignatureFailures", expr=f"{unsigned} > 5\nor {every}", severity="warning",
            hold="5m", keep="15m", summary="Webhooks without a valid signature arrive at {{ $labels.job }}",
            description="{{ $value | humanize }} in a quarter of an hour, or all of six hours. Possible causes: the "
            "app secret changed, a proxy rewrites request bodies, or someone sends forged webhooks. These webhooks are "
            "not counted.",
            when="Within 15m, over 5 webhooks had no valid signature. Or at least three had a bad one within 6h and "
            "none was accepted.",
            look="Was the app secret changed? Is there a new proxy before the bot?",
            mend="Set the new app secret, or let the proxy pass bodies unchanged.",
            verify='"Webhooks an hour, by result" shows accepted ones alone.',
        ),
        _alert(
            name="WhatsAppInstrumentationErrors", expr=f"{errors} > 0", severity="warning", hold="10m", keep="30m",
            summary="Errors inside chatvitals of {{ $labels.job }} ({{ $labels.where }})",
            description="The bot is not affected. Some numbers may be missing.",
            when="Within 15m, chatvitals caught an error of its own.",
            look="The bot's log shows the error's place.",
            mend="Report it with the bot's log. A store that was away explains errors at the store.",
            verify='"Internal errors" on the instrumentation dashboard is 0.',
        ),
        _alert(
            name="WhatsAppEventsDropped", expr=f"{dropped} > 0", severity="warning", keep="30m",
            summary="Events of {{ $labels.job }} were not used ({{ $labels.reason }})",
            description="{{ $value | humanize }} in a quarter of an hour. queue_full and store: the store was away too "
            "long. malformed and unknown_tier: WhatsApp sent something new.",
            when="Within 15m, an event was dropped for a reason other than stale and no_turn.",
            look="\"Events dropped an hour\" on the instrumentation dashboard, and the bot's log.",
            mend="Repair the store. For malformed events update chatvitals, or report them.",
            verify='"Events lost" stays the same.',
        ),
    ]  # fmt: skip
