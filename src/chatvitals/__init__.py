"""Vital signs for WhatsApp bots, in Prometheus.

    import chatvitals
    from fastapi import FastAPI

    vitals = chatvitals.init(app_secret="the app secret of your Meta app")
    app = FastAPI()
    vitals.instrument_app(app, webhook_path="/webhook", metrics_path="/metrics")

From then on the bot's webhooks and replies are measured. `/metrics` shows how long customers wait, how far they get
through the journeys that you declare, and how WhatsApp rates the number.

Public are the names below, `chatvitals.testing`, `chatvitals.integrations.*`, `chatvitals.stores.base`,
`chatvitals.events.Poll` and `chatvitals.exporters.metrics_app.MetricsRequest`. Everything else may change without
notice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals._version import __version__
from chatvitals.events import Poll
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.integrations.wsgi import ChatVitalsWSGIMiddleware
from chatvitals.runtime import log_handler
from chatvitals.settings import OpeningHours, Settings, SettingsError
from chatvitals.stores.base import Store
from chatvitals.tracking.experiments import Experiment
from chatvitals.tracking.journeys import Journey
from chatvitals.tracking.observation import Observation
from chatvitals.vitals import Vitals, init

__all__ = [
    "ChatVitalsMiddleware",
    "ChatVitalsWSGIMiddleware",
    "Experiment",
    "Journey",
    "Observation",
    "OpeningHours",
    "Poll",
    "Settings",
    "SettingsError",
    "Store",
    "Vitals",
    "__version__",
    "init",
]


log_handler.install()


def __dir__() -> list[str]:
    return __all__


if not TYPE_CHECKING:  # a type checker would take every name for known

    def __getattr__(name: str) -> object:
        advice = f": call vitals.{name}() on the result of chatvitals.init()" if hasattr(Vitals, name) else ""
        raise AttributeError(f"module 'chatvitals' has no attribute {name!r}{advice}")
