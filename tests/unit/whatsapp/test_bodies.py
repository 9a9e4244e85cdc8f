from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.events import Message
from chatvitals.whatsapp import bodies, webhook_parser
from tests.helpers.examples import share
from tests.helpers.json_mutants import PAYLOADS, REPLACEMENTS, broken, mutant, places

if TYPE_CHECKING:
    from pathlib import Path

COMPACT = (",", ":")


def nothing() -> None:
    """Do not pause."""


@pytest.fixture(autouse=True, params=[8, bodies._STRETCH], ids=["stretches", "items"])
def cuts_everything(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut short bodies, too, in stretches of a few items, or into single items."""
    monkeypatch.setattr(bodies, "LONG", 1)
    monkeypatch.setattr(bodies, "_WINDOW", 16)
    monkeypatch.setattr(bodies, "_STRETCH", request.param)


def check(body: bytes) -> bool:
    """Assert that a body gives the same as a whole and in pieces. Return whether it was cut."""
    pieces = webhook_parser.decode_in_full(body, 7.5, give_way=nothing)
    assert pieces == webhook_parser.decode_in_full(body, 7.5), body[:2000]
    return isinstance(bodies.of(body, nothing), bodies._Pieces)


def message(index: int, **more: Any) -> dict[str, Any]:
    return {"id": f"wamid.{index}", "from": str(index), "type": "text", "text": {"body": "ok"}, **more}


def document(**value: Any) -> dict[str, Any]:
    full = {"metadata": {"phone_number_id": "1", "display_phone_number": "15550001234"}, **value}
    changes = [{"field": "messages", "value": full}, {"field": "flows", "value": {"event": "X", "messages": [1, {}]}}]
    return {"entry": [{"id": "5", "changes": changes}]}


def post(**value: Any) -> bytes:
    return json.dumps(document(**value), separators=COMPACT).encode()


BATCH = document(
    contacts=[{"wa_id": str(index), "user_id": f"US.{index}"} for index in range(5)],
    messages=[
        message(1),
        message(2, errors=[{"code": 1}, {"code": 2}]),
        "x",
        message(3),
        message(4, text={"body": "},{"}),
    ],
    statuses=[{"id": "w", "status": "failed", "errors": [{"code": 131049}, {"code": 1}]}] * 4,
    standby={"contacts": [{"wa_id": "7"}], "message_echoes": [message(6), message(7)]},
)


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_a_sample_gives_the_same_in_pieces(path: Path) -> None:
    """In its own form, and without white space."""
    assert check(path.read_bytes())
    assert check(json.dumps(json.loads(path.read_bytes()), separators=COMPACT).encode())


def test_a_batch_gives_the_same_in_pieces_whatever_stands_in_one_place() -> None:
    """Broken items, objects in place of lists, items of the wrong type, and text that only `json` can read."""
    chance = random.Random(1)
    changes = [(place, value) for place in places(BATCH) for value in REPLACEMENTS]
    cut = sum(check(mutant(BATCH, *change)) for change in chance.sample(changes, share(800)))
    assert cut > share(600)


def test_broken_bytes_give_the_same_in_pieces() -> None:
    """Whether both, one or none of the two decoders can read them."""
    chance = random.Random(2)
    whole = json.dumps(BATCH, separators=COMPACT).encode()
    cut = sum(check(broken(broken(whole, chance), chance)) for _ in range(share(1500)))
    assert cut > share(200)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"  {}  ",
        b"[]",
        b'{"entry":[]}}',
        b'{"entry":[],}',
        b'{"entry" []}',
        b'{"entry":[}',
        b"{5:[]}",
        b'{"entry":[{}{}]}',
        b'{"entry":[1',
        b'\xef\xbb\xbf{"entry":[]}',
        json.dumps(BATCH).encode("utf-16"),
        post(messages=[message(1)]).replace(b'"messages":', b'"messages":[{"id":"\\ud83d"}],"messages":', 1),
        post(messages=[message(1)]).replace(
            b'"entry":', b'"entry":[{"changes":[{"value":{"messages":[1]}}]}],"entry":'
        ),
        post(messages=[message(1, name="\u00e9\u4e2d"), message(2)]).replace(b"\\u00e9", "\u00e9".encode()),
        post(messages=[message(1, x="HERE")]).replace(b"HERE", b"\xff"),
        post(messages=[message(1, errors=[1], x="HERE")]).replace(b"HERE", b"\xff"),
        post(messages=[message(1, errors=[1], text=None, x="HERE")]).replace(b'"HERE"', b"NaN"),
        post(messages=[message(1)], statuses=b"9".decode() * 9000),
        b'{"entry":' + b"[" * 100_000,
    ],
)
def test_odd_bodies_give_the_same_in_pieces(body: bytes) -> None:
    """Duplicate keys, other encodings, and what is no JSON at all."""
    check(body)


def test_a_body_with_too_many_pieces_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is forged, and the decoder is faster."""
    monkeypatch.setattr(bodies, "_MOST_PIECES", 20)
    assert check(post(messages=[message(index) for index in range(5)]))
    assert not check(post(messages=[message(index) for index in range(30)]))


def test_a_number_at_the_end_of_a_window_is_read_whole() -> None:
    """A number has no end of its own, so that it could be taken for a shorter one."""
    for size in range(40):
        check(json.dumps({"x": "y" * size, "entry": [], "z": 1234567890}, separators=COMPACT).encode())
        check(post(messages=[12345678901234567890, "y" * size, 1234567890123456789]))


def test_65_a_long_body_gives_way_between_its_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """No step is about more than a few items: neither the search, nor the decoding, nor the conversion."""
    monkeypatch.undo()
    body = post(messages=[message(index, x="y" * 1000) for index in range(500)])
    assert len(body) > 7 * bodies.LONG
    calls: list[int] = []
    webhook = webhook_parser.decode(body, give_way=lambda: calls.append(1))
    assert len(webhook.events) == 500 + 1
    assert all(type(event) is Message for event in webhook.events[:-1])
    assert len(calls) >= 2 * 500 + len(body) // (3 * bodies._STRETCH)
