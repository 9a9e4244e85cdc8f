"""`vitals.close()` never raises, leaves no part open, and keeps nothing of clients that the bot has dropped."""

from __future__ import annotations

import gc
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from chatvitals.metrics import catalogue
from chatvitals.settings import Settings
from chatvitals.stores.memory import MemoryStore
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.conftest import webhook_body
from tests.helpers.single_worker import EPOCH

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Swallowed


class Watched(MemoryStore):
    """A store that knows whether it was closed."""

    closed = False

    def close(self) -> None:
        """Close it."""
        super().close()
        self.closed = True


def _raise() -> None:
    raise RuntimeError("a part that cannot be closed")


def test_a_part_that_cannot_be_closed_leaves_no_other_part_open(swallowed: Swallowed) -> None:
    """An integration's undo raises, and the webhook that waits is committed all the same."""
    store = Watched()
    settings = Settings.load({"store": "memory:", "hooks": False}, environ={})
    vitals = Vitals(settings, store=store, clock=FakeClock(EPOCH), background=False)
    vitals._undo_on_close(_raise)
    vitals.observe_webhook(webhook_body("393331234567", "wamid.1"))
    vitals.close()
    vitals.close()
    assert swallowed.take("close")
    assert store.closed
    assert sum(value for (name, *_), value in store.cells().items() if name == catalogue.WEBHOOKS.name) == 1


@pytest.mark.parametrize("undone", [True, False])
def test_clients_that_are_gone_leave_nothing_behind(start: Callable[..., Vitals], *, undone: bool) -> None:
    """A bot may make a client for each request, and watch each."""
    vitals = start()
    with httpx.Client() as client:
        undo: Any = vitals.instrument_client(client)
        assert "send" in vars(client)
        if undone:
            undo()
    gone = weakref.ref(undo)
    del client, undo
    gc.collect()
    assert gone() is None


def test_clients_are_watched_until_the_end(start: Callable[..., Vitals]) -> None:
    """The bot need not keep the undo function."""
    vitals = start()
    with httpx.Client() as client:
        vitals.instrument_client(client)
        gc.collect()
        assert "send" in vars(client)
        vitals.close()
        assert "send" not in vars(client)
