"""Hooks of the whole process go in once, come out, and get along with other patches."""

from __future__ import annotations

import inspect
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import requests
import respx

from chatvitals import http_hooks
from tests.helpers.ear import Ear
from tests.helpers.hooked_client import BODY, CLIENT, HOOKED, URL, Other, accept, send

if TYPE_CHECKING:
    Clock = Any  # the fake clock of conftest


# Of the whole process


@pytest.mark.parametrize(("owner", "name"), HOOKED)
def test_a_hooked_method_looks_the_same(ear: Ear, owner: type, name: str) -> None:
    """Its name, signature, documentation and kind are those of the method it stands before."""
    bare = vars(owner)[name]
    http_hooks.install(ear)
    hooked = vars(owner)[name]
    assert hooked is not bare
    assert hooked.__wrapped__ is bare
    assert inspect.signature(hooked) == inspect.signature(bare)
    assert inspect.iscoroutinefunction(hooked) == inspect.iscoroutinefunction(bare)
    assert (hooked.__name__, hooked.__qualname__, hooked.__doc__) == (name, bare.__qualname__, bare.__doc__)


def test_installed_twice_counts_once(ear: Ear, client: httpx.Client) -> None:
    """Installing is idempotent, and one removal is enough."""
    http_hooks.install(ear)
    http_hooks.install(ear)
    send(client)
    assert len(ear.events) == 1
    http_hooks.remove(ear)
    send(client)
    assert len(ear.events) == 1


def test_the_last_one_installed_gets_the_sends(ear: Ear, client: httpx.Client, clock: Clock) -> None:
    """Never two. When it leaves, the one before takes over."""
    second = Ear(clock)
    http_hooks.install(ear)
    http_hooks.install(second)
    send(client)
    assert (len(ear.events), len(second.events)) == (0, 1)
    http_hooks.remove(second)
    send(client)
    assert (len(ear.events), len(second.events)) == (1, 1)


def test_removing_one_that_is_not_installed_does_nothing(ear: Ear, client: httpx.Client, clock: Clock) -> None:
    """And disturbs no other."""
    http_hooks.install(ear)
    http_hooks.remove(Ear(clock))
    send(client)
    assert len(ear.events) == 1


def test_a_patch_below_ours_is_put_back(ear: Ear, client: httpx.Client) -> None:
    """Theirs first, ours on top, ours removed: exactly theirs is there again."""
    with Other() as other:
        theirs = httpx.Client.send
        http_hooks.install(ear)
        send(client)
        assert (len(ear.events), other.calls) == (1, 1)
        http_hooks.remove(ear)
        assert httpx.Client.send is theirs


def test_theirs_leaves_ours_in_place(ear: Ear, client: httpx.Client) -> None:
    """An instrumentation that knows its wrapper by a mark does not take ours for its own."""
    with Other():
        http_hooks.install(ear)
        ours = httpx.Client.send
    assert httpx.Client.send is ours
    http_hooks.remove(ear)
    theirs = vars(httpx.Client.send)["instrumented_by"]  # it stayed below, as it does under any other patch
    CLIENT.send = theirs.bare


def test_a_patch_above_ours_stays(ear: Ear, client: httpx.Client) -> None:
    """Removing ours leaves theirs, and nothing is counted any more. Once theirs has gone, ours goes too."""
    bare = httpx.Client.send
    http_hooks.install(ear)
    with Other() as other:
        theirs = httpx.Client.send
        http_hooks.remove(ear)
        assert httpx.Client.send is theirs
        send(client)
        assert (ear.events, other.calls) == ([], 1)
    assert httpx.Client.send is not bare  # they put back what they had found
    send(client)
    assert httpx.Client.send is bare


def test_installing_again_under_a_patch_above_counts_once(ear: Ear, client: httpx.Client) -> None:
    """Our wrapper is found below theirs and used again."""
    http_hooks.install(ear)
    with Other() as other:
        theirs = httpx.Client.send
        http_hooks.remove(ear)
        http_hooks.install(ear)
        assert httpx.Client.send is theirs
        send(client)
        assert (len(ear.events), other.calls) == (1, 1)


def test_a_patch_that_hides_ours_does_not_make_it_count_twice(ear: Ear, client: httpx.Client) -> None:
    """A wrapper that says nothing of what it wraps gets a second one of ours above it. One send is still one."""
    bare = httpx.Client.send
    http_hooks.install(ear)
    ours = httpx.Client.send

    def hidden(*args: Any, **kwargs: Any) -> httpx.Response:
        return ours(*args, **kwargs)

    CLIENT.send = hidden
    http_hooks.install(ear)
    send(client)
    assert len(ear.events) == 1
    http_hooks.remove(ear)
    assert httpx.Client.send is hidden
    CLIENT.send = bare


