"""Waits for what must come, whatever the speed of the machine. Limits only end a test that would wait for ever."""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

T = TypeVar("T")

MOST_SECONDS = 60.0
_PAUSE = 0.05
_LOOKS = 2_000  # counted, not timed: a machine that stands still for a minute uses none of them up


def until(said: str, look: Callable[[], T | None], why: Callable[[], object] = str) -> T:
    """Look again and again, until what is found is true. Return it.

    Args:
        said: what the test waits for, as its failure tells it.
        look: returns something true once it is there.
        why: returns what else the failure should tell.

    """
    for _ in range(_LOOKS):
        if found := look():
            return found
        time.sleep(_PAUSE)
    raise AssertionError(f"it never came: {said} {why()}")


def returned(call: Callable[[], T]) -> T:
    """Return what a call returns, while the test holds back what the call must not wait for.

    The call runs on a thread of its own.

    Raises:
        TimeoutError: the call waits.

    """
    result: Future[T] = Future()

    def work() -> None:
        try:
            result.set_result(call())
        except BaseException as error:  # noqa: BLE001 - the caller raises it
            result.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return result.result(MOST_SECONDS)


def unhurried(vitals: Vitals) -> None:
    """Let the end of a bot wait a minute for its last commit. After two seconds a busy machine may not have made it."""
    pipeline: Any = vitals._pipeline
    pipeline.close = partial(pipeline.close, MOST_SECONDS)
