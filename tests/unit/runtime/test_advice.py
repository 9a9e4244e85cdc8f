"""The log of a bot: how it is set up, and each mistake in exactly one sentence."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

import chatvitals
from chatvitals import context
from chatvitals.http_hooks import SendObserver
from chatvitals.pipeline.setup_advice import PATIENCE, SetupAdvice
from chatvitals.runtime import advice, log_handler
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.testing import FakeClock
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item, order_of, webhook

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals
    from tests.conftest import AsgiDriver, DoorVitals

BODY = b'{"object":"whatsapp_business_account","entry":[]}'
JSON = (b"content-type", b"application/json")
WRONG = {"X-Hub-Signature-256": "sha256=" + "0" * 64}
SEND = json.dumps({"messaging_product": "whatsapp", "to": PHONE, "type": "text", "text": {"body": "hi"}}).encode()


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the warnings so far."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


class Setup:
    """A bot with its look at the set-up, on a clock that stands still."""

    def __init__(self, **settings: Any) -> None:
        self.vitals = ListeningVitals(**settings)
        self.clock = FakeClock(0.0)
        self.observer = SendObserver(self.vitals._emit, self.vitals._guard, self.vitals.time)
        sink, store = self.vitals.webhook_sink, self.vitals.store
        self.look = SetupAdvice(sink, lambda: self.observer.seen, store, self.clock)

    def send(self) -> None:
        """Send a message."""
        sent = self.observer.begin("POST", f"https://graph.facebook.com/v26.0/{NUMBER}/messages", SEND)
        assert sent is not None
        sent.finish(200, b'{"messages":[{"id":"wamid.sent"}]}')

    def ten_minutes(self) -> None:
        """Look, and look again when the time is over."""
        self.vitals.later(20.0)
        self.look()
        self.clock.advance(PATIENCE)
        self.look()


# The start line


def test_the_start_line_says_how_the_bot_is_set_up(caplog: pytest.LogCaptureFixture) -> None:
    """Version, store, hooks, poller, paths and signature. No secret."""
    with caplog.at_level(logging.INFO, "chatvitals"):
        chatvitals.init(store="memory:", hooks=False, app_secret="hush", metrics_token="hush").close()
    [record] = caplog.records
    assert (record.levelno, record.name) == (logging.INFO, "chatvitals.runtime.advice")
    assert record.getMessage() == (
        f"Version {chatvitals.__version__}: store Memory, hooks off, poller off, webhooks not watched yet, "
        "metrics not served here, signature checked"
    )


def test_the_start_line_comes_again_with_the_paths(asgi: AsgiDriver, caplog: pytest.LogCaptureFixture) -> None:
    """They are known when the app is instrumented. Instrumenting it again says nothing new."""
    vitals = chatvitals.init(store="memory:", hooks=False, app_secret="hush")
    caplog.clear()
    with caplog.at_level(logging.INFO, "chatvitals"):
        for _ in range(2):
            chatvitals.ChatVitalsMiddleware(asgi.bot(), vitals, webhook_path="/hook")
        vitals.webhook_sink.serves("/metrics")
    vitals.close()
    assert [record.getMessage().partition(" poller off, ")[2] for record in caplog.records] == [
        "webhooks /hook, metrics not served here, signature checked",
        "webhooks /hook, metrics /metrics open, signature checked",
    ]
    assert caplog.records[-1].__dict__["chatvitals_webhooks"] == "/hook"


def test_the_start_line_shows_the_poller(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ratings come only where it is on."""
    vitals = chatvitals.init(store="memory:", hooks=False, app_secret="hush", graph_url="http://127.0.0.1:9")
    monkeypatch.setattr("chatvitals.graph_api.poller.Poller.add", lambda *_: None)
    with caplog.at_level(logging.INFO, "chatvitals"):
        vitals.watch_quality(access_token="token", waba_ids="990001112223334")
    vitals.close()
    assert "poller on" in caplog.text


# Webhooks of others

