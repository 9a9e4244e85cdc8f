"""Cases 35 to 38 of tests/safety/README.md: metrics stay finite, labels bounded and people private."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from chatvitals.events import Handled, Message, Send
from chatvitals.exporters.prometheus import render
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import Measurements
from chatvitals.simulator.payloads import envelope, value_of
from chatvitals.testing import payloads, person, place, wamid
from chatvitals.whatsapp import signatures
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE, World

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.vitals import Vitals
    from tests.conftest import Swallowed

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
SECRET = "a-secret"
HALF = "\ud83d"


def post(vitals: Vitals, value: dict[str, Any], field: str = "messages") -> str:
    whole = value_of(NUMBER, "15550001234") | value
    body = json.dumps(envelope([("1", field, whole)])).encode()
    return vitals.observe_webhook(body).result


def exposed(vitals: Vitals) -> str:
    """Return the text, having made sure that both formats can be parsed."""
    text = render(vitals.collector)[0].decode()
    assert list(text_string_to_metric_families(text))
    openmetrics = render(vitals.collector, OPENMETRICS)[0].decode()
    assert list(openmetrics_families(openmetrics))  # type: ignore[no-untyped-call]
    return text


# Numbers

ANY_NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@given(ANY_NUMBER)
def test_an_observation_is_finite_and_not_negative_whatever_is_observed(seconds: float) -> None:
    """One NaN in a sum would poison it for good."""
    measures = Measurements()
    measures.observe(catalogue.SEND_SECONDS_FAMILY, ("1",), seconds)
    assert all(math.isfinite(value) and value >= 0 for value in measures.increments.values())
    skews = measures.increments.get((catalogue.CLOCK_SKEWS.name, (), 0), 0)
    assert skews == (not 0 <= seconds < math.inf)


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -math.inf])
def test_an_endless_wait_and_a_point_in_time_are_finite_too(seconds: float) -> None:
    """The +Inf bucket is a bucket, not a value."""
    measures = Measurements()
    measures.observe_endless(catalogue.WAIT_SECONDS, ("1", "first", ""), seconds)
    measures.at_least(catalogue.LAST_WEBHOOK, (), seconds)
    assert all(math.isfinite(value) for value in [*measures.increments.values(), *measures.maxima.values()])


@pytest.mark.parametrize("seconds", [math.nan, math.inf, -1.0])
def test_no_odd_duration_reaches_the_exposition(seconds: float) -> None:
    """A client's or a handler's clock may go wrong."""
    world = World()
    world.sends(0, "r1", seconds=seconds)
    world.pipeline.put(Handled(phone_number_id=NUMBER, handler="menu", seconds=seconds, result="ok"))
    assert world.pipeline.drain()
    world.conserve()
    assert world.count(catalogue.CLOCK_SKEWS) == 2


@pytest.mark.parametrize("timestamp", ["NaN", "Infinity", "-1", "1e400", "9" * 400, "null", '"soon"', "[]"])
def test_no_odd_timestamp_reaches_the_exposition(start: Callable[..., Vitals], timestamp: str) -> None:
    """Whatever stands where a time should be, the message counts and all numbers are finite."""
    vitals = start()
    body = json.dumps(payloads.webhook([{"in": "text", "contact": "A", "id": "m1"}], 0)).replace(
        f'"timestamp": "{EPOCH}"', f'"timestamp": {timestamp}'
    )
    assert timestamp in body
    vitals.observe_webhook(body.encode())
    vitals.clock.advance(30)  # type: ignore[attr-defined]
    text = exposed(vitals)
    assert "nan" not in text.lower().replace("unanswered", "")
    number = place().phone_number_id
    assert f'chatvitals_messages_received_total{{phone_number_id="{number}",type="text"}} 1.0' in text
    assert f'chatvitals_turns_open{{phone_number_id="{number}",turn="first"}} 1.0' in text


# Labels


def test_ten_thousand_business_numbers_are_at_most_the_cap_and_other(start: Callable[..., Vitals]) -> None:
    """A forged or broken feed cannot grow the number of series for ever."""
    vitals = start(label_cap=20)
    for index in range(10_000):
        vitals._emit(Message(phone_number_id=str(index), wa_id=PHONE, id=str(index), type="text", received=EPOCH))
        if index % 1000 == 0:
            vitals.settle()
    vitals.settle()
    text = exposed(vitals)
    numbers = {
        sample.labels["phone_number_id"]
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if "phone_number_id" in sample.labels
    }
    assert len(numbers) == 21
    assert f'chatvitals_messages_received_total{{phone_number_id="other",type="text"}} {10_000 - 20}.0' in text
    assert "chatvitals_series_overflow_total" in text


def test_templates_and_languages_are_capped_too() -> None:
    """As are names that can be none."""
    world = World(label_cap=3)
    names = [*(f"t{index}" for index in range(10)), HALF, "two\nlines", "x" * 10_000_000]
    for index, name in enumerate(names):
        world.sends(index, f"c{index}", "campaign", template=name, language=name)
        world.status(index + 0.5, f"c{index}", "sent", category="utility")
    world.at(60)
    labels = {cell[1][1:3] for cell in world.store.cells() if cell[0] == catalogue.TEMPLATE_MESSAGES.name}
    assert labels == {("t0", "t0"), ("t1", "t1"), ("t2", "t2"), ("other", "other")}
    assert world.count(catalogue.TEMPLATE_MESSAGES) == len(names)


@pytest.mark.parametrize("odd", [HALF, "two\nlines", '"quoted"\\', "nul\0", "\u202eback", ""], ids=ascii)
def test_odd_words_in_a_webhook_become_no_label(start: Callable[..., Vitals], odd: str) -> None:
    """Types, statuses, categories, codes, fields and preferences come from closed lists, numbers are capped."""
    vitals = start()
    item = {"id": odd or "m", "from": PHONE, "timestamp": str(EPOCH), "type": odd}
    status = {"id": odd or "s", "recipient_id": PHONE, "timestamp": str(EPOCH), "status": odd,
              "pricing": {"category": odd}, "errors": [{"code": odd}]}  # fmt: skip
    failed = {**status, "status": "failed", "id": "s2"}
    post(vitals, {"messages": [item], "statuses": [status, failed]})
    post(vitals, {"messages": [item], "metadata": {"phone_number_id": odd}})
    post(vitals, {"user_preferences": [{"wa_id": PHONE, "category": odd, "value": "stop"}]}, "user_preferences")
    post(vitals, {}, field=odd)
    vitals.clock.advance(30)  # type: ignore[attr-defined]
    text = exposed(vitals)
    assert odd in {"", '"quoted"\\'} or odd not in text
    assert 'type="other"' in text
    assert vitals._guard.errors == {}


def test_ten_megabytes_in_any_place_cost_a_counter(start: Callable[..., Vitals]) -> None:
    """The cap on bodies comes first. With a larger one, long values still become no label."""
    long = "x" * 10_000_000
    vitals = start()
    assert post(vitals, {"messages": [{"id": "m", "from": PHONE, "type": long}]}) == "oversize"
    vitals = start(max_body=64 * 1024 * 1024)
    for value in (
        {"messages": [{"id": long, "from": PHONE, "timestamp": str(EPOCH), "type": long}]},
        {"messages": [{"id": "m", "from": long, "timestamp": str(EPOCH), "type": "text"}]},
        {"messages": [{"id": "n", "from": PHONE, "type": "text"}], "metadata": {"phone_number_id": long}},
    ):
        assert post(vitals, value) == "accepted"
    vitals.clock.advance(30)  # type: ignore[attr-defined]
    assert len(exposed(vitals)) < 100_000
    rows = vitals.store._rows.values()  # type: ignore[attr-defined]
    assert sum(len(row) for row in rows if isinstance(row, bytes)) < 10_000


def test_half_a_character_in_an_id_that_the_code_gives_loses_no_event(swallowed: Swallowed) -> None:
    """Ids from the bot's code have passed no decoder."""
    world = World()
    world.pipeline.put(Send(phone_number_id=NUMBER, wa_id=HALF, kind="reply", accepted=True, id=HALF, received=EPOCH))
    world.pipeline.drain()
    world.at(20)
    swallowed.take("reducer")
    assert world.count(catalogue.SENDS) == 1


