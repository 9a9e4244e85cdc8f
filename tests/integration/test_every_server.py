"""The same requests through every real server: each webhook that the bot gets counts once, and answers are as bare."""

from __future__ import annotations

import gzip
import re
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.helpers import services
from tests.helpers.every_server import SERVERS, Server, chunked, head, is_installed, running, webhook
from tests.helpers.every_server_bot import METRICS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHUNKS = "Transfer-Encoding: chunked"
FORGED = "X-Hub-Signature-256: sha256=" + "0" * 64


class Pair(NamedTuple):
    """One server with the bot, and the same without chatvitals."""

    kind: str
    watched: Server
    bare: Server

    def counted(self, ask: Callable[[Server], bytes]) -> dict[str, float]:
        """Return what chatvitals counts of a request."""
        before = self.watched.seen()
        ask(self.watched)
        after = self.watched.seen()
        assert not {name for name in after if name.startswith("chatvitals_internal_errors")}
        counted = {name.split()[1]: count - before.get(name, 0) for name, count in after.items()}
        return {name: count for name, count in counted.items() if count}

    def both(self, ask: Callable[[Server], bytes]) -> tuple[bytes, dict[str, float]]:
        """Return the answer of the bare bot, which is that of the watched one, and what has been counted."""
        answers: list[bytes] = []

        def noted(server: Server) -> bytes:
            answers.append(ask(server))
            return answers[-1]

        counted = self.counted(noted)
        assert answers == [ask(self.bare)]
        return answers[0], counted