def test_a_hook_that_was_thrown_away_is_put_in_again(ear: Ear, client: httpx.Client) -> None:
    """When another tool restores what it had saved before us, the next install hooks anew."""
    bare = httpx.Client.send
    http_hooks.install(ear)
    CLIENT.send = bare
    send(client)
    http_hooks.install(ear)
    send(client)
    assert len(ear.events) == 1


def test_a_mock_in_the_place_of_the_method_is_called_as_before(ear: Ear, client: httpx.Client) -> None:
    """An attribute that is no function does not get the client as an argument."""
    with pytest.MonkeyPatch.context() as patch:
        calls: list[tuple[Any, ...]] = []

        class Mock:
            def __call__(self, *args: Any, **kwargs: Any) -> httpx.Response:
                calls.append(args)
                return httpx.Response(200, json={})

        patch.setattr(httpx.Client, "send", Mock())
        http_hooks.install(ear)
        send(client)
        http_hooks.remove(ear)
        assert [type(argument) for argument in calls[0]] == [httpx.Request]


def test_our_own_calls_are_not_counted(ear: Ear, client: httpx.Client) -> None:
    """Not in `unobserved`, and again after it."""
    http_hooks.install(ear)
    with http_hooks.unobserved():
        send(client)
    assert ear.events == []
    send(client)
    assert len(ear.events) == 1


def test_a_send_inside_a_send_is_another_one(ear: Ear) -> None:
    """A stand-in for the API that makes the bot send again, in the same task, hides nothing."""
    http_hooks.install(ear)

    def deliver(request: httpx.Request) -> httpx.Response:
        if b"again" not in request.content:
            bot.post(URL, json=BODY | {"biz_opaque_callback_data": "again"})
        return accept(request)

    with httpx.Client(transport=httpx.MockTransport(deliver)) as bot:
        send(bot)
    assert len(ear.events) == 2


def test_libraries_are_hooked_once_they_are_imported() -> None:
    """Installing imports none. What the bot imports later is hooked at once."""
    script = """
import sys, time
from chatvitals import http_hooks
from chatvitals.runtime.error_guard import ErrorGuard
events = []
observer = http_hooks.SendObserver(events.append, ErrorGuard(), time.time)
http_hooks.install(observer)
assert not {"httpx", "httpx2", "requests", "aiohttp"} & set(sys.modules)
import httpx
assert hasattr(httpx.Client.send, "__wrapped__")
bare = httpx.Client.send.__wrapped__
assert type(httpx.__spec__.loader).__module__.startswith(("importlib", "_frozen"))
body = {"messaging_product": "whatsapp", "to": "1", "type": "text"}
with httpx.Client(transport=httpx.MockTransport(lambda request: httpx.Response(200))) as client:
    client.post("https://graph.example/1/messages", json=body)
assert len(events) == 1
http_hooks.remove(observer)
assert httpx.Client.send is bare
import requests
http_hooks.refresh()
assert not hasattr(requests.Session.send, "__wrapped__")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=300)


def test_refreshing_hooks_what_came_since(ear: Ear, monkeypatch: pytest.MonkeyPatch) -> None:
    """It changes nothing that is hooked already, and nothing at all while no observer is installed."""
    bare = vars(requests.Session)["send"]
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "requests")
        http_hooks.install(ear)
        http_hooks.refresh()
        hooked = httpx.Client.send
        assert vars(requests.Session)["send"] is bare
    http_hooks.refresh()
    assert vars(requests.Session)["send"] is not bare
    assert httpx.Client.send is hooked
    http_hooks.remove(ear)
    http_hooks.refresh()
    assert vars(requests.Session)["send"] is bare


# Tools that users test with


def test_respx_goes_on_working(ear: Ear) -> None:
    """Routes answer and are recorded as before."""
    http_hooks.install(ear)
    with respx.mock:
        route = respx.post(URL).respond(json={"messages": [{"id": "wamid.respx"}]})
        assert httpx.post(URL, json=BODY).json()["messages"][0]["id"] == "wamid.respx"
        assert route.call_count == 1
    assert [event.id for event in ear.events] == ["wamid.respx"]


def test_responses_goes_on_working(ear: Ear) -> None:
    """Registered answers come back and are recorded as before."""
    responses = pytest.importorskip("responses")
    http_hooks.install(ear)
    with responses.RequestsMock() as mock:
        mock.post(URL, json={"messages": [{"id": "wamid.responses"}]})
        assert requests.post(URL, json=BODY, timeout=5).status_code == 200
        assert len(mock.calls) == 1
    assert [event.id for event in ear.events] == ["wamid.responses"]
