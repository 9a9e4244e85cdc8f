"""Alerts on WhatsApp's rating of a number and its account."""

from __future__ import annotations

from functools import partial
from typing import Final

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.expressions import NUMBER, held, held_age, held_rating, held_while_blind

RATINGS: Final = "1 is RED, 2 is YELLOW, 3 is GREEN"
_IT: Final = "{{ $labels.phone_number_id }}"
_alert = partial(Alert, component="quality", dashboard="chatvitals-quality")


def alerts() -> list[Alert]:
    """Return the alerts on ratings, flags, limits and restrictions."""
    return [*_ratings(), *_restrictions()]


def _ratings() -> list[Alert]:
    rating = held_rating("chatvitals_quality_rating", NUMBER)
    best = f"max {NUMBER} (max_over_time(chatvitals_quality_rating[1d]))"
    interval = held("chatvitals_poller_interval_seconds", "by (job)")
    age = held_age("chatvitals_quality_updated_timestamp_seconds", NUMBER)
    return [
        _alert(
            name="WhatsAppQualityRatingRed", expr=f"{rating} == 1", severity="critical", hold="5m",
            summary=f"The quality rating of {_IT} is RED",
            description="Many customers block or report this number. WhatsApp may pause its templates and refuse its "
            "sends next.",
            when="The rating is RED. A rating that is unknown or not seen keeps its last value for an hour, and for a "
            "day while the store or the bot is away.",
            look="The quality dashboard, 30 days: which panel moved before the rating fell?",
            mend="Stop campaigns on this number now. Undo the deploy or the campaign that moved first.",
            verify="The rating is YELLOW or GREEN. This takes up to seven days without new blocks.",
        ),
        _alert(
            name="WhatsAppQualityRatingDropped", expr=f"({rating} > 0) < {best}", severity="warning", hold="5m",
            keep="15m", summary=f"The quality rating of {_IT} fell",
            description=f"It is {{{{ $value }}}} now and was better within the last day ({RATINGS}). A further fall "
            "costs reach.",
            when="The rating is known, and lower than its best of the last day.",
            look="The quality dashboard: compare waits, read ratio and opt-outs of the last days with the days before.",
            mend="Undo the change that came first. Send fewer campaigns until the rating rises.",
            verify="The rating is as before. WhatsAppQualityRatingYellow reports it as long as it is not.",
        ),
        _alert(
            name="WhatsAppQualityRatingYellow", expr=f"{rating} == 2", severity="warning", hold="1d",
            summary=f"The quality rating of {_IT} has been YELLOW for a day or more",
            description="Customers still block or report this number. The next step down is RED.",
            when="The rating is YELLOW. One that is unknown or not seen keeps its last value for an hour.",
            look="The quality dashboard, 30 days: do the causes go on?",
            mend="Answer faster, and send campaigns only to customers who asked for them.",
            verify="The rating is GREEN.",
        ),
        _alert(
            name="WhatsAppQualityRatingUnknown",
            expr=f"{held('chatvitals_quality_rating', NUMBER)} == 0\nand on (job) {interval}",
            severity="warning", hold="1h", summary=f"The quality rating of {_IT} is unknown",
            description="The poller runs and WhatsApp gives no rating. This is not a good rating. New numbers have "
            "none for some days.",
            when="The rating is unknown although a poller runs.",
            look="Run `chatvitals doctor`: does the token see the number?",
            mend="Renew the token or its permissions. For a new number, silence this alert for a week.",
            verify="The overview shows a colour for the number.",
        ),
        _alert(
            name="WhatsAppQualityStale",
            expr=f"{age} > 3600\nunless on (job, phone_number_id) {age} <= on (job) group_left () 3 * {interval}",
            severity="warning", hold="5m",
            summary=f"The quality rating of {_IT} is {{{{ $value | humanizeDuration }}}} old",
            description="The dashboards show an old rating. A fall would stay unnoticed.",
            when="The rating is over an hour old, and over three poll intervals where the interval is known.",
            look="Run `chatvitals doctor`. See the Graph API's results on the instrumentation dashboard.",
            mend="Renew the token, or give the poller network access. A number that left the account is forgotten "
            "after eight days. Silence its alert until then.",
            verify='"Age of ratings" is near the poll interval.',
        ),
    ]  # fmt: skip


def _restrictions() -> list[Alert]:
    by, limit = "by (job, phone_number_id, waba_id, scope)", "chatvitals_messaging_limit"
    flagged = held_while_blind("chatvitals_number_flagged_timestamp_seconds", NUMBER)
    entity = held("chatvitals_health_status", "by (job, phone_number_id, entity)")
    expires = held_while_blind("chatvitals_restriction_expires_timestamp_seconds", "by (job, waba_id, restriction)")
    return [
        _alert(
            name="WhatsAppNumberFlagged", expr=f"{flagged} + 604800 - time() > 0", severity="critical", keep="10m",
            summary=f"{_IT} is flagged",
            description="{{ $value | humanizeDuration }} are left of the seven days in which its quality must recover.",
            when="The number was flagged within the last seven days and still is.",
            look="The quality dashboard: which panel moved before the flag?",
            mend="Stop campaigns on this number until the flag is gone.",
            verify="The overview shows no flagged number.",
        ),
        _alert(
            name="WhatsAppMessagingLimitDecreased",
            expr="\nor ".join(
                f"{held(limit, by, 'min')} < max {by} (max_over_time({limit}[{days}]))"
                for days in ("1d", "30d:6h")
            ),
            severity="warning", hold="5m",
            summary="The messaging limit of {{ or $labels.phone_number_id $labels.waba_id }} fell to {{ $value }}",
            description="Fewer customers can be written to first. It was higher within the last 30 days.",
            when="The limit is lower than it was within the last 30 days.",
            look="WhatsApp Manager, and the events on the quality dashboard.",
            mend="Postpone campaigns that need more. Raise quality, and the limit follows.",
            verify="The limit is as before, or 30 days have passed.",
        ),
        _alert(
            name="WhatsAppMessagingBlocked", expr=f"{entity} == 0", severity="critical", hold="5m",
            summary=f"Messaging of {_IT} is blocked ({{{{ $labels.entity }}}})",
            description="WhatsApp's health status says that this number cannot send. Customers get nothing.",
            when="WhatsApp calls an entity that sends need BLOCKED.",
            look="The reason and a possible solution that `chatvitals doctor` prints.",
            mend="Run `chatvitals doctor` and follow WhatsApp's solution in WhatsApp Manager.",
            verify='"Health by entity" on the overview is AVAILABLE.',
        ),
        _alert(
            name="WhatsAppAccountRestricted", expr=f"{expires} - time() > 0", severity="critical", keep="10m",
            summary="Account {{ $labels.waba_id }} is restricted: {{ $labels.restriction }}",
            description="The restriction ends in {{ $value | humanizeDuration }}. +Inf means that it does not end by "
            "itself.",
            when="A restriction of the account has not ended.",
            look="The policy and the reason in WhatsApp Manager.",
            mend="WhatsApp Manager names the reason. Remove the cause, then appeal. Silence this alert until the "
            "restriction ends.",
            verify="The overview shows no restriction.",
        ),
    ]  # fmt: skip
