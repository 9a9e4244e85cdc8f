"""A client of the Graph API for single requests and for all pages of an edge (whatsapp/README.md 6).

Every failure has a kind. The token travels only in a header. It appears in no log line, no `repr` and no error.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self, TypeAlias
from urllib.parse import parse_qs, urlsplit

import httpx

from chatvitals._version import __version__
from chatvitals.http_hooks import unobserved
from chatvitals.runtime import tls_errors
from chatvitals.runtime.clock_skew import clock_skew

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

Json: TypeAlias = dict[str, Any]
Kind: TypeAlias = Literal["rate_limited", "unauthorized", "error", "malformed", "timeout", "connection", "budget"]

_RATE_CODES = frozenset({4, 17, 32, 341, 613, *range(80_000, 80_015)})  # of the app, the user, the page, a product
_AUTH_CODES = frozenset({3, 10, 102, 190, *range(200, 300)})  # invalid token or missing permission
_DEAD_TOKEN_CODES = frozenset({102, 190})
_PASSING_CODES = frozenset({1, 2})  # troubles of the API itself, which may come with status 400
_REFUSALS = frozenset({"unauthorized", "error"})
_BAD_CURSOR = 131_059
_MOST_BYTES = 16 * 1024 * 1024
_MOST_PAGES = 60
_MOST_WAIT = 86_400.0
_MOST_DIGITS = 20
_UNKNOWN_FIELD = re.compile(r"nonexisting field \((\w{1,64})\)")
_SECRET_LIKE = re.compile(r"[A-Za-z0-9_|-]{24,}")


class GraphError(Exception):
    """A request that failed. The message is fit for a log.

    `kind` is one of `Kind`. `code` is Meta's error code or 0. `status` is the HTTP status or 0. `wait` is the time in
    seconds for which the API asks to pause. `field` is the requested field that the API does not know, or empty.
    """

    def __init__(
        self, kind: Kind, says: str, *, code: int = 0, status: int = 0, wait: float = 0.0, field: str = ""
    ) -> None:
        super().__init__(says)
        self.kind = kind
        self.code = code
        self.status = status
        self.wait = wait
        self.field = field

    @property
    def refused(self) -> bool:
        """Whether the object does not exist or must not be read. Other objects may still be readable."""
        lasting = self.code not in _DEAD_TOKEN_CODES and self.code not in _PASSING_CODES
        return self.kind in _REFUSALS and self.status < 500 and lasting


@dataclass(frozen=True, slots=True)
class Usage:
    """The used share of the API's limits, from the headers of an answer. Without headers, nothing is known."""

    percent: float = 0.0
    wait: float = 0.0  # seconds until the API accepts calls again

    @classmethod
    def read(cls, headers: Mapping[str, str]) -> Usage:
        """Read the usage headers. Unreadable headers count as normal use."""
        percents, waits = [0.0], [0.0]
        for item in (*_items(headers.get("x-app-usage")), *_items(headers.get("x-business-use-case-usage"))):
            percents += [_number(item.get(key)) for key in ("call_count", "total_cputime", "total_time")]
            waits.append(60.0 * _number(item.get("estimated_time_to_regain_access")))  # in minutes
        return cls(max(percents), min(max(waits), _MOST_WAIT))


