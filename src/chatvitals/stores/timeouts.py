"""A short time limit for look-ups in a store on another host, including name resolution and connection."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, TypeVar

from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

    T = TypeVar("T")

_MOMENT = 0.05
_REST = 5.0


class LookupDeadline:
    """Look-ups on threads of their own, so that the caller waits only a moment.

    A timeout of the connection would not suffice. Name resolution has none, and the timeout restarts with each step.

    Args:
        seconds: time limit for an answer.
        rest: seconds during which all look-ups fail at once after an answer was late.

    """

    def __init__(self, seconds: float = _MOMENT, rest: float = _REST) -> None:
        self._seconds = seconds
        self._rest = rest
        self._rest_until = 0.0
        self._pid = os.getpid()

    def run(self, look_up: Callable[[], T]) -> T:
        """Return the result of `look_up`, or raise its exception.

        Raises:
            StoreUnavailableError: it takes too long, or another look-up just did.

        """
        if self._pid != os.getpid():
            self._pid, self._rest_until = os.getpid(), 0.0
        if time.monotonic() < self._rest_until:
            raise StoreUnavailableError("the store has just been too slow for the bot to wait for it")
        answer: list[T] = []
        failure: list[BaseException] = []

        def work() -> None:
            try:
                answer.append(look_up())
            except BaseException as error:  # noqa: BLE001 - the caller raises it
                failure.append(error)

        thread = threading.Thread(target=work, name="chatvitals-look-up", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # no threads here, or the interpreter is ending
            raise StoreUnavailableError("no thread could be started to ask the store") from error
        thread.join(self._seconds)
        if answer:
            return answer[0]
        if failure:
            raise failure[0]
        self._rest_until = time.monotonic() + self._rest
        raise StoreUnavailableError(f"the store did not answer within {self._seconds * 1000:.0f} ms")
