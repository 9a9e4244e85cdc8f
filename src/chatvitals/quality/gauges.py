"""The gauges of the business. They are computed from the stored state, so they survive every restart."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.metrics import catalogue
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import TypeAlias

    from chatvitals.metrics.catalogue import Family
    from chatvitals.quality.state import Account, Number, Quality, Reading, Template

    Gauge: TypeAlias = tuple[Family, tuple[str, ...], float]

_NUMBER_ENTITY = "number"
_APPROVED = "APPROVED"


def gauges(quality: Quality, now: float, numbers: Iterable[str] = ()) -> Iterator[Gauge]:
    """Yield (family, label values, value) for everything that is known.

    Args:
        quality: the known state of the business.
        now: Unix seconds. Restrictions that ended before it are not shown.
        numbers: ids of business numbers to show even where nothing is known about them. Their rating is unknown.

    """
    for number_id in numbers:
        if number_id not in quality.numbers:
            yield catalogue.QUALITY_RATING, (number_id,), 0.0
    for number_id, number in quality.numbers.items():
        yield from _number(number_id, number, quality.accounts.get(number.waba))
    for waba, account in quality.accounts.items():
        if account.limit.users is not None:
            yield catalogue.MESSAGING_LIMIT, (waba, "", "portfolio"), account.limit.users
    yield from _restrictions(quality, now)
    yield from _templates(quality.templates.values())
    if quality.waiting:
        yield catalogue.QUALITY_EVENTS_WAITING, (), float(len(quality.waiting))
    if quality.polled:
        yield catalogue.POLLER_LAST_SUCCESS, (), quality.polled
    if quality.interval:
        yield catalogue.POLLER_INTERVAL, (), quality.interval


def _restrictions(quality: Quality, now: float) -> Iterator[Gauge]:
    """Yield the restrictions in force. Several accounts may share the label of an unknown WABA."""
    ends: dict[tuple[str, str], float] = {}
    for waba, account in (*quality.accounts.items(), *(("", account) for account in quality.unplaced.values())):
        for restriction, expires in account.in_force(now).items():
            ends[waba, restriction] = max(expires, ends.get((waba, restriction), expires))
    for labels, expires in ends.items():
        yield catalogue.RESTRICTION_EXPIRES, labels, expires


def _number(number_id: str, number: Number, account: Account | None) -> Iterator[Gauge]:
    yield catalogue.NUMBER_INFO, (number_id, number.waba, number.display, number.name), 1.0
    yield catalogue.QUALITY_RATING, (number_id,), _rating(number.rating)
    if number.rated:
        yield catalogue.QUALITY_UPDATED, (number_id,), number.rated
    if number.changed:
        yield catalogue.QUALITY_CHANGED, (number_id,), number.changed
    if number.status.at:
        for status in enums.NUMBER_STATUSES:
            yield catalogue.NUMBER_STATUS, (number_id, status), float(status == number.status.value)
    if number.flags.since is not None:
        yield catalogue.NUMBER_FLAGGED, (number_id,), number.flags.since
    if number.limit.users is not None:
        yield catalogue.MESSAGING_LIMIT, ("", number_id, "number"), number.limit.users
    for entity, reading in _health(number, account).items():
        yield catalogue.HEALTH_STATUS, (number_id, entity), float(enums.HEALTH.index(reading.value))


def _health(number: Number, account: Account | None) -> dict[str, Reading]:
    """Return the health of the whole chain. The latest poll of the account counts for all its numbers."""
    found = dict(number.health)
    if account is not None:
        for entity, reading in account.health.items():
            if entity != _NUMBER_ENTITY and (entity not in found or reading.at > found[entity].at):
                found[entity] = reading
    return found


def _templates(templates: Iterable[Template]) -> Iterator[Gauge]:
    """Yield quality and status of each template. Templates that share the label `other` show their worst rating."""
    ratings: dict[tuple[str, str, str], float] = {}
    statuses: dict[tuple[str, str, str], set[str]] = {}
    for template in templates:
        labels = (template.waba, template.template, template.language)
        rating = _rating(template.quality.value)
        known = ratings.get(labels, 0.0)
        ratings[labels] = min(rating, known) if rating and known else max(rating, known)
        if template.status.at:
            statuses.setdefault(labels, set()).add(template.status.value)
    for labels, rating in ratings.items():
        yield catalogue.TEMPLATE_QUALITY, labels, rating
    for labels, found in statuses.items():
        for status in enums.TEMPLATE_STATUSES:  # a series for each of them would show no more
            if status in found or status == _APPROVED:
                yield catalogue.TEMPLATE_STATUS, (*labels, status), float(status in found)


def _rating(rating: str) -> float:
    return float(enums.RATINGS.index(rating)) if rating in enums.RATINGS else 0.0
