"""Dramatiq: an actor knows whose message it is about, as the code does that sent it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dramatiq

from chatvitals.integrations._carrier import KEY, Carrier

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals


def instrument(vitals: Vitals, broker: dramatiq.Broker | None = None) -> Callable[[], None]:
    """Let messages carry the contact from where they are sent to where they are handled; call it in both processes.

    Args:
        vitals: what `chatvitals.init` returned; both processes name the same store.
        broker: the broker whose messages do so; by default Dramatiq's global one.

    Returns:
        A function that undoes it; `vitals.close()` does so too.

    """
    middleware = _Middleware(Carrier(vitals, "dramatiq"))
    (broker or dramatiq.get_broker()).add_middleware(middleware)
    middleware.carrier.undo_on_close(middleware.stop)
    return middleware.stop


class _Middleware(dramatiq.Middleware):  # type: ignore[misc]  # Dramatiq need not be there when types are checked
    """What Dramatiq calls around each message; nothing here raises."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self._active = True

    def stop(self) -> None:
        """Carry nothing more; Dramatiq has no way to take a middleware away."""
        self._active = False

    def before_enqueue(self, _broker: Any, message: Any, _delay: Any) -> None:
        """Write what is known here into the message's options; a retry keeps what it has."""
        if self._active:
            text = self.carrier.sealed()
            if text is not None:
                message.options.setdefault(KEY, text)

    def before_process_message(self, _broker: Any, message: Any) -> None:
        """Bind what the options say, for the time of the actor."""
        if self._active:
            self.carrier.begin(message.message_id, message.options.get(KEY))

    def after_process_message(self, _broker: Any, message: Any, **_: Any) -> None:
        """Release what was bound."""
        self.carrier.end(message.message_id)

    def after_skip_message(self, _broker: Any, message: Any) -> None:
        """Release what was bound for a message that is not handled after all."""
        self.carrier.end(message.message_id)

    def after_worker_shutdown(self, _broker: Any, _worker: Any) -> None:
        """Commit what waits: a process of Dramatiq's ends past `atexit`."""
        if self._active:
            self.carrier.commit(2.0)
