"""`acknowledge_account_events` changes errors about account events and nothing else (tests/safety/README.md 4)."""

from __future__ import annotations

import json
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from starlette.applications import Starlette

from chatvitals.integrations.asgi import ChatVitalsMiddleware, instrument_app
from chatvitals.settings import Settings, SettingsError
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations.asgi import ASGIApp, Message, Receive, Scope, Send
    from tests.conftest import AsgiDriver, Exchange

PAYLOADS = Path(__file__).parents[1] / "payloads"
ACCOUNT = (PAYLOADS / "account_update__account_deleted.json").read_bytes()
MIXED = (PAYLOADS / "messages__batch_two_entries.json").read_bytes()
ERRORS = [400, 401, 404, HTTPStatus.INTERNAL_SERVER_ERROR, 503]


def vitals(secret: str | None, *, acknowledge: bool = True) -> Vitals:
    """Vitals without a thread."""
    given: dict[str, Any] = {"app_secret": secret, "store": "memory:", "hooks": False}
    return Vitals(Settings.load({**given, "acknowledge_account_events": acknowledge}, environ={}), background=False)


def exchange(asgi: AsgiDriver, ours: Vitals, app: ASGIApp, body: bytes, **more: Any) -> Exchange:
    """Post a signed body."""
    return asgi.call(ChatVitalsMiddleware(app, ours), asgi.signed(body, **more), [asgi.chunk(body)])


async def raises(scope: Scope, receive: Receive, send: Send) -> None:
    """Look for messages, as bots that know nothing else do."""
    body = json.loads((await receive())["body"])
    body["entry"][0]["changes"][0]["value"]["messages"][0]


@pytest.mark.parametrize("status", ERRORS)
@pytest.mark.parametrize("secret", ["the-app-secret", None])
def test_an_error_about_account_events_becomes_200(asgi: AsgiDriver, status: int, secret: str | None) -> None:
    """Headers and body stay the application's, and so does its own message."""
    own: list[Message] = []
    bare = asgi.bot(status)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        async def noting(message: Message) -> None:
            own.append(message)
            await send(message)

        await bare(scope, receive, noting)

    answered = exchange(asgi, vitals(secret), app, ACCOUNT)
    assert answered.sent == [{**own[0], "status": 200}, own[1]]
    assert own[0]["status"] == status
    assert answered.sent[1] is own[1]


@pytest.mark.parametrize(
    ("body", "acknowledge"),
    [
        (ACCOUNT, False),
        (MIXED, True),
        (b"not JSON", True),
        *(
            ((PAYLOADS / f"{name}.json").read_bytes(), True)
            for name in ("messages__text_reply_context", "messages__status_read", "user_preferences__signup",
                         "calls__terminate_completed", "history__declined", "messaging_handovers__control_taken",
                         "unknown_field__future", "group_participants_update__added", "standby__message")
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", ERRORS)
def test_any_other_answer_is_as_bare(asgi: AsgiDriver, body: bytes, acknowledge: bool, status: int) -> None:  # noqa: FBT001 - parametrized
    """Whatever concerns a person is for the bot to acknowledge: WhatsApp must repeat it."""
    bare = asgi.call(asgi.bot(status), asgi.signed(body), [asgi.chunk(body)])
    ours = exchange(asgi, vitals(asgi.secret, acknowledge=acknowledge), asgi.bot(status), body)
    assert ours.sent == bare.sent


@pytest.mark.parametrize("status", [200, 204, 302])
def test_what_is_no_error_is_as_bare(asgi: AsgiDriver, status: int) -> None:
    """The very objects pass."""
    bare = asgi.call(asgi.bot(status), asgi.signed(ACCOUNT), [asgi.chunk(ACCOUNT)])
    assert exchange(asgi, vitals(asgi.secret), asgi.bot(status), ACCOUNT).sent == bare.sent


@pytest.mark.parametrize("headers", [(), ((b"x-hub-signature-256", b"sha256=00"),)])
def test_a_forged_webhook_is_not_acknowledged(asgi: AsgiDriver, headers: tuple[tuple[bytes, bytes], ...]) -> None:
    """With a secret, only what WhatsApp signed."""
    app = ChatVitalsMiddleware(asgi.bot(403), vitals(asgi.secret))
    answered = asgi.call(app, asgi.scope(*headers), [asgi.chunk(ACCOUNT)])
    assert answered.sent[0]["status"] == 403


def test_an_application_that_raises_is_answered_for_and_its_exception_passes(asgi: AsgiDriver) -> None:
    """The server sees the exception, and WhatsApp a 200."""
    answered = exchange(asgi, vitals(asgi.secret), raises, ACCOUNT)
    assert isinstance(answered.error, KeyError)
    assert answered.error.__context__ is None
    assert [message.get("status") for message in answered.sent] == [200, None]


def test_an_exception_about_messages_gets_no_answer_of_ours(asgi: AsgiDriver) -> None:
    """Nor one after the response has started, or without the setting."""
    started = RuntimeError("after the start")

    async def late(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise started

    ours = vitals(asgi.secret)
    assert exchange(asgi, ours, raises, (PAYLOADS / "messages__status_read.json").read_bytes()).sent == []
    assert exchange(asgi, vitals(asgi.secret, acknowledge=False), raises, ACCOUNT).sent == []
    answered = exchange(asgi, ours, late, ACCOUNT)
    assert answered.error is started
    assert len(answered.sent) == 1


def test_a_send_that_fails_does_not_replace_the_applications_exception(asgi: AsgiDriver, swallowed: Any) -> None:
    """The client may be gone by then."""

    def gone(_: Message) -> None:
        raise OSError("gone")

    app = ChatVitalsMiddleware(raises, vitals(asgi.secret))
    answered = asgi.call(app, asgi.signed(ACCOUNT), [asgi.chunk(ACCOUNT)], gone)
    assert isinstance(answered.error, KeyError)
    assert [str(error) for error in swallowed.take("asgi")] == ["gone"]


def test_starlette_under_uvicorn_answers_200(
    asgi: AsgiDriver, serve: Callable[[ASGIApp], int], caplog: pytest.LogCaptureFixture
) -> None:
    """Starlette's own error page does not come after ours. The event is counted either way."""
    ours = vitals(asgi.secret)

    async def handler(request: Any) -> Any:
        return await request.json() and 1 // 0

    app = instrument_app(ours, Starlette())
    app.add_route("/webhook", handler, ["POST"])
    headers = {"x-hub-signature-256": asgi.sign(ACCOUNT)}
    response = httpx.post(f"http://127.0.0.1:{serve(app)}/webhook", content=ACCOUNT, headers=headers, timeout=60)
    assert (response.status_code, response.content) == (200, b"")
    ours.settle()
    counted = {labels: n for (name, labels, _), n in ours.store.cells().items() if "account_events" in name}
    assert list(counted.values()) == [1.0]


def test_the_setting_is_off_unless_asked_for() -> None:
    """By keyword or by environment."""
    assert not Settings.load({}, environ={}).acknowledge_account_events
    assert Settings.load({}, environ={"CHATVITALS_ACKNOWLEDGE_ACCOUNT_EVENTS": "yes"}).acknowledge_account_events
    with pytest.raises(SettingsError, match="acknowledge_account_events"):
        Settings.load({"acknowledge_account_events": "yes"}, environ={})
