"""Health of the measurement itself: webhooks, losses, store and poller."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.board import Board, row
from builder.kit import Column, Query, grid, lines, stat_panel
from builder.promql import RANGE, WINDOW, count, counted, fresh, named, of, or_none, own, quantile

if TYPE_CHECKING:
    from builder.kit import Panel


def board() -> Board:
    """Return the dashboard of the instrumentation's own health."""
    return Board(
        "chatvitals-instrumentation",
        "WhatsApp instrumentation",
        "Can the other dashboards be trusted? Does everything arrive, is anything lost, is the rating fresh?",
        [
            row(4, *_stats()),
            row(7, (12, _webhooks()), (12, _fields())),
            row(7, (8, _traffic()), (8, _lag()), (8, _duplicates())),
            row(7, (8, _lost()), (8, _queue()), (8, _commits())),
            row(7, (8, _graph()), (8, _ages()), (8, _trouble())),
            row(6, (12, _targets()), (12, _builds())),
        ],
    )


def _age(name: str) -> str:
    return f"time() - max({own(name)})"


def _stats() -> list[tuple[int, Panel]]:
    lost = "sum({})".format(count(own("events_dropped_total", 'reason!="stale"'), RANGE, "by (reason)"))
    poller = f"({_age('poller_last_success_timestamp_seconds')}) / max({own('poller_interval_seconds')})"
    rated = f"max(time() - {_oldest()})"
    an_hour: tuple[tuple[float | None, str], ...] = ((None, "green"), (3600.0, "red"))
    return [
        (8, stat_panel("Latest webhook", "Time since the latest webhook. Much longer than usual for this hour: "
                       "WhatsApp cannot reach the bot, or the app's subscription is gone.", [Query(_age("last_webhook_timestamp_seconds"))], unit="s",
                       nothing="none yet")),
        (4, stat_panel("Latest poll, in intervals", 'Age of the last successful poll, in poll intervals. Above 3: '
                       'check the token, the network and the call budget. "Graph API calls an hour" shows the '
                       'results.', [Query(poller)], decimals=1,
                       limits=((None, "green"), (3.0, "red")), nothing="no poller runs")),
        (4, stat_panel("Oldest rating", "Age of the oldest rating among the chosen numbers. Above an hour: the "
            "poller does not work.",
                       [Query(rated)], unit="s", limits=an_hour, nothing="no number polled yet")),
        (4, stat_panel("Events lost", 'Events that were dropped in this time range, without stale events. Any: '
            '"Events dropped an hour" shows the reasons.',
                       [Query(f"round({lost})")], mapping="none", limits=((None, "red"),))),
        (4, stat_panel("Internal errors", "Errors inside chatvitals. They do not affect the bot. Any: report it with "
                       "the traceback from the log.", [Query(fresh(counted(own("internal_errors_total"), RANGE, "")))],
                       mapping="none", nothing="no fresh numbers", limits=((None, "red"),))),
    ]  # fmt: skip


def _oldest() -> str:
    return f"min by (phone_number_id) ({of('quality_updated_timestamp_seconds')})"


def _webhooks() -> Panel:
    return lines(
        "Webhooks an hour, by result", "unsigned, bad_signature: the app secret is wrong, or someone else posts. "
        "oversize, undecodable: the request is not from WhatsApp. unread: the bot answered without reading the body.",
        [Query(count(own("webhooks_total"), "1h", "by (result)"), "{{result}}")],
    )  # fmt: skip


def _fields() -> Panel:
    unknown = counted(own("webhook_fields_total", 'known="no"'), "1h", "by (field)")
    return lines(
        "Webhooks an hour, by field", "A field without webhooks may have lost its subscription. This version does "
        "not measure unknown fields.",
        [Query(count(own("webhook_fields_total", 'known="yes"'), "1h", "by (field)"), "{{field}}"),
         Query(or_none(unknown, "field"), "unknown: {{field}}")],
    )  # fmt: skip


def _traffic() -> Panel:
    return lines(
        "Received an hour, by type", "Messages from customers, and the conversations that began. unsupported: "
            "WhatsApp does not pass such messages to bots.",
        [Query(count(of("messages_received_total"), "1h", "by (type)"), "{{type}}"),
         Query(count(of("conversations_started_total"), "1h", "by (origin)"), "{{origin}} conversations")],
    )  # fmt: skip


