"""What the doctor is told: options, then the variables that the bot uses as well, then defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import httpx

from chatvitals.doctor import http
from chatvitals.settings import Settings, SettingsError, ToolSettings
from chatvitals.settings.declaration import rules, text_of

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
    graph_url: str = ""
    api_version: str = ""
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
    wabas = [part for text in options.waba or () for part in text.replace(",", " ").split()]
    given = {
        "access_token": options.access_token,
        "waba_ids": wabas or None,
        "graph_url": options.graph_url,
        "app_secret": options.app_secret,
        "store": options.store,
        "metrics_token": options.token,
    }
    settings = Settings.load({name: value for name, value in given.items() if value is not None}, environ)
    tool = ToolSettings.load(
        {
            "app_id": options.app_id or None,
            "webhook_url": options.url or None,
            "verify_token": options.verify_token or None,
            "metrics_url": options.metrics_url or None,
        },
        environ,
    )
    for name, url in (
        ("graph_url", settings.graph_url), ("webhook_url", tool.webhook_url), ("metrics_url", tool.metrics_url)
    ):  # fmt: skip
        if url and not http.is_address(url):
            raise SettingsError(f"{name} must be an address of which a request can be made")
    store = text_of("store", rules(Settings)["store"], environ)
    return Setup(
        access_token=settings.access_token or "",
        wabas=settings.waba_ids,
        graph_url=settings.graph_url,
        api_version=settings.api_version,
        app_id=tool.app_id,
        app_secrets=tuple(_sendable("app_secret", secret) for secret in settings.app_secret),
        url=tool.webhook_url,
        verify_token=tool.verify_token,
        store=settings.store,
        store_is_named=bool(options.store or store),
        metrics_url=tool.metrics_url,
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
        raise SettingsError(f"{name} must be a text of ASCII characters (the value is hidden because it is secret)")
    return secret


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
