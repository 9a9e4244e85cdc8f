"""The client of the Graph API and answers of unexpected shapes, over real HTTP."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.graph_api.client import GraphClient, GraphError, Usage

if TYPE_CHECKING:
    from collections.abc import Iterator

ROW = {"id": "1"}


class Api:
    """A server that gives the answers of a list in turn, and records each query."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.results: list[str] = []
        self.queries: list[str] = []
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.queries.append(self.path)
                status, answer = api.answers.pop(0)
                body = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Write nothing."""

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.client = GraphClient(
            "a-made-up-token",
            url=f"http://127.0.0.1:{self.server.server_port}",
            version="v26.0",
            after=self.results.append,
        )

    def refused(self, answer: Any, status: int = 400) -> GraphError:
        """Return the error that an answer leads to."""
        self.answers = [(status, answer)]
        with pytest.raises(GraphError) as raised:
            self.client.get("1")
        return raised.value


@pytest.fixture
def api() -> Iterator[Api]:
    """A running server and its client."""
    api = Api()
    thread = threading.Thread(target=api.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield api
    api.client.close()
    api.server.shutdown()
    api.server.server_close()


@pytest.mark.parametrize(
    ("code", "read"), [(190, 190), ("190", 190), ("x", 0), (True, 0), (None, 0), ([190], 0), ("9" * 5000, 0)]
)
def test_a_code_may_be_a_text_of_digits(api: Api, code: object, read: int) -> None:
    assert api.refused({"error": {"code": code, "message": "No."}}).code == read


def test_an_error_names_the_field_that_the_api_does_not_know(api: Api) -> None:
    """In its text, a name as long as a token is hidden."""
    name = "whatsapp_business_manager_messaging_limit"
    says = f"(#100) Tried accessing nonexisting field ({name}) on node type (WhatsAppBusinessPhoneNumber)"
    error = api.refused({"error": {"message": says, "code": 100}})
    assert error.field == name
    assert name not in str(error)
    assert not api.refused({"error": {"message": "(#100) Invalid parameter", "code": 100}}).field


@pytest.mark.parametrize("code", [4, "4", 80_007, 80_008, "80008"])
def test_each_limit_of_calls_is_one(api: Api, code: object) -> None:
    """Meta's products have codes of their own, and WhatsApp answers with more than one of them."""
    assert api.refused({"error": {"code": code}}).kind == "rate_limited"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        ({"message": "No."}, "status 400: No."),
        ({"message": "No.", "error_data": {"details": "The field is unknown."}}, "No. (The field is unknown.)"),
        ({"message": "No.", "error_data": {"details": "No."}}, "status 400: No."),
        ({"message": "No.", "error_data": "text"}, "status 400: No."),
        ({"message": "No.", "error_user_msg": "Add a card."}, "No. (Add a card.)"),
        ({"error_data": {"details": "The field is unknown."}}, "status 400: The field is unknown."),
        ([{"message": "No.", "code": 100}], "status 400, code 100: No."),
        ("invalid_request", "status 400: invalid_request"),
        ({}, "status 400"),
        (None, "status 400"),
    ],
)
def test_an_error_says_what_the_api_says(api: Api, error: object, says: str) -> None:
    assert str(api.refused({"error": error})).endswith(says)


@pytest.mark.parametrize("error", ["invalid_request", [{"code": 100}]])
def test_an_error_with_status_200_is_one_in_any_shape(api: Api, error: object) -> None:
    assert api.refused({"error": error}, status=200).kind == "error"
    assert api.results == ["error"]


@pytest.mark.parametrize("code", [1, 2, "2"])
def test_troubles_of_the_api_itself_are_no_refusal(api: Api, code: object) -> None:
    """They pass, so the edge is read again soon, and nobody is told to check permissions."""
    assert not api.refused({"error": {"code": code}}).refused
    assert api.refused({"error": {"code": 100}}).refused


@pytest.mark.parametrize(
    "paging",
    [
        {"next": "http://elsewhere.example/v26.0/1/phone_numbers?limit=1&after=B", "cursors": {"after": "B"}},
        {"next": "http://elsewhere.example/v26.0/1/phone_numbers?limit=1&after=B"},
        {"next": "http://elsewhere.example/v26.0/1/phone_numbers?limit=1&after=B", "cursors": []},
        {"next": True, "cursors": {"after": "B"}},
    ],
)
def test_the_next_page_is_read_wherever_its_cursor_is(api: Api, paging: dict[str, Any]) -> None:
    """The address itself is not used, since it may lead anywhere."""
    api.answers = [(200, {"data": [ROW], "paging": paging}), (200, {"data": [ROW]})]
    assert api.client.pages("1/phone_numbers") == [ROW, ROW]
    assert api.queries[1].endswith("after=B")
    assert api.results == ["ok", "ok"]


@pytest.mark.parametrize(
    "paging", [{"next": "http://elsewhere.example/"}, {"next": 1}, ["http://elsewhere.example/"], "more"]
)
def test_a_list_that_cannot_be_read_to_its_end_is_no_list(api: Api, paging: object) -> None:
    """A part of the templates must not count as all of them."""
    api.answers = [(200, {"data": [ROW], "paging": paging})]
    with pytest.raises(GraphError, match="no cursor for the next page"):
        api.client.pages("1/message_templates")
    assert api.results == ["malformed"]


@pytest.mark.parametrize("paging", [None, {}, {"cursors": {"before": "A", "after": "B"}}, {"next": None}, {"next": ""}])
def test_the_last_page_has_no_next_page(api: Api, paging: object) -> None:
    api.answers = [(200, {"data": [ROW], "paging": paging})]
    assert api.client.pages("1/phone_numbers") == [ROW]


@pytest.mark.parametrize(
    ("data", "rows"),
    [([], []), ({}, []), ({"0": ROW, "1": ROW}, [ROW, ROW]), ([ROW, None, "x"], [ROW, {}, {}])],
)
def test_one_bad_row_does_not_cost_the_others(api: Api, data: object, rows: list[object]) -> None:
    """It stays in the list as an empty row, which is counted as malformed."""
    api.answers = [(200, {"data": data})]
    assert api.client.pages("1/phone_numbers") == rows


@pytest.mark.parametrize("data", [None, "x", 1, [None], ["x", 1], {"id": "1"}])
def test_a_page_without_rows_is_malformed(api: Api, data: object) -> None:
    api.answers = [(200, {"data": data})]
    with pytest.raises(GraphError, match="no list of rows"):
        api.client.pages("1/phone_numbers")


@pytest.mark.parametrize(
    ("header", "usage"),
    [
        ('{"1": [{"call_count": 85, "estimated_time_to_regain_access": 2}]}', Usage(85.0, 120.0)),
        ('{"1": [{"call_count": "85", "estimated_time_to_regain_access": "2"}]}', Usage(85.0, 120.0)),
        ('{"1": [{"call_count": "many", "total_time": "NaN", "total_cputime": null}]}', Usage()),
        ('{"1": []}', Usage()),
        ("[1, 2]", Usage()),
        ("no JSON", Usage()),
    ],
)
def test_usage_may_be_written_as_text(header: str, usage: Usage) -> None:
    assert Usage.read({"x-business-use-case-usage": header}) == usage


def test_80_a_tls_error_is_told_as_such(api: Api) -> None:
    """It is no server that cannot be reached."""
    with (
        GraphClient("a-made-up-token", url=f"https://127.0.0.1:{api.server.server_port}", version="v26.0") as client,
        pytest.raises(GraphError, match=r"the TLS connection to the Graph API at 127.0.0.1 fails \(wrong version"),
    ):
        client.get("1")
