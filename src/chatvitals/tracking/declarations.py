"""Declarations of a bot's code: journeys, experiments and handlers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from chatvitals.tracking import handlers
from chatvitals.tracking.experiments import PLANNED_CONTACTS, Experiment, ExperimentPlan
from chatvitals.tracking.journeys import Journey, JourneyPlan, check_name

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.tracking.assignments import Assignments
    from chatvitals.tracking.contact_lookup import ContactResolver
    from chatvitals.tracking.ordered_clock import MonotonicClock

    F = TypeVar("F", bound=Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any])


class Declarations:
    """The part of `Vitals` with the declaring methods. `Vitals` sets the attributes."""

    journeys: dict[str, Journey]
    experiments: dict[str, Experiment]
    _emit: Callable[[Queued], None]
    _moment: MonotonicClock
    _whose: ContactResolver
    _assignments: Assignments
    _guard: ErrorGuard

    def journey(
        self,
        name: str,
        steps: Sequence[str],
        *,
        completed_by: str | None = None,
        stalled_after: float = 1800.0,
        abandoned_after: float = 86_400.0,
        expires_after: float = 604_800.0,
    ) -> Journey:
        """Declare a journey, which is a planned path through the bot. Its steps may branch and repeat.

            order = vitals.journey("order", steps=["menu", "item", "paid"], completed_by="paid")

        Args:
            name: label value of 1 to 64 characters.
            steps: names of the steps, in the order in which dashboards show them.
            completed_by: the step that completes a run. Without it, only `journey.complete()` completes a run.
            stalled_after: seconds of silence after which a run is stalled.
            abandoned_after: seconds of silence after which a run ends as abandoned.
            expires_after: seconds after which a run ends in any case, at most 7 days.

        Returns:
            The journey. The same declaration again returns the same journey.

        Raises:
            ValueError: a name or time is not allowed, or another journey has this name already.

        """
        if isinstance(steps, (str, set, frozenset)) or not isinstance(steps, Iterable):  # a set has no order
            raise ValueError(f"journey {name!r}: steps must be a list of names, not {steps!r}")  # noqa: TRY004 - as documented
        plan = JourneyPlan(name, tuple(steps), completed_by, stalled_after, abandoned_after, expires_after)
        known = self.journeys.get(name)
        if known is not None and known.plan != plan:
            raise ValueError(f"journey {name!r} is already declared with different settings: {known.plan}")
        return self.journeys.setdefault(name, Journey(plan, self._emit, self._moment, self._whose, self._guard))

    def experiment(
        self,
        name: str,
        variants: Mapping[str, float],
        *,
        goal: Journey | None = None,
        planned_contacts: int = PLANNED_CONTACTS,
    ) -> Experiment:
        """Declare an experiment. Each contact gets one variant and keeps it.

            greeting = vitals.experiment("greeting", variants={"plain": 1, "emoji": 1}, goal=order)
            if greeting.variant() == "emoji": ...

        Args:
            name: label value of 1 to 64 characters.
            variants: weight by name, such as `{"plain": 1, "emoji": 1}`. The first variant is the control.
            goal: the journey whose completion counts as success.
            planned_contacts: contacts of all variants together at which `chatvitals compare` is most precise.

        Returns:
            The experiment. The same declaration again returns the same experiment.

        Raises:
            ValueError: a name, weight or size is not allowed, or another experiment has this name already.

        """
        if not isinstance(variants, Mapping):
            raise ValueError(f"experiment {name!r}: variants must be weights by name, not {variants!r}")  # noqa: TRY004 - as documented
        if goal is not None and not isinstance(goal, Journey):
            raise ValueError(f"experiment {name!r}: goal must be a journey from vitals.journey(), not {goal!r}")
        plan = ExperimentPlan(name, dict(variants), "" if goal is None else goal.plan.name, planned_contacts)
        known = self.experiments.get(name)
        if known is not None and known.plan != plan:
            raise ValueError(f"experiment {name!r} is already declared with different settings: {known.plan}")
        made = Experiment(plan, self._emit, self._moment, self._whose, self._assignments, self._guard)
        return self.experiments.setdefault(name, made)

    def handler(self, name: str) -> Callable[[F], F]:
        """Return a decorator that measures a handler: seconds per call, and the result ok, error or cancelled.

            @vitals.handler("greet")
            async def greet(message): ...

        Args:
            name: label value of 1 to 64 characters. Handlers of one name share one series.

        Raises:
            ValueError: the name cannot be a label value.

        """
        check_name("a handler", name)
        return lambda function: handlers.measured(function, name, self._emit, self._whose, self._guard)
