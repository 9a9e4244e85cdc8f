"""`instrument_client` watches one client alone, beside the hooks of the process."""

from __future__ import annotations

import gc
import inspect
import weakref
from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
import requests

from chatvitals import http_hooks
from chatvitals.runtime.error_guard import ErrorGuard
from tests.helpers.ear import Ear
from tests.helpers.hooked_client import accept, send

if TYPE_CHECKING:
    from collections.abc import Callable

    Clock = Any  # the fake clock of conftest


def test_one_client_is_watched_alone(ear: Ear, client: httpx.Client) -> None:
    """Others are not, no class is touched, and the undo leaves the client as it was."""
    before = dict(vars(client))
    bare = httpx.Client.send
    undo = http_hooks.instrument_client(client, ear)
    assert httpx.Client.send is bare
    with httpx.Client(transport=httpx.MockTransport(accept)) as other:
        send(other)
    send(client)
    assert len(ear.events) == 1
    undo()
    undo()
    send(client)
    assert len(ear.events) == 1
    assert vars(client).keys() == before.keys()


def test_a_watched_client_reports_to_its_own_observer_only(ear: Ear, client: httpx.Client, clock: Clock) -> None:
    """Also while the whole process is watched, whichever came first."""
    own = Ear(clock)
    http_hooks.install(ear)
    undo = http_hooks.instrument_client(client, own)
    send(client)
    assert (len(ear.events), len(own.events)) == (0, 1)
    undo()
    send(client)
    assert (len(ear.events), len(own.events)) == (1, 1)


def test_two_watches_of_one_client_end_in_any_order(ear: Ear, client: httpx.Client, clock: Clock) -> None:
    """The later one gets the sends. Nothing stays of either."""
    later = Ear(clock)
    undo = http_hooks.instrument_client(client, ear)
    undo_later = http_hooks.instrument_client(client, later)
    send(client)
    undo()
    send(client)
    assert (len(ear.events), len(later.events)) == (0, 2)
    undo_later()
    send(client)
    assert (len(ear.events), len(later.events)) == (0, 2)
    assert "send" not in vars(client)


@pytest.mark.parametrize(("stores", "warned"), [(("a", "a"), 0), (("a", "b"), 1), (("", ""), 1), (("", "b"), 1)])
def test_an_observer_in_place_of_one_with_another_store_is_worth_a_warning(
    stores: tuple[str, str], warned: int, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    """The earlier store counts no sends any more. An empty store is one in memory."""
    first, second = (http_hooks.SendObserver(print, ErrorGuard(), clock, store=store) for store in stores)
    try:
        http_hooks.install(first)
        http_hooks.install(first)
        assert caplog.text == ""
        http_hooks.install(second)
    finally:
        http_hooks.remove(first)
        http_hooks.remove(second)
    assert caplog.text.count("chatvitals.init() was called again in this process, with another store") == warned


def test_a_watched_client_looks_the_same(ear: Ear) -> None:
    """Bound methods keep their signature and kind."""
    for make in (httpx.Client, httpx.AsyncClient, httpx2.Client, httpx2.AsyncClient, requests.Session):
        client: Any = make()
        bare = client.send
        http_hooks.instrument_client(client, ear)
        assert client.send != bare
        assert inspect.signature(client.send) == inspect.signature(bare)
        assert inspect.iscoroutinefunction(client.send) == inspect.iscoroutinefunction(bare)


def test_the_undo_does_not_keep_a_client_alive(ear: Ear) -> None:
    """A client that the bot drops is collected, and its undo does nothing then."""
    client = requests.Session()
    undo = http_hooks.instrument_client(client, ear)
    gone = weakref.ref(client)
    del client
    gc.collect()
    assert gone() is None
    undo()


@pytest.mark.parametrize("make", [object, dict, lambda: httpx, lambda: httpx.Client])
def test_an_unknown_client_is_refused_in_a_sentence(ear: Ear, make: Callable[[], object]) -> None:
    """It names the given object and the allowed kinds."""
    with pytest.raises(TypeError, match=r"cannot watch a builtins\..*takes an instance of one of: httpx\.Client, "):
        http_hooks.instrument_client(make(), ear)
