"""RQ: a job knows the contact of the code that enqueued it, and commits before its process ends."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from rq.job import Job, get_current_job
from rq.timeouts import BaseDeathPenalty, TimerDeathPenalty, UnixSignalDeathPenalty

from chatvitals.integrations._carrier import KEY, Carrier

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.vitals import Vitals

__all__ = ["instrument"]

_COMMIT_SECONDS = 2.0


def instrument(vitals: Vitals) -> Callable[[], None]:
    """Let jobs carry the contact from the code that enqueues them. Call it in both processes.

        undo = instrument(vitals)   # in the web process and in the module of the jobs

    A job commits its sends itself, because RQ ends the process at once. It needs no `vitals.settle()`.

    Args:
        vitals: the result of `chatvitals.init`. Both processes name the same store.

    Returns:
        A function that undoes the change. `vitals.close()` does so, too.

    Raises:
        TypeError: `vitals` is not the result of `chatvitals.init`.
        ModuleNotFoundError: the package `cryptography` is not installed.

    """
    patches = _Patches(Carrier(vitals, "rq"))
    patches.apply()
    patches.carrier.undo_on_close(patches.undo)
    return patches.undo


class _Patches:
    """The replaced methods of RQ. After `undo`, a method below a later patch only calls the original."""

    def __init__(self, carrier: Carrier) -> None:
        self.carrier = carrier
        self._active = True
        self._applied: list[tuple[Any, str, Any, Any]] = []

    def apply(self) -> None:
        """Replace the methods. A job that already runs, because it imported this module, gets its contact, too."""
        self._replace(Job, "create", self._create)
        self._replace(Job, "perform", self._perform)
        for penalty in (UnixSignalDeathPenalty, TimerDeathPenalty):
            self._replace(penalty, "cancel_death_penalty", self._cancel)
        job = get_current_job()
        if job is not None:
            self.carrier.begin(job.id, job.meta.get(KEY))

    def undo(self) -> None:
        """Restore the methods of RQ."""
        self._active = False
        while self._applied:
            owner, name, had, ours = self._applied.pop()
            if vars(owner)[name] is ours:
                setattr(owner, name, had)

    def _replace(self, owner: Any, name: str, make: Callable[[Any], Any]) -> None:
        had = vars(owner)[name]
        ours = make(had)
        setattr(owner, name, ours)
        self._applied.append((owner, name, had, ours))

    def _create(self, had: Any) -> Any:
        @functools.wraps(had.__func__)
        def create(cls: type[Job], /, *args: Any, **kwargs: Any) -> Job:
            job: Job = had.__get__(None, cls)(*args, **kwargs)
            text = self.carrier.sealed(job.meta.get(KEY)) if self._active else None
            if text is not None:
                with self.carrier.guard(self.carrier.where):
                    job.meta[KEY] = text
            return job

        return classmethod(create)

    def _perform(self, had: Any) -> Any:
        @functools.wraps(had)
        def perform(job: Job, /, *args: Any, **kwargs: Any) -> Any:
            if self._active:
                self.carrier.begin(job.id, job.meta.get(KEY))
            try:
                return had(job, *args, **kwargs)
            finally:
                self.carrier.end(job.id)

        return perform

    def _cancel(self, had: Any) -> Any:
        @functools.wraps(had)
        def cancel_death_penalty(penalty: BaseDeathPenalty, /, *args: Any, **kwargs: Any) -> Any:
            """Commit the job's sends after its function has ended, when no time limit applies."""
            had(penalty, *args, **kwargs)
            if self._active:
                self.carrier.end_all()
                self.carrier.commit(_COMMIT_SECONDS)

        return cancel_death_penalty
