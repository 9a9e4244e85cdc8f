"""Integration of Celery. A task runs in the context of the webhook whose handler sent the task.

Contacts and the tag of `vitals.sending(…)` travel in a header of the task. The header is sealed with a key that only
processes on the same store have, because Celery logs the headers of unknown tasks.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import msgspec
from celery import signals

from chatvitals import context, http_hooks
from chatvitals.context import ContactIds, Handling, Tag
from chatvitals.runtime import sealing
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, MutableMapping

    from celery import Celery

    from chatvitals.vitals import Vitals

_HEADER = "chatvitals"
_MOST_CONTACTS = 50  # of a batch; a longer header would be too expensive for the broker


class _Carried(msgspec.Struct, array_like=True):
    """The content of a header."""

    contacts: list[ContactIds]
    tag: Tag
    trace: bytes = b""


def instrument(vitals: Vitals, app: Celery | None = None) -> Callable[[], None]:
    """Let tasks carry the contact from the sender to the worker. Call it in both processes.

    Args:
        vitals: the result of `chatvitals.init`. Both processes use the same store.
        app: the Celery app whose tasks take the contact over. None means all apps of this process.

    Returns:
        A function that undoes it. `vitals.close()` calls it, too.

    """
    sealing.require()
    carrier = _Carrier(vitals, app)
    connected = (
        (signals.before_task_publish, carrier.publish),
        (signals.task_prerun, carrier.begin),
        (signals.task_postrun, carrier.end),
        (signals.worker_process_shutdown, carrier.shut_down),
    )
    for signal, receiver in connected:
        signal.connect(receiver, weak=False)

    def undo() -> None:
        for signal, receiver in connected:
            signal.disconnect(receiver)

    vitals._undo_on_close(undo)
    return undo


class _Carrier:
    """The receivers of Celery's signals. None of them raises."""

    def __init__(self, vitals: Vitals, app: Celery | None) -> None:
        self._vitals = vitals
        self._app = app
        self._running: dict[str, ExitStack] = {}  # by task id, because one thread may run a task within a task

    def publish(self, headers: MutableMapping[str, Any] | None = None, **_: Any) -> None:
        """Write the current contacts and tag into the task's header."""
        with self._vitals._guard("celery"):
            contacts, tag = context.handled(), context.tag()
            if headers is None or (not contacts and tag == Tag()):
                return
            carried = _Carried(list(contacts[:_MOST_CONTACTS]), tag, context.handled_trace())
            try:
                key = self._vitals._pipeline.hasher().sealing_key
            except StoreUnavailableError:
                return  # the task runs without a contact, but its sends still name their recipient
            headers[_HEADER] = sealing.seal(key, msgspec.msgpack.encode(carried))

    def begin(self, task_id: str = "", task: Any = None, **_: Any) -> None:
        """Bind the header's content for the duration of the task."""
        with self._vitals._guard("celery"):
            if self._vitals.settings.hooks:
                http_hooks.refresh()  # the task's module may have imported an HTTP client
            carried = self._read(task)
            if carried is not None:
                stack = self._running[task_id] = ExitStack()
                stack.enter_context(context.bound(Handling(tuple(carried.contacts), carried.trace)))
                stack.enter_context(context.tagged(carried.tag))

    def end(self, task_id: str = "", **_: Any) -> None:
        """Release the binding."""
        with self._vitals._guard("celery"):
            stack = self._running.pop(task_id, None)
            if stack is not None:
                stack.close()

    def shut_down(self, **_: Any) -> None:
        """Commit waiting events, because a child of a prefork pool ends without `atexit` handlers."""
        with self._vitals._guard("celery"):
            self._vitals._pipeline.close()

    def _read(self, task: Any) -> _Carried | None:
        if self._app is not None and task.app is not self._app:
            return None
        header = task.request.get(_HEADER)
        if not isinstance(header, str):
            return None
        try:
            content = sealing.unseal(self._vitals._pipeline.hasher().sealing_key, header)
        except StoreUnavailableError:
            return None
        if content is None:
            self._vitals._guard.report(
                "celery", message="a task came with a contact that was sealed with another store's key"
            )
            return None
        return msgspec.msgpack.decode(content, type=_Carried)
