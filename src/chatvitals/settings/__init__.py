"""Settings in one frozen object. Keywords win over CHATVITALS_* variables, which win over the defaults."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from chatvitals.settings import checks
from chatvitals.settings.checks import seconds, whole
from chatvitals.settings.declaration import Rule, SettingsGroup, refuse_unknown_variables, setting, values
from chatvitals.settings.errors import SettingsError
from chatvitals.settings.opening_hours import OpeningHours, opening_hours
from chatvitals.settings.tools import ToolSettings
from chatvitals.whatsapp import closing_remarks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["OpeningHours", "Settings", "SettingsError", "SettingsKeywords", "ToolSettings"]

_DAY_SECONDS = 86_400.0


class SettingsKeywords(TypedDict, total=False):
    """The keywords of `chatvitals.init`. Each field of `Settings` explains one keyword."""

    app_secret: str | Sequence[str] | None
    store: str
    identity_key: str | bytes | None
    identity_key_previous: str | bytes | None
    hooks: bool
    phone_number_id: str | Sequence[str]
    settle_after: float
    unanswered_after: float
    overdue_after: Sequence[float]
    closings: Sequence[str]
    in_hours: OpeningHours | Mapping[str, Any] | None
    queue_size: int
    max_body: int
    label_cap: int
    metrics_token: str | None
    expose: Literal["all", "leader"]
    app_version: str
    acknowledge_account_events: bool
    otlp: bool
    access_token: str | None
    waba_ids: str | Sequence[str] | None
    graph_url: str
    api_version: str
    poll_every: float
    hourly_calls: int


class Settings(SettingsGroup):
    """All settings, checked. Create it with `Settings.load`, which also reads the environment.

        settings = Settings.load({"store": "memory:", "settle_after": 5})
        settings.settle_after   # 5.0

    Times are in seconds. `repr` never shows a secret.
    """

    app_secret: tuple[str, ...] = setting(
        (), Rule(checks.secrets, checks.texts_of, secret=True, optional=True, never_empty=True)
    )
    """App secrets that sign webhooks. With several, any may match. Without an app secret, unsigned webhooks count."""
    store: str = setting("sqlite:///chatvitals.db", Rule(checks.store, secret=True))
    """The store of states and numbers. All workers of a bot share one store.

    - `memory:` this process, until it ends
    - `sqlite:///PATH` a file on this host, with four slashes for an absolute path
    - `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` with TLS, `unix:///PATH?db=DB&password=PASSWORD`: a Redis or
      Valkey for several hosts, with the extra `chatvitals[redis]`
    - `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER/DB` through Sentinels, whose own login goes into
      `?sentinel_username=…&sentinel_password=…`
    - `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT` a cluster
    - `rediss+sentinel://` and `rediss+cluster://` with TLS

    Special characters in user and password are percent-encoded. `?prefix=NAME` separates bots on one Redis (default
    `chatvitals`). Further options after the `?` go to redis-py, such as `ssl_ca_certs=PATH`.
    """
    identity_key: bytes = setting(b"", Rule(checks.key, secret=True, optional=True, never_empty=True))
    """Key of the hashes that stand for people, at least 16 bytes. By default the store creates and keeps it."""
    identity_key_previous: bytes = setting(b"", Rule(checks.key, secret=True, optional=True, never_empty=True))
    """The key that `identity_key` replaces: contacts are found under both. Remove it after 90 days."""
    hooks: bool = setting(True, Rule(checks.flag, checks.flag_of))
    """Whether the HTTP clients of this process are watched for replies."""
    phone_number_id: tuple[str, ...] = setting((), Rule(checks.number_ids, checks.texts_of))
    """Business numbers to show from the start. The first is used for sends whose address has no number."""
    settle_after: float = setting(10.0, Rule(seconds(0.0, 600.0), checks.number_of))
    """Seconds after receipt at which an event is applied (conversations/README.md 4)."""
    unanswered_after: float = setting(_DAY_SECONDS, Rule(seconds(60.0, _DAY_SECONDS), checks.number_of))
    """Seconds after a turn's last message at which it ends unanswered, at most 24 h."""
    overdue_after: tuple[float, ...] = setting((10.0, 60.0, 300.0, 3600.0), Rule(checks.thresholds, checks.numbers_of))
    """Ages of an open turn, in seconds, at which it is counted as overdue. There may be at most 16."""
    closings: tuple[str, ...] = setting(
        closing_remarks.DEFAULT, Rule(checks.texts, checks.texts_or_none_of), shown=False
    )
    """Short texts such as `ok thanks` that need no reply after a reply. An empty list switches this off.

    Case, punctuation and emoji make no difference. The default holds phrases in 14 languages.
    """
    in_hours: OpeningHours | None = setting(None, Rule(opening_hours, None, optional=True))
    """Opening hours. With them, turns, responses and waits have the label `in_hours`."""
    queue_size: int = setting(10_000, Rule(whole(1, 10_000_000), checks.whole_of))
    """Events that may wait while the store is down. Beyond this number the oldest are dropped and counted."""
    max_body: int = setting(4 * 1024 * 1024, Rule(whole(1024, 256 * 1024 * 1024, "bytes"), checks.whole_of))
    """Largest webhook body to read, in bytes. Meta's limit is 3 MB."""
    label_cap: int = setting(200, Rule(whole(1, 100_000), checks.whole_of))
    """Largest number of distinct values of one label. Other values show as `other`."""
    metrics_token: str | None = setting(None, Rule(checks.header_text, secret=True, optional=True, never_empty=True))
    """Bearer token that `/metrics` requires. None means no protection."""
    expose: Literal["all", "leader"] = setting("all", Rule(checks.one_of("all", "leader")))
    """The processes whose `/metrics` shows the shared numbers: `all`, or one `leader` where every pod is scraped."""
    app_version: str = setting("", Rule(checks.text))
    """Version of the bot, shown in `chatvitals_build_info` to mark deploys."""
    acknowledge_account_events: bool = setting(False, Rule(checks.flag, checks.flag_of))
    """Whether account webhooks are answered with 200 where the bot answers with an error.

    WhatsApp repeats unacknowledged webhooks for days, and bots that only know messages answer with an error.
    """

    otlp: bool = setting(False, Rule(checks.flag, checks.flag_of))
    """Whether numbers are pushed to an OTLP endpoint once a minute, set up by the variables `OTEL_EXPORTER_OTLP_*`."""
    access_token: str | None = setting(None, Rule(checks.header_text, secret=True, optional=True, never_empty=True))
    """Access token of the Graph API for `watch_quality`, with the permission whatsapp_business_management."""
    waba_ids: tuple[str, ...] = setting((), Rule(checks.account_ids, checks.texts_of, optional=True))
    """Ids of the WhatsApp Business Accounts that `watch_quality` polls."""
    graph_url: str = setting("https://graph.facebook.com", Rule(checks.graph_url))
    """Address of the Graph API, without a version."""
    api_version: str = setting("v26.0", Rule(checks.api_version))
    """Version of the Graph API."""
    poll_every: float = setting(300.0, Rule(seconds(1.0, _DAY_SECONDS), checks.number_of))
    """Seconds between two polls of an account. Webhooks about quality bring a poll forward."""
    hourly_calls: int = setting(100, Rule(whole(1, 100_000), checks.whole_of))
    """Most requests to the Graph API per account and hour. Each poll takes two or more."""

    @classmethod
    def load(cls, given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
        """Return checked settings from keywords, then `CHATVITALS_<NAME>` variables, then defaults.

        Args:
            given: settings by name, as for `chatvitals.init`.
            environ: the variables. The default is the environment of this process.

        Raises:
            SettingsError: a setting is unknown or its value is not allowed.

        """
        environ = os.environ if environ is None else environ
        refuse_unknown_variables(environ, (cls, ToolSettings))
        settings = cls(**values(cls, given, environ))
        if settings.identity_key_previous and settings.identity_key_previous == settings.identity_key:
            raise SettingsError("identity_key_previous is the same as identity_key: give the key before the change")
        if settings.identity_key_previous and not settings.identity_key:
            raise SettingsError("identity_key_previous needs the new key beside it, in identity_key")
        if settings.overdue_after and settings.overdue_after[-1] > settings.unanswered_after:
            raise SettingsError(
                f"overdue_after goes up to {settings.overdue_after[-1]:g} s, beyond unanswered_after "
                f"({settings.unanswered_after:g} s), where a turn has ended: choose smaller thresholds"
            )
        return settings
