"""What `watch_quality` takes, checked: which WABAs are polled, as whom, and how often."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from chatvitals.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatvitals.events import GraphCall, Poll, PollerState
    from chatvitals.graph_api.poller import Poller, Target
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.stores.base import Store

_EVERY, _HOURLY_CALLS = 300.0, 100
_SHORTEST, _LONGEST = 1.0, 86_400.0
_MOST_CALLS = 100_000


class PollerOptions(NamedTuple):
    """The keywords of `watch_quality`; None is what was not given."""

    access_token: str | Mapping[str, str] | None = None
    waba_ids: str | Sequence[str] | None = None
    graph_url: str | None = None
    api_version: str | None = None
    every: float | None = None
    hourly_calls: int | None = None

    def __repr__(self) -> str:
        return f"<what was given to watch_quality about {self.waba_ids!r}>"


def targets(given: PollerOptions, environ: Mapping[str, str]) -> list[Target]:
    """Return what to poll, by keywords, then `CHATVITALS_*` variables, then defaults.

    Raises:
        SettingsError: a value is missing or not allowed.
        ModuleNotFoundError: httpx is missing.

    """
    _need_httpx()
    from chatvitals.graph_api import client  # noqa: PLC0415 - it imports httpx
    from chatvitals.graph_api.poller import Target  # noqa: PLC0415 - as above

    token = given.access_token if given.access_token is not None else environ.get("CHATVITALS_ACCESS_TOKEN", "")
    wabas = account_ids(given, environ)
    url = given.graph_url or environ.get("CHATVITALS_GRAPH_URL") or client.GRAPH_URL
    version = given.api_version or environ.get("CHATVITALS_API_VERSION") or client.API_VERSION
    return [
        Target(
            waba=waba,
            token=token_for(token, waba),
            graph_url=address(url),
            api_version=version_name(version),
            every=_every(given.every, environ.get("CHATVITALS_POLL_EVERY")),
            hourly_calls=_calls(given.hourly_calls, environ.get("CHATVITALS_HOURLY_CALLS")),
        )
        for waba in wabas
    ]


def poller(
    store: Store, emit: Callable[[Poll | GraphCall | PollerState], None], guard: ErrorGuard, clock: Callable[[], float]
) -> Poller:
    """Return a poller without targets."""
    from chatvitals.graph_api.poller import Poller  # noqa: PLC0415 - it imports httpx

    return Poller(store, emit, guard, clock)


def _need_httpx() -> None:
    try:
        import httpx  # noqa: F401, PLC0415 - to say what to do where it is missing
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        message = "watch_quality needs httpx: pip install 'chatvitals[graph]'"
        raise ModuleNotFoundError(message, name="httpx") from None


def account_ids(given: PollerOptions, environ: Mapping[str, str]) -> list[str]:
    """Return the ids of the WABAs, each once.

    Raises:
        SettingsError: there is none, or one is no id.

    """
    found: object = given.waba_ids
    if found is None and isinstance(given.access_token, Mapping):
        found = list(given.access_token)
    if found is None:
        found = environ.get("CHATVITALS_WABA_IDS", "")
    if isinstance(found, str):
        found = [part.strip() for part in found.split(",") if part.strip()]
    if not isinstance(found, (list, tuple, set, frozenset)) or not found:
        raise SettingsError("watch_quality needs waba_ids: ids of WhatsApp Business Accounts, or CHATVITALS_WABA_IDS")
    for waba in found:
        if not isinstance(waba, str) or not waba.isascii() or not waba.isdecimal():
            raise SettingsError(f"waba_ids must be ids of digits, as texts, not {waba!r}")
    return list(dict.fromkeys(found))


def token_for(token: object, waba: str) -> str:
    """Return the access token for a WABA.

    Raises:
        SettingsError: there is none, or it is none that can be sent.

    """
    found = token.get(waba) if isinstance(token, Mapping) else token
    if not found:
        raise SettingsError(
            f"watch_quality needs an access token for the WABA {waba}: access_token, or CHATVITALS_ACCESS_TOKEN"
        )
    if not isinstance(found, str) or not found.isascii() or not found.isprintable() or " " in found:
        raise SettingsError(
            "access_token must be a text of ASCII characters without spaces, not a secret like this one"
        )
    return found


def address(url: object) -> str:
    """Return the address of the Graph API, checked.

    Raises:
        SettingsError: it is none.

    """
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise SettingsError(f"graph_url must be an address such as https://graph.facebook.com, not {url!r}")
    return str(url)


def version_name(version: object) -> str:
    """Return the version of the Graph API, checked.

    Raises:
        SettingsError: it is none.

    """
    if not isinstance(version, str) or not version.startswith("v") or not version[1:].replace(".", "").isdecimal():
        raise SettingsError(f"api_version must be a version such as 'v26.0', not {version!r}")
    return version


def _every(given: object, text: str | None) -> float:
    value = _number(given, text, _EVERY)
    if value is None or not _SHORTEST <= value <= _LONGEST:
        given = text if given is None else given
        raise SettingsError(f"every must be a number of seconds from {_SHORTEST:g} to {_LONGEST:g}, not {given!r}")
    return value


def _calls(given: object, text: str | None) -> int:
    value = _number(given, text, _HOURLY_CALLS)
    if value is None or value != int(value) or not 1 <= value <= _MOST_CALLS:
        given = text if given is None else given
        raise SettingsError(f"hourly_calls must be a whole number from 1 to {_MOST_CALLS}, not {given!r}")
    return int(value)


def _number(given: object, text: str | None, default: float) -> float | None:
    """Return a finite number from a keyword, else from a text, else the default; None for what is no number."""
    if given is None and not text:
        return float(default)
    if isinstance(given, bool):
        return None
    try:
        value = float(given if given is not None else text)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        return None
    return value if abs(value) < float("inf") else None
