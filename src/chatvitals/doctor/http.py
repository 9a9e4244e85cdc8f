"""A single HTTP request to an endpoint of the bot, with a time limit and plain errors."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit, urlunsplit

import httpx

from chatvitals._version import __version__
from chatvitals.http_hooks import unobserved

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SECONDS = 5.0
"""Time limit for an answer, in seconds."""
_MOST_BYTES = 8 * 1024 * 1024


class HttpAnswer(NamedTuple):
    """The answer to a request."""

    status: int
    headers: httpx.Headers
    body: bytes

    @property
    def kind(self) -> str:
        """The content type, such as `text/html`."""
        return str(self.headers.get("content-type", "")).partition(";")[0].strip()


class NoAnswerError(Exception):
    """There was no answer. The message holds the reason, and `do_next` the advice."""

    def __init__(self, says: str, do_next: str) -> None:
        super().__init__(says)
        self.do_next = do_next


def ask(
    url: str,
    *,
    method: str = "GET",
    params: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    content: bytes | None = None,
) -> HttpAnswer:
    """Make one request. Redirects are not followed, like at WhatsApp.

    Raises:
        NoAnswerError: there was no answer within `SECONDS`.

    """
    give_up = time.monotonic() + SECONDS
    agent = {"User-Agent": f"chatvitals/{__version__}", **(headers or {})}
    address = httpx.URL(url)
    address = address.copy_merge_params(dict(params)) if params else address
    try:
        with (
            unobserved(),
            # a proxy would look for loopback on its own machine
            httpx.Client(
                verify=_certificates(), timeout=SECONDS, follow_redirects=False, trust_env=not is_loopback(url)
            ) as client,
            client.stream(method, address, headers=agent, content=content) as response,
        ):
            body = bytearray()
            for chunk in response.iter_bytes():
                body += chunk
                if time.monotonic() > give_up or len(body) > _MOST_BYTES:
                    raise httpx.ReadTimeout("endless")
            return HttpAnswer(response.status_code, response.headers, bytes(body))
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ValueError) as error:  # an invalid name raises, too
        raise NoAnswerError(*why(error, host(url))) from None


def why(error: BaseException, where: str) -> tuple[str, str]:
    """Return the reason for a missing answer and advice. Library texts are left out, as they may quote the request."""
    causes = list(_causes(error))
    if any(isinstance(cause, httpx.TimeoutException | TimeoutError) for cause in causes):
        says = f"{where} did not answer within {SECONDS:g} s"
        return says, "check that it runs and is not overloaded, and that no firewall blocks the connection"
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return f"the name {where} is not known", "check the spelling, or the DNS of this machine"
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        says = f"the TLS certificate of {where} is not valid for it"
        return says, "renew the certificate, or add the missing chain. WhatsApp refuses it as well"
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return f"{where} does not use TLS", "check whether the address should begin with http:// instead"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{where} refuses the connection", f"check that a server runs at {where}, and the port"
    says = f"{where} cannot be reached ({type(error).__name__})"
    return says, "check the address, and the network between this machine and it"


def host(url: str) -> str:
    """Return host and port of an address for display."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"


def shown(url: str) -> str:
    """Return an address without its secret parts, which are the login and the query."""
    try:
        parts = urlsplit(url)
        return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
    except ValueError:
        return "an address that cannot be read"


def is_address(url: str) -> bool:
    """Return whether a text is a usable http(s) address."""
    try:
        parts = urlsplit(url)
        httpx.URL(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except (ValueError, httpx.InvalidURL):  # an invalid port, or half an IPv6 address
        return False


def is_loopback(url: str) -> bool:
    """Return whether only this machine reaches the address."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


@cache
def _certificates() -> ssl.SSLContext:
    """Return the trusted certificates, which take a while to load."""
    return httpx.create_ssl_context()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
