"""The input of the doctor: options, then the bot's own variables, then defaults."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import parse_qsl, unquote, urljoin, urlsplit

import httpx

from chatvitals.doctor import http
from chatvitals.doctor.bot import load
from chatvitals.settings import Settings, SettingsError, ToolSettings
from chatvitals.settings.declaration import rules, text_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from chatvitals.doctor.bot import BotSetup


class Options(NamedTuple):
    """The options of the command line. None means not given. There is no `repr`, because they may hold secrets."""

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
    app: str | None = None

    def __repr__(self) -> str:
        return "<options of chatvitals doctor>"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """All values to check. The empty string means not given. `repr` never shows a secret."""

    access_token: str = field(default="", repr=False)
    wabas: tuple[str, ...] = ()
    phone_number_ids: tuple[str, ...] = ()
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
    bot: BotSetup | None = field(default=None, repr=False)
    """The set-up in the bot's code, if `--app` is given."""

    @property
    def secrets(self) -> set[str]:
        """All secrets, which must never be printed."""
        found = {self.access_token, *self.app_secrets, self.verify_token, self.metrics_token}
        found.update(self.bot.tokens.values() if self.bot is not None else ())
        for url in (self.store, self.url, self.metrics_url, self.graph_url):
            found.update(_secrets_of(url))
        return {secret for secret in found if secret}


def setup(options: Options, environ: Mapping[str, str]) -> Setup:
    """Return the values to check.

    Raises:
        SettingsError: a value is not allowed. The message names it and holds no secret.

    """
    _need_a_client()
    wabas = [part for text in options.waba or () for part in text.replace(",", " ").split()]
    given: dict[str, object] = {
        "access_token": options.access_token,
        "waba_ids": wabas or None,
        "graph_url": options.graph_url,
        "app_secret": options.app_secret,
        "store": options.store,
        "metrics_token": options.token,
    }
    bot = load(options.app) if options.app else None
    if bot is not None:
        given = _told_by(bot) | {name: value for name, value in given.items() if value is not None}
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
            raise SettingsError(f"{name} must be a valid http or https address")
    url, metrics_url = _addresses(bot, tool.webhook_url, tool.metrics_url)
    store = text_of("store", rules(Settings)["store"], environ)
    return Setup(
        access_token=settings.access_token or "",
        wabas=settings.waba_ids,
        phone_number_ids=settings.phone_number_id,
        graph_url=settings.graph_url,
        api_version=settings.api_version,
        app_id=tool.app_id,
        app_secrets=tuple(_sendable("app_secret", secret) for secret in settings.app_secret),
        url=url,
        verify_token=tool.verify_token,
        store=settings.store,
        store_is_named=bool(options.store or store or bot is not None),
        metrics_url=metrics_url,
        metrics_token=settings.metrics_token or "",
        bot=bot,
    )


def _told_by(bot: BotSetup) -> dict[str, object]:
    """Return the settings of a bot that the doctor needs, without settings that the bot lacks."""
    known = bot.settings
    found: dict[str, object] = {
        "access_token": next(iter(bot.tokens.values()), None) or known.access_token,
        "waba_ids": list(bot.tokens) or list(known.waba_ids) or None,
        "phone_number_id": list(known.phone_number_id) or None,
        "graph_url": known.graph_url,
        "api_version": known.api_version,
        "app_secret": list(known.app_secret) or None,
        "store": known.store,
        "metrics_token": known.metrics_token,
    }
    return {name: value for name, value in found.items() if value is not None}


def _addresses(bot: BotSetup | None, url: str, metrics_url: str) -> tuple[str, str]:
    """Return the addresses of a bot's webhook and metrics. The bot's paths complete a missing address."""
    if bot is None:
        return url, metrics_url
    if metrics_url and not url and bot.webhook_paths:
        url = urljoin(metrics_url, bot.webhook_paths[0])
    if url and not metrics_url and bot.metrics_paths:
        metrics_url = urljoin(url, bot.metrics_paths[0])
    return url, metrics_url


def _need_a_client() -> None:
    """Check that an HTTP client can be created. httpx reads proxies and certificates from the environment."""
    try:
        httpx.Client().close()
    except (ImportError, ValueError, OSError) as error:  # their texts may quote the proxy's login
        raise SettingsError(
            f"no HTTP client can be created ({type(error).__name__}): check the variables HTTP_PROXY, HTTPS_PROXY and "
            "ALL_PROXY (a SOCKS proxy needs: pip install 'httpx[socks]'), SSL_CERT_FILE and SSL_CERT_DIR"
        ) from None


def _sendable(name: str, secret: str) -> str:
    if not secret.isascii():
        raise SettingsError(f"{name} must contain only ASCII characters (the value is hidden because it is secret)")
    return secret


def _secrets_of(url: str) -> Iterator[str]:
    """Yield the secrets in an address, in encoded and decoded form."""
    try:
        parts = urlsplit(url)
        login = parts.netloc.rpartition("@")[0].partition(":")[2]
        query = parse_qsl(parts.query)
    except ValueError:
        return
    yield from (login, unquote(login))
    yield from (value for name, value in query if any(word in name for word in ("password", "token", "secret", "key")))
