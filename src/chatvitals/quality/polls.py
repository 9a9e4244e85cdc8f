"""Rules for polls of the Graph API, the only source of a number's rating (conversations/README.md 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from chatvitals.conversations.state import FORGET_AFTER
from chatvitals.metrics import catalogue
from chatvitals.quality import messaging_limits
from chatvitals.quality.account_events import upper, waba_label
from chatvitals.quality.state import UNKNOWN, Number, Quality, Reading, Template
from chatvitals.whatsapp import enums, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from chatvitals.events import Poll
    from chatvitals.metrics.measurements import Measurements

    Admit: TypeAlias = Callable[[str, str], str]

_MOST_TEMPLATES: Final = 5_000
_LONGEST_NAME: Final = 512
_LIMIT: Final = "whatsapp_business_manager_messaging_limit"
_SHARED_LABELS: Final = frozenset({"", enums.OTHER})
_OLD_LIMIT: Final = "messaging_limit_tier"
_TEMPLATE: Final = "MESSAGE_TEMPLATE"
_NOT_WELL: Final = frozenset({"BLOCKED", "LIMITED"})


def apply_poll(quality: Quality, poll: Poll, admit: Admit, measures: Measurements) -> None:
    """Apply a poll. A poll that is older than the known state changes nothing."""
    quality.polled = max(quality.polled, poll.received)
    waba = waba_label(poll.waba_id, admit)
    for row in poll.numbers or ():
        _number(quality, (waba, poll.received), row, admit, measures)
    if poll.numbers:
        _forget_numbers(quality, waba, poll.received)
    if poll.templates is not None:
        _templates(quality, waba, poll, admit, measures)
    if poll.account is not None:
        account = quality.account(waba)
        _take_health(account.health, "waba", poll.account, poll.received, measures)
        if poll.account.get(_LIMIT) is not None:
            messaging_limits.apply_limit(account.limit, poll.account[_LIMIT], poll.received, measures, polled=True)
        _lift(quality, waba, account.health, poll.received)


def name(quality: Quality, number_id: str, display: str, at: float) -> Number:
    """Record that a number was named, and return the number. The latest display number counts."""
    number = quality.numbers.setdefault(number_id, Number())
    if display and at >= number.named:
        number.display, number.named = display, at
    return number


def rating(score: object, measures: Measurements) -> str:
    """Return a rating. Any other value is unknown, never green, and is counted unless it says that there is none."""
    if isinstance(score, (dict, list)):
        score = next((found.get("score") for found in schema.objects(score)), score)
    found = upper(score)
    if found in enums.RATINGS:
        return found
    if score is not None and (not isinstance(score, str) or found not in enums.NO_RATING):
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
    return UNKNOWN


def template_status(word: str) -> str:
    """Return a template's status as a label value. A reinstated template is approved."""
    status = "APPROVED" if word == "REINSTATED" else word
    return enums.listed(status, enums.TEMPLATE_STATUSES)


def template(quality: Quality, key: tuple[str, str, str], at: float, admit: Admit, measures: Measurements) -> Template:
    """Return the state of a template. Beyond the label's cap its label is `other`.

    Nothing is stored for a template beyond the limit, nor for a template that a later complete poll did not list.
    """
    known = quality.templates.get(key)
    if known is None:
        waba, name, language = key
        known = Template(waba, admit("template", name), admit("language", language))
        account = quality.accounts.get(waba)
        if account is not None and at < account.listed:
            return known
        if max(map(len, key)) > _LONGEST_NAME:
            return known  # WhatsApp allows no name of this length, so it is forged
        if len(quality.templates) < _MOST_TEMPLATES:
            quality.templates[key] = known
        else:
            measures.count(catalogue.SERIES_OVERFLOW, ("template",))
    return known


def _number(
    quality: Quality, polled: tuple[str, float], row: dict[str, object], admit: Admit, measures: Measurements
) -> None:
    waba, at = polled
    number_id = schema.text(row.get("id"))
    if not number_id:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        return
    if admit(catalogue.NUMBER, number_id) != number_id:
        return
    number = name(quality, number_id, schema.digits(row.get("display_phone_number")), at)
    if at < number.rated:
        return
    number.waba = waba
    verified = row.get("verified_name")
    if isinstance(verified, str):
        number.name = admit("verified_name", verified)
    found = row.get("quality_rating") or row.get("quality_score")  # another page's name (whatsapp/README.md 6.1)
    _rate(number_id, number, rating(found, measures), at, measures)
    status = _status(row, measures)
    if status:
        number.status.update(enums.listed(status, enums.NUMBER_STATUSES), at)
        if status == "FLAGGED":
            number.flags.raise_(at)
        elif status == "CONNECTED":
            number.flags.clear(at)
    if row.get(_LIMIT) is not None:
        messaging_limits.apply_limit(quality.account(waba).limit, row[_LIMIT], at, measures, polled=True)
    elif row.get(_OLD_LIMIT) is not None:
        messaging_limits.apply_limit(number.limit, row[_OLD_LIMIT], at, measures, polled=True)
    _take_health(number.health, "number", row, at, measures)
    _lift(quality, waba, number.health, at)


