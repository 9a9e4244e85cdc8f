"""Queries to Prometheus over its HTTP API, within one time limit for the whole analysis."""

from __future__ import annotations

import base64
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlencode, urlsplit, urlunsplit

import msgspec

from chatvitals.analysis.errors import SourceUnavailableError, WrongNameError, printable

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT_SECONDS: Final = 60.0
"""Default time limit in seconds for all queries of one analysis together."""
MOST_POINTS: Final = 10_000
"""Most points of one series in one answer of Prometheus, a little below its limit of 11,000."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_CHUNK: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Series:
    """One series with its labels, and its values by Unix time."""

    labels: dict[str, str]
    points: list[tuple[float, float]]

    @property
    def last(self) -> float:
        """The latest value."""
        return self.points[-1][1]


class PrometheusApi:
    """A Prometheus, or another server with the same HTTP API.

    Args:
        url: the address, with any prefix of its path. A user and password in it are sent as basic authentication.
        token: a bearer token.
        seconds: how long all queries may take together.
        progress: called before each query with the number of queries so far and the seconds since the start.
        clock: function that returns monotonic seconds.

    Raises:
        WrongNameError: `url` is not an address.

    Example:
        >>> api = PrometheusApi("http://localhost:9090")
        >>> api.query("up", at=time.time())  # doctest: +SKIP

    """

    def __init__(
        self,
        url: str,
        *,
        token: str | None = None,
        seconds: float = LIMIT_SECONDS,
        progress: Callable[[int, float], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        address, authorization = _address(url)
        self.url = address
        """The address without user and password."""
        self._authorization = f"Bearer {token}" if token else authorization
        self._seconds = seconds
        self._progress = progress
        self._clock = clock
        self._start = clock()
        self._queries = 0
        self.asked: list[str] = []
        """All different queries so far."""

    def query(self, expression: str, at: float) -> list[Series]:
        """Return the value of each series at one time.

        Raises:
            SourceUnavailableError: the server cannot be reached, refuses, or does not answer in time.

        """
        found = self._data("query", query=expression, time=f"{at:.3f}")
        return [Series(each["metric"], [_point(each["value"])]) for each in found["result"] if "value" in each]

    def query_range(self, expression: str, start: float, end: float, step: float) -> list[Series]:
        """Return the values of each series from `start` to `end`, `step` seconds apart.

        Raises:
            SourceUnavailableError: the server cannot be reached, refuses, or does not answer in time.

        """
        found = self._data("query_range", query=expression, start=f"{start:.3f}", end=f"{end:.3f}", step=f"{step:.3f}")
        return [Series(each["metric"], [_point(point) for point in each["values"]]) for each in found["result"]]

    def _data(self, path: str, **parameters: str) -> Any:
        left = self._left()
        if parameters["query"] not in self.asked:
            self.asked.append(parameters["query"])
        if self._progress is not None:
            self._progress(self._queries, self._seconds - left)
        self._queries += 1
        body = urlencode({**parameters, "timeout": f"{max(left, 1):.0f}s"}).encode()
        request = urllib.request.Request(f"{self.url}/api/v1/{path}", body)  # noqa: S310 - checked in _address
        if self._authorization:
            request.add_header("Authorization", self._authorization)
        handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
        if urlsplit(self.url).hostname in _LOOPBACK:
            handlers.append(urllib.request.ProxyHandler({}))  # a proxy would look for the address on its own machine
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=left) as answer:
                return _decoded(self._read(answer), self.url)
        except urllib.error.HTTPError as error:
            with error:
                raise SourceUnavailableError(_refused(self.url, error)) from None
        except TimeoutError:
            raise self._late() from None
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise self._late() from None
            says = getattr(reason, "strerror", None) or str(reason)
            raise SourceUnavailableError(
                f"{self.url} cannot be read ({printable(says)}). Is Prometheus running, and is this its address?"
            ) from None

    def _read(self, answer: Any) -> bytes:
        """Read an answer in pieces. A server that sends a byte now and then must not exceed the limit."""
        pieces = []
        while piece := answer.read1(_CHUNK):
            pieces.append(piece)
            self._left()
        return b"".join(pieces)

    def _left(self) -> float:
        left = self._seconds - (self._clock() - self._start)
        if left <= 0:
            raise self._late()
        return left

    def _late(self) -> SourceUnavailableError:
        return SourceUnavailableError(
            f"{self.url} did not answer all queries within {self._seconds:g} s. Nothing is shown, because it would be "
            "incomplete. Give --timeout more seconds, or ask for fewer days."
        )


def _address(url: str) -> tuple[str, str]:
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # an invalid port, or half an IPv6 address
        good = False
    if not good:
        raise WrongNameError("--prometheus must be an address such as http://localhost:9090")
    authorization = ""
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
        authorization = f"Basic {base64.b64encode(login).decode()}"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", "")), authorization


def _point(pair: list[Any]) -> tuple[float, float]:
    return float(pair[0]), float(pair[1])


def _decoded(body: bytes, url: str) -> Any:
    wrong = SourceUnavailableError(f"{url} does not answer as Prometheus does. Is this its address?")
    try:
        answer = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise wrong from None
    if not isinstance(answer, dict) or not isinstance(answer.get("data"), dict):
        raise wrong
    if not isinstance(answer["data"].get("result"), list):
        raise wrong
    return answer["data"]


def _refused(url: str, error: urllib.error.HTTPError) -> str:
    if error.code in {401, 403}:
        return (
            f"{url} asks for a login ({error.code}). Put user and password into the address, or set "
            "CHATVITALS_PROMETHEUS_TOKEN."
        )
    if 300 <= error.code < 400:
        return f"{url} redirects elsewhere. Give the final address, if it is yours."
    try:
        said = msgspec.json.decode(error.read(_CHUNK))["error"]
    except (msgspec.MsgspecError, KeyError, TypeError, OSError):
        return f"{url} answers {error.code}. Is this the address of a Prometheus?"
    return f"{url} refuses a query ({error.code}): {printable(str(said))[:300]}"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow no redirect, because the login belongs to one address."""
