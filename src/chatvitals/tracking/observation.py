"""The door of everything that is no ASGI application: a webhook that the bot hands over by itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from chatvitals import context

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from types import TracebackType

    from chatvitals.events import Webhook, WebhookResult


class Observation:
    """A webhook that was taken in; as a context manager it binds the contact while the webhook is handled."""

    __slots__ = ("_bound", "_handling", "result")

    def __init__(self, webhook: Webhook) -> None:
        self.result: WebhookResult = webhook.result
        accepted = webhook.result == "accepted"
        self._handling = context.Handling(context.contacts_of(webhook.events) if accepted else ())
        self._bound: AbstractContextManager[None] | None = None

    def __enter__(self) -> Self:
        self._bound = context.bound(self._handling)
        self._bound.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        if self._bound is not None:
            self._bound.__exit__(None, None, None)  # the handler's exception is none of the binding's business
            self._bound = None


def signature_of(headers: Mapping[str, str] | Iterable[tuple[str, str]]) -> str | None:
    """Return the signature header, whatever its case; several are joined, so that none of them passes."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    values = [value for name, value in pairs if name.lower() == "x-hub-signature-256"]
    return ", ".join(values) if values else None
