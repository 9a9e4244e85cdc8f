"""Cases 1, 3, 4, 45, 47 and 48 of tests/safety/README.md: other traffic, and errors of ours and of the bot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import httpx2
import pytest
import requests

from chatvitals import http_hooks
from chatvitals.whatsapp import send_requests
from tests.helpers.hooked_api import ACCEPTED, BODY, KINDS, Api, as_bare, call

if TYPE_CHECKING:
    from tests.helpers.ear import Ear

    Clock = Any  # the fake clock of conftest


@pytest.mark.parametrize("kind", KINDS)
def test_45_other_traffic_is_not_looked_at(api: Api, ear: Ear, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """No body of another address is parsed, and nothing is counted."""
    monkeypatch.setattr(send_requests, "_fields", pytest.fail)
    as_bare(api, ear, lambda: call(kind, api.url("ok", "media"), json=BODY))
    assert ear.events == []


@pytest.mark.parametrize("kind", KINDS)
def test_1_a_bug_of_ours_leaves_the_call_as_bare(
    api: Api, ear: Ear, kind: str, monkeypatch: pytest.MonkeyPatch, swallowed: Any
) -> None:
    """Before the call and after it. Each is counted."""

    def broken(*_: object) -> Any:
        raise ZeroDivisionError

    for name in ("recognise", "read_answer", "is_endpoint"):
        with monkeypatch.context() as patch:
            patch.setattr(send_requests, name, broken)
            outcome = as_bare(api, ear, lambda: call(kind, api.url("ok"), json=BODY))
        assert outcome[-1] == ACCEPTED
        assert ear.events == []
        assert [type(error) for error in swallowed.take("clients")][:1] == [ZeroDivisionError]
        http_hooks.remove(ear)


@pytest.mark.parametrize("library", [httpx, httpx2])
@pytest.mark.parametrize("base", [ValueError, KeyboardInterrupt, SystemExit, ExceptionGroup, GeneratorExit])
def test_3_and_4_an_exception_passes_as_the_same_object(ear: Ear, library: Any, base: Any) -> None:
    """With its cause and context as they were, whatever its kind."""
    http_hooks.install(ear)
    cause, before = OSError("cause"), LookupError("context")
    error = base("several", [OSError()]) if base is ExceptionGroup else base("one")
    error.__cause__, error.__context__ = cause, before

    def refuse(_: Any) -> Any:
        raise error

    with library.Client(transport=library.MockTransport(refuse)) as client, pytest.raises(base) as caught:
        client.post("https://graph.example/1/messages", json=BODY)
    assert caught.value is error
    assert (error.__cause__, error.__context__, error.__suppress_context__) == (cause, before, True)
    assert len(ear.events) == 1


@pytest.mark.parametrize("library", [httpx, httpx2])
def test_47_a_response_passes_as_the_same_object(ear: Ear, library: Any) -> None:
    """Stand-in transports go on working, and what they return is what the bot gets."""
    http_hooks.install(ear)
    made = []

    def accept(_: Any) -> Any:
        made.append(library.Response(200, content=ACCEPTED))
        return made[0]

    with library.Client(transport=library.MockTransport(accept)) as client:
        assert client.post("https://graph.example/1/messages", json=BODY) is made[0]
    assert ear.told() == [(True, "wamid.one", "")]


@pytest.mark.parametrize("kind", KINDS)
def test_48_our_own_calls_are_not_the_bot_s(api: Api, ear: Ear, kind: str) -> None:
    """In `unobserved`, in the tasks that it starts too."""
    http_hooks.install(ear)
    with http_hooks.unobserved():
        call(kind, api.url("ok"), json=BODY)
    assert len(api.seen) == 1
    assert ear.events == []


def test_a_wrong_call_fails_as_it_did(ear: Ear) -> None:
    """The client's own complaint comes through, and is no error of ours."""
    http_hooks.install(ear)
    with httpx.Client() as client, pytest.raises(TypeError, match="request"):
        client.send()  # type: ignore[call-arg]
    with requests.Session() as session, pytest.raises(ValueError, match="PreparedRequests"):
        session.send(requests.Request("POST", "https://graph.example/1/messages", json=BODY))  # type: ignore[arg-type]
    assert ear.events == []
