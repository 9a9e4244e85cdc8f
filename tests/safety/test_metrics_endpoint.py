"""Cases 49 to 52 of tests/safety/README.md: `/metrics` answers any request, hides from strangers, stalls nothing."""

from __future__ import annotations

import gzip
import sqlite3
import threading
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from chatvitals.events import Message, Webhook
from chatvitals.exporters import text_format
from chatvitals.exporters.prometheus import render
from chatvitals.metrics import catalogue
from chatvitals.runtime import pacing
from chatvitals.stores.base import Changes
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.metrics.measurements import Cell
    from chatvitals.vitals import Vitals
    from tests.conftest import AsgiDriver, Exchange, Swallowed

TOKEN = "s3cret-token"
ALWAYS_SHOWN = {
    "events_dropped_total", "internal_errors_total", "series_overflow_total", "clock_skews_total",
    "store_commit_seconds", "store_up", "queue_events", "queue_capacity_events", "build_info", "journey_step_info",
}  # fmt: skip


def ask(asgi: AsgiDriver, vitals: Vitals, *headers: tuple[bytes, bytes], **scope: Any) -> Exchange:
    return asgi.call(vitals.metrics_app(), asgi.scope(*headers, **{"method": "GET", "path": "/metrics"} | scope), [])


def status(exchange: Exchange) -> int:
    assert exchange.error is None
    return int(exchange.sent[0]["status"])


def header(exchange: Exchange, name: bytes) -> bytes:
    [value] = [value for key, value in exchange.sent[0]["headers"] if key == name]
    return bytes(value)


def body(exchange: Exchange) -> bytes:
    return b"".join(message["body"] for message in exchange.sent[1:])


# What may be asked


@pytest.mark.parametrize(
    "accept",
    [
        b"", b"*/*", b"text/plain", b"text/html", b"application/json", b";;;,,,", b"text/plain;version=", b"q=,",
        b"application/openmetrics-text; version=99.0.0", b"\xff\xfe", b"text/plain; escaping=sideways", b"," * 10_000,
        b"application/openmetrics-text;version=x",
    ],
    ids=lambda accept: ascii(accept[:40]),
)  # fmt: skip
def test_any_accept_header_gets_metrics(asgi: AsgiDriver, start: Callable[..., Vitals], accept: bytes) -> None:
    """What the header asks decides the format and never whether there is an answer."""
    exchange = ask(asgi, start(), (b"accept", accept))
    assert status(exchange) == 200
    parse = openmetrics_families if b"openmetrics" in header(exchange, b"content-type") else text_families
    assert list(parse(body(exchange).decode()))
    assert int(header(exchange, b"content-length")) == len(body(exchange))


def test_prometheus_s_own_accept_header_gets_openmetrics(asgi: AsgiDriver, start: Callable[..., Vitals]) -> None:
    """Several headers are read as one."""
    exchange = ask(
        asgi,
        start(),
        (b"Accept", b"application/openmetrics-text;version=1.0.0;q=0.5"),
        (b"accept", b"text/plain;q=0.2"),
    )
    assert header(exchange, b"content-type").startswith(b"application/openmetrics-text; version=1.0.0")
    assert body(exchange).endswith(b"# EOF\n")


def test_head_answers_as_get_does_without_the_body(asgi: AsgiDriver, start: Callable[..., Vitals]) -> None:
    """Health checks of load balancers ask so."""
    vitals = start()
    head, get = ask(asgi, vitals, method="HEAD"), ask(asgi, vitals)
    assert head.sent[0] == get.sent[0]
    assert (body(head), len(body(get)) > 0) == (b"", True)


@pytest.mark.parametrize("asked", [b"gzip", b"deflate, gzip;q=0.5", b"*", b"GZIP"])
def test_who_takes_gzip_gets_it(asgi: AsgiDriver, start: Callable[..., Vitals], asked: bytes) -> None:
    """The page says the same, in a fraction of the bytes."""
    vitals = start(phone_number_id="11")
    plain, packed = ask(asgi, vitals), ask(asgi, vitals, (b"accept-encoding", asked))
    assert header(packed, b"content-encoding") == b"gzip"
    assert header(packed, b"vary") == b"Accept, Accept-Encoding"
    assert gzip.decompress(body(packed)) == body(plain)
    assert int(header(packed, b"content-length")) == len(body(packed)) < len(body(plain)) / 4


