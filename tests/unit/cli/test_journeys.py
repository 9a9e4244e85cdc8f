"""`chatvitals journeys`: the funnel of a real store, over HTTP and from its file, and what can be wrong."""

from __future__ import annotations

import io
import math
import sys
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.cli import _common, main
from chatvitals.cli.journeys import funnels
from chatvitals.events import Poll
from chatvitals.exporters import scrape
from chatvitals.settings import Settings
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.integrations.asgi import ASGIApp, Receive, Scope, Send

ROME, MILAN = "100", "200"


STEPS = ["menu", "address", "pickup", "paid"]


@pytest.fixture
def vitals(tmp_path: Path, clock: Any) -> Iterator[Vitals]:
    """A bot's measurements in a file, with two orders on one number and one on another. All is applied at once."""
    settings = Settings.load({"store": f"sqlite:///{tmp_path}/bot.db", "settle_after": 0.0}, environ={})
    made = Vitals(settings, clock=clock, background=False)
    order = made.journey("order", STEPS, completed_by="paid", stalled_after=60, abandoned_after=600)

    def reach(step: str, contact: str, number: str = ROME) -> None:
        order.reach(step, contact=contact, phone_number_id=number)
        made.settle()

    for contact in ("390000001", "390000002"):
        reach("menu", contact)
    reach("menu", "390000003", MILAN)
    clock.advance(3.0)
    reach("pickup", "390000001")
    reach("address", "390000003", MILAN)
    clock.advance(4.0)
    reach("paid", "390000001")
    clock.advance(700.0)  # the others are abandoned
    reach("menu", "390000004")
    clock.advance(100.0)
    made.settle()
    yield made
    made.close()


@pytest.fixture
def store(vitals: Vitals) -> str:
    """The URL of that store."""
    return vitals.settings.store


def _run(*words: str) -> int:
    return main.main(["journeys", *words])


# From a bot's numbers