class GraphClient:
    """A client for one access token.

    Args:
        token: the bearer token.
        url: address of the API.
        version: version of the API, such as `v26.0`.
        timeout: seconds for one request in total.
        before: called before each request. It may raise `GraphError` to forbid it.
        after: called with the result of each request, which is `ok` or the kind of its error.

    """

    def __init__(
        self,
        token: str,
        *,
        url: str,
        version: str,
        timeout: float = 10.0,
        before: Callable[[], None] = lambda: None,
        after: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.usage: Usage = Usage()
        """The usage according to the latest answer."""
        self.skew: float | None = None
        """Seconds by which the local clock is ahead of the API's at least, by the latest answer. None if not known."""
        self._token = token
        self._timeout = timeout
        self._before = before
        self._after = after
        self._http = httpx.Client(
            base_url=f"{url.rstrip('/')}/{version.strip('/')}/",
            headers={"Authorization": f"Bearer {token}", "User-Agent": f"chatvitals/{__version__}"},
            timeout=timeout,
            follow_redirects=False,  # the token goes nowhere else
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<GraphClient of {self._http.base_url}>"

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, **params: str) -> Json:
        """Return the object that a node or an edge returns.

        Raises:
            GraphError: there is no such object.

        """
        return self._call("GET", path, params)

    def post(self, path: str, **params: str) -> Json:
        """Call an edge that changes something. Return its answer.

        Raises:
            GraphError: the call was refused, or there was no answer.

        """
        return self._call("POST", path, params)

    def pages(self, path: str, *, limit: int = 100, **params: str) -> list[Json]:
        """Return the rows of all pages of an edge, complete or not at all.

        A cursor that the API does not know any more leads to one new start (whatsapp/README.md 6.2).

        Raises:
            GraphError: a page is missing or invalid.

        """
        params["limit"] = str(limit)
        try:
            return self._pages(path, params)
        except GraphError as error:
            if error.code != _BAD_CURSOR:
                raise
        return self._pages(path, params)

    def _pages(self, path: str, params: Mapping[str, str]) -> list[Json]:
        rows: list[Json] = []
        cursors: set[str] = set()
        page = self._call("GET", path, params, is_page=True)
        while True:
            rows += page["data"]
            cursor = _next_cursor(page)
            if cursor is None:
                return rows
            if cursor in cursors or len(cursors) >= _MOST_PAGES:
                what = "pages that repeat" if cursor in cursors else "too many pages"
                raise GraphError("malformed", f"the Graph API answered with {what}")
            cursors.add(cursor)
            page = self._call("GET", path, {**params, "after": cursor}, is_page=True)

    def _call(self, method: str, path: str, params: Mapping[str, str], *, is_page: bool = False) -> Json:
        self._before()
        try:
            sent = time.time()
            with unobserved():
                status, headers, body = self._exchange(method, path, params)
            self.skew = _skew(headers.get("date"), sent)
            answer = self._read(status, headers, body)
            if is_page:
                answer["data"] = _rows(answer.get("data"))
                _next_cursor(answer)  # a page without its cursor is no `ok`
        except GraphError as error:
            self._after(error.kind)
            raise
        self._after("ok")
        return answer

    def _exchange(self, method: str, path: str, params: Mapping[str, str]) -> tuple[int, httpx.Headers, bytes]:
        give_up = time.monotonic() + self._timeout
        try:
            with self._http.stream(method, path.lstrip("/"), params=dict(params)) as response:
                body = bytearray()
                for chunk in response.iter_bytes():
                    body += chunk
                    if time.monotonic() > give_up:  # httpx limits only each read, and there may be many
                        raise GraphError("timeout", _TOO_SLOW.format(self._timeout))
                    if len(body) > _MOST_BYTES:
                        raise GraphError("malformed", "the Graph API answered with an endless page")
                return response.status_code, response.headers, bytes(body)
        except httpx.TimeoutException:
            raise GraphError("timeout", _TOO_SLOW.format(self._timeout)) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            # The type of these errors is enough; text and chain may quote the request.
            host, tls = self._http.base_url.host, tls_errors.behind(error)
            says = f"the Graph API at {host} cannot be reached ({type(error).__name__})"
            if tls is not None:
                says = f"the TLS connection to the Graph API at {host} fails ({tls_errors.reason(tls)})"
            raise GraphError("connection", says) from None

    def _read(self, status: int, headers: httpx.Headers, body: bytes) -> Json:
        self.usage = Usage.read(headers)
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        error = answer.get("error") if isinstance(answer, dict) else None
        if error or status >= 400:
            raise self._refusal(status, headers, _error(error))
        if not isinstance(answer, dict) or status >= 300:
            kind = headers.get("content-type", "no content type").partition(";")[0]
            says = f"the Graph API answered with status {status} and no JSON object ({kind}). Is this its address?"
            raise GraphError("malformed", says, status=status)
        return answer

    def _refusal(self, status: int, headers: httpx.Headers, error: Json) -> GraphError:
        code = _code(error.get("code"))
        wait = max(_retry_after(headers.get("retry-after")), self.usage.wait)
        says = f"the Graph API answered with status {status}"
        says += f", code {code}" if code else ""
        text = _text(error)
        says += f": {self._without_secrets(text)}" if text else ""
        kind: Kind = "error"
        if code in _RATE_CODES or status == 429:
            kind = "rate_limited"
        elif code in _AUTH_CODES or status in {401, 403}:
            kind = "unauthorized"
        unknown = _UNKNOWN_FIELD.search(text)
        return GraphError(kind, says, code=code, status=status, wait=wait, field=unknown[1] if unknown else "")

    def _without_secrets(self, text: str) -> str:
        """Remove the token, which Meta quotes where it is malformed, and everything that looks like a token."""
        return _SECRET_LIKE.sub("…", text.replace(self._token, "…"))[:300]


_TOO_SLOW = "the Graph API did not answer within {:g} s"


def _error(error: object) -> Json:
    """Return Meta's error as an object. Proxies give a list, or bare text."""
    first = error[0] if isinstance(error, list) and error else error
    if isinstance(first, dict):
        return first
    return {"message": first} if isinstance(first, str) else {}


def _code(code: object) -> int:
    """Return an error's code, which may be a text of digits, or 0."""
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) < _MOST_DIGITS:
        return int(code)
    return code if isinstance(code, int) and not isinstance(code, bool) else 0


