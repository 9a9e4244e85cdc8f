"""`vitals.close()` never raises, leaves no part open, and keeps nothing of clients that the bot has dropped."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from chatvitals.exporters.otlp_push import OtlpPush
from chatvitals.graph_api import config
from chatvitals.graph_api.poller import Poller
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


def test_31_what_comes_after_the_end_is_counted_and_told(caplog: pytest.LogCaptureFixture) -> None:
    """Such as an event of the bot's own `atexit` function. Nothing would commit it, and nothing is kept for that."""
    vitals = Vitals(Settings.load({"store": "memory:", "hooks": False}, environ={}))
    vitals.close()
    for number in range(3):
        vitals.observe_webhook(webhook_body("393331234567", f"wamid.{number}"))
    own = vitals._pipeline.own.measures().increments
    assert own[catalogue.EVENTS_DROPPED.name, ("store",), 0] == 3
    assert vitals._pipeline.waiting == 0
    assert caplog.text.count("Events came after vitals.close()") == 1


class _Exporter:
    """An exporter that takes everything."""

    def export(self, *_: object, **__: object) -> None:
        """Take a push."""


def test_of_threads_that_export_at_once_one_is_refused(
    start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two pushes would count the health of this process twice, and `close` would end one of them only."""
    vitals = start()
    both = threading.Barrier(2, timeout=60)
    begin = OtlpPush.__init__

    def slow(self: OtlpPush, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        both.wait()

    monkeypatch.setattr(OtlpPush, "__init__", slow)
    refused: list[ValueError] = []

    def export() -> None:
        try:
            vitals.export_otlp(_Exporter())  # type: ignore[arg-type]  # it has what is called
        except ValueError as error:
            refused.append(error)

    _at_once(export)
    assert len(refused) == 1
    assert len(vitals.webhook_sink.before_receive) == 1
    vitals.close()


def test_threads_that_watch_ratings_at_once_share_one_poller(
    start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second would go on after `close`."""
    vitals = start()
    both = threading.Barrier(2, timeout=60)
    make = config.poller

    def slow(*args: Any) -> Any:
        made = make(*args)
        both.wait()
        return made

    monkeypatch.setattr(config, "poller", slow)
    monkeypatch.setattr(Poller, "ensure", lambda _: None)
    names = iter(["1001", "1002"])
    _at_once(lambda: vitals.watch_quality(access_token="none", waba_ids=next(names)))
    assert set(vitals._poller.tokens()) == {"1001", "1002"}  # type: ignore[union-attr]  # it was made
    vitals.close()


def test_nothing_starts_after_the_end(start: Callable[..., Vitals]) -> None:
    """Its end has passed."""
    vitals = start()
    vitals.close()
    vitals.export_otlp(_Exporter())  # type: ignore[arg-type]  # as above
    vitals.watch_quality(access_token="none", waba_ids="1001")
    for part in (vitals._otlp, vitals._poller):
        assert part is not None
        assert part._thread is None


def test_of_threads_that_close_at_once_one_does(start: Callable[..., Vitals]) -> None:
    """Each undo runs once."""
    vitals = start()
    undone: list[int] = []
    vitals._undo_on_close(lambda: undone.append(1))
    _at_once(vitals.close)
    assert undone == [1]


def _at_once(call: Callable[[], object]) -> None:
    threads = [threading.Thread(target=call) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)


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