def test_the_funnel_of_a_store(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The file alone tells the runs of all numbers, steps by how many reached them."""
    assert _run("--store", store) == _common.OK
    assert capsys.readouterr().out.splitlines() == [
        "order: 4 runs started, 1 completed, 2 abandoned by the customer,",
        "  1 open (1 stalled)",
        "",
        "step     reached                       of first  drop-off  median  open  stalled",
        "menu           4  ███████████████████      100%       33%   2.8 s     1        1",
        "address        1  ████▊                     25%      100%     0 s     0        0",
        "paid           1  ████▊                     25%        0%     0 s     0        0",
        "pickup         1  ████▊                     25%        0%   3.5 s     0        0",
        "",
        "Most runs are lost at address: 1 of 1 ended.",
    ]


def test_the_funnel_of_a_redis(redis_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    """As of any other store."""
    settings = Settings.load({"store": redis_url, "settle_after": 0.0}, environ={})
    made = Vitals(settings, background=False)
    made.journey("order", STEPS, completed_by="paid").reach("menu", contact="390000001", phone_number_id=ROME)
    made.settle()
    made.close()
    assert _run("--store", redis_url) == 0
    assert "order: 1 run started, 1 open" in capsys.readouterr().out


def test_metrics_and_store_tell_the_same_and_metrics_know_the_order(
    vitals: Vitals, serve: Callable[[ASGIApp], int], store: str
) -> None:
    """Over HTTP the steps come as they were declared. The numbers are those of the file."""
    url = f"http://127.0.0.1:{serve(vitals.metrics_app())}/metrics"
    (over_http,), (of_file,) = funnels(scrape.from_url(url)), funnels(scrape.from_store(store))
    assert [step.name for step in over_http.steps] == STEPS
    for step in over_http.steps:
        step.index = math.inf
    assert over_http.steps == of_file.steps
    assert (over_http.started, +over_http.outcomes) == (of_file.started, of_file.outcomes)


def test_one_number_is_shown_alone(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--number` leaves out the runs of other numbers."""
    assert _run("--store", store, "--number", MILAN) == _common.OK
    assert capsys.readouterr().out.startswith("order: 1 run started, 1 abandoned by the customer\n")


def test_the_phone_number_of_a_store_shows_its_number_alone(
    vitals: Vitals, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The cells of a store have ids only. The names stand in the state of the business."""
    row: dict[str, object] = {"id": MILAN, "display_phone_number": "+39 02 1234567", "verified_name": "Milan"}
    vitals.record_poll(Poll(waba_id="990001112223334", numbers=[row]))
    vitals.settle()
    for written in ("+39 02 123 4567", "02 1234567", "milan"):
        assert _run("--store", store, "--number", written) == _common.OK
        assert capsys.readouterr().out.startswith("order: 1 run started, 1 abandoned by the customer\n")
    assert _run("--store", store, "--number", "4711") == _common.WRONG
    assert "There are: 100, Milan +390212345" in capsys.readouterr().err


def test_a_phone_number_shows_its_number_alone() -> None:
    """People know the phone number, and the store has it from the poller."""
    samples = scrape.from_text(
        'chatvitals_number_info{phone_number_id="100",display_phone_number="390612345678",verified_name="Rome"} 1\n'
        'chatvitals_journey_runs_started_total{phone_number_id="100",journey="order"} 3\n'
        'chatvitals_journey_runs_started_total{phone_number_id="200",journey="order"} 4\n'
    )
    for written in ("+39 06 12345678", "06 1234 5678", "rome", "100"):
        assert [funnel.started for funnel in funnels(samples, number=written)] == [3]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--number", "300"), "--number: there is no number 300. There are: 100, 200"),
        (("--number", ""), "--number must not be an empty text. There are: 100, 200"),
        (("--journey", "booking"), "there is no journey booking. The journeys are: order"),
    ],
)
def test_a_name_that_is_not_there_is_a_sentence(
    words: tuple[str, ...], said: str, store: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence tells the names that there are."""
    assert _run("--store", store, *words) == _common.WRONG
    assert said in capsys.readouterr().err


def test_a_journey_is_shown_alone(vitals: Vitals, store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--journey` leaves out the others. Without it, all are shown by name."""
    vitals.journey("booking", ["date"]).reach("date", contact="390000009", phone_number_id=ROME)
    vitals.settle()
    assert _run("--store", store) == _common.OK
    assert capsys.readouterr().out.index("booking: 1 run started") == 0
    assert _run("--store", store, "--journey", "order") == _common.OK
    assert "booking" not in capsys.readouterr().out


def test_the_store_of_the_settings_is_read_by_default(
    store: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without options the command reads what the bot writes."""
    monkeypatch.setenv("CHATVITALS_STORE", store)
    assert _run() == _common.OK
    assert "order: 4 runs started" in capsys.readouterr().out


def test_a_store_in_which_nothing_began_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An empty store is no error."""
    made = Vitals(Settings.load({"store": f"sqlite:///{tmp_path}/bot.db"}, environ={}), background=False)
    made.settle()
    assert _run("--store", made.settings.store) == _common.OK
    made.close()
    assert capsys.readouterr().out == "No journey has begun yet.\n"


def test_output_has_no_colours_and_is_ascii_where_nothing_else_fits(
    store: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pipe with another encoding gets no error, and NO_COLOR asks for nothing that is not so already."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    assert _run("--store", store) == _common.OK
    sys.stdout.flush()
    assert b"####" in raw.getvalue()
    assert b"\x1b" not in raw.getvalue()


# What can be wrong


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--store", "sqlite:///nowhere.db"), _common.FAILED, "there is no store file nowhere.db"),
        (("--store", "memory:"), _common.FAILED, "give --metrics"),
        (("--store", "nowhere.db"), _common.WRONG, "store must be"),
        (("--metrics", "http://127.0.0.1:9/metrics"), _common.FAILED, "is the bot running"),
        (("--metrics", "file:///etc/passwd"), _common.WRONG, "--metrics must be like http://"),
        (("--metrics", "http://[::1"), _common.WRONG, "--metrics must be like http://"),
        (("--metrics", "http://127.0.0.1:port/"), _common.WRONG, "--metrics must be like http://"),
    ],
)
def test_a_source_that_is_none_is_a_sentence(
    words: tuple[str, str],
    status: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """One sentence, no traceback, and no file that was not there."""
    monkeypatch.chdir(tmp_path)
    assert _run(*words) == status
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith("chatvitals journeys: ")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store_is_a_sentence_and_stays_what_it_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither a text nor an empty file is turned into a store."""
    for name, content in (("note.txt", b"milk, eggs " * 100), ("empty.db", b"")):
        path = tmp_path / name
        path.write_bytes(content)
        assert _run("--store", f"sqlite:///{path}") == _common.FAILED
        assert name in capsys.readouterr().err
        assert path.read_bytes() == content


def test_a_token_is_asked_for_and_taken_from_option_or_environment(
    vitals: Vitals,
    serve: Callable[[ASGIApp], int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The sentence says how to give one. The right one opens, a wrong one does not."""
    app = type(vitals.metrics_app())(vitals.collector, vitals._guard, "s3cret")
    words = ("--metrics", f"http://127.0.0.1:{serve(app)}/metrics")
    assert _run(*words) == _common.FAILED
    assert "asks for a token: give --token" in capsys.readouterr().err
    assert _run(*words, "--token", "wrong") == _common.FAILED
    assert "asks for a different token" in capsys.readouterr().err
    assert _run(*words, "--token", "s3cret") == _common.OK
    monkeypatch.setenv("CHATVITALS_METRICS_TOKEN", "s3cret")
    assert _run(*words) == _common.OK


def _answering(status: int, body: bytes, *headers: tuple[bytes, bytes]) -> tuple[ASGIApp, list[str]]:
    paths: list[str] = []

    async def app(scope: Scope, _: Receive, send: Send) -> None:
        if scope["type"] == "http":
            paths.append(scope["path"])
            await send({"type": "http.response.start", "status": status, "headers": list(headers)})
            await send({"type": "http.response.body", "body": body})

    return app, paths


@pytest.mark.parametrize("body", [b"<html>Hello</html>", b"up 1\n", b"{} {} {", b"\xff\xfe", b""])
def test_a_page_that_is_no_metrics_is_a_sentence(
    body: bytes, serve: Callable[[ASGIApp], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """An answer that holds no numbers is never shown as numbers."""
    port = serve(_answering(200, body)[0])
    assert _run("--metrics", f"http://127.0.0.1:{port}/") == _common.FAILED
    assert capsys.readouterr().err.count("\n") == 1


def test_a_redirect_is_told_and_not_followed(
    serve: Callable[[ASGIApp], int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The token is for one address. Another one is for a person to decide."""
    app, paths = _answering(302, b"", (b"location", b"/elsewhere"))
    assert _run("--metrics", f"http://127.0.0.1:{serve(app)}/metrics", "--token", "s3cret") == _common.FAILED
    assert "redirects to /elsewhere" in capsys.readouterr().err
    assert paths == ["/metrics"]


def test_both_sources_at_once_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """The command line says so."""
    with pytest.raises(SystemExit) as stopped:
        _run("--metrics", "http://127.0.0.1/metrics", "--store", "memory:")
    assert stopped.value.code == _common.WRONG
    assert "not allowed with" in capsys.readouterr().err
