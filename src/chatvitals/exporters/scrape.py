"""Samples of metrics from a bot's `/metrics` or from its store, which is only read."""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from prometheus_client.parser import text_string_to_metric_families

from chatvitals.exporters import prometheus
from chatvitals.stores import kind_of
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from prometheus_client.core import Metric

    from chatvitals.metrics.measurements import Cell

_TIMEOUT_SECONDS = 10.0
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class SourceError(Exception):
    """The numbers cannot be read. The message is a sentence with the reason and advice."""


class Sample(NamedTuple):
    """One sample with its full name, its labels and its value."""

    name: str
    labels: dict[str, str]
    value: float


def from_url(url: str, token: str | None = None) -> list[Sample]:
    """Return the samples of a bot's `/metrics`.

    Args:
        url: the address, http or https. A redirect is not followed, because the token belongs to this address.
        token: the bearer token, if it needs one.

    Raises:
        SourceError: the address cannot be reached, refuses, or does not return metrics of chatvitals.

    """
    request = urllib.request.Request(url)  # noqa: S310 - the command line takes http and https alone
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    handlers: list[urllib.request.BaseHandler] = [_NoRedirect()]
    if urlsplit(url).hostname in _LOOPBACK:
        handlers.append(urllib.request.ProxyHandler({}))  # a proxy would look for the address on its own machine
    try:
        with urllib.request.build_opener(*handlers).open(request, timeout=_TIMEOUT_SECONDS) as answer:
            text = answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            raise SourceError(_refused(url, error, has_token=bool(token))) from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        reason = getattr(reason, "strerror", None) or reason
        raise SourceError(f"{url} cannot be read ({reason}): is the bot running, and is this its address?") from None
    samples = from_text(text)
    if not samples:
        raise SourceError(f"{url} does not answer with metrics of chatvitals: is this the path of the bot's metrics?")
    return samples


def from_text(text: str) -> list[Sample]:
    """Return the samples of chatvitals in a metrics page. Any other page gives an empty list."""
    try:
        return _samples(text_string_to_metric_families(text))
    except (ValueError, KeyError, IndexError):  # errors of the parser on an invalid page
        return []


def from_cells(cells: Mapping[Cell, float]) -> list[Sample]:
    """Return the samples in the cells of a store."""
    return _samples(prometheus.families(cells))


def from_store(url: str) -> list[Sample]:
    """Return the metrics of a store as of its last commit, without a change to it.

    Args:
        url: the store's URL, as in the setting `store`.

    Raises:
        SourceError: the store cannot be read from here.

    """
    read = kind_of(url).read
    if read is None:
        raise SourceError("this store can only be read by the bot itself: give --metrics with the bot's address")
    try:
        return from_cells(read(url))
    except StoreUnavailableError as error:
        raise SourceError(str(error)) from None


def _samples(families: Iterable[Metric]) -> list[Sample]:
    return [
        Sample(sample.name, dict(sample.labels), sample.value)
        for family in families
        for sample in family.samples
        if sample.name.startswith("chatvitals_")
    ]


def _refused(url: str, error: urllib.error.HTTPError, *, has_token: bool) -> str:
    if error.code == 401:
        wrong = "a different token" if has_token else "a token"
        return f"{url} asks for {wrong}: give --token, or set CHATVITALS_METRICS_TOKEN"
    if 300 <= error.code < 400:
        return (
            f"{url} redirects to {error.headers.get('Location', 'another address')}: give that address, if it is yours"
        )
    return f"{url} answers {error.code} {error.reason}: is this the path of the bot's metrics?"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        """Follow no redirect, because the token belongs to one address and urllib would pass it on."""
