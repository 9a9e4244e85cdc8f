"""Dramatiq: an actor knows the contact of the code that sent its message."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dramatiq

from chatvitals.integrations._carrier import KEY, Carrier

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

__all__ = ["instrument"]


def instrument(vitals: Vitals, broker: dramatiq.Broker | None = None) -> Callable[[], None]:
    """Let messages carry the contact from their sender to their actor. Call it in both processes.

        undo = instrument(vitals, broker)   # in the web process and in the worker

    Args:
        vitals: the result of `chatvitals.init`. Both processes name the same store.
        broker: the broker of these messages, by default Dramatiq's global broker.

    Returns:
        A function that undoes the change. `vitals.close()` does so, too.

    Raises:
        TypeError: `vitals` is not the result of `chatvitals.init`.
        ModuleNotFoundError: the package `cryptography` is not installed.

    """
    middleware = _Middleware(Carrier(vitals, "dramatiq"))
    (broker or dramatiq.get_broker()).add_middleware(middleware)
    middleware.carrier.undo_on_close(middleware.stop)
    return middleware.stop


class _Middleware(dramatiq.Middleware):  # type: ignore[misc]  # Dramatiq need not be there when types are checked
    """The hooks that Dramatiq calls around each message. None of them raises."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self._active = True

    def stop(self) -> None:
        """Stop carrying contacts. Dramatiq cannot remove a middleware."""
        self._active = False

    def before_enqueue(self, _broker: Any, message: Any, _delay: Any) -> None:
        """Write the current contacts into the message's options. A retry keeps its contacts."""
        before = message.options.get(KEY)
        if self._active and not self.carrier.has_part(before):
            text = self.carrier.sealed(before)
            if text is not None:
                message.options[KEY] = text

    def before_process_message(self, _broker: Any, message: Any) -> None:
        """Bind the contacts of the options while the actor runs."""
        if self._active:
            self.carrier.begin(message.message_id, message.options.get(KEY))

    def after_process_message(self, _broker: Any, message: Any, **_: Any) -> None:
        """Release the contacts."""
        self.carrier.end(message.message_id)

    def after_skip_message(self, _broker: Any, message: Any) -> None:
        """Release the contacts of a message that is skipped."""
        self.carrier.end(message.message_id)

    def after_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """Commit all waiting events, because a process of Dramatiq ends without `atexit`."""
        if self._active:
            self.carrier.commit(2.0)
