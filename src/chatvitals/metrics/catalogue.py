"""Every metric, declared once (conversations/README.md 10). Outputs, documents and tests derive from it.

A family is declared in one of three modules, and this one is where all of them are found.
"""

from __future__ import annotations

from chatvitals.metrics.conversation_families import *  # noqa: F403 - one namespace for all families
from chatvitals.metrics.family import *  # noqa: F403
from chatvitals.metrics.quality_families import *  # noqa: F403
from chatvitals.metrics.service_families import *  # noqa: F403

OWN_HEALTH = frozenset(family.name for family in FAMILIES.values() if family.scope == "health")  # noqa: F405
"""Counted in each process and carried to the store by its next commit; shown even while the store is away."""
