"""What a check found: one record, whatever was checked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

State: TypeAlias = Literal["ok", "attention", "skipped"]

_SHORTEST_SECRET = 6
"""Characters from which on a secret is blotted out; blotting out shorter ones would spoil words and so tell them."""


class Finding(NamedTuple):
    """One line of the report."""

    check: str
    subject: str
    """What was looked at, such as the id of an account; empty where there is only one."""
    state: State
    found: str
    next: str = ""
    """What to do next, where something is to do."""

    def without(self, secrets: Iterable[str]) -> Finding:
        """Return it fit to be shown: on one line, nothing that moves a terminal's cursor, no secret."""
        shown = [_plain(text) for text in (self.subject, self.found, self.next)]
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                shown = [text.replace(secret, "…") for text in shown]
        return self._replace(subject=shown[0], found=shown[1], next=shown[2])


def ok(check: str, found: str, *, subject: str = "") -> Finding:
    """Return that all is well."""
    return Finding(check, subject, "ok", found)


def attention(check: str, found: str, do_next: str, *, subject: str = "") -> Finding:
    """Return that somebody should do something, and what."""
    return Finding(check, subject, "attention", found, do_next)


def skipped(check: str, found: str, do_next: str = "", *, subject: str = "") -> Finding:
    """Return that this was not checked, why, and what would enable it."""
    return Finding(check, subject, "skipped", found, do_next)


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()
