"""Alerts in incidents and near-incidents: a person is called when it matters, and is left alone otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.incidents import DAY, EVER, HOUR, WEEK, Incident, Series, always, between, growing, run, times

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tests.helpers.incidents import Value

NUMBER = {"phone_number_id": "1"}
OTHER_TARGET = {"instance": "b"}
HERE = Series("chatvitals_build_info", always(1))
STORE = Series("chatvitals_store_up", always(1))
FIVE_A_DAY = [DAY // 5 * number + 37 for number in range(25)]


def sends(value: Value, code: str = "", kind: str = "reply", **labels: str) -> Series:
    """Return calls of the messages endpoint. A code means that WhatsApp refused them."""
    result = "rejected" if code else "accepted"
    return Series("chatvitals_sends_total", value, {**NUMBER, "kind": kind, "result": result, "code": code, **labels})


def people(value: Value) -> Series:
    """Return how many customers wait."""
    return Series("chatvitals_turns_open", value, {**NUMBER, "turn": "first"})


def failed(value: Value, category: str) -> Series:
    """Return messages that failed because customers block the number."""
    return Series("chatvitals_message_failures_total", value, {**NUMBER, "code": "131048", "category": category})


def statuses(status: str, value: Value, category: str = "service") -> Series:
    """Return messages that reached a status."""
    return Series("chatvitals_message_statuses_total", value, {**NUMBER, "status": status, "category": category})


def webhooks(value: Value, result: str = "accepted") -> Series:
    """Return webhooks."""
    return Series("chatvitals_webhooks_total", value, {"result": result})


def rating(value: Value) -> Series:
    """Return the rating of the number."""
    return Series("chatvitals_quality_rating", value, NUMBER)


def rated(value: Value) -> Series:
    """Return when the rating was last confirmed."""
    return Series("chatvitals_quality_updated_timestamp_seconds", value, NUMBER)


def polled(value: Value) -> Series:
    """Return when a poll last succeeded."""
    return Series("chatvitals_poller_last_success_timestamp_seconds", value)


def flagged(value: Value) -> Series:
    """Return since when WhatsApp flags the number."""
    return Series("chatvitals_number_flagged_timestamp_seconds", value, NUMBER)


def restricted(value: Value) -> Series:
    """Return when a restriction of the account ends."""
    account = {"waba_id": "9", "restriction": "RESTRICTED_BIZ_INITIATED_MESSAGING"}
    return Series("chatvitals_restriction_expires_timestamp_seconds", value, account)


def offer(status: str, value: Value) -> Series:
    """Return whether a template has a status."""
    template = {"waba_id": "9", "template": "offer", "language": "en", "status": status}
    return Series("chatvitals_template_status", value, template)


def limit(value: Value) -> Series:
    """Return the messaging limit of the number."""
    return Series("chatvitals_messaging_limit", value, {**NUMBER, "waba_id": "9", "scope": "number"})


def polls(seconds: float) -> Series:
    """Return the interval of the poller."""
    return Series("chatvitals_poller_interval_seconds", always(seconds))


def customers(asked: Sequence[float], answered: Sequence[float], waiting: Value) -> tuple[Series, ...]:
    """Return turns that are late after five minutes unless they are answered at once."""
    first = {**NUMBER, "turn": "first"}
    late = [at + 5 for at in asked if at not in answered]
    return (
        Series("chatvitals_turns_opened_total", times(asked), first),
        Series("chatvitals_turns_overdue_total", times(late), {**first, "threshold": "300"}),
        Series("chatvitals_turns_total", times(answered), {**first, "outcome": "answered"}),
        Series("chatvitals_oldest_open_turn_timestamp_seconds", waiting, first),
        STORE,
    )


def burst(at: float, number: float, minutes: float = 10) -> Value:
    """Return a counter of a campaign's messages, which take some minutes from a moment on."""
    return growing((at, 0), (minutes, number / minutes))


def both(first: Value, second: Value) -> Value:
    """Return the sum of two counters."""
    return lambda at: (first(at) or 0.0) + (second(at) or 0.0)


