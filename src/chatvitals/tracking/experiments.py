"""Experiments as declared by a bot's author. Each contact keeps its variant."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from chatvitals.events import Exposed
from chatvitals.tracking.journeys import check_name

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.tracking.assignments import Assignments
    from chatvitals.tracking.contact_lookup import ContactResolver

PLANNED_CONTACTS = 6000
"""The default for the planned contacts of all variants together."""
_SHARES = 2**64
_MOST_CONTACTS = 1_000_000_000


class ExperimentPlan(msgspec.Struct, frozen=True):
    """The declaration of an experiment: name, weights of the variants (the control first), goal and size."""

    name: str
    variants: dict[str, float]
    goal: str = ""
    planned_contacts: int = PLANNED_CONTACTS

    def __post_init__(self) -> None:
        """Refuse an invalid declaration.

        Raises:
            ValueError: a name cannot be a label, the weights are not numbers of at least 0 with a sum above 0, or the
                planned size is not a whole number above 0.

        """
        check_name("an experiment", self.name)
        for variant, weight in self.variants.items():
            check_name(f"a variant of experiment {self.name!r}", variant)
            if isinstance(weight, bool) or not isinstance(weight, (int, float)) or not 0 <= weight < float("inf"):
                raise ValueError(
                    f"experiment {self.name!r}: a weight must be a number of at least 0, not {weight!r} ({variant})"
                )
        planned = self.planned_contacts
        if isinstance(planned, bool) or not isinstance(planned, int) or not 1 <= planned <= _MOST_CONTACTS:
            raise ValueError(
                f"experiment {self.name!r}: planned_contacts must be a whole number from 1 to {_MOST_CONTACTS:,}, "
                f"not {planned!r}"
            )
        if sum(self.variants.values()) == float("inf"):
            raise ValueError(f"experiment {self.name!r}: the weights are too large to be added up")
        if not sum(self.variants.values()) > 0:
            raise ValueError(f"experiment {self.name!r} needs at least one variant with a weight above 0")

    def draw(self, key: int) -> str:
        """Return the variant of a contact's key. It never changes, and the shares follow the weights."""
        digest = blake2b(key.to_bytes(8, "little", signed=True) + self.name.encode(), digest_size=8).digest()
        point = int.from_bytes(digest, "little") / _SHARES * sum(self.variants.values())
        chosen = ""
        for variant, weight in self.variants.items():
            if weight > 0:
                chosen = variant
                point -= weight
                if point < 0:
                    break
        return chosen


class Experiment(msgspec.Struct, frozen=True):
    """A declared experiment, created by `vitals.experiment(…)`. The rules are in conversations/README.md 7.

    Its `plan` is the declaration.
    """

    plan: ExperimentPlan
    _emit: Callable[[Exposed], None]
    _clock: Callable[[], float]
    _whose: ContactResolver
    _assignments: Assignments
    _guard: ErrorGuard

    def __repr__(self) -> str:
        return f"Experiment(plan={self.plan!r})"

    def variant(self, *, contact: str = "", phone_number_id: str = "") -> str:
        """Return the contact's variant and count its exposure. It never raises.

            if greeting.variant() == "emoji": ...

        A contact keeps its variant across workers, restarts and ids. Where no contact is known, or the store has not
        been reached yet, the control (the first variant with a weight) is returned and no exposure is counted.

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        with self._guard("experiment"):
            person = self._whose.named(f"{self.plan.name}.variant()", contact, phone_number_id)
            variant = None if person is None else self._assignments.variant(self.plan, person)
            if person is not None and variant is not None:
                number, phone, user = person
                self._emit(
                    Exposed(
                        phone_number_id=number,
                        wa_id=phone,
                        user_id=user,
                        received=self._clock(),
                        experiment=self.plan.name,
                        variant=variant,
                        goal=self.plan.goal,
                    )
                )
                return variant
        return next(name for name, weight in self.plan.variants.items() if weight > 0)
