"""Sentences for the log about webhooks of the business that call for action.

A metric counts the event, and the sentence names the cause: the policy, the end of a restriction, the template. It
holds only words of Meta's lists, ids of the business and names of templates. WhatsApp's own prose may hold anything.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, Final

from chatvitals.quality.account_events import is_lift, upper
from chatvitals.whatsapp import schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from chatvitals.events import AccountEvent

    _Says = Callable[[dict[str, Any], str], str]

_WORD: Final = re.compile(r"[A-Z0-9_]{1,64}")
_ID: Final = re.compile(r"[0-9]{2,32}")
_NAME: Final = re.compile(r"[a-z0-9_]{1,512}")
_LANGUAGE: Final = re.compile(r"[A-Za-z_]{2,12}")
_LOSSES: Final = frozenset({"ACCOUNT_DELETED", "ACCOUNT_OFFBOARDED", "PARTNER_REMOVED", "PARTNER_APP_UNINSTALLED"})
_BAD_TEMPLATES: Final = frozenset({"PAUSED", "DISABLED", "REJECTED", "FLAGGED", "LOCKED", "LIMIT_EXCEEDED"})
_BAD_FLOWS: Final = frozenset({"BLOCKED", "THROTTLED"})
_SEVERE: Final = frozenset({"CRITICAL", "WARNING"})
_MOST: Final = 5  # words of a list
_NOTICES: Final[dict[str, _Says]] = {}


def notice(event: AccountEvent) -> str:
    """Return a sentence about an event, or the empty string where nothing is to be done.

    notice(event)  # "WhatsApp reports a violation by account 990001112223334: ALCOHOL."

    Args:
        event: a webhook's change about a number, a template or an account.

    """
    says = _NOTICES.get(event.field)
    return "" if says is None else says(event.value, _account(event))


def _about(field: str) -> Callable[[_Says], _Says]:
    """Register the function that reads changes of this field for an account."""

    def register(says: _Says) -> _Says:
        _NOTICES[field] = says
        return says

    return register


@_about("account_update")
def _account_update(value: dict[str, Any], account: str) -> str:
    event = _word(value.get("event"))
    types = [_word(item.get("violation_type")) for item in schema.objects(value.get("violation_info"))]
    if is_lift(value):
        return f"WhatsApp has lifted a restriction of {account}{_listed(types)}."
    if event == "ACCOUNT_VIOLATION":
        return f"WhatsApp reports a violation by {account}{_listed(types)}."
    if event == "ACCOUNT_RESTRICTION":
        return _restriction(value, account, types)
    if event == "DISABLED_UPDATE":
        return _ban(value, account)
    if event in _LOSSES:
        info = next(iter(schema.objects(value.get("disconnection_info"))), {})
        return f"No more webhooks may come from {account}: {event}{_listed([_word(info.get('reason'))], ', ')}."
    return ""


def _restriction(value: dict[str, Any], account: str, violations: list[str]) -> str:
    items = schema.objects(value.get("restriction_info"))
    found = [_word(item.get("restriction_type")) + _until(item.get("expiration")) for item in items]
    if found:
        return f"WhatsApp restricts {account}{_listed(found)}{_listed(violations, ', for ')}."
    return f"WhatsApp warns {account}{_listed(violations)}."


def _ban(value: dict[str, Any], account: str) -> str:
    states: set[str] = set()
    for ban in schema.objects(value.get("ban_info")):
        state = ban.get("waba_ban_state")
        states.update(map(_word, state if isinstance(state, list) else [state]))
    if "REINSTATE" in states:
        return f"WhatsApp has reinstated {account}."
    if "DISABLE" in states:
        return f"WhatsApp has disabled {account}."
    if "SCHEDULE_FOR_DISABLE" in states:
        return f"WhatsApp will disable {account}. WhatsApp Manager shows the date."
    return ""


@_about("account_alerts")
def _alert(value: dict[str, Any], account: str) -> str:
    alerts = schema.objects(value.get("alert_info")) or [value]
    found = [
        f"{_word(alert.get('alert_type'))} ({severity})"
        for alert in alerts
        if (severity := _word(alert.get("alert_severity"))) in _SEVERE and upper(alert.get("alert_status")) != "NONE"
    ]
    return f"WhatsApp has an alert for {account}{_listed(found)}." if found else ""


@_about("account_review_update")
def _review(value: dict[str, Any], account: str) -> str:
    return f"WhatsApp's review has rejected {account}." if upper(value.get("decision")) == "REJECTED" else ""


@_about("phone_number_name_update")
def _display_name(value: dict[str, Any], account: str) -> str:
    if upper(value.get("decision")) != "REJECTED":
        return ""
    reason = _listed([_word(value.get("rejection_reason"))])
    return f"WhatsApp has rejected the display name of a number of {account}{reason}."


@_about("phone_number_username_update")
def _username(value: dict[str, Any], account: str) -> str:
    if upper(value.get("decision")) != "REJECTED":
        return ""
    reasons = value.get("rejection_reasons")
    words = _listed(map(_word, reasons if isinstance(reasons, list) else [reasons]))
    return f"WhatsApp has rejected the username of a number of {account}{words}."


@_about("security")
def _security(value: dict[str, Any], account: str) -> str:
    event = _word(value.get("event"))
    return f"The PIN of a number of {account}: {event}. Check who did it." if event else ""


@_about("flows")
def _flow(value: dict[str, Any], account: str) -> str:
    flow = _matching(_ID, value.get("flow_id"))
    status, is_alert = _word(value.get("new_status")), upper(value.get("alert_state")) == "ACTIVATED"
    trouble = status if status in _BAD_FLOWS else _word(value.get("event")) if is_alert else ""
    return f"{f'The flow {flow}' if flow else 'A flow'} of {account} is in trouble: {trouble}." if trouble else ""


@_about("message_template_status_update")
def _template_status(value: dict[str, Any], account: str) -> str:
    event = _word(value.get("event"))
    if event not in _BAD_TEMPLATES:
        return ""
    other = next(iter(schema.objects(value.get("other_info"))), {})
    causes = [word for word in (_word(other.get("title")), _word(value.get("reason"))) if word not in {"NONE", event}]
    return f"{_template(value, account)} is {event}{_listed(causes)}."


@_about("template_category_update")
def _category(value: dict[str, Any], account: str) -> str:
    new, coming = _word(value.get("new_category")), _word(value.get("correct_category"))
    if coming and coming != new:
        when = _until(value.get("category_update_timestamp")).replace(" until ", " on ")
        return f"{_template(value, account)} will have the category {coming}{when}. Its price changes with it."
    before = _listed([_word(value.get("previous_category"))], ", before ")
    return f"{_template(value, account)} has the category {new}{before}. Its price changed with it." if new else ""


def _account(event: AccountEvent) -> str:
    inside = (_matching(_ID, info.get("waba_id")) for info in schema.objects(event.value.get("waba_info")))
    found = next(filter(None, inside), "") or _matching(_ID, event.entry)
    return f"account {found}" if found else "an account"


def _template(value: dict[str, Any], account: str) -> str:
    name = _matching(_NAME, value.get("message_template_name"))
    language = _matching(_LANGUAGE, value.get("message_template_language"))
    shown = " ".join(part for part in (name, f"({language})" if language else "") if part)
    return f"The template {shown} of {account}" if shown else f"A template of {account}"


def _word(value: object) -> str:
    """Return a word of Meta's in upper case, or the empty string for prose and any other value."""
    return _matching(_WORD, upper(value))


def _matching(form: re.Pattern[str], value: object) -> str:
    found = schema.text(value)
    return found if form.fullmatch(found) else ""


def _listed(words: Iterable[str], before: str = ": ") -> str:
    given = [word for word in words if word][:_MOST]
    return before + ", ".join(given) if given else ""


def _until(timestamp: object) -> str:
    """Return the time at which something ends, in UTC."""
    at = schema.date(timestamp)
    return "" if at is None else time.strftime(" until %Y-%m-%d %H:%M UTC", time.gmtime(at))
