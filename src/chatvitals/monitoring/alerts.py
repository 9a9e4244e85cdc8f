"""All alerts, in the order of the runbook."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.monitoring import (
    alerts_delivery,
    alerts_journey,
    alerts_plumbing,
    alerts_quality,
    alerts_responsiveness,
    alerts_template,
)
from chatvitals.monitoring.alert import Alert

if TYPE_CHECKING:
    from chatvitals.monitoring.slo import Objective

__all__ = ["Alert", "alerts"]


def alerts(objective: Objective) -> list[Alert]:
    """Return all alerts, in the order of the runbook."""
    return [
        *alerts_quality.alerts(),
        *alerts_template.alerts(),
        *alerts_responsiveness.alerts(objective),
        *alerts_journey.alerts(),
        *alerts_delivery.alerts(),
        *alerts_plumbing.alerts(),
    ]