# People


def test_nothing_of_a_person_is_in_the_store_file_the_log_or_the_metrics(
    start: Callable[..., Vitals], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a run with every feature, the file, its journal, the log and `/metrics` hold no personal data."""
    caplog.set_level(0)
    vitals = start(store=f"sqlite:///{tmp_path / 'store.db'}", app_secret=SECRET)
    number = place().phone_number_id

    def take(*steps: dict[str, Any]) -> None:
        body = json.dumps(payloads.webhook(steps, vitals.clock() - EPOCH)).encode()
        assert vitals.observe_webhook(body, {"X-Hub-Signature-256": signatures.sign(body, SECRET)}).result == "accepted"
        vitals.settle()
        vitals.clock.advance(4)  # type: ignore[attr-defined]

    take({"in": "text", "contact": "A", "id": "m1"}, {"in": "image", "contact": "B", "ids": "phone", "id": "m2"})
    take(
        {"in": "text", "contact": "C", "ids": "bsuid", "id": "m3"},
        {"in": "revoke", "contact": "A", "id": "m4", "of": "m1"},
    )
    take({"status": "sent", "contact": "A", "id": "r1", "category": "service"})
    take({"status": "failed", "contact": "B", "id": "r2", "code": 131049, "category": "marketing"})
    take({"echo": "text", "contact": "C", "id": "e1"}, {"preference": "stop", "contact": "C"})
    take({"in": "system", "contact": "A", "id": "m5", "change": "number", "to": "A2"})
    vitals.record_reply(contact=person("B").phone, phone_number_id=number, message_id=wamid(person("B").phone, "r3"))
    vitals.handover(contact=person("C").user, phone_number_id=number)
    vitals.observe_webhook(b'{"entry": "15550004321"}', {"X-Hub-Signature-256": "sha256=15550004321"})
    take({"in": "text", "contact": "A", "id": "m1"})
    text = exposed(vitals)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {"store.db", "store.db-wal"} <= set(files)
    personal = ["wamid.", "Ada Example", "hello", "made up", SECRET]
    for who in map(person, ("A", "B", "C", "A2")):
        personal += [
            who.phone,
            who.user,
            who.user.removeprefix("US."),
            wamid(who.phone, "m1").removeprefix("wamid.")[:12],
        ]
    haystack = b"".join(files.values()) + text.encode() + caplog.text.encode()
    for each in personal:
        assert each.encode() not in haystack, each
    assert number.encode() in haystack


def test_no_log_line_holds_what_an_error_quotes(
    start: Callable[..., Vitals],
    swallowed: Swallowed,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Errors of the decoder, the reducer and the store often quote the value that they choke on."""

    def quote(*_: Any) -> None:
        raise ValueError(f"cannot read {PHONE} {wamid(PHONE, 'm1')} hello")

    vitals = start()
    monkeypatch.setattr("chatvitals.whatsapp.webhook_parser.decode", quote)
    with vitals.observe_webhook(b"{}") as webhook:
        assert webhook.result == "undecodable"
    monkeypatch.setattr("chatvitals.pipeline.contact_batch.apply_event", quote)
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    vitals.settle()
    monkeypatch.setattr(vitals.webhook_sink, "_put", quote)
    vitals.record_reply(contact=PHONE, phone_number_id=NUMBER)
    vitals.handover(contact=PHONE)
    assert {where for where, _ in swallowed.errors} == {"webhook", "reducer", "emit"}
    swallowed.errors.clear()
    assert len(caplog.records) == 4
    assert PHONE not in caplog.text
    assert "hello" not in caplog.text