@pytest.mark.parametrize("asked", [b"", b"identity", b"gzip;q=0", b"br", b"\xff", b"*;q=0"])
def test_who_does_not_take_gzip_gets_none(asgi: AsgiDriver, start: Callable[..., Vitals], asked: bytes) -> None:
    """An answer that cannot be read is worse than a long one."""
    exchange = ask(asgi, start(), (b"accept-encoding", asked))
    assert b"content-encoding" not in dict(exchange.sent[0]["headers"])
    assert b"chatvitals_store_up 1.0" in body(exchange)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "get", "BREW"])
def test_other_methods_are_not_allowed(asgi: AsgiDriver, start: Callable[..., Vitals], method: str) -> None:
    """And the answer says which are."""
    exchange = ask(asgi, start(), method=method)
    assert status(exchange) == 405
    assert header(exchange, b"allow") == b"GET, HEAD"


def test_a_websocket_is_closed(asgi: AsgiDriver, start: Callable[..., Vitals]) -> None:
    """Nothing is said on it."""
    scope = asgi.scope(type="websocket", path="/metrics")
    exchange = asgi.call(start().metrics_app(), scope, [{"type": "websocket.connect"}])
    assert exchange.error is None
    assert [message["type"] for message in exchange.sent] == ["websocket.close"]


@pytest.mark.parametrize("missing", ["headers", "client", "server", "root_path", "query_string", "scheme"])
def test_optional_parts_of_a_scope_may_be_missing(asgi: AsgiDriver, start: Callable[..., Vitals], missing: str) -> None:
    """Servers leave out what they do not know."""
    scope = asgi.scope(method="GET", path="/metrics")
    del scope[missing]
    assert status(asgi.call(start().metrics_app(), scope, [])) == 200


# Who may ask


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [(b"authorization", b"")],
        [(b"authorization", b"Bearer")],
        [(b"authorization", b"Bearer ")],
        [(b"authorization", b"Bearer wrong")],
        [(b"authorization", f"Bearer {TOKEN[:-1]}".encode())],
        [(b"authorization", f"Bearer {TOKEN}x".encode())],
        [(b"authorization", f"Bearer {TOKEN.upper()}".encode())],
        [(b"authorization", f"Basic {TOKEN}".encode())],
        [(b"authorization", TOKEN.encode())],
        [(b"authorization", b"\xff\x00")],
        [(b"authorization", f"Bearer {TOKEN}, Bearer {TOKEN}".encode())],
        [(b"authorization", f"Bearer {TOKEN}".encode())] * 2,
        [(b"authorization", b"Bearer wrong"), (b"authorization", f"Bearer {TOKEN}".encode())],
        [(b"x-authorization", f"Bearer {TOKEN}".encode())],
    ],
)
def test_a_wrong_token_gets_401_and_no_hint(
    asgi: AsgiDriver, start: Callable[..., Vitals], headers: list[tuple[bytes, bytes]]
) -> None:
    """All wrong answers are one and the same: nothing tells how near the guess was."""
    vitals = start(metrics_token=TOKEN)
    exchange = ask(asgi, vitals, *headers)
    assert status(exchange) == 401
    assert exchange.sent == ask(asgi, vitals).sent
    assert header(exchange, b"www-authenticate") == b"Bearer"
    assert b"chatvitals" not in body(exchange)
    assert TOKEN.encode() not in repr(exchange.sent).encode()


@pytest.mark.parametrize("name", [b"authorization", b"Authorization"])
def test_the_right_token_opens(asgi: AsgiDriver, start: Callable[..., Vitals], name: bytes) -> None:
    """Header names have no case."""
    exchange = ask(asgi, start(metrics_token=TOKEN), (name, f"Bearer {TOKEN}".encode()))
    assert status(exchange) == 200


def test_the_token_guards_every_readable_method(asgi: AsgiDriver, start: Callable[..., Vitals]) -> None:
    """HEAD tells strangers no lengths."""
    assert status(ask(asgi, start(metrics_token=TOKEN), method="HEAD")) == 401