DELIVERY = (
    *(
        Incident(
            f"a campaign of 500 is refused between two scrapes, {scrape * 60:.0f} s apart",
            "WhatsAppSendsFailing",
            (HERE, sends(growing((120, 0.2))), sends(between((120.5, 300, 500)), "132001", "campaign")),
            fires=(130, 160),
            quiet=(115, 260),
            scrape=scrape,
        )
        for scrape in (0.25, 0.5, 1.0)
    ),
    Incident(
        "one answer of a quiet night times out three times within a minute",
        "WhatsAppSendsFailing",
        (
            HERE,
            sends(times(FIVE_A_DAY)),
            sends(times([603, 603, 604]), "timeout"),
            people(between((0, 603, 0), (603, 900, 1))),
        ),
        quiet=(605, 610, 615, 620, 625, 630),
    ),
    Incident(
        "the token expires in a quiet night, and the second customer waits from 620 on",
        "WhatsAppSendsFailing",
        (
            HERE,
            sends(times(FIVE_A_DAY)),
            sends(times([603, 604, 620]), "190"),
            people(between((0, 603, 0), (603, 620, 1), (620, 900, 2))),
        ),
        fires=(626, 640),
        quiet=(610, 619),
    ),
    Incident(
        "notices to nobody who waits are refused, one in ten minutes",
        "WhatsAppSendsFailing",
        (HERE, sends(times(FIVE_A_DAY)), sends(times([601, 611, 621]), "190", "notice"), people(always(0))),
        fires=(628, 640),
        quiet=(610, 619),
    ),
    Incident(
        "a target comes into sight with refusals of last month",
        "WhatsAppSendsFailing",
        (
            HERE.hidden(0, 60),
            sends(always(20)).hidden(0, 60),
            sends(always(500), "132001", "campaign").hidden(0, 60),
        ),
        quiet=(70, 80, 90, 100, 120),
    ),
    Incident(
        "the store is away for 40 minutes, and the refusals are old",
        "WhatsAppSendsFailing",
        (HERE, sends(always(20)).hidden(60, 100), sends(always(500), "132001").hidden(60, 100)),
        quiet=(101, 110, 120, 130, 140),
    ),
    Incident(
        "Prometheus misses ten minutes",
        "WhatsAppSendsFailing",
        (HERE.hidden(60, 70), sends(always(20)).hidden(60, 70), sends(always(500), "132001").hidden(60, 70)),
        quiet=(71, 80, 90, 100, 110),
    ),
    Incident(
        "a deploy moves the bot to another target",
        "WhatsAppSendsFailing",
        (
            HERE.hidden(60, 999),
            Series(HERE.name, between((58, 300, 1)), OTHER_TARGET),
            sends(between((0, 60, 500)), "132001"),
            sends(between((58, 300, 500)), "132001", instance="b"),
        ),
        quiet=(60, 70, 80, 90, 100),
    ),
    Incident(
        "the first refusal of a kind of send and of a category begins with 1",
        "WhatsAppSendsRefusedForQuality",
        (HERE, sends(times([60], since=60), "131048", "other"), failed(times([200], since=200), "authentication")),
        fires=(62, 80, 202, 220),
        quiet=(55, 150, 190),
    ),
    Incident(
        "a first campaign is read by 40 %, which is less than answers are",
        "WhatsAppReadRateDropped",
        (
            statuses("delivered", growing((EVER, 1))),
            statuses("read", growing((EVER, 0.85))),
            statuses("delivered", burst(WEEK + 200, 3000), "marketing"),
            statuses("read", burst(WEEK + 200, 1200, 360), "marketing"),
        ),
        quiet=tuple(range(WEEK, WEEK + 1000, 60)),
        scrape=4,
        evaluated=20,
    ),
    Incident(
        "customers read half as much as before",
        "WhatsAppReadRateDropped",
        (statuses("delivered", growing((EVER, 1))), statuses("read", growing((WEEK + 100, 0.85), (EVER, 0.4)))),
        fires=(WEEK + 500,),
        quiet=(WEEK + 80,),
        scrape=4,
        evaluated=20,
    ),
    Incident(
        "0.5 % opt out, the last of them when the campaign is six hours old",
        "WhatsAppOptOutSurge",
        (
            statuses("delivered", both(growing((EVER, 1)), burst(WEEK + 200, 3000))),
            Series("chatvitals_opt_outs_total", both(growing((EVER, 0.002)), burst(WEEK + 200, 15, 120)), NUMBER),
        ),
        quiet=tuple(range(WEEK, WEEK + 1000, 60)),
        scrape=4,
        evaluated=20,
    ),
    Incident(
        "3 % of a campaign opt out",
        "WhatsAppOptOutSurge",
        (
            statuses("delivered", both(growing((EVER, 1)), burst(WEEK + 200, 3000))),
            Series("chatvitals_opt_outs_total", both(growing((EVER, 0.0005)), burst(WEEK + 200, 90, 120)), NUMBER),
        ),
        fires=(WEEK + 400,),
        quiet=(WEEK + 180,),
        scrape=4,
        evaluated=20,
    ),
)

