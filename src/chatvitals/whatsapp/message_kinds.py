"""The kind of a message beyond its type: whether it adds a message, and the message that it is about."""

from __future__ import annotations

from typing import Final

from chatvitals.whatsapp import enums
from chatvitals.whatsapp.schema import About, Error, Kind, MessageItem, SendBody, lower_word, only, text, word

ABOUT: Final = frozenset({"reaction", "edit", "revoke"})
"""Types of messages that are about another message."""


def adds_nothing(item: MessageItem, kind: str) -> bool:
    """Return whether a message changes or marks another message, or comes from no person.

    Args:
        item: the message.
        kind: its type.

    """
    if kind in enums.ADDS_NO_MESSAGE:
        return True
    if kind == "unsupported":
        return _own_type(item.unsupported) in enums.UNSUPPORTED_ADDS_NO_MESSAGE
    return kind == "interactive" and interactive_adds_nothing(item.interactive)


def interactive_adds_nothing(body: object) -> bool:
    """Return whether the body of an `interactive` message is no message of a person, but a choice about calls."""
    return _own_type(body) in enums.INTERACTIVE_ADDS_NO_MESSAGE


def about(item: MessageItem, kind: str) -> str:
    """Return the id of the message that a reaction, an edit or a deletion is about."""
    body = only({"reaction": item.reaction, "edit": item.edit}.get(kind, item.revoke), About)
    if body is None:
        return ""
    return text(body.message_id if kind == "reaction" else body.original_message_id)


def is_mark(body: SendBody) -> bool:
    """Return whether the body of a send is a read mark or a typing indicator. Neither is a message."""
    return body.status is not None


def failure_code(errors: object) -> str:
    """Return the code of the only or first of Meta's errors, or the empty string where it cannot be read."""
    first = errors[0] if isinstance(errors, list) and errors else errors
    return word(first.code) if type(first) is Error else ""


def _own_type(body: object) -> str:
    found = only(body, Kind)
    return "" if found is None else lower_word(found.type)
