"""Settings that only the command line needs, such as addresses and ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.settings import checks
from chatvitals.settings.declaration import Rule, SettingsGroup, refuse_unknown_variables, setting, values

if TYPE_CHECKING:
    from collections.abc import Mapping


class ToolSettings(SettingsGroup):
    """Settings of `doctor`, `compare`, `report` and `now`. The empty string means "not given"."""

    app_id: str = setting("", Rule(checks.app_id))
    """The id of the app at Meta. It is needed to list the app's webhook fields."""
    webhook_url: str = setting("", Rule(checks.address("https://bot.example/webhook"), secret=True))
    """The address of the bot's webhook endpoint."""
    verify_token: str = setting("", Rule(checks.text, secret=True))
    """The token that the endpoint expects in WhatsApp's handshake."""
    metrics_url: str = setting("", Rule(checks.address("https://bot.example/metrics"), secret=True))
    """The address of the metrics of the bot or of the exporter."""
    prometheus: str = setting("", Rule(checks.text, secret=True))
    """The address of a Prometheus that scrapes the bot."""
    prometheus_token: str = setting("", Rule(checks.header_text, secret=True))
    """The bearer token of that Prometheus."""

    @classmethod
    def load(cls, given: Mapping[str, Any], environ: Mapping[str, str]) -> ToolSettings:
        """Return checked settings from keywords, then `CHATVITALS_<NAME>` variables. None means not given.

        Raises:
            SettingsError: a value is not allowed, or a variable is unknown.

        """
        from chatvitals.settings import Settings  # noqa: PLC0415 - which needs this class

        refuse_unknown_variables(environ, (Settings, cls))
        return cls(**values(cls, {name: value for name, value in given.items() if value is not None}, environ))