FORWARDS = {
    "On-Premises": b'{"contacts":[{"wa_id":"15550004321"}],"messages":[{"from":"15550004321","id":"1","type":"text"}]}',
    "Twilio": b"SmsMessageSid=SM1&From=whatsapp%3A%2B15550004321&Body=hello&To=whatsapp%3A%2B15550001234",
    "Vonage": b'{"channel":"whatsapp","message_uuid":"1","from":"15550004321","message_type":"text","text":"hello"}',
    "Infobip": b'{"results":[{"integrationType":"WHATSAPP","from":"15550004321","message":{"type":"TEXT"}}]}',
    "MessageBird": b'{"type":"message.created","message":{"platform":"whatsapp","content":{"text":"hello"}}}',
    "Gupshup": b'{"app":"shop","type":"message","version":2,"payload":{"source":"15550004321","type":"text"}}',
}


@pytest.mark.parametrize("body", FORWARDS.values(), ids=FORWARDS)
def test_a_partner_s_own_form_counts_as_undecodable_with_advice(body: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """Partners translate webhooks into forms of their own. Without a word, nothing would count for ever."""
    vitals = chatvitals.init(store="memory:", hooks=False)
    with caplog.at_level(logging.WARNING, "chatvitals"):
        assert [vitals.observe_webhook(body).result for _ in range(2)] == ["undecodable", "undecodable"]
    vitals.close()
    assert warnings(caplog).count(advice.UNDECODABLE) == 1
    assert "15550004321" not in caplog.text


def test_meta_s_form_with_a_partner_s_keys_counts(caplog: pytest.LogCaptureFixture) -> None:
    """Several partners forward Meta's webhooks and add keys of their own."""
    vitals = chatvitals.init(store="memory:", hooks=False)
    body = json.dumps({**webhook(item()), "gs_app_id": "1", "phone_number": "15550001234"}).encode()
    with caplog.at_level(logging.WARNING, "chatvitals"):
        assert vitals.observe_webhook(body).result == "accepted"
    vitals.close()
    assert advice.UNDECODABLE not in warnings(caplog)


# Signatures


def test_a_bot_without_a_secret_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Without a secret, forged webhooks would count."""
    with caplog.at_level(logging.WARNING, "chatvitals"):
        vitals = chatvitals.init(store="memory:", hooks=False)
        vitals.observe_webhook(BODY)
        vitals.close()
    assert warnings(caplog) == [advice.UNPROTECTED]


def test_webhooks_that_are_refused_are_explained_once(
    start: Callable[..., Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong signature and a missing one have different causes."""
    vitals = start(app_secret="right")
    with caplog.at_level(logging.WARNING, "chatvitals"):
        for _ in range(3):
            vitals.observe_webhook(BODY, WRONG)
            vitals.observe_webhook(BODY)
        vitals.settle()
    assert sorted(warnings(caplog)) == sorted([advice.BAD_SIGNATURE, advice.UNSIGNED])


def test_calls_in_a_refused_webhook_are_explained_as_that(caplog: pytest.LogCaptureFixture) -> None:
    """The secret is wrong. "no contact is known" would lead astray."""
    vitals = ListeningVitals(app_secret="right")
    order = order_of(vitals)
    with vitals.observe_webhook(json.dumps(webhook(item())), WRONG):
        order.reach("menu")
        vitals.handover()
        order.step("menu")(lambda: None)()
    assert warnings(caplog) == [advice.BAD_SIGNATURE]
    assert (vitals.problems("refused_webhook"), vitals.problems("no_contact")) == (3, 0)


def test_calls_in_a_webhook_of_another_product_are_explained(caplog: pytest.LogCaptureFixture) -> None:
    """An Instagram app may post to the same address."""
    vitals = ListeningVitals()
    with vitals.observe_webhook(b'{"object":"instagram","entry":[]}'):
        vitals.handover()
        vitals.fallback()
    [sentence] = warnings(caplog)
    assert "handover() was called in a webhook that does not count (foreign)" in sentence


# Webhooks on another path


def test_a_webhook_on_another_path_is_named_at_once(
    asgi: AsgiDriver, door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """The most common mistake. The sentence names the setting."""
    vitals = door()
    app = chatvitals.ChatVitalsMiddleware(asgi.bot(), vitals, webhook_path="/hook")
    for path in ("/webhook", "/webhook", "/other"):
        asgi.call(app, asgi.scope(JSON, path=path))
    [sentence] = warnings(caplog)
    assert sentence == (
        "A webhook of WhatsApp came to /webhook, which chatvitals does not watch. It watches /hook. "
        "Set webhook_path='/webhook'."
    )
    assert vitals.webhook_sink.lost_paths == {"/webhook", "/other"}


def test_other_requests_are_no_webhooks(
    asgi: AsgiDriver, door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """An order that a shop posts is not WhatsApp's. Neither is a webhook that an inner door watches."""
    vitals = door(app_secret=asgi.secret)
    inner = chatvitals.ChatVitalsMiddleware(asgi.bot(), vitals, webhook_path="/inner")
    app = chatvitals.ChatVitalsMiddleware(inner, vitals, webhook_path="/hook")
    asgi.call(app, asgi.scope(JSON, path="/orders"), [asgi.chunk(b'{"order":', more=True), asgi.chunk(b"1}")])
    asgi.call(app, asgi.signed(path="/inner"))
    assert warnings(caplog) == []


def test_after_the_first_webhook_other_paths_are_left_alone(
    asgi: AsgiDriver, door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """A bot that works pays nothing: the application gets the server's own `receive`."""
    vitals = door(app_secret=asgi.secret)
    got = []

    async def bot(scope: Any, receive: Any, send: Any) -> None:
        got.append(receive)
        await receive()

    app = chatvitals.ChatVitalsMiddleware(bot, vitals)
    asgi.call(app, asgi.signed())
    asgi.call(app, asgi.scope(JSON, path="/forwarded"))
    assert "acall" in got[-1].__qualname__
    assert warnings(caplog) == []


def test_a_webhook_on_another_path_of_a_wsgi_bot_is_named(
    door: type[DoorVitals], caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever way the application reads its body."""

    def bot(environ: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
        assert environ["wsgi.input"].read(len(BODY)) == BODY
        start("200 OK", [])
        return [b""]

    app = chatvitals.ChatVitalsWSGIMiddleware(bot, door(), webhook_path="/hook")
    environ: dict[str, Any] = {"REQUEST_METHOD": "POST", "PATH_INFO": "/bot/webhook", "wsgi.input": io.BytesIO(BODY)}
    environ["CONTENT_TYPE"] = "application/json"
    app(environ, lambda *_: None)
    [sentence] = warnings(caplog)
    assert "Set webhook_path='/bot/webhook'." in sentence


def test_sends_without_webhooks_are_explained_after_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    """The server may run another app than the one that is instrumented."""
    bot = Setup()
    bot.vitals.webhook_sink.watches("/hook")
    bot.send()
    bot.ten_minutes()
    bot.ten_minutes()
    [sentence] = warnings(caplog)
    assert sentence.startswith("The bot has sent messages for ten minutes, but no webhook has come to /hook")


def test_a_store_that_is_away_delays_the_look_and_is_no_error(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither at the first send nor after ten minutes."""
    bot = Setup()
    bot.vitals.webhook_sink.watches("/hook")
    bot.send()

    def away() -> NoReturn:
        raise StoreUnavailableError("the store is away")

    with monkeypatch.context() as patch:
        patch.setattr(bot.vitals.store, "cells", away)
        bot.look()
    bot.look()
    bot.clock.advance(PATIENCE)
    with monkeypatch.context() as patch:
        patch.setattr(bot.vitals.store, "cells", away)
        bot.look()
    assert warnings(caplog) == []
    bot.look()
    assert len(warnings(caplog)) == 1


def test_a_worker_that_only_sends_is_no_mistake(caplog: pytest.LogCaptureFixture) -> None:
    """It has no door, or another worker of the same store gets the webhooks."""
    alone, one_of_two = Setup(), Setup()
    alone.send()
    alone.ten_minutes()
    one_of_two.vitals.webhook_sink.watches("/webhook")
    one_of_two.send()
    one_of_two.look()
    one_of_two.vitals.observe_webhook(BODY)
    one_of_two.vitals.webhook_sink.seen = 0  # another process took it in
    one_of_two.ten_minutes()
    assert warnings(caplog) == []


# Replies


def test_webhooks_without_any_reply_are_explained_after_ten_minutes(caplog: pytest.LogCaptureFixture) -> None:
    """The bot may send with a client that chatvitals does not watch."""
    bot = Setup()
    with bot.vitals.receive(item()):
        pass
    bot.ten_minutes()
    bot.ten_minutes()
    [sentence] = warnings(caplog)
    assert "no reply was ever seen" in sentence
    assert "record_reply()" in sentence


def test_a_reply_of_any_kind_is_enough(caplog: pytest.LogCaptureFixture) -> None:
    """A send that is seen, or one that the code reports."""
    told, seen = Setup(), Setup()
    with told.vitals.receive(item()):
        told.vitals.record_reply()
    with seen.vitals.receive(item()):
        seen.send()
    for bot in (told, seen):
        bot.ten_minutes()
    assert warnings(caplog) == []


# Words that are misspelled while the bot runs


def test_a_step_that_is_not_declared_is_explained_once(caplog: pytest.LogCaptureFixture) -> None:
    """It counts as `other`, and never raises."""
    vitals = ListeningVitals()
    order = order_of(vitals)
    with vitals.receive(item()):
        for _ in range(3):
            order.reach("adress")
    [sentence] = warnings(caplog)
    assert "got the step 'adress' that journey 'order' does not declare, which counts as 'other'" in sentence
    assert "Did you mean 'address'?" in sentence
    assert vitals.problems("journey") == 3


def test_what_a_customer_wrote_is_not_logged_as_a_step(caplog: pytest.LogCaptureFixture) -> None:
    """Some bots pass on whatever was typed."""
    vitals = ListeningVitals()
    with vitals.receive(item()):
        order_of(vitals).reach("my card is 4242")
    [sentence] = warnings(caplog)
    assert "4242" not in sentence
    assert "Its steps are menu, item, address, paid." in sentence


def test_an_unknown_kind_of_send_counts_as_untagged(caplog: pytest.LogCaptureFixture) -> None:
    """The detection decides, as without it."""
    vitals = ListeningVitals()
    for _ in range(3):
        with vitals.sending("replyy", "hooman"):  # type: ignore[arg-type]
            assert context.tag() == context.Tag()
    kind, actor = warnings(caplog)
    assert "got the unknown kind 'replyy'" in kind
    assert "Did you mean 'reply'?" in kind
    assert "Did you mean 'human'?" in actor
    assert vitals.problems("sending") == 6


# Where the log goes


def without_logging(monkeypatch: pytest.MonkeyPatch) -> logging.Logger:
    """Return a logger of a bot that has configured no logging."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    return logging.getLogger("chatvitals.some.module")


def test_a_bot_without_logging_sees_warnings_with_one_prefix(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Newcomers configure none."""
    unconfigured = without_logging(monkeypatch)
    unconfigured.warning("No %s is set.", "app_secret")
    unconfigured.info("Version 1")
    assert capsys.readouterr().err == "chatvitals: No app_secret is set.\n"


def test_a_handler_of_the_bot_replaces_ours(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written twice."""
    unconfigured = without_logging(monkeypatch)
    mine = logging.NullHandler()
    unconfigured.addHandler(mine)
    unconfigured.warning("twice?")
    unconfigured.removeHandler(mine)
    assert capsys.readouterr().err == ""


def test_there_is_one_handler_and_it_is_a_null_handler() -> None:
    """However often the package is imported."""
    log_handler.install()
    [handler] = logging.getLogger("chatvitals").handlers
    assert isinstance(handler, logging.NullHandler)
