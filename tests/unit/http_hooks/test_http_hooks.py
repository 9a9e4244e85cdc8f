from __future__ import annotations

import functools
import gc
import inspect
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any, Self

import aiohttp
import httpx
import httpx2
import pytest
import requests
import respx

from chatvitals import http_hooks
from chatvitals.runtime.error_guard import ErrorGuard
from tests.helpers.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Clock = Any  # the fake clock of conftest

HOOKED = [
    (httpx.Client, "send"),
    (httpx.AsyncClient, "send"),
    (httpx2.Client, "send"),
    (httpx2.AsyncClient, "send"),
    (requests.Session, "send"),
    (aiohttp.ClientSession, "_request"),
]
URL = "https://graph.example/v24.0/123/messages"
CLIENT: Any = httpx.Client  # whose method tests assign
BODY = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hi"}}


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Fail a test that leaves a hook behind."""
    before = [vars(owner)[name] for owner, name in HOOKED]
    yield
    assert [vars(owner)[name] for owner, name in HOOKED] == before


@pytest.fixture
def ear(clock: Clock) -> Iterator[Ear]:
    """An observer that is removed at the end."""
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client whose requests are all accepted, without a network."""
    with httpx.Client(transport=httpx.MockTransport(_accept)) as client:
        yield client


def _accept(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"messages": [{"id": "wamid.one"}]})


def send(client: httpx.Client) -> None:
    """Make one send."""
    client.post(URL, json=BODY)


class Other:
    """Another instrumentation of `httpx.Client.send`, in the manner of the well-known ones."""

    def __init__(self) -> None:
        self.calls = 0
        self.bare = httpx.Client.send

    def __enter__(self) -> Self:
        bare = self.bare

        @functools.wraps(bare)
        def traced(client: httpx.Client, request: httpx.Request, **kwargs: Any) -> httpx.Response:
            self.calls += 1
            return bare(client, request, **kwargs)

        vars(traced)["instrumented_by"] = self
        CLIENT.send = traced
        return self

    def __exit__(self, *_: object) -> None:
        """Undo as they do: if the attribute carries our mark, what it wraps goes back."""
        attribute: Any = httpx.Client.send
        if getattr(attribute, "instrumented_by", None) is self:
            CLIENT.send = attribute.__wrapped__


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
        return _accept(request)

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


# Of one client


def test_one_client_is_watched_alone(ear: Ear, client: httpx.Client) -> None:
    """Others are not, no class is touched, and the undo leaves the client as it was."""
    before = dict(vars(client))
    bare = httpx.Client.send
    undo = http_hooks.instrument_client(client, ear)
    assert httpx.Client.send is bare
    with httpx.Client(transport=httpx.MockTransport(_accept)) as other:
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
