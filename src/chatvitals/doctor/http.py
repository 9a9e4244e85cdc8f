"""A single HTTP request to an endpoint of the bot, with a time limit and plain errors."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
import urllib.request
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
        raise NoAnswerError(*why(error, host(url), "" if is_loopback(url) else proxy_of(url))) from None


def why(error: BaseException, where: str, proxy: str = "", *, of_bot: bool = True) -> tuple[str, str]:
    """Return the reason for a missing answer and advice. Library texts are left out, as they may quote the request.

    Args:
        error: the error of the request.
        where: host and port that were asked.
        proxy: host and port of the proxy in between, or the empty string.
        of_bot: whether the bot was asked, and not the Graph API.

    """
    causes = list(_causes(error))
    through = f" (through the proxy {proxy})" if proxy else ""
    if any(isinstance(cause, httpx.TimeoutException | TimeoutError) for cause in causes):
        says = f"{where} did not answer within {SECONDS:g} s{through}"
        runs = "check that it runs and is not overloaded, and" if of_bot else "try again, and check"
        return says, f"{runs} that no firewall blocks the connection"
    if any(isinstance(cause, httpx.ProxyError) for cause in causes):
        return f"the proxy {proxy} does not let the request to {where} pass", f"allow {where} in the proxy, or {_PROXY}"
    asked, advice = (f"the proxy {proxy}", _PROXY) if proxy else (where, "")
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return (
            f"the name {'of ' if proxy else ''}{asked} is not known",
            advice or "check the spelling, or the DNS of this machine",
        )
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return _why_no_tls(next(cause for cause in causes if isinstance(cause, ssl.SSLError)), where, of_bot=of_bot)
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{asked} refuses the connection", advice or f"check that a server runs at {where}, and the port"
    says = f"{where} cannot be reached ({type(error).__name__}){through}"
    return says, "check the address, and the network between this machine and it"


_PROXY = "correct the variables HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY"
_UNTRUSTED = (18, 19, 20, 21)  # OpenSSL's codes of a certificate whose issuer is not known
_REFUSALS = {
    10: "has expired by this machine's clock",
    62: "is for another name",
    64: "is for another name",
    **dict.fromkeys(_UNTRUSTED, "has no trusted issuer"),
}
_NO_TLS = ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE", "RECORD LAYER FAILURE", "HTTP_REQUEST", "PACKET_LENGTH")


def _why_no_tls(error: ssl.SSLError, where: str, *, of_bot: bool) -> tuple[str, str]:
    """Return the reason why TLS failed, and advice."""
    if not isinstance(error, ssl.SSLCertVerificationError):
        if any(name in str(error).upper() for name in _NO_TLS):
            return f"{where} does not use TLS", "check whether the address should begin with http:// instead"
        do_next = "check that the server speaks TLS 1.2 or newer and knows this name, and that no firewall cuts TLS"
        return f"{where} ends the TLS handshake", do_next
    code = getattr(error, "verify_code", 0)
    if code in _UNTRUSTED and not of_bot:
        says = f"this machine does not trust the TLS certificate of {where}"
        return says, "a proxy may open TLS connections: set SSL_CERT_FILE to a file with its certificate"
    says = f"the TLS certificate of {where} {_REFUSALS.get(code, 'is not valid for it')}"
    if not of_bot:
        return says, "check the address, and the clock of this machine"
    return says, "renew the certificate, or add the missing chain. WhatsApp refuses it as well"


def proxy_of(url: str) -> str:
    """Return host and port of the proxy that the environment names for an address, or the empty string."""
    try:
        parts = urlsplit(url)
        proxies = urllib.request.getproxies()
        proxy = proxies.get(parts.scheme) or proxies.get("all") or ""
        if not proxy or urllib.request.proxy_bypass(parts.hostname or ""):
            return ""
        return host(proxy if "//" in proxy else f"//{proxy}")
    except ValueError:
        return ""


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
