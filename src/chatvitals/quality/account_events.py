"""Account events: count them by WABA, field and event, and keep restrictions (conversations/README.md 8)."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from chatvitals.metrics import catalogue
from chatvitals.quality import messaging_limits
from chatvitals.whatsapp import enums, schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import TypeAlias

    from chatvitals.events import AccountEvent
    from chatvitals.metrics.measurements import Measurements
    from chatvitals.quality.state import Quality

    Admit: TypeAlias = Callable[[str, str], str]

_NO_ACCOUNT: Final = frozenset({"", "0"})  # what calling events and dashboard tests have in `entry.id`
_PORTFOLIO_FIELDS: Final = frozenset({"partner_solutions"})  # whose `entry.id` is a portfolio's, and no WABA is named
_LIFTS: Final = ("_UNBAN", "_RATE_LIMIT_RECOVERY")
_LIMITS: Final = ("max_daily_conversations_per_business", "max_daily_conversation_per_phone")


def apply_account_event(quality: Quality, event: AccountEvent, at: float, admit: Admit, measures: Measurements) -> None:
    """Count an account event, and let restrictions and limits take effect."""
    waba = _waba(quality, event, admit)
    for name in _names(event):
        measures.count(catalogue.ACCOUNT_EVENTS, (waba, event.field, name))
    if event.field == "business_capability_update":
        spelling = next((event.value[key] for key in _LIMITS if event.value.get(key) is not None), None)
        if spelling is not None:
            messaging_limits.apply_limit(quality.account(waba).limit, spelling, at, measures)
    elif event.field == "account_update":
        _account_update(quality, waba, event, at, measures)


def upper(value: object) -> str:
    """Return a word of Meta's in the upper case that most pages print, or nothing where it is no word."""
    return value[:64].upper() if isinstance(value, str) else ""


def waba_label(waba: str, admit: Admit) -> str:
    """Return a WABA's id as a label value, or nothing where it cannot be one."""
    return admit("waba_id", waba) if waba not in _NO_ACCOUNT else ""


def _waba(quality: Quality, event: AccountEvent, admit: Admit) -> str:
    """Return the WABA that an event is about: the one inside the value before the entry's, which may be a portfolio."""
    info = event.value.get("waba_info")
    inside = schema.text(info.get("waba_id")) if isinstance(info, dict) else ""
    if inside:
        return waba_label(inside, admit)
    if event.field in _PORTFOLIO_FIELDS:
        return ""
    if event.entry in _NO_ACCOUNT:
        number_id = quality.number_of(schema.digits(event.value.get("phone_number")))
        return "" if number_id is None else quality.numbers[number_id].waba
    return waba_label(event.entry, admit)


def _names(event: AccountEvent) -> Iterator[str]:
    """Give the event's name as a label value, several where the value is a list of groups."""
    known = enums.ACCOUNT_EVENTS[event.field]
    if known == {"UPDATE"}:
        yield "UPDATE"
        return
    if event.field == "group_status_update":
        groups = event.value.get("groups")
        words = [g.get("type") for g in groups if isinstance(g, dict)] if isinstance(groups, list) else []
    else:
        alert = event.value.get("alert_info")
        value = alert if isinstance(alert, dict) else event.value
        words = [next((value[k] for k in ("event", "decision", "alert_type") if value.get(k) is not None), None)]
    for word in words:
        yield word if isinstance(word, str) and word in known else enums.OTHER


def _account_update(quality: Quality, waba: str, event: AccountEvent, at: float, measures: Measurements) -> None:
    match upper(event.value.get("event")):
        case "ACCOUNT_RESTRICTION":
            _restriction(quality, waba, event, at, measures)
        case "DISABLED_UPDATE":
            _ban(quality, waba, event.value.get("ban_info"), at)


def _restriction(quality: Quality, waba: str, event: AccountEvent, at: float, measures: Measurements) -> None:
    """Tell a restriction, a warning and a lift apart: all three come under one event name."""
    items = event.value.get("restriction_info")
    account = quality.account(waba)
    if isinstance(items, dict):
        items = [items]
    if isinstance(items, list) and items:
        for item in items:
            kind = upper(item.get("restriction_type")) if isinstance(item, dict) else ""
            if not kind:
                measures.count(catalogue.EVENTS_DROPPED, ("malformed",))
                continue
            expires = schema.seconds(item.get("expiration"))
            kind = kind if kind in enums.RESTRICTIONS else enums.OTHER
            account.restrict(kind, at, inf if expires is None else float(expires))
        return
    violation = event.value.get("violation_info")
    kind = upper(violation.get("violation_type")) if isinstance(violation, dict) else ""
    if kind.endswith(_LIFTS):
        account.lifted_direct = max(account.lifted_direct, at)


def _ban(quality: Quality, waba: str, info: object, at: float) -> None:
    """Read a ban or its end; one that is only scheduled restricts nothing yet, and its date is prose."""
    state = info.get("waba_ban_state") if isinstance(info, dict) else None
    states = {upper(word) for word in (state if isinstance(state, list) else [state])}
    account = quality.account(waba)
    if "REINSTATE" in states:
        account.lifted = max(account.lifted, at)
    elif "DISABLE" in states:
        account.restrict(enums.BAN, at, inf)