def _text(error: Json) -> str:
    """Return an error's message, with its details in brackets where they add anything."""
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    texts = [text for text in (error.get("message"), details, error.get("error_user_msg")) if isinstance(text, str)]
    texts = [text.strip() for text in texts if text.strip()]
    further = next((text for text in texts[1:] if text not in texts[0]), "")
    return f"{texts[0]} ({further})" if further else "".join(texts[:1])


def _rows(data: object) -> list[Json]:
    """Return the rows of a page. A row that is no object becomes an empty object, which the reader counts."""
    if isinstance(data, dict):  # a reference page shows the list in this form: whatsapp/README.md 6.1
        data = list(data.values())
    if not isinstance(data, list) or (data and not any(isinstance(row, dict) for row in data)):
        raise GraphError("malformed", "the Graph API answered with a page that has no list of rows")
    return [row if isinstance(row, dict) else {} for row in data]


def _next_cursor(page: Json) -> str | None:
    """Return the cursor of the next page, or None on the last page.

    The address of the next page is not used, as it may lead anywhere. Only its cursor is taken where no other is given.

    Raises:
        GraphError: there is a next page, but no cursor for it.

    """
    paging = page.get("paging")
    following = paging.get("next") if isinstance(paging, dict) else paging
    if not following:
        return None
    cursors = paging.get("cursors") if isinstance(paging, dict) else None
    after = cursors.get("after") if isinstance(cursors, dict) else None
    if isinstance(following, str) and not after:
        after = next(iter(parse_qs(urlsplit(following).query).get("after", ())), None)
    if isinstance(after, int) and not isinstance(after, bool):
        after = str(after)
    if not isinstance(after, str) or not after:
        raise GraphError("malformed", "the Graph API answered with a page that has no cursor for the next page")
    return after


def _items(header: str | None) -> list[Json]:
    """Return the usage objects of a header, which holds one object, or lists of objects by id."""
    try:
        found = json.loads(header or "")
    except (ValueError, RecursionError):
        return []
    if not isinstance(found, dict):
        return []
    lists = [value for value in found.values() if isinstance(value, list)]
    return [item for items in lists for item in items if isinstance(item, dict)] if lists else [found]


def _number(value: object) -> float:
    """Return a number of a usage header, which may be a text, or 0."""
    if isinstance(value, str) and len(value) < _MOST_DIGITS:
        try:
            value = float(value)
        except ValueError:
            return 0.0
    return float(value) if isinstance(value, (int, float)) and 0 <= value < float("inf") else 0.0


def _retry_after(header: str | None) -> float:
    """Return the seconds of a Retry-After header, which may also be a date."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return min(float(header), _MOST_WAIT)
    at = _date(header)
    return 0.0 if at is None else min(max(at - time.time(), 0.0), _MOST_WAIT)


def _skew(header: str | None, sent: float) -> float | None:
    at = _date(header) if header else None
    return None if at is None else clock_skew(sent, time.time(), at, at + 1.0)  # the header has whole seconds


def _date(header: str) -> float | None:
    try:
        return email.utils.parsedate_to_datetime(header).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
