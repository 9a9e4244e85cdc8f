"""The accounts that `watch_quality` polls, from its keywords and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from chatvitals.settings import Settings, SettingsError
from chatvitals.settings.declaration import checked, rules

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatvitals.events import GraphCall, Poll, PollerState
    from chatvitals.graph_api.poller import Poller, Target
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.stores.base import Store

_RULES = rules(Settings)


class PollerOptions(NamedTuple):
    """The keywords of `watch_quality`. None means not given."""

    access_token: str | Mapping[str, str] | None = None
    waba_ids: str | Sequence[str] | None = None
    graph_url: str | None = None
    api_version: str | None = None
    every: float | None = None
    hourly_calls: int | None = None

    def __repr__(self) -> str:
        return f"<options of watch_quality for {self.waba_ids!r}>"


def targets(given: PollerOptions, settings: Settings) -> list[Target]:
    """Return the accounts to poll, from keywords, then settings.

    Raises:
        SettingsError: a value is missing or not allowed.
        ModuleNotFoundError: httpx is missing.

    """
    _need_httpx()
    from chatvitals.graph_api.poller import Target  # noqa: PLC0415 - it imports httpx

    token = settings.access_token if given.access_token is None else given.access_token
    return [
        Target(
            waba=waba,
            token=_token_for(token, waba),
            graph_url=_chosen("graph_url", given.graph_url, settings.graph_url),
            api_version=_chosen("api_version", given.api_version, settings.api_version),
            every=_chosen("poll_every", given.every, settings.poll_every, called="every"),
            hourly_calls=_chosen("hourly_calls", given.hourly_calls, settings.hourly_calls),
        )
        for waba in _account_ids(given, settings)
    ]


def poller(
    store: Store, emit: Callable[[Poll | GraphCall | PollerState], None], guard: ErrorGuard, clock: Callable[[], float]
) -> Poller:
    """Return a poller without targets."""
    from chatvitals.graph_api.poller import Poller  # noqa: PLC0415 - it imports httpx

    return Poller(store, emit, guard, clock)


def _need_httpx() -> None:
    try:
        import httpx  # noqa: F401, PLC0415 - to give advice where it is missing
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        message = "watch_quality needs httpx: pip install 'chatvitals[graph]'"
        raise ModuleNotFoundError(message, name="httpx") from None


def _chosen(name: str, given: object, setting: Any, *, called: str = "") -> Any:
    return setting if given is None else checked(called or name, _RULES[name], given)


def _account_ids(given: PollerOptions, settings: Settings) -> tuple[str, ...]:
    found: object = given.waba_ids
    if found is None and isinstance(given.access_token, Mapping):
        found = list(given.access_token)
    if isinstance(found, str):
        found = [part.strip() for part in found.split(",") if part.strip()]
    ids: tuple[str, ...] = _chosen("waba_ids", found, settings.waba_ids) if found != [] else ()
    if not ids:
        raise SettingsError("watch_quality needs waba_ids: ids of WhatsApp Business Accounts, or CHATVITALS_WABA_IDS")
    return ids


def _token_for(token: object, waba: str) -> str:
    found = token.get(waba) if isinstance(token, Mapping) else token
    if not found:
        raise SettingsError(
            f"watch_quality needs an access token for the WABA {waba}: access_token, or CHATVITALS_ACCESS_TOKEN"
        )
    return str(checked("access_token", _RULES["access_token"], found))
