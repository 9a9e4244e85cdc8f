"""The finding of a check."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

State: TypeAlias = Literal["ok", "attention", "skipped"]

_SHORTEST_SECRET = 6
"""Least length of a secret that is masked. Masking shorter secrets would damage words and reveal the secret."""


class Finding(NamedTuple):
    """One line of the report."""

    check: str
    subject: str
    """The checked object, such as the id of an account. It is empty where there is only one."""
    state: State
    found: str
    next: str = ""
    """The next action, where one is needed."""

    def without(self, secrets: Iterable[str]) -> Finding:
        """Return a printable copy: on one line, without terminal control characters, and without secrets."""
        shown = [_plain(text) for text in (self.subject, self.found, self.next)]
        for secret in sorted(filter(None, secrets), key=len, reverse=True):
            if len(secret) >= _SHORTEST_SECRET:
                shown = [text.replace(secret, "…") for text in shown]
        return self._replace(subject=shown[0], found=shown[1], next=shown[2])


def ok(check: str, found: str, *, subject: str = "") -> Finding:
    """Return a finding without a problem."""
    return Finding(check, subject, "ok", found)


def attention(check: str, found: str, do_next: str, *, subject: str = "") -> Finding:
    """Return a finding on a problem, with the next action."""
    return Finding(check, subject, "attention", found, do_next)


def skipped(check: str, found: str, do_next: str = "", *, subject: str = "") -> Finding:
    """Return a finding on a check that was not made, with the reason and how to enable it."""
    return Finding(check, subject, "skipped", found, do_next)


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else " " for char in text).strip()