def test_over_a_real_server(start: Callable[..., Vitals], serve: Callable[[Any], int]) -> None:
    """uvicorn, a socket and a token."""
    address = f"http://127.0.0.1:{serve(start(metrics_token=TOKEN).metrics_app())}/"
    with pytest.raises(urllib.error.HTTPError, match="401") as refused:
        urllib.request.urlopen(address, timeout=60)
    refused.value.close()
    request = urllib.request.Request(address, headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert b"chatvitals_store_up 1.0" in answer.read()


# Whom it stalls


def test_rendering_runs_on_a_thread_of_its_own(
    asgi: AsgiDriver, start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event loop's thread never reads the store, and neither do the bot's own worker threads."""
    vitals = start()
    seen: list[threading.Thread] = []
    snapshot = vitals.collector.snapshot

    def noting() -> Any:
        seen.append(threading.current_thread())
        return snapshot()

    monkeypatch.setattr(vitals.collector, "snapshot", noting)
    app = vitals.metrics_app()
    for _ in range(3):
        assert status(asgi.call(app, asgi.scope(method="GET"), [])) == 200
    assert len(seen) == 3
    assert set(seen).isdisjoint({threading.main_thread()})
    assert len({thread.ident for thread in seen}) == 1
    assert seen[0].name.startswith("chatvitals-metrics")


@pytest.mark.parametrize("openmetrics", [False, True])
def test_51_a_long_page_gives_way_after_each_ten_label_sets(
    start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch, *, openmetrics: bool
) -> None:
    """The event loop waits for ten label sets at most, on the first scrape and later."""
    log: list[str] = []
    write = text_format._series

    def noting(*args: Any) -> str:
        log.append("x")
        return write(*args)

    monkeypatch.setattr(pacing, "give_way", lambda: log.append(" "))
    monkeypatch.setattr(text_format, "_series", noting)
    vitals = start()
    for amount in (1.0, 2.0):
        family = "chatvitals_messages_received_total"
        cells: dict[Cell, float] = {(family, (str(index), "text"), 0): amount for index in range(3000)}
        with vitals.store.transaction() as transaction:
            transaction.commit(Changes(increments=cells))
        log.clear()
        assert vitals.collector.text(openmetrics=openmetrics).count(b'"text"') >= 3000
        assert log.count("x") >= 3000
        assert max(map(len, "".join(log).split())) <= 10


def test_a_store_that_raises_costs_its_numbers_and_not_the_page(
    asgi: AsgiDriver, start: Callable[..., Vitals], swallowed: Swallowed, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page shows what the process knows of itself, and the next scrape counts the error."""
    vitals = start()
    with monkeypatch.context() as patch:
        patch.setattr(vitals.store, "cells", lambda: 1 / 0)
        exchange = ask(asgi, vitals)
    assert status(exchange) == 200
    assert b"chatvitals_build_info" in body(exchange)
    assert b"division" not in body(exchange)
    assert len(swallowed.take("metrics")) == 1
    assert b'chatvitals_internal_errors_total{where="metrics"} 1.0' in body(ask(asgi, vitals))


def test_one_collector_that_raises_in_a_registry_is_not_ours(start: Callable[..., Vitals]) -> None:
    """In a shared registry ours raises nothing, also with an unreachable store."""
    vitals = start(store="sqlite:////nowhere/at/all/store.db")
    registry = CollectorRegistry()
    registry.register(vitals.collector)
    assert b"chatvitals_store_up 0.0" in generate_latest(registry)


# The store is away


def shown(vitals: Vitals) -> dict[str, float]:
    """Return all samples by name and labels."""
    text = render(vitals.collector)[0].decode()
    found = [sample for family in text_families(text) for sample in family.samples]
    return {f"{s.name.removeprefix('chatvitals_')}{sorted(s.labels.items())}": s.value for s in found}


@pytest.fixture
def shaky(start: Callable[..., Vitals], tmp_path: Path) -> Vitals:
    """A `Vitals` whose store is in a folder `home` that can be moved, with something counted and dropped."""
    (tmp_path / "home").mkdir()
    vitals = start(store=f"sqlite:///{tmp_path / 'home' / 'store.db'}", queue_size=2, phone_number_id="11")
    for index in range(5):
        vitals._emit(Message(phone_number_id=NUMBER, wa_id=PHONE, id=f"m{index}", type="text", received=EPOCH))
    vitals._emit(Webhook(result="accepted", received=EPOCH))
    vitals.settle()
    return vitals


def test_an_unreachable_store_is_200_with_own_health_and_store_up_0(
    asgi: AsgiDriver, shaky: Vitals, tmp_path: Path
) -> None:
    """Prometheus goes on scraping and can alert on it."""
    (tmp_path / "home").rename(tmp_path / "away")
    exchange = ask(asgi, shaky)
    assert status(exchange) == 200
    text = body(exchange).decode()
    assert "chatvitals_store_up 0.0" in text
    assert 'chatvitals_internal_errors_total{where="store"}' in text
    assert "chatvitals_queue_capacity_events 2.0" in text
    assert "chatvitals_turns_opened_total{" not in text
    (tmp_path / "away").rename(tmp_path / "home")
    text = body(ask(asgi, shaky)).decode()
    assert "chatvitals_store_up 1.0" in text
    assert f'chatvitals_turns_opened_total{{phone_number_id="{NUMBER}",turn="first"}}' in text


def test_nothing_but_own_health_is_shown_while_the_store_is_away(shaky: Vitals, tmp_path: Path) -> None:
    """A 0 where the store has a thousand would be a thousand new webhooks once it is back."""
    before = shown(shaky)
    assert before["webhooks_total[('result', 'accepted')]"] == 1
    (tmp_path / "home").rename(tmp_path / "away")
    text = render(shaky.collector)[0].decode()
    families = {family.name.removeprefix("chatvitals_") for family in text_families(text) if family.samples}
    assert families <= {name.removesuffix("_total") for name in ALWAYS_SHOWN}


def test_events_that_wait_are_shown_while_the_store_is_away(shaky: Vitals, tmp_path: Path) -> None:
    """The queue's length is this process's own, and `store_up` falls at once and rises at once."""
    (tmp_path / "home").rename(tmp_path / "away")
    shaky._emit(Message(phone_number_id=NUMBER, wa_id=PHONE, id="n", type="text", received=EPOCH))
    found = shown(shaky)
    assert (found["queue_events[]"], found["store_up[]"]) == (1, 0)
    (tmp_path / "away").rename(tmp_path / "home")
    found = shown(shaky)
    assert (found["queue_events[]"], found["store_up[]"]) == (0, 1)


@pytest.mark.parametrize(
    "families",
    [
        pytest.param(sorted(catalogue.OWN_HEALTH), id="own-health"),
        pytest.param(sorted(catalogue.FAMILIES), id="all"),
    ],
)
def test_no_counter_falls_from_one_scrape_to_the_next(shaky: Vitals, tmp_path: Path, families: list[str]) -> None:
    """Through all troubles of the store: `rate` takes every fall for a restart."""
    home, away = tmp_path / "home", tmp_path / "away"
    latest: dict[str, float] = {}

    def scrape() -> None:
        for name, value in shown(shaky).items():
            family = catalogue.FAMILIES.get("chatvitals_" + name.partition("[")[0].removesuffix("_count"))
            if family is not None and family.name in families and family.kind != "gauge":
                assert value >= latest.get(name, 0.0), name
                latest[name] = value

    for index in range(3):
        scrape()
        for extra in range(4):
            shaky._emit(
                Message(phone_number_id=NUMBER, wa_id=PHONE, id=f"a{index}{extra}", type="text", received=EPOCH)
            )
        home.rename(away)
        scrape()
        shaky._emit(Message(phone_number_id=NUMBER, wa_id=PHONE, id=f"b{index}", type="text", received=EPOCH))
        scrape()
        away.rename(home)
        scrape()
        scrape()
    assert latest


def test_own_health_does_not_fall_when_the_store_comes_back_locked(
    shaky: Vitals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be read then and not yet written to: what was told from memory is still to be told."""
    monkeypatch.setattr("chatvitals.stores.sqlite._BUSY_SECONDS", 0.01)
    home, away = tmp_path / "home", tmp_path / "away"
    home.rename(away)
    told = shown(shaky)["internal_errors_total[('where', 'store')]"]
    away.rename(home)
    other = sqlite3.connect(home / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        found = shown(shaky)
    finally:
        other.execute("ROLLBACK")
        other.close()
    assert found["store_up[]"] == 0
    assert found.get("internal_errors_total[('where', 'store')]", 0.0) >= told
    assert shown(shaky)["internal_errors_total[('where', 'store')]"] > told
