"""Celery: a task knows the contact of the code that sent it.

The contacts and what `vitals.sending(…)` said travel in a header of the task, sealed with a key that only processes on
the same store have: Celery writes headers into its log when it does not know a task.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery import signals

from chatvitals.integrations._carrier import KEY, Carrier

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from celery import Celery

    from chatvitals.vitals import Vitals

__all__ = ["instrument"]


def instrument(vitals: Vitals, app: Celery | None = None) -> Callable[[], None]:
    """Let tasks carry the contact from the sender to the worker. Call it in both processes.

        undo = instrument(vitals, app)   # in the web process and in the worker

    Args:
        vitals: the result of `chatvitals.init`. Both processes use the same store.
        app: the Celery app whose tasks take the contact over. None means all apps of this process.

    Returns:
        A function that undoes it. `vitals.close()` calls it, too.

    Raises:
        TypeError: `vitals` is not the result of `chatvitals.init`.
        ModuleNotFoundError: the package `cryptography` is not installed.

    """
    receivers = _Receivers(Carrier(vitals, "celery"), app)
    connected = (
        (signals.before_task_publish, receivers.publish),
        (signals.task_prerun, receivers.begin),
        (signals.task_postrun, receivers.end),
        (signals.worker_process_shutdown, receivers.shut_down),
    )
    uid = f"{KEY}-{id(receivers)}"  # Celery 5.4 takes the same method of two objects for one receiver
    for signal, receiver in connected:
        signal.connect(receiver, weak=False, dispatch_uid=uid)

    def undo() -> None:
        for signal, receiver in connected:
            signal.disconnect(receiver, dispatch_uid=uid)

    receivers.carrier.undo_on_close(undo)
    return undo


class _Receivers:
    """The receivers of Celery's signals. None of them raises."""

    def __init__(self, carrier: Carrier, app: Celery | None) -> None:
        self.carrier = carrier
        self._app = app

    def publish(self, headers: MutableMapping[str, Any] | None = None, **_: Any) -> None:
        """Write the current contacts and tag into the task's header."""
        text = None if headers is None else self.carrier.sealed(headers.get(KEY))
        if text is not None and headers is not None:
            headers[KEY] = text

    def begin(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        """Bind the header's content for the duration of the task."""
        with self.carrier.guard(self.carrier.where):
            ours = self._app is None or task.app is self._app
            self.carrier.begin(task_id, task.request.get(KEY) if ours else None)

    def end(self, task_id: str = "", **_: Any) -> None:
        """Release the binding."""
        self.carrier.end(task_id)

    def shut_down(self, **_: Any) -> None:
        """Commit all waiting events, because a child of a prefork pool ends past `atexit`."""
        self.carrier.close()