RATINGS = (
    Incident(
        "a RED number is unknown for two minutes, and later not seen for ten",
        "WhatsAppQualityRatingRed",
        (rating(between((0, 60, 1), (60, 62, 0), (62, 120, 1), (130, 300, 1))),),
        fires=(10, 60, 61, 62, 63, 67, 121, 129, 135),
        quiet=(4,),
    ),
    Incident(
        "a RED number is unknown from 60 on",
        "WhatsAppQualityRatingRed",
        (rating(between((0, 60, 1), (60, 300, 0))),),
        fires=(10, 65, 110),
        quiet=(121, 180),
    ),
    Incident(
        "a RED number is YELLOW at 60",
        "WhatsAppQualityRatingRed",
        (rating(between((0, 60, 1), (60, 300, 2))),),
        fires=(10, 59),
        quiet=(60, 61, 90),
    ),
    Incident(
        "a number was RED an hour ago, is GREEN, and is unknown at 90",
        "WhatsAppQualityRatingRed",
        (rating(between((0, 60, 1), (60, 90, 3), (90, 300, 0))),),
        fires=(10,),
        quiet=(60, 90, 100, 120),
    ),
    Incident(
        "a YELLOW number is unknown for some minutes of its first day",
        "WhatsAppQualityRatingYellow",
        (rating(between((0, 600, 2), (600, 610, 0), (610, 2 * DAY, 2))),),
        fires=(DAY + 5, DAY + 100),
        quiet=(DAY - 10,),
        evaluated=5,
    ),
    Incident(
        "a deploy of five minutes and a store that is away for twenty do not make a rating known",
        "WhatsAppQualityRatingUnknown",
        (
            rating(between((0, 120, 0), (125, 200, 0), (220, 400, 0))),
            polls(300).hidden(120, 125).hidden(200, 220),
        ),
        fires=(70, 122, 130, 170, 210, 230),
        quiet=(50,),
    ),
    Incident(
        "the poller of another bot says nothing about this one",
        "WhatsAppQualityRatingUnknown",
        (rating(always(0)), Series("chatvitals_poller_interval_seconds", always(300), {"job": "other"})),
        quiet=(70, 200),
    ),
    Incident(
        "ratings are polled every two hours, as set",
        "WhatsAppQualityStale",
        (rated(lambda at: at // 120 * 7200), polls(7200)),
        quiet=(70, 110, 190, 230, 310),
    ),
    Incident(
        "they are polled every five minutes until 100",
        "WhatsAppQualityStale",
        (rated(lambda at: min(at, 100.0) // 5 * 300), polls(300)),
        fires=(170, 200),
        quiet=(90, 155),
    ),
    Incident(
        "no poll has ever succeeded, because the token is wrong",
        "WhatsAppQualityPollerStale",
        (polls(300),),
        fires=(40, 200),
        quiet=(20,),
    ),
    Incident(
        "ratings are polled every five minutes, and a deploy takes 55 minutes",
        "WhatsAppQualityPollerStale",
        (polls(300).hidden(100, 155), polled(lambda at: at // 5 * 300).hidden(100, 155)),
        quiet=tuple(range(80, 180, 5)),
    ),
    Incident(
        "ratings are polled every ten minutes, and the store is away for an hour",
        "WhatsAppQualityStale",
        (polls(600).hidden(100, 160), rated(lambda at: at // 10 * 600).hidden(100, 160)),
        quiet=tuple(range(80, 180, 2)),
    ),
    Incident(
        "the poller is stale, and a deploy takes half an hour",
        "WhatsAppQualityPollerStale",
        (
            polls(300).hidden(100, 130),
            polled(always(60)).hidden(100, 130),
        ),
        fires=(30, 102, 115, 128, 131),
        quiet=(10,),
    ),
)

STATES = (
    Incident(
        "a flag lasts while a deploy takes 20 minutes",
        "WhatsAppNumberFlagged",
        (flagged(always(60)).hidden(60, 80), STORE.hidden(60, 80)),
        fires=(50, 61, 70, 79, 81, 90),
    ),
    Incident(
        "a flag is gone at 30, and a deploy of the next hour takes ten minutes",
        "WhatsAppNumberFlagged",
        (flagged(between((0, 30, 60))), STORE.hidden(60, 70)),
        fires=(20,),
        quiet=(45, 60, 62, 66, 69, 75),
    ),
    Incident(
        "a restriction is lifted early at 30, and the store is away an hour later",
        "WhatsAppAccountRestricted",
        (restricted(between((0, 30, 1e9))), Series(STORE.name, lambda at: float(not 60 <= at < 80))),
        fires=(20,),
        quiet=(45, 61, 65, 70, 79, 85),
    ),
    Incident(
        "a paused template is deleted at 30, and a deploy of the next hour takes ten minutes",
        "WhatsAppTemplatePaused",
        (offer("PAUSED", between((0, 30, 1))), STORE.hidden(60, 70)),
        fires=(20,),
        quiet=(45, 60, 62, 66, 69, 75),
    ),
    Incident(
        "a number falls to YELLOW at 60 and is GREEN again at 120",
        "WhatsAppQualityRatingDropped",
        (rating(between((0, 60, 3), (60, 120, 2), (120, 300, 3))),),
        fires=(70, 119, 125),
        quiet=(50, 140, 200),
    ),
    Incident(
        "a RED number, and the store is away for three hours",
        "WhatsAppQualityRatingRed",
        (HERE, rating(always(1)).hidden(60, 240), Series(STORE.name, lambda at: float(not 60 <= at < 240))),
        fires=(50, 90, 125, 180, 239, 241, 250),
    ),
    Incident(
        "a RED number is removed at 30, and the store is away from 200 on",
        "WhatsAppQualityRatingRed",
        (HERE, rating(between((0, 30, 1))), Series(STORE.name, lambda at: float(at < 200))),
        fires=(20,),
        quiet=(100, 190, 210, 250, 300),
    ),
    Incident(
        "a YELLOW number, and the bot is away for two hours of its second day",
        "WhatsAppQualityRatingYellow",
        (
            HERE.hidden(DAY + 60, DAY + 180),
            STORE.hidden(DAY + 60, DAY + 180),
            rating(always(2)).hidden(DAY + 60, DAY + 180),
        ),
        fires=tuple(range(DAY + 10, DAY + 400, 10)),
        evaluated=5,
    ),
    Incident(
        "the limit falls at 60, the store is away for an hour, and the limit rises at 200",
        "WhatsAppMessagingLimitDecreased",
        (limit(between((0, 60, 10_000), (60, 90, 2_000), (149, 200, 2_000), (200, 300, 10_000))),),
        fires=(70, 95, 120, 148, 150, 199),
        quiet=(50, 201, 250),
    ),
)

WAITING = (
    Incident(
        "a bot with five customers a day answers nobody from the second day on",
        "WhatsAppCustomersIgnored",
        customers(FIVE_A_DAY, [at for at in FIVE_A_DAY if at < DAY], between((DAY, EVER, DAY * 60))),
        fires=(2 * DAY, 3 * DAY),
        quiet=(DAY, DAY + 700),
        evaluated=5,
    ),
    Incident(
        "one of five customers a day says thanks, and nobody answers",
        "WhatsAppCustomersIgnored",
        customers(
            FIVE_A_DAY,
            [at for number, at in enumerate(FIVE_A_DAY) if number % 5],
            between((37, EVER, 37 * 60)),
        ),
        quiet=tuple(range(HOUR, 4 * DAY, 4 * HOUR)),
        evaluated=5,
    ),
)

SHOP = [week * WEEK + day * DAY + 10 * HOUR + 90 * at for week in range(3) for day in range(5) for at in range(5)]
"""Customers of office hours, from Monday to Friday."""
WEEKEND = [week * WEEK + day * DAY + 10 * HOUR + 120 * at for week in range(3) for day in (5, 6) for at in range(4)]
"""Customers who wait until Monday."""

WEEKENDS = (
    Incident(
        "people answer from Monday to Friday, and no opening hours are set",
        "WhatsAppCustomersIgnored",
        customers(
            sorted(SHOP + WEEKEND),
            SHOP,
            lambda at: (at // WEEK * WEEK + 5 * DAY + 10 * HOUR) * 60 if at % WEEK > 5 * DAY + 10 * HOUR else None,
        ),
        quiet=tuple(range(WEEK + DAY, 3 * WEEK, 2 * HOUR)),
        scrape=4,
        evaluated=4,
    ),
    Incident(
        "a bot that answers on each day is dead on its second weekend",
        "WhatsAppCustomersIgnored",
        customers(
            sorted(SHOP + WEEKEND),
            [at for at in sorted(SHOP + WEEKEND) if not WEEK + 5 * DAY <= at < 2 * WEEK],
            lambda at: (WEEK + 5 * DAY + 10 * HOUR) * 60 if WEEK + 5 * DAY + 10 * HOUR < at < 2 * WEEK else None,
        ),
        fires=(WEEK + 5 * DAY + 18 * HOUR, WEEK + 6 * DAY + 4 * HOUR),
        quiet=(WEEK + 5 * DAY - HOUR,),
        scrape=4,
        evaluated=4,
    ),
)

PLUMBING = (
    Incident(
        "a small bot had a campaign of 100 a week ago",
        "WhatsAppWebhookSilent",
        (
            webhooks(
                both(
                    times([at for at in [*FIVE_A_DAY, *(5 * DAY + at for at in FIVE_A_DAY)] for _ in range(4)]),
                    burst(DAY + 600, 300),
                )
            ),
        ),
        quiet=tuple(range(WEEK + DAY, WEEK + 2 * DAY, HOUR)),
        scrape=4,
        evaluated=4,
    ),
    Incident(
        "nothing arrives from ten o'clock on, and at night few would write",
        "WhatsAppWebhookSilent",
        (webhooks(growing(*[(12 * HOUR, 1.5), (12 * HOUR, 0.1)] * 7, (2 * HOUR, 1.5))),),
        fires=(WEEK + 6 * HOUR, WEEK + 12 * HOUR, WEEK + 20 * HOUR, WEEK + 28 * HOUR),
        quiet=(WEEK + HOUR, WEEK + 2 * HOUR),
        scrape=4,
        evaluated=4,
    ),
    Incident(
        "webhooks arrive again at night",
        "WhatsAppWebhookSilent",
        (webhooks(growing(*[(12 * HOUR, 1.5), (12 * HOUR, 0.1)] * 7, (2 * HOUR, 1.5), (12 * HOUR, 0), (10, 0.3))),),
        fires=(WEEK + 13 * HOUR,),
        quiet=(WEEK + 15 * HOUR, WEEK + 18 * HOUR),
        scrape=4,
        evaluated=4,
    ),
    Incident(
        "Prometheus misses 23 hours, and few webhooks have arrived since",
        "WhatsAppWebhookSilent",
        (webhooks(growing((WEEK + DAY - 60, 0.08), (EVER, 0))).hidden(WEEK, WEEK + DAY - 60),),
        quiet=tuple(range(WEEK + DAY - 60, WEEK + DAY + 60, 12)),
        scrape=4,
        evaluated=4,
    ),
    Incident(
        "the app secret changed, and three webhooks an hour are refused",
        "WhatsAppWebhookSignatureFailures",
        (webhooks(growing((60, 0.05))), webhooks(times(range(60, 900, 20)), "bad_signature")),
        fires=(500, 800),
        quiet=(60, 300),
    ),
    Incident(
        "someone forges three webhooks, and customers write as ever",
        "WhatsAppWebhookSignatureFailures",
        (webhooks(growing((900, 0.05))), webhooks(times([60, 61, 62]), "bad_signature")),
        quiet=(65, 80, 300, 500),
    ),
    Incident(
        "the store comes and goes every ten minutes",
        "WhatsAppStoreDown",
        (Series(STORE.name, lambda at: float(at % 10 >= 3)),),
        fires=tuple(range(5, 100, 5)),
    ),
    Incident(
        "Redis restarts within a minute",
        "WhatsAppStoreDown",
        (Series(STORE.name, lambda at: float(not 60 <= at < 61)),),
        quiet=(61, 62, 65),
        scrape=0.25,
    ),
)

INCIDENTS = [*DELIVERY, *RATINGS, *STATES, *WAITING, *WEEKENDS, *PLUMBING]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("incident", INCIDENTS, ids=lambda each: each.about)
def test_an_alert_fires_when_it_matters_and_never_otherwise(incident: Incident, tmp_path: Path) -> None:
    """At each of the minutes."""
    assert run(incident, tmp_path) == ""
