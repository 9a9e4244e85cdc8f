"""Resolution of the contact that a call is about, from the caller, the context, or a handler's arguments."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from chatvitals import context
from chatvitals.context import ContactIds
from chatvitals.runtime import advice
from chatvitals.whatsapp.contact_matching import find
from chatvitals.whatsapp.schema import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from chatvitals.runtime.error_guard import ErrorGuard


class ContactResolver:
    """A resolver of contacts. A call without a contact is counted, and never raises.

    Args:
        guard: counts calls without a contact as `internal_errors_total{where="no_contact"}`, and calls in a webhook
            that does not count as `refused_webhook`.
        default_number: the business number where neither caller nor context give one.

    """

    __slots__ = ("_default_number", "_guard")

    def __init__(self, guard: ErrorGuard, default_number: str) -> None:
        self._guard = guard
        self._default_number = default_number

    def named(self, what: str, contact: str, phone_number_id: str) -> ContactIds | None:
        """Return the contact that the caller names, or the contact whose message is being handled.

        Args:
            what: the call, for the message where no contact is found.
            contact: phone or business-scoped user id, or empty.
            phone_number_id: the business number, or empty.

        """
        current = context.current()
        if contact:
            person = context.named(text(phone_number_id), text(contact))  # callers may pass ids as numbers, too
            handled = current or find(context.handled(), *person)  # in a batch, the contact that is named
            number = person.phone_number_id or (
                handled.phone_number_id if handled is not None else self._default_number
            )
            if number and text(contact):
                return person._replace(phone_number_id=number)
        elif current is not None:
            return current
        self._nobody(what)
        return None

    def handled(self, what: str, args: Iterable[Any], kwargs: Mapping[str, Any]) -> ContactIds | None:
        """Return the contact of a handler's call. Its arguments decide where the context gives no single contact."""
        found = context.current() or self.in_arguments((*args, *kwargs.values()))
        if found is None:
            self._nobody(what)
        return found

    def in_arguments(self, arguments: Iterable[Any]) -> ContactIds | None:
        """Return the sender of a pywa update or a webhook item among `arguments`, or None."""
        for argument in arguments:
            number = phone = user = ""
            with suppress(Exception):  # a foreign object may raise, such as a proxy outside its request
                number, phone, user = _of_mapping(argument) if isinstance(argument, dict) else _of_update(argument)
            if phone or user:
                handled = find(context.handled(), number, phone, user)
                if handled is not None:
                    return handled
                if number or self._default_number:
                    return ContactIds(number or self._default_number, phone, user)
        return None

    def _nobody(self, what: str) -> None:
        refusal = context.refusal()
        if refusal in advice.EXPLAINED:
            self._guard.count("refused_webhook")
            return
        if refusal:
            self._guard.mistake(
                "refused_webhook",
                f"{what} was called in a webhook that does not count ({refusal}). Such calls do not count either. "
                "Further calls are counted in chatvitals_internal_errors_total.",
                topic=f"refused webhook {refusal}",
            )
            return
        if self._guard.advice.has_said(advice.NO_WEBHOOKS):  # the cause is known, and the log names it
            self._guard.count("no_contact")
            return
        self._guard.report(
            "no_contact",
            message=f"{what} could not tell which contact it is about. Pass contact= and phone_number_id=. "
            "A webhook without a message, such as a status, needs no call",
        )


def _of_mapping(item: dict[Any, Any]) -> tuple[str, str, str]:
    """Return the ids in a webhook's plain JSON: an item of `messages[]`, or any level above with one sender."""
    number = ""
    for level in ("entry", "changes", "value", "messages"):
        metadata = item.get("metadata")
        if isinstance(metadata, dict):
            number = text(metadata.get("phone_number_id"))
        inner = item.get(level)
        found = inner if isinstance(inner, list) else [inner]
        if level == "messages" and len({_ids(each) for each in found}) == 1:
            found = found[:1]
        if len(found) == 1 and isinstance(found[0], dict):
            item = found[0]
    return number, *_ids(item)


def _ids(message: Any) -> tuple[str, str]:
    return (text(message.get("from")), text(message.get("from_user_id"))) if isinstance(message, dict) else ("", "")


def _of_update(update: Any) -> tuple[str, str, str]:
    """Return the ids in an update of pywa: `from_user.wa_id`, `.bsuid` and `metadata.phone_number_id`."""
    person = getattr(update, "from_user", None)
    if person is None:
        return "", "", ""
    number = text(getattr(getattr(update, "metadata", None), "phone_number_id", None))
    return number, text(getattr(person, "wa_id", None)), text(getattr(person, "bsuid", None))
