"""What the doctor is told: options, then the variables that the bot uses as well, then defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from chatvitals.doctor import http
from chatvitals.graph_api import client, config
from chatvitals.settings import Settings, SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


class Options(NamedTuple):
    """The options of the command line; None is what was not given. Secrets may be in them: there is no `repr`."""

    access_token: str | None = None
    waba: Sequence[str] | None = None
    graph_url: str | None = None
    app_id: str | None = None
    app_secret: str | None = None
    url: str | None = None
    verify_token: str | None = None
    store: str | None = None
    metrics_url: str | None = None
    token: str | None = None

    def __repr__(self) -> str:
        return "<options of chatvitals doctor>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Everything that is checked; the empty string is what nobody has named. `repr` never shows a secret."""

    access_token: str = field(default="", repr=False)
    wabas: tuple[str, ...] = ()
    graph_url: str = client.GRAPH_URL
    api_version: str = client.API_VERSION
    app_id: str = ""
    app_secrets: tuple[str, ...] = field(default=(), repr=False)
    url: str = field(default="", repr=False)
    verify_token: str = field(default="", repr=False)
    store: str = field(default="", repr=False)
    store_is_named: bool = False
    metrics_url: str = field(default="", repr=False)
    metrics_token: str = field(default="", repr=False)

    @property
    def secrets(self) -> set[str]:
        """All that must never be printed."""
        found = {self.access_token, *self.app_secrets, self.verify_token, self.metrics_token}
        for url in (self.store, self.url, self.metrics_url, self.graph_url):
            found.update(_secrets_of(url))
        return {secret for secret in found if secret}


def setup(options: Options, environ: Mapping[str, str]) -> Setup:
    """Return what is to be checked.

    Raises:
        SettingsError: a value is not allowed; the message names it and holds no secret.

    """
    _need_a_client()
    given = {
        name: value
        for name, value in (
            ("app_secret", options.app_secret),
            ("store", options.store),
            ("metrics_token", options.token),
        )
        if value is not None
    }
    settings = Settings.load(given, environ)
    token = options.access_token if options.access_token is not None else environ.get("CHATVITALS_ACCESS_TOKEN", "")
    wabas = [part for text in options.waba or () for part in text.replace(",", " ").split()]
    accounts = config.PollerOptions(waba_ids=wabas or None)
    asked_for = bool(options.waba or environ.get("CHATVITALS_WABA_IDS"))
    return Setup(
        access_token=config.token_for(token, "") if token else "",
        wabas=tuple(config.account_ids(accounts, environ)) if asked_for else (),
        graph_url=_graph_url(options.graph_url or environ.get("CHATVITALS_GRAPH_URL") or client.GRAPH_URL),
        api_version=config.version_name(environ.get("CHATVITALS_API_VERSION") or client.API_VERSION),
        app_id=_app_id(options.app_id or environ.get("CHATVITALS_APP_ID", "")),
        app_secrets=tuple(_sendable("app_secret", secret) for secret in settings.app_secret),
        url=_address("--url", options.url or environ.get("CHATVITALS_WEBHOOK_URL", "")),
        verify_token=_printable(options.verify_token or environ.get("CHATVITALS_VERIFY_TOKEN", "")),
        store=settings.store,
        store_is_named=bool(options.store or environ.get("CHATVITALS_STORE")),
        metrics_url=_address("--metrics-url", options.metrics_url or environ.get("CHATVITALS_METRICS_URL", "")),
        metrics_token=settings.metrics_token or "",
    )


def _need_a_client() -> None:
    """See that a client can be made at all: httpx reads proxies and certificates from the environment."""
    try:
        httpx.Client().close()
    except (ImportError, ValueError, OSError) as error:  # their texts may quote the proxy's login
        raise SettingsError(
            f"no HTTP client can be made ({type(error).__name__}): check the variables HTTP_PROXY, HTTPS_PROXY and "
            "ALL_PROXY (a SOCKS proxy needs: pip install 'httpx[socks]'), SSL_CERT_FILE and SSL_CERT_DIR"
        ) from None


def _sendable(name: str, secret: str) -> str:
    if not secret.isascii():
        raise SettingsError(f"{name} must be a text of ASCII characters, not a secret like this one")
    return secret


def _printable(token: str) -> str:
    if not token.isprintable():
        raise SettingsError("--verify-token must be a printable text, not a secret like this one")
    return token


def _graph_url(url: str) -> str:
    if not http.is_address(url):
        raise SettingsError("--graph-url must be an address such as https://graph.facebook.com")
    return config.address(url)


def _app_id(text: str) -> str:
    if text and not (text.isascii() and text.isdecimal()):
        raise SettingsError("--app-id must be the app's id, digits alone; it stands at the top of the App Dashboard")
    return text


def _address(option: str, url: str) -> str:
    if url and not http.is_address(url):
        raise SettingsError(f"{option} must be an address such as https://bot.example/webhook")
    return url


def _secrets_of(url: str) -> Iterator[str]:
    """Yield what an address may hold that nobody else should know, as it is written and as it is meant."""
    try:
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0].partition(":")[2]
        query = parse_qsl(parts.query)
    except ValueError:
        return
    yield from (login, unquote(login))
    yield from (value for name, value in query if any(word in name for word in ("password", "token", "secret", "key")))
