"""Checks of the arguments of `vitals.sending()` at run time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from chatvitals.context import Tag
from chatvitals.settings.declaration import did_you_mean

if TYPE_CHECKING:
    from chatvitals.runtime.error_guard import ErrorGuard

KINDS: Final = ("reply", "campaign", "notice")
ACTORS: Final = ("bot", "human")


def tag(guard: ErrorGuard, kind: object, actor: object) -> Tag:
    """Return the tag for sends. An unknown word has no effect, and the log explains it once.

    Args:
        guard: counts and explains mistakes, as `internal_errors_total{where="sending"}`.
        kind: one of `KINDS`, or None.
        actor: one of `ACTORS`, or None.

    """
    return Tag(_known(guard, "kind", kind, KINDS), _known(guard, "actor", actor, ACTORS))


def _known(guard: ErrorGuard, what: str, word: Any, known: tuple[str, ...]) -> Any:
    if word is None or word in known:
        return word
    close = did_you_mean(word, known) if isinstance(word, str) else ""
    guard.mistake(
        "sending",
        f"sending() got the unknown {what} {word!r:.80}, which has no effect.{close} It takes {', '.join(known)}.",
    )
    return None
