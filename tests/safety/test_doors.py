"""Cases of tests/safety/README.md that every door keeps, by one suite. "As bare" compares with the app without us."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals import context
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from tests.conftest import SECRET, sign, webhook_body
from tests.helpers.asgi_apps import CONTACT
from tests.helpers.doors import DOORS, IN_HANDS, Answer, AsgiDoor, LambdaDoor, ObservedDoor, Outcome, WsgiDoor
from tests.helpers.server_doors import SERVER_DOORS, ServerDoor

if TYPE_CHECKING:
    from chatvitals.context import ContactIds
    from tests.conftest import DoorVitals, Swallowed
    from tests.helpers.doors import Handle

BODY = webhook_body("393331234567", "wamid.1")


Door = AsgiDoor | WsgiDoor | LambdaDoor | ServerDoor
ALL: dict[str, Door] = {**DOORS, **IN_HANDS, **SERVER_DOORS}


@pytest.fixture(params=sorted(ALL))
def kind(request: pytest.FixtureRequest) -> Door:
    """Each door."""
    return ALL[request.param]


@pytest.fixture(params=sorted(DOORS))
def in_process(request: pytest.FixtureRequest) -> AsgiDoor | WsgiDoor:
    """Each door whose exceptions the caller sees."""
    return DOORS[request.param]


def as_bare(kind: Door, vitals: DoorVitals, handle: Handle, *chunks: bytes, **more: Any) -> Outcome:
    """Call a bot without and with the door. Check that the server saw the same, and return it."""
    bare = kind.call(kind.app(handle), chunks or (BODY,), **more)
    ours = kind.call(kind.wrap(kind.app(handle), vitals), chunks or (BODY,), **more)
    assert (ours.status, ours.headers, ours.pieces) == (bare.status, bare.headers, bare.pieces)
    assert ours.error is bare.error
    return ours


def accept(_: bytes) -> Answer:
    """Handle a webhook."""
    return Answer()


def raising(error: BaseException) -> Handle:
    def handle(_: bytes) -> Answer:
        raise error

    return handle


@pytest.mark.parametrize("broken", ["receive", "emit", "clock", "settings", "bind"])
def test_01_a_bug_of_ours_changes_nothing_at_any_door(
    kind: Door,
    door: type[DoorVitals],
    swallowed: Swallowed,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """Whatever of ours raises, the application runs on, and the place is counted."""

    def fail(*_: object) -> Any:
        raise LookupError(broken)

    vitals = door(max_body=1024)
    if broken == "bind":
        monkeypatch.setattr(context, broken, fail)
    else:
        monkeypatch.setattr(vitals.webhook_sink, broken, None if broken == "settings" else fail)
    as_bare(kind, vitals, accept, b" " * 2000 if broken == "clock" else BODY)
    assert swallowed.take(kind.where)
    swallowed.take("aws_lambda")  # where the answer is looked at
    assert vitals.webhook_sink.guard.errors[kind.where] > 0


@pytest.mark.parametrize(
    "error",
    [
        ValueError("host"),
        BaseException("host"),
        KeyboardInterrupt("host"),
        SystemExit(3),
        asyncio.CancelledError("host"),
        ExceptionGroup("host", [ValueError("one")]),
        BaseExceptionGroup("host", [KeyboardInterrupt()]),
    ],
)
@pytest.mark.parametrize("started", [False, True])
def test_03_04_an_exception_of_the_host_passes_as_the_same_object(
    in_process: AsgiDoor | WsgiDoor,
    door: type[DoorVitals],
    error: BaseException,
    started: bool,  # noqa: FBT001 - a parameter
) -> None:
    """With its cause and context, before and after the response has started, and no contact stays bound."""
    error.__cause__ = cause = KeyError("cause")
    handle = (lambda _: Answer(error_after=error)) if started else raising(error)
    kind = in_process
    if isinstance(kind, AsgiDoor) and not isinstance(error, Exception) and not isinstance(error, SystemExit):
        assert kind.call(kind.wrap(kind.app(handle), door()), [BODY]).error is error
    else:
        assert as_bare(kind, door(), handle).error is error
    assert error.__cause__ is cause
    assert context.current() is None


@pytest.mark.parametrize("name", sorted(SERVER_DOORS))
@pytest.mark.parametrize("started", [False, True])
def test_03_a_server_meets_the_exception_of_the_host_as_bare(
    door: type[DoorVitals],
    name: str,
    started: bool,  # noqa: FBT001 - a parameter
) -> None:
    """What it answers is the same, and what reaches the server is the object that the bot raised."""
    kind, error, met = SERVER_DOORS[name], ValueError("host"), list[BaseException]()
    handle = (lambda _: Answer(error_after=error)) if started else raising(error)
    as_bare(kind, door(), handle)
    kind.call(kind.listening(kind.wrap(kind.app(handle), door()), met.append), [BODY])
    assert met == [error]
    assert met[0] is error
    assert context.current() is None


@pytest.mark.parametrize("name", [name for name, kind in ALL.items() if not kind.reads_itself])
def test_08_a_body_that_the_bot_does_not_read_is_not_read(name: str, door: type[DoorVitals]) -> None:
    """Nothing reads the body in the bot's place."""
    kind, vitals = ALL[name], door()
    assert kind.call(kind.wrap(kind.app(accept, read=False), vitals), [BODY]).pieces == [b"ok"]
    assert vitals.read == []