@pytest.fixture(scope="module", params=SERVERS)
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Each server, twice."""
    name = request.param
    if not is_installed(name):
        services.skip_without(name)
    folder = tmp_path_factory.mktemp("servers")
    with ExitStack() as stack:
        watched, bare = (stack.enter_context(running(name, folder, bare=bare)) for bare in (False, True))
        plain(watched)  # until the first webhook has come, one that no route takes counts as lost
        yield Pair(SERVERS[name][0], watched, bare)


def plain(server: Server) -> bytes:
    """Send a webhook in one go."""
    return server.ask(head(BODY) + BODY)


BODY = webhook("wamid.1")
LARGE = webhook("wamid.2", 2_000_000)
ZIPPED = gzip.compress(BODY, mtime=0)
SHOUTED, WHISPERED = (
    b"\r\n".join(
        [first, *(case(name) + b":" + value for name, _, value in (line.partition(b":") for line in lines)), b"", b""]
    )
    for first, *lines in [head(BODY).rstrip().split(b"\r\n")]
    for case in (bytes.upper, bytes.lower)
)
WHOLE: dict[str, Callable[[Server], bytes]] = {
    "in one go": plain,
    "in pieces": lambda server: server.ask(head(BODY), BODY[:30], BODY[30:]),
    "in chunks": lambda server: server.ask(head(BODY, CHUNKS) + chunked(BODY, 50)),
    "with Expect": lambda server: server.ask_and_wait(head(BODY, "Expect: 100-continue"), BODY),
    "HTTP/1.0": lambda server: server.ask(head(BODY, version="1.0") + BODY),
    "absolute form": lambda server: server.ask(head(BODY, target="http://bot.example/webhook") + BODY),
    "slash at the end": lambda server: server.ask(head(BODY, target="/webhook/") + BODY),
    "query": lambda server: server.ask(head(BODY, target="/webhook?a=/metrics&b=%00") + BODY),
    "escaped path": lambda server: server.ask(head(BODY, target="/web%68ook") + BODY),
    "two slashes": lambda server: server.ask(head(BODY, target="//webhook") + BODY),
    "another path": lambda server: server.ask(head(BODY, target="/webhooks") + BODY),
    "kept connection": lambda server: server.ask_and_wait(
        head(BODY, "Connection: keep-alive") + BODY, head(BODY) + BODY
    ),
    "large": lambda server: server.ask(head(LARGE) + LARGE),
    "large, in chunks": lambda server: server.ask(head(LARGE, CHUNKS) + chunked(LARGE, 60_000)),
    "two at once": lambda server: server.ask(head(BODY, "Connection: keep-alive") + BODY + head(BODY) + BODY),
    "with a charset": lambda server: server.ask(head(BODY, "Content-Type: application/json; charset=latin-1") + BODY),
    "as text": lambda server: server.ask(head(BODY, "Content-Type: text/plain") + BODY),
    "as a form": lambda server: server.ask(head(BODY, "Content-Type: application/x-www-form-urlencoded") + BODY),
    "of no type": lambda server: server.ask(head(BODY, "Content-Type:") + BODY),
    "shouted headers": lambda server: server.ask(SHOUTED + BODY),
    "whispered headers": lambda server: server.ask(WHISPERED + BODY),
    "PUT": lambda server: server.ask(head(BODY, method="PUT") + BODY),
}


@pytest.mark.parametrize("way", WHOLE)
def test_a_webhook_counts_as_often_as_the_bot_reads_it(pair: Pair, way: str) -> None:
    """What no server passes on to the bot counts nowhere."""
    answer, counted = pair.both(WHOLE[way])
    size = len(LARGE) if way.startswith("large") else len(BODY)
    read = len(re.findall(rb"read %d " % size, answer))
    assert counted == ({"accepted": read} if read else {})


def test_a_usual_webhook_reaches_the_bot(pair: Pair) -> None:
    """Else the test above shows nothing."""
    assert pair.both(plain)[1] == {"accepted": 1}


@pytest.mark.parametrize(
    "lines", [[FORGED], [""], [FORGED, "good"], ["good", "good"]], ids=["forged", "none", "both", "twice"]
)
def test_54_signatures_mean_the_same_on_every_server(pair: Pair, lines: list[str]) -> None:
    """Servers join, list or drop repeated headers. Two signatures are never a valid one."""
    good = next(line for line in head(BODY).decode().splitlines() if line.startswith("X-Hub"))
    given = [good if line == "good" else line for line in lines if line]
    bare = head(BODY).replace(f"{good}\r\n".encode(), b"".join(f"{line}\r\n".encode() for line in given))
    _, counted = pair.both(lambda server: server.ask(bare + BODY))
    assert counted == {"bad_signature" if given else "unsigned": 1}


@pytest.mark.parametrize("words", ["answer 404", "answer 500", "answer 503", "answer 202", "raise an error"])
def test_a_webhook_counts_whatever_the_bot_answers(pair: Pair, words: str) -> None:
    """With an app secret the signature decides."""
    body = webhook("wamid.3", words=words)
    answer, counted = pair.both(lambda server: server.ask(head(body) + body))
    assert (answer.split()[1], counted) == (b"500" if "raise" in words else words[-3:].encode(), {"accepted": 1})


ODD = {  # and what it counts as
    "nothing": (b"", "undecodable"),
    "a BOM": (b"\xef\xbb\xbf" + BODY, "accepted"),
    "UTF-16": (BODY.decode().encode("utf-16"), "accepted"),
    "a half": (BODY[: len(BODY) // 2], "undecodable"),
    "no object": (b"[]", "undecodable"),
}


@pytest.mark.parametrize("how", ODD)
def test_odd_bodies_mean_the_same_on_every_server(pair: Pair, how: str) -> None:
    """Some servers let no bot read an empty body."""
    body, result = ODD[how]
    _, counted = pair.both(lambda server: server.ask(head(body) + body))
    assert counted == {result: 1}


def test_a_zipped_webhook_is_none(pair: Pair) -> None:
    """WhatsApp sends none. aiohttp alone unpacks it, and its signature does not fit then."""
    _, counted = pair.both(lambda server: server.ask(head(ZIPPED, "Content-Encoding: gzip") + ZIPPED))
    assert counted == {"bad_signature" if pair.kind == "aiohttp" else "undecodable": 1}


@pytest.mark.parametrize("how", ["declared", "in chunks"])
def test_a_client_that_goes_in_the_middle_counts_nothing(pair: Pair, how: str) -> None:
    """Some servers give the bot what has come so far, and some of them answer."""
    start = head(BODY) + BODY[:100] if how == "declared" else head(BODY, CHUNKS) + chunked(BODY, 50)[:100]
    assert pair.counted(lambda server: server.leave(start)) == {}
    assert pair.both(plain)[1] == {"accepted": 1}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "DELETE"])
def test_other_methods_on_the_webhook_s_path_are_as_bare(pair: Pair, method: str) -> None:
    """The handshake is a GET."""
    _, counted = pair.both(lambda server: server.ask(head(b"", method=method)))
    assert counted == {}


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS", "POST"])
def test_the_metrics_have_two_methods(pair: Pair, method: str) -> None:
    """GET and HEAD are answered by chatvitals. The bot answers the rest, or the framework that knows the route."""
    request = head(b"", target=f"{METRICS}?a=b", method=method)
    answer = pair.watched.ask(request)
    if pair.kind == "asgi" or method not in {"GET", "HEAD"}:
        assert answer == pair.bare.ask(request) or b"\r\nallow: " in answer.lower()
        return
    top, _, page = answer.partition(b"\r\n\r\n")
    assert top.split()[1] == b"200"
    assert (b"chatvitals_build_info" in page) if method == "GET" else not page
