"""Journeys as declared by a bot's author. Decorators, `with` blocks and calls report the reached steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from chatvitals.events import RunEnd, Step
from chatvitals.settings.declaration import did_you_mean
from chatvitals.tracking.decorators import BEGUN, Call, wrap
from chatvitals.whatsapp.enums import OTHER

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from chatvitals.context import ContactIds
    from chatvitals.events import RunOutcome
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.tracking.contact_lookup import ContactResolver

    F = TypeVar("F", bound=Callable[..., Any] | classmethod[Any, Any, Any] | staticmethod[Any, Any])

DAY: Final = 86_400.0
_END_OUTCOMES: Final = ("completed", "handed_over", "restarted")


class JourneyPlan(msgspec.Struct, frozen=True):
    """The declaration of a journey: name, steps in the order of display, and times in seconds."""

    name: str
    steps: tuple[str, ...]
    completed_by: str | None = None
    stalled_after: float = 1800.0
    abandoned_after: float = DAY
    expires_after: float = 7 * DAY

    def __post_init__(self) -> None:
        """Refuse an invalid declaration.

        Raises:
            ValueError: a name is empty or repeated, a step is not declared, or a time is out of order.

        """
        check_name("a journey", self.name)
        if not self.steps:
            raise ValueError(f"journey {self.name!r} needs at least one step")
        for step in self.steps:
            check_name(f"a step of journey {self.name!r}", step)
        if len(set(self.steps)) != len(self.steps):
            raise ValueError(f"journey {self.name!r} names a step twice: {', '.join(self.steps)}")
        if self.completed_by is not None and self.completed_by not in self.steps:
            raise ValueError(
                f"journey {self.name!r}: completed_by must be one of its steps ({', '.join(self.steps)}), "
                f"not {self.completed_by!r}"
            )
        times = (self.stalled_after, self.abandoned_after, self.expires_after)
        if not all(isinstance(time, (int, float)) and not isinstance(time, bool) for time in times):
            raise ValueError(f"journey {self.name!r}: times must be numbers of seconds, not {times!r}")
        if not 0 < self.stalled_after <= self.abandoned_after <= self.expires_after <= 7 * DAY:
            raise ValueError(
                f"journey {self.name!r}: times must rise, 0 < stalled_after <= abandoned_after <= expires_after, "
                "and expires_after is at most 7 days (604800 s)"
            )


def check_name(what: str, name: object) -> None:
    """Raise a `ValueError` unless `name` can be a readable label value."""
    if callable(name):  # a decorator without its parentheses
        raise ValueError(f"the name of {what} is missing: write it in parentheses after the decorator, as a text")  # noqa: TRY004 - as documented
    if not isinstance(name, str) or not name.strip() or len(name) > 64 or not name.isprintable() or name == OTHER:
        raise ValueError(f"the name of {what} must be 1 to 64 printable characters and not {OTHER!r}, not {name!r}")


class Journey(msgspec.Struct, frozen=True):
    """A declared journey, created by `vitals.journey(…)`.

    No call needs arguments while a webhook is handled. Elsewhere give `contact` (phone or business-scoped user id) and
    `phone_number_id`. The rules are in conversations/README.md 6. Its `plan` is the declaration.
    """

    plan: JourneyPlan
    _emit: Callable[[Step | RunEnd], None]
    _clock: Callable[[], float]
    _whose: ContactResolver
    _guard: ErrorGuard

    def __repr__(self) -> str:
        return f"Journey(plan={self.plan!r})"

    def step(self, name: str) -> StepMark:
        """Return a mark of a step, which is a decorator and a `with` block. Each call or entry reaches the step.

            @order.step("address")
            async def ask_for_address(message): ...

            with order.step("payment"):
                send(wa_id, "Please pay here: …")

        Args:
            name: a declared step.

        Raises:
            ValueError: the journey has no such step.

        """
        if callable(name):
            raise ValueError(f"the step is missing: write @journey.step({self.plan.steps[0]!r}), with one of its steps")  # noqa: TRY004 - as documented
        if name not in self.plan.steps:
            raise ValueError(
                f"journey {self.plan.name!r} has no step {name!r}. Its steps are {', '.join(self.plan.steps)}"
            )
        return StepMark(self, name)

    def reach(self, name: str, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the contact has reached a step now. It never raises.

            order.reach("payment")

        Args:
            name: a declared step. An undeclared step counts as `other`.
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        with self._guard("journey"):
            person = self._whose.named(f"{self.plan.name}.reach()", contact, phone_number_id)
            if person is not None:
                if name not in self.plan.steps:
                    self._undeclared(name)
                    name = OTHER
                self._reach(name, person)

    def complete(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the contact's run is completed, where no step completes it. It never raises.

            order.complete()

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        self.end("completed", contact=contact, phone_number_id=phone_number_id)

    def restart(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the contact starts again. The next step opens a new run. It never raises.

            order.restart()

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        self.end("restarted", contact=contact, phone_number_id=phone_number_id)

    def end(self, outcome: RunOutcome, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the contact's run has ended. It never raises.

            order.end("handed_over")

        Args:
            outcome: `completed`, `handed_over` or `restarted`.
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        with self._guard("journey"):
            if outcome not in _END_OUTCOMES:
                # a given value is not logged here nor in `reach`, because it may come from a customer
                self._guard.report("journey", message=f"{self.plan.name}.end() takes {', '.join(_END_OUTCOMES)}")
                return
            person = self._whose.named(f"{self.plan.name}.end({outcome!r})", contact, phone_number_id)
            if person is not None:
                number, phone, user = person
                self._emit(
                    RunEnd(
                        phone_number_id=number,
                        wa_id=phone,
                        user_id=user,
                        received=self._clock(),
                        journey=self.plan.name,
                        outcome=outcome,
                    )
                )

    def _undeclared(self, name: object) -> None:
        """Log a step that is not declared. Its name is shown only if it is close to a declared step."""
        plan = self.plan
        close = did_you_mean(name, plan.steps) if isinstance(name, str) else ""
        given = f"the step {name!r}" if close else "a step"
        self._guard.mistake(
            "journey",
            f"{plan.name}.reach() got {given} that journey {plan.name!r} does not declare, which counts as {OTHER!r}."
            f"{close} Its steps are {', '.join(plan.steps)}.",
            topic=f"step of {plan.name} {close}",
        )

    def _reached_by(self, name: str, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        with self._guard("journey"):
            person = self._whose.handled(f"step {name!r} of journey {self.plan.name!r}", args, kwargs)
            if person is not None:
                self._reach(name, person)

    def _reach(self, name: str, person: ContactIds) -> None:
        plan = self.plan
        number, phone, user = person
        self._emit(
            Step(
                phone_number_id=number,
                wa_id=phone,
                user_id=user,
                received=self._clock(),
                journey=plan.name,
                step=name,
                completes=name == plan.completed_by,
                stalled_after=plan.stalled_after,
                abandoned_after=plan.abandoned_after,
                expires_after=plan.expires_after,
            )
        )


class StepMark:
    """A mark of the place where a step is reached: `@journey.step("x")`, or `with journey.step("x"):`."""

    __slots__ = ("_journey", "_name")

    def __init__(self, journey: Journey, name: str) -> None:
        self._journey = journey
        self._name = name

    def __call__(self, function: F) -> F:
        """Decorate a handler. A call of it reaches the step, even if it then raises."""
        journey, name = self._journey, self._name

        def begin(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
            journey._reached_by(name, args, kwargs)  # noqa: SLF001 - a journey and its marks belong together
            return BEGUN

        return wrap(function, begin)

    def __enter__(self) -> None:
        """Reach the step."""
        self._journey._reached_by(self._name, (), {})  # noqa: SLF001 - as above

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        """Do nothing, because a step ends when the next step is reached."""