def _lag() -> Panel:
    return lines(
        "Webhook lag", "Time from the customer's message to its webhook. High: WhatsApp is slow, or sends again "
        "after an outage of the bot. Response times include this lag.",
        [Query(quantile(share, "webhook_lag_seconds", WINDOW, ""), f"p{share * 100:.0f}") for share in (0.5, 0.99)],
        unit="s",
    )  # fmt: skip


def _duplicates() -> Panel:
    return lines(
        "Duplicates an hour", "Webhooks and messages that came again. They change no number. Many: the bot answers "
        "WhatsApp too late or with an error.",
        [Query(count(own("duplicates_total"), "1h", "by (kind)"), "{{kind}}")],
    )  # fmt: skip


def _lost() -> Panel:
    return lines(
        "Events dropped an hour", "Dropped events by reason. queue_full: the store is too slow. store: the store was "
        "away too long. stale: the event is older than 7 days.", [Query(count(own("events_dropped_total"), "1h", "by (reason)"), "{{reason}}")],
    )  # fmt: skip


def _queue() -> Panel:
    return lines(
        "Queue, of its limit", "Events that wait to be written to the store. Near 100 %: the store is slow or away, "
        "and events will be dropped.", [Query(f"max({own('queue_events')} / {own('queue_capacity_events')})", "waiting")],
        unit="percentunit", top=1.0,
    )  # fmt: skip


def _commits() -> Panel:
    buckets = own("store_commit_seconds_bucket")
    return lines(
        "Commit time p50, p99", "Time to read, compute and write one batch of events. Seconds: the store is "
            "overloaded.",
        [Query(f"histogram_quantile({share:g}, sum by (le) (rate({buckets}[{WINDOW}])))", f"p{share * 100:.0f}")
         for share in (0.5, 0.99)], unit="s", nothing="no commit seen",
    )  # fmt: skip


def _graph() -> Panel:
    return lines(
        "Graph API calls an hour", "The poller's calls by result. unauthorized: renew the token. rate_limited, "
        "budget: other tools use up the hourly calls.", [Query(count(own("graph_requests_total"), "1h", "by (result)"), "{{result}}")],
        nothing="no poll seen", colors={"ok": "green", "error|unauthorized|timeout|connection": "red"},
    )  # fmt: skip


def _ages() -> Panel:
    return lines(
        "Age of ratings", "Time since each number's rating was confirmed. It should stay near the poll interval.",
        [Query(named(f"max_over_time((time() - {_oldest()})[15m:1m]) / 60"), "{{display_phone_number}}"),
         Query(f"max({own('poller_interval_seconds')}) / 60", "interval")],
        unit="suffix:min", dashed="interval", colors={"interval": "#8e8e8e"}, nothing="no number polled yet",
    )  # fmt: skip


def _trouble() -> Panel:
    skews = count(own("clock_skews_total"), "1h", "")
    return lines(
        "Errors, overflow, skews an hour", "Overflow: a label has more values than its cap. Clock skews: set the "
        "clock of this host. Waiting quality events name a number that no poll has found yet.",
        [Query(or_none(counted(own("internal_errors_total"), "1h", "by (where)"), "where"), "errors: {{where}}"),
         Query(or_none(counted(own("series_overflow_total"), "1h", "by (label)"), "label"), "overflow: {{label}}"),
         Query(skews, "clock skews"), Query(f"max({own('quality_events_waiting')}) or vector(0)", "waiting quality events")],
    )  # fmt: skip


def _targets() -> Panel:
    return grid(
        "Targets", "The bots that Prometheus scrapes. DOWN: the bot or its exporter does not run, or the metrics "
            "token is wrong.",
        [Column("Job", label="job"), Column("Instance", label="instance"),
         Column("Up", 'max by (job, instance) (up{job=~"$job"})', rated="up")],
        nothing="nothing is scraped: this is imported history", sort="Job",
    )  # fmt: skip


def _builds() -> Panel:
    seen = f'max by (version, app_version) (max_over_time(timestamp(chatvitals_build_info{{job=~"$job"}})[{RANGE}:5m]))'
    return grid(
        "Versions", "Versions of chatvitals and of the bot, and when each was last seen. A change marks a deploy: "
        "compare the times before and after it.",
        [Column("chatvitals", label="version"), Column("Bot", label="app_version"),
         Column("Last seen", f"1000 * {seen}", "dateTimeAsIso")],
        sort="Bot",
    )  # fmt: skip