def test_09_the_bot_gets_the_whole_body(kind: Door, door: type[DoorVitals]) -> None:
    """The copy takes nothing away."""
    vitals = door()
    as_bare(kind, vitals, lambda body: Answer(pieces=[body]), BODY[:10], BODY[10:])
    assert vitals.read == [(BODY, None)]


@pytest.mark.parametrize("declared", [True, False])
def test_10_a_body_over_the_cap_is_counted_and_not_kept(
    kind: Door,
    door: type[DoorVitals],
    declared: bool,  # noqa: FBT001 - a parameter
) -> None:
    """The bot reads all of it. Of ours, nothing is kept."""
    vitals = door(max_body=1024)
    chunks = [bytes(1000)] * 4
    more = {"content_length": "4000"} if declared else {}
    as_bare(kind, vitals, lambda body: Answer(pieces=[b"%d" % len(body)]), *chunks, **more)
    assert vitals.results == ["oversize"]


def test_11_an_empty_body_is_no_error(kind: Door, door: type[DoorVitals]) -> None:
    """It counts as undecodable."""
    vitals = door()
    as_bare(kind, vitals, accept, b"")
    assert vitals.results == ["undecodable"]


def test_12_a_response_of_50_pieces_keeps_its_framing(kind: Door, door: type[DoorVitals]) -> None:
    """Each piece goes out as it is. A gateway gets the whole answer."""
    pieces = [b"%d" % number for number in range(50)]
    sent = as_bare(kind, door(), lambda _: Answer(pieces=pieces)).pieces
    assert sent == ([b"".join(pieces)] if isinstance(kind, LambdaDoor) else pieces)


@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "OPTIONS"])
def test_23_only_a_post_is_watched(kind: Door, door: type[DoorVitals], method: str) -> None:
    """The handshake and everything else pass untouched."""
    vitals = door()
    as_bare(kind, vitals, accept, method=method)
    assert vitals.read == []


def test_18_other_paths_are_not_watched(kind: Door, door: type[DoorVitals]) -> None:
    """A path is compared as a whole."""
    vitals = door()
    as_bare(kind, vitals, accept, path="/webhooks")
    assert vitals.read == []


def test_19_two_doors_count_a_webhook_once(kind: Door, door: type[DoorVitals]) -> None:
    """The outer one counts. Doors that get the webhook as a whole know it again by its signature."""
    vitals = door()
    app = kind.wrap(kind.wrap(kind.app(accept), vitals), vitals)
    signed = {"x_hub_signature_256": sign(BODY)} if isinstance(kind, LambdaDoor) else {}
    assert kind.call(app, [BODY], **signed).pieces == [b"ok"]
    assert vitals.results == ["accepted"]


def test_42_the_contact_is_bound_for_the_request_alone(kind: Door, door: type[DoorVitals]) -> None:
    """It is known in the handler, and nobody is before and afterwards."""
    known: list[ContactIds | None] = []

    def handle(_: bytes) -> Answer:
        known.append(context.current())
        return Answer()

    kind.call(kind.wrap(kind.app(handle), door()), [BODY])
    assert known == [CONTACT]
    assert context.current() is None


def test_54_only_a_valid_signature_counts(kind: Door, door: type[DoorVitals]) -> None:
    """A forged one counts as such, and binds nobody."""
    vitals = door(app_secret=SECRET)
    for headers in ({"x_hub_signature_256": sign(BODY)}, {"x_hub_signature_256": "sha256=00"}, {}):
        kind.call(kind.wrap(kind.app(accept), vitals), [BODY], **headers)
    assert vitals.results == ["accepted", "bad_signature", "unsigned"]


def test_58_a_body_ends_at_its_declared_length(door: type[DoorVitals]) -> None:
    """An app that stops reading there never asks for the empty last message of Hypercorn and Granian."""
    vitals = door()
    messages = iter([{"type": "http.request", "body": BODY, "more_body": True}])

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        assert context.current() == CONTACT
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def receive() -> Any:
        return next(messages)

    async def send(message: Any) -> None:
        pass

    headers = [(b"content-length", str(len(BODY)).encode())]
    scope = {"type": "http", "method": "POST", "path": "/webhook", "headers": headers}
    asyncio.run(ChatVitalsMiddleware(app, vitals)(scope, receive, send))
    assert vitals.results == ["accepted"]


