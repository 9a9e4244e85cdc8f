"""Rules for account events: counts by WABA, field and event, and restrictions (conversations/README.md 8)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Any, Final

from chatvitals.metrics import catalogue
from chatvitals.quality import messaging_limits
from chatvitals.whatsapp import enums, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import TypeAlias

    from chatvitals.events import AccountEvent
    from chatvitals.metrics.measurements import Measurements
    from chatvitals.quality.state import Account, Quality

    Admit: TypeAlias = Callable[[str, str], str]

_NO_ACCOUNT: Final = frozenset({"", "0"})  # `entry.id` of calling events and dashboard tests
_PORTFOLIO_FIELDS: Final = frozenset({"partner_solutions"})  # `entry.id` is a portfolio here, and no WABA is named
_SCHEDULED: Final = "SCHEDULE_FOR_DISABLE"
_LIFTS: Final = ("_UNBAN", "_RATE_LIMIT_RECOVERY")  # ends of types of violations
_NAMES: Final = ("event", "decision", "alert_type")  # keys that hold the event's name
_LIMITS: Final = ("max_daily_conversations_per_business", "max_daily_conversation_per_phone")


def apply_account_event(quality: Quality, event: AccountEvent, at: float, admit: Admit, measures: Measurements) -> None:
    """Count an account event, and apply its restrictions and limits."""
    waba = _waba(quality, event, admit)
    for name in _names(event):
        measures.count(catalogue.ACCOUNT_EVENTS, (waba, event.field, name))
    if event.field == "business_capability_update":
        spelling = next((event.value[key] for key in _LIMITS if event.value.get(key) is not None), None)
        if spelling is not None and waba:  # a test of the dashboard names no account
            messaging_limits.apply_limit(quality.account(waba).limit, spelling, at, measures)
    elif event.field == "account_update":
        _account_update(quality, waba, event, at, measures)


def upper(value: object) -> str:
    """Return a word of Meta's in upper case, or the empty string where the value is not a word."""
    return value[:64].upper() if isinstance(value, str) else ""


def waba_label(waba: str, admit: Admit) -> str:
    """Return a WABA's id as a label value, or the empty string where it is not a valid id."""
    return admit("waba_id", waba) if waba not in _NO_ACCOUNT else ""


def _waba(quality: Quality, event: AccountEvent, admit: Admit) -> str:
    """Return the WABA of an event. An id inside the value goes before the entry's id, which may be a portfolio."""
    inside = next((schema.text(info.get("waba_id")) for info in schema.objects(event.value.get("waba_info"))), "")
    if inside:
        return waba_label(inside, admit)
    if event.field in _PORTFOLIO_FIELDS:
        return ""
    if event.entry in _NO_ACCOUNT:
        number_id = quality.number_of(schema.digits(event.value.get("phone_number")))
        return "" if number_id is None else quality.numbers[number_id].waba
    return waba_label(event.entry, admit)


def _names(event: AccountEvent) -> Iterator[str]:
    """Yield the event's name as a label value. A list of groups yields several names."""
    known = enums.ACCOUNT_EVENTS[event.field]
    if known == {"UPDATE"}:
        yield "UPDATE"
        return
    if event.field == "group_status_update":
        words = [group.get("type") for group in schema.objects(event.value.get("groups"))] or [None]
    else:
        values = schema.objects(event.value.get("alert_info")) or [event.value]
        words = [next((value[key] for key in _NAMES if value.get(key) is not None), None) for value in values]
    for word in words:
        yield enums.listed(word, known)


def _account_update(quality: Quality, waba: str, event: AccountEvent, at: float, measures: Measurements) -> None:
    name, restrictions = upper(event.value.get("event")), event.value.get("restriction_info")
    if name == "DISABLED_UPDATE":
        _ban(_account(quality, waba, event), event.value.get("ban_info"), at, measures)
    elif name == "ACCOUNT_RESTRICTION" and restrictions:
        _restrict(_account(quality, waba, event), restrictions, at, measures)
    elif is_lift(event.value):
        account = _account(quality, waba, event)
        account.lifted_direct = max(account.lifted_direct, at)


def _account(quality: Quality, waba: str, event: AccountEvent) -> Account:
    if waba:
        return quality.account(waba)
    return quality.account_of(schema.digits(event.value.get("phone_number")))


def is_lift(value: Mapping[str, object]) -> bool:
    """Return whether an `account_update` ends a restriction of Direct Send. Its type of violation tells, not its event.

    Args:
        value: the change's value. One with `restriction_info` restricts.

    """
    types = [upper(violation.get("violation_type")) for violation in schema.objects(value.get("violation_info"))]
    return not value.get("restriction_info") and any(name.endswith(_LIFTS) for name in types)


def _restrict(account: Account, items: object, at: float, measures: Measurements) -> None:
    """Apply restrictions."""
    listed: list[Any] = items if isinstance(items, list) else [items]
    for item in listed:
        kind = upper(item.get("restriction_type")) if isinstance(item, dict) else ""
        if not kind:
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
            continue
        given = item.get("expiration")
        expires = schema.date(given)
        if expires is None and given is not None:  # it holds until somebody knows better
            measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
        kind = enums.listed(kind, enums.RESTRICTIONS)
        account.restrict(kind, at, inf if expires is None else float(expires))


def _ban(account: Account, info: object, at: float, measures: Measurements) -> None:
    """Apply a ban or its end. A scheduled ban restricts nothing yet, and its date is free text."""
    states: set[str] = set()
    for ban in schema.objects(info):
        state = ban.get("waba_ban_state")
        states.update(upper(word) for word in (state if isinstance(state, list) else [state]))
    if "REINSTATE" in states:
        account.lifted = max(account.lifted, at)
    elif "DISABLE" in states:
        account.restrict(enums.BAN, at, inf)
    elif _SCHEDULED not in states:
        measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
