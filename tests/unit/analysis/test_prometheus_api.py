"""Reading from Prometheus: clear sentences for all that goes wrong, and never a half answer."""

from __future__ import annotations

import base64
import itertools

import pytest

from chatvitals.analysis.errors import SourceUnavailableError, WrongNameError
from chatvitals.analysis.prometheus_api import PrometheusApi
from tests.helpers.analysis_prometheus import Answer, answering, data
from tests.helpers.services import free_port


@pytest.mark.parametrize("url", ["localhost:9090", "ftp://host", "http://", "http://host:99999", "http://[::1", ""])
def test_a_wrong_address_is_named(url: str) -> None:
    with pytest.raises(WrongNameError, match="must be an address such as http://localhost:9090"):
        PrometheusApi(url)


def test_a_server_that_is_not_there_is_a_sentence() -> None:
    with pytest.raises(SourceUnavailableError, match="Is Prometheus running"):
        PrometheusApi(f"http://127.0.0.1:{free_port()}").query("up", 0)


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        ((200, b"<html>"), "does not answer as Prometheus does"),
        ((200, b"[]"), "does not answer as Prometheus does"),
        ((200, b'{"data": {"result": 3}}'), "does not answer as Prometheus does"),
        ((404, b"no"), "answers 404"),
        ((401, b"no"), "CHATVITALS_PROMETHEUS_TOKEN"),
        ((302, b""), "redirects elsewhere"),
        ((422, b'{"error": "too many \\u001b[31m samples"}'), "refuses a query .* too many .* samples"),
    ],
)
def test_each_wrong_answer_is_a_sentence(answer: Answer, sentence: str) -> None:
    with answering(lambda *_: answer) as url, pytest.raises(SourceUnavailableError, match=sentence) as caught:
        PrometheusApi(url).query("up", 0)
    assert "\x1b" not in str(caught.value)


def test_a_login_goes_along_and_stays_out_of_sentences() -> None:
    seen: list[str] = []

    def answer(_: str, parameters: dict[str, str]) -> Answer:
        seen.append(parameters["authorization"])
        return 500, b""

    with answering(answer) as url:
        api = PrometheusApi(url.replace("http://", "http://user:p%40ss@"))
        with pytest.raises(SourceUnavailableError) as caught:
            api.query("up", 0)
    assert seen == [f"Basic {base64.b64encode(b'user:p@ss').decode()}"]
    assert "p@ss" not in str(caught.value)
    assert "p%40ss" not in str(caught.value)


def test_the_limit_holds_for_all_queries_together() -> None:
    """The third query comes too late, and progress was told before each."""
    ticks, told = itertools.count(0.0, 4.0), list[int]()
    with answering(lambda *_: data()) as url:
        api = PrometheusApi(
            url, seconds=30.0, clock=lambda: next(ticks), progress=lambda queries, _: told.append(queries)
        )
        with pytest.raises(SourceUnavailableError, match="Nothing is shown, because it would be incomplete"):
            [api.query_range("up", 0, 60, 60) for _ in range(20)]
    assert told == list(range(len(told)))
    assert len(told) < 10