def test_58_a_wsgi_body_ends_at_its_declared_length(door: type[DoorVitals]) -> None:
    """The bot reads exactly as many bytes as were declared, in two pieces."""
    vitals = door()

    def app(environ: Any, start_response: Any) -> list[bytes]:
        stream = environ["wsgi.input"]
        body = stream.read(10) + stream.read(len(BODY) - 10)
        assert context.current() == CONTACT
        start_response("200 OK", [])
        return [body]

    outcome = DOORS["wsgi"].call(ChatVitalsWSGIMiddleware(app, vitals), [BODY], content_length=str(len(BODY)))
    assert outcome.pieces == [BODY]
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("more", [{"content_length": "400"}, {"transfer_encoding": "chunked"}])
def test_a_wsgi_body_that_ends_too_early_counts_nothing(door: type[DoorVitals], more: dict[str, str]) -> None:
    """The client has gone, and the server gives the bot the first part of the body."""
    vitals, kind = door(app_secret=SECRET), WsgiDoor()
    pieces = [BODY[:100]] if "content_length" in more else []
    read: list[bytes] = []

    def handle(body: bytes) -> Answer:
        read.append(body)
        return Answer()

    app = kind.wrap(kind.app(handle), vitals)
    assert kind.call(app, pieces, x_hub_signature_256=sign(BODY), **more).pieces == [b"ok"]
    assert (read, vitals.results) == ([b"".join(pieces)], [])


@pytest.mark.parametrize(
    "path", ["//webhook", "//webhook/", "http://bot.example/webhook", "http://bot.example//webhook"]
)
@pytest.mark.parametrize("name", ["asgi", "wsgi"])
def test_a_path_matches_as_routers_read_it(name: str, door: type[DoorVitals], path: str) -> None:
    """Callback addresses double slashes by mistake, and proxies send whole addresses."""
    vitals, kind = door(), ALL[name]
    assert kind.call(kind.wrap(kind.app(lambda _: Answer()), vitals), [BODY], path=path).pieces == [b"ok"]
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("path", ["/webhook", "/other"])
def test_59_what_the_app_returns_passes(door: type[DoorVitals], path: str) -> None:
    """Servers complain about a value that an ASGI app returns by mistake."""

    async def app(scope: Any, receive: Any, send: Any) -> str:
        await receive()
        return "a value"

    async def receive() -> Any:
        return {"type": "http.request", "body": b"{}"}

    wrapped: Any = ChatVitalsMiddleware(app, door())  # type: ignore[arg-type]  # that is the mistake
    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    assert asyncio.run(wrapped(scope, receive, None)) == "a value"


def test_59_an_app_of_the_other_kind_is_refused_with_a_sentence(door: type[DoorVitals]) -> None:
    """Both doors name the one that fits."""
    with pytest.raises(TypeError, match=r"is a WSGI application, .* use chatvitals.ChatVitalsWSGIMiddleware"):
        ChatVitalsMiddleware(DOORS["wsgi"].app(accept), door())
    with pytest.raises(TypeError, match=r"is an ASGI application, .* use chatvitals.ChatVitalsMiddleware"):
        ChatVitalsWSGIMiddleware(DOORS["asgi"].app(accept), door())


def test_59_arguments_that_no_door_can_use_are_refused_with_a_sentence(door: type[DoorVitals]) -> None:
    """A bot that found no app would fail at each request."""
    for middleware in (ChatVitalsMiddleware, ChatVitalsWSGIMiddleware):
        wrapping: Any = middleware
        with pytest.raises(TypeError, match="app must be an application, not 'NoneType'"):
            wrapping(None, door())
        with pytest.raises(TypeError, match=r"vitals must be the result of chatvitals.init\(\), not 'NoneType'"):
            wrapping(lambda *_: None, None)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_78_a_refused_webhook_is_known_as_refused(kind: Door, door: type[DoorVitals], status: int) -> None:
    """Without an app secret the bot's own check decides."""
    vitals = door()
    as_bare(kind, vitals, lambda _: Answer(status))
    assert vitals.results == ["rejected"]


def test_78_with_a_secret_the_signature_decides(kind: Door, door: type[DoorVitals]) -> None:
    """An answer of 404 to a valid webhook changes nothing."""
    vitals = door(app_secret=SECRET)
    as_bare(kind, vitals, lambda _: Answer(404), x_hub_signature_256=sign(BODY))
    assert vitals.results == ["accepted"]


@pytest.mark.parametrize("how", ["raises", "answers 500"])
def test_an_error_about_the_account_is_acknowledged_where_asked(kind: Door, door: type[DoorVitals], how: str) -> None:
    """WhatsApp would repeat it for days. A function of Lambda cannot both answer and raise."""
    body = b"""{"object": "whatsapp_business_account", "entry": [{"id": "9", "changes": [{"field": "account_update",
        "value": {"event": "VERIFIED_ACCOUNT", "phone_number": "15550001234"}}]}]}"""
    vitals = door(acknowledge_account_events=True)
    handle = raising(ValueError("host")) if how == "raises" else (lambda _: Answer(500))
    outcome = kind.call(kind.wrap(kind.app(handle), vitals), [body])
    if isinstance(kind, LambdaDoor) and (how == "raises" or isinstance(kind, ObservedDoor)):
        assert outcome.status == (None if how == "raises" else 500)
    else:
        assert outcome.status == 200
    if isinstance(kind, AsgiDoor | WsgiDoor | LambdaDoor):
        assert isinstance(outcome.error, ValueError) == (how == "raises")
    assert vitals.results == ["accepted"]
