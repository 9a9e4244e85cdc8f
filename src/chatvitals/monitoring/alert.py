"""An alert in the form that rules and runbook share."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A condition on which a person acts.

    Example:
        >>> Alert(name="Down", expr="up == 0", severity="critical", component="plumbing", summary="The bot is down",
        ...       description="No customer gets an answer.", when="It cannot be scraped.",
        ...       look="Read its log.", mend="Start it.", verify="`up` is 1.").severity
        'critical'

    """

    name: str
    expr: str
    severity: str
    """critical pages, warning is for the team's working hours, info is for the daily digest."""
    component: str
    summary: str
    """One line for the pager."""
    description: str
    """What happened, and why it matters."""
    when: str
    """The condition in words, with its numbers. `hold` is not part of it."""
    look: str
    """The runbook's first step: where to look."""
    mend: str
    """The second step: what to do."""
    verify: str
    """The third step: the sign that it is over."""
    hold: str = ""
    """How long the condition must hold first: the rule's `for`."""
    keep: str = ""
    """How long the alert outlives its condition, against flapping: the rule's `keep_firing_for`."""
    dashboard: str = "chatvitals-overview"
    labels: dict[str, str] = field(default_factory=dict)