def _status(row: dict[str, object], measures: Measurements) -> str:
    """Return the status in a row, or the empty string where there is none or it cannot be read."""
    status = row.get("status")
    if status is not None and not isinstance(status, str):
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
    return upper(status)


def _rate(number_id: str, number: Number, found: str, at: float, measures: Measurements) -> None:
    if number.rated and found != number.rating:
        measures.count(catalogue.QUALITY_CHANGES, (number_id, number.rating, found))
        number.changed = at
    number.rating, number.rated = found, at


def _forget_numbers(quality: Quality, waba: str, now: float) -> None:
    """Delete numbers that the polls of their account have not listed for a week. They were moved or deleted."""
    gone = [i for i, n in quality.numbers.items() if n.waba == waba and 0 < n.rated < now - FORGET_AFTER]
    for number_id in gone:
        del quality.numbers[number_id]


def _take_health(
    known: dict[str, Reading], own: str, node: dict[str, object], at: float, measures: Measurements
) -> None:
    """Record whether each entity of the chain may send. Of several entities of one kind the worst counts.

    The node itself is as bad as an entity of a kind that is not known here. If the node is not listed, it is as bad as
    its whole chain where this is worse than all entities.
    """
    worst: dict[str, str] = {}
    for entity, can_send in _entities(node.get("health_status"), own):
        if can_send not in enums.HEALTH:
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        elif not entity:
            if own not in worst and all(_is_worse(can_send, found) for found in worst.values()):
                worst[own] = can_send
        elif entity not in worst or _is_worse(can_send, worst[entity]):
            worst[entity] = can_send
    for entity, can_send in worst.items():
        known.setdefault(entity, Reading()).update(can_send, at)


def _is_worse(can_send: str, other: str) -> bool:
    return enums.HEALTH.index(can_send) < enums.HEALTH.index(other)


def _entities(status: object, own: str) -> Iterator[tuple[str, str]]:
    """Yield the entities of a chain with their health, and at last the whole chain under an empty name.

    An entity of an unknown kind has the name `own`, unless it is well.
    """
    if status is None:
        return
    chain = next(iter(schema.objects(status)), {"can_send_message": status})
    listed = schema.objects(chain.get("entities"))
    for item in listed:
        kind, can_send = upper(item.get("entity_type")), upper(item.get("can_send_message"))
        if kind in enums.HEALTH_ENTITIES:
            yield enums.HEALTH_ENTITIES[kind], can_send
        elif kind != _TEMPLATE and can_send in _NOT_WELL:  # a template blocks no number
            yield own, can_send
    if chain.get("can_send_message") is not None or not listed:
        yield "", upper(chain.get("can_send_message"))


def _lift(quality: Quality, waba: str, health: dict[str, Reading], at: float) -> None:
    """End the account's restrictions if this poll finds the account available. Most lifts come without a webhook."""
    reading = health.get("waba")
    if reading is not None and reading.at == at and reading.value == "AVAILABLE":
        account = quality.account(waba)
        account.lifted = max(account.lifted, at)


def _templates(quality: Quality, waba: str, poll: Poll, admit: Admit, measures: Measurements) -> None:
    """Apply the complete list of templates. Delete unlisted templates without newer events.

    If a row cannot be read, nothing is deleted.
    """
    listed, complete = set(), True
    rows = poll.templates or ()
    has_scores = any("quality_score" in row for row in rows)  # otherwise the poll did not request them
    for row in rows:
        key = (waba, row.get("name"), row.get("language"))
        if not isinstance(key[1], str) or not isinstance(key[2], str) or not key[1] or not key[2]:
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
            complete = False  # any known template may be behind this row
            continue
        listed.add(key)
        known = template(quality, (waba, key[1], key[2]), poll.received, admit, measures)
        if has_scores:
            known.quality.update(rating(row.get("quality_score"), measures), poll.received)
        status = _status(row, measures)
        if status:
            known.status.update(template_status(status), poll.received)
    if not complete:
        return
    if waba in _SHARED_LABELS:  # several accounts share this label, and each poll lists the templates of one account
        return
    account = quality.account(waba)
    account.listed = max(account.listed, poll.received)
    gone = [key for key, t in quality.templates.items() if key[0] == waba and key not in listed]
    for key in gone:
        if quality.templates[key].heard < poll.received:
            del quality.templates[key]
