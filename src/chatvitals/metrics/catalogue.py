"""All metrics (conversations/README.md 10). Outputs, documents and tests derive from them.

Each family is declared once, in one of three modules. This module gives access to all of them.
"""

from __future__ import annotations

from chatvitals.metrics.conversation_families import *  # noqa: F403 - one namespace for all families
from chatvitals.metrics.family import *  # noqa: F403
from chatvitals.metrics.quality_families import *  # noqa: F403
from chatvitals.metrics.service_families import *  # noqa: F403

OWN_HEALTH = frozenset(family.name for family in FAMILIES.values() if family.scope == "health")  # noqa: F405
"""Names of metrics that each process counts and its next commit carries to the store.

They are shown even while the store is away.
"""
