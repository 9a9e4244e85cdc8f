"""The common part of task queues: a sealed text that names the contacts of a task.

Only processes on the same store have the key, because queues write their content into logs and brokers. Several
`Vitals` in one process write one part of the text each.
"""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

import msgspec

from chatvitals import context, http_hooks
from chatvitals.context import ContactIds, Handling, Tag
from chatvitals.integrations._arguments import check_vitals
from chatvitals.runtime import sealing
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

KEY = "chatvitals"
"""The name under which a task carries the text."""
_MOST_CONTACTS = 50  # of a batch; a longer text would cost the broker more than it is worth
_MOST_PARTS = 4  # of one text
_running: dict[str, ExitStack] = {}  # by task id, of all `Vitals`; one thread may run a task within a task


class _Carried(msgspec.Struct, array_like=True):
    """The content of the text."""

    contacts: list[ContactIds]
    tag: Tag
    trace: bytes = b""


class Carrier:
    """Seals the current contacts where a task is sent, and binds them where the task runs. None of its methods raises.

    Args:
        vitals: The result of `chatvitals.init`. Both processes name the same store.
        where: The place that errors are counted under.

    Raises:
        TypeError: `vitals` is not the result of `chatvitals.init`.
        ModuleNotFoundError: the package `cryptography` is not installed.

    """

    def __init__(self, vitals: Vitals, where: str) -> None:
        check_vitals(vitals)
        sealing.require()
        self.guard = vitals.webhook_sink.guard
        self.where = where
        self._vitals = vitals

    def sealed(self, before: object = None) -> str | None:
        """Return the current contacts and tag as a sealed text, or None where there are none.

        Args:
            before: the text that the task carries already. The parts of other stores stay.

        """
        with self.guard(self.where):
            contacts, tag = context.handled(), context.tag()
            if not contacts and tag == Tag():
                return None
            carried = _Carried(list(contacts[:_MOST_CONTACTS]), tag, context.handled_trace())
            try:
                key = self._vitals._pipeline.hasher().sealing_key
            except StoreUnavailableError:
                return None  # the task runs without; its sends still name their recipients
            others = [part for part in _parts(before) if self._unsealed(part) is None]
            return " ".join([*others, sealing.seal(key, msgspec.msgpack.encode(carried))][-_MOST_PARTS:])
        return None

    def has_part(self, text: object) -> bool:
        """Return whether a text has a part that this store's key opens."""
        with self.guard(self.where):
            return any(self._unsealed(part) is not None for part in _parts(text))
        return False

    def begin(self, task_id: str, text: object) -> None:
        """Bind the contacts of a task until `end`. Another `Vitals` of this process may have bound them already."""
        with self.guard(self.where):
            if self._vitals.settings.hooks:
                http_hooks.refresh()  # the task's module may have brought an HTTP client
            carried = None if task_id in _running else self._read(text)
            if carried is not None:
                stack = _running[task_id] = ExitStack()
                stack.enter_context(context.bound(Handling(tuple(carried.contacts), carried.trace)))
                stack.enter_context(context.tagged(carried.tag))

    def end(self, task_id: str) -> None:
        """Release the binding."""
        with self.guard(self.where):
            stack = _running.pop(task_id, None)
            if stack is not None:
                stack.close()

    def end_all(self) -> None:
        """Release all bindings."""
        for task_id in list(_running):
            self.end(task_id)

    def commit(self, seconds: float) -> None:
        """Commit all waiting events before a process ends at once."""
        with self.guard(self.where):
            self._vitals.settle(seconds)

    def close(self) -> None:
        """Commit all waiting events, because a child of a pool ends past `atexit`."""
        with self.guard(self.where):
            self._vitals._pipeline.close()

    def undo_on_close(self, undo: Callable[[], None]) -> None:
        """Have `vitals.close()` call `undo`."""
        self._vitals._undo_on_close(undo)

    def _read(self, text: object) -> _Carried | None:
        parts = _parts(text)
        try:
            content = next((found for found in map(self._unsealed, parts) if found is not None), None)
        except StoreUnavailableError:
            return None
        if content is not None:
            return msgspec.msgpack.decode(content, type=_Carried)
        if parts:
            self.guard.report(self.where, message="a task came with a contact that was sealed with another store's key")
        return None

    def _unsealed(self, part: str) -> bytes | None:
        hasher = self._vitals._pipeline.hasher()
        content = sealing.unseal(hasher.sealing_key, part)
        if content is None and hasher.previous is not None:  # the task waited while the identity key changed
            content = sealing.unseal(hasher.previous.sealing_key, part)
        return content


def _parts(text: object) -> list[str]:
    return text.split()[-_MOST_PARTS:] if isinstance(text, str) else []
