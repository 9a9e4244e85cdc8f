"""Dashboards for another objective than the one that they were made for.

Dashboards are shipped as they were made for the default objective: making them needs a library that users need not
have. What depends on the objective stands in few forms, which are rewritten; that the result is what the builder would
have made is tested for every threshold.
"""

from __future__ import annotations

from chatvitals.monitoring.slo import Objective

_DEFAULT = Objective()


def retargeted(text: str, objective: Objective) -> str:
    """Return a dashboard's JSON, made for the default objective, as if it had been made for this one."""
    for old, new in zip(_forms(_DEFAULT), _forms(objective), strict=True):
        text = text.replace(old, new)
    return text


def _forms(objective: Objective) -> list[str]:
    """Return all that a dashboard says about its objective, in forms that stand for nothing else."""
    threshold, share, budget = objective.threshold, objective.share, objective.budget
    return [
        f'threshold=\\"{threshold}\\"',
        f" {threshold} s",
        f" / {budget:g}",
        f"{share:.1%}",
        f'"value": {float(threshold)!r}',
        f'"value": {share!r}',
        f'"value": {budget!r}',
    ]
