"""Vital signs for WhatsApp bots, in Prometheus: the public names, nothing else."""

from __future__ import annotations

from chatvitals._version import __version__
from chatvitals.integrations.asgi import ChatVitalsMiddleware
from chatvitals.settings import Settings, SettingsError
from chatvitals.vitals import Vitals, init

__all__ = ["ChatVitalsMiddleware", "Settings", "SettingsError", "Vitals", "__version__", "init"]
