"""The values of all families at one time, from store and process. Every output shows a snapshot."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from chatvitals._version import __version__
from chatvitals.metrics import catalogue
from chatvitals.metrics.family import Bot
from chatvitals.metrics.measurements import Exemplar, Measurements
from chatvitals.pipeline import exemplars
from chatvitals.quality import gauges as quality_view
from chatvitals.quality import state
from chatvitals.runtime import fork_hooks, greenlets, pacing
from chatvitals.stores.base import StoreUnavailableError, mark_labels
from chatvitals.stores.birth import StoreBirth, read_birth

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals.metrics.measurements import Cell
    from chatvitals.pipeline.worker import Pipeline
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.settings import Settings
    from chatvitals.stores.base import Store
    from chatvitals.tracking.experiments import Experiment
    from chatvitals.tracking.journeys import Journey

_GIVE_WAY_AFTER = 125  # cells

Values: TypeAlias = dict[tuple[str, ...], dict[int, float]]
"""Fields by label values, as in `Cell`. A series without any field is 0."""


Exemplars: TypeAlias = dict[tuple[str, ...], dict[int, Exemplar]]
"""Exemplars by label values and bucket."""


class Snapshot(msgspec.Struct, frozen=True):
    """The values of all families at one time. It is never changed."""

    values: dict[str, Values]
    """Values by family name. A family without any series is absent."""
    birth: StoreBirth | None
    """The birth of the store, or None where it is not known yet."""
    exemplars: dict[str, Exemplars]
    """Exemplars by family name."""


class SnapshotReader:
    """A reader of snapshots. It first lets the pipeline settle due work, then reads all cells at once.

    When the store cannot be reached, a snapshot holds only own health, and `chatvitals_store_up` is 0. Without a
    pipeline (in the exporter) it holds the numbers that the workers have settled.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        pipeline: Pipeline | None,
        guard: ErrorGuard,
        journeys: Mapping[str, Journey],
    ) -> None:
        self._settings = settings
        self._store = store
        self._pipeline = pipeline
        self._guard = guard
        self._journeys = journeys
        self.experiments: Mapping[str, Experiment] = {}
        """The experiments that are declared in this process."""
        self._birth: StoreBirth | None = None
        self._errors: Counter[str] = Counter()  # of a process without a pipeline
        self._last_own: dict[Cell, float] = {}  # own health at the last read of the store,
        self._shown: dict[Cell, float] = {}  # and in the last snapshot
        self._starts: tuple[set[str], Bot, dict[str, list[tuple[str, ...]]]] = (set(), Bot(), {})
        self._lock = threading.Lock()  # of scrapes and pushes, which come from several threads
        fork_hooks.watch(self)

    def before_fork(self) -> None:
        """Do nothing, because a child starts with its own lock."""

    def after_fork_in_parent(self) -> None:
        """Do nothing, because the parent goes on."""

    def after_fork_in_child(self) -> None:
        """Forget the lock, because a thread of the parent may have held it."""
        self._lock = threading.Lock()

    def read(self) -> Snapshot:
        """Return the snapshot of the store and this process. After an error of ours, it holds only own health."""
        with self._guard("metrics") as fence:
            found = self._read()
        return self.read_process(up=True) if fence.failed else found

    def _read(self) -> Snapshot:
        own = self._errors_of_exporter()
        if self._pipeline is not None:
            self._pipeline.settle()
            own = self._pipeline.own.measures()  # before the cells, because a commit in between must not hide anything
        with greenlets.holding(self._lock):
            try:
                values = self._of_store()
                found = self._exemplars()
            except StoreUnavailableError as error:
                self._guard.report("store", message=str(error))
                return Snapshot(self._without_store(own), self._birth, {})
            self._keep_from_falling(values)
        values |= self._of_process(up=self._pipeline is None or self._pipeline.store_up)
        return Snapshot(values, self._birth, found)

    def read_process(self, *, up: bool | None = None) -> Snapshot:
        """Return the values that each process has for itself, without the shared numbers.

        Args:
            up: whether the store is usable. None tests it.

        """
        return Snapshot(self._of_process(up=self._is_up() if up is None else up), self._birth, {})

    def _of_store(self) -> dict[str, Values]:
        """Return the cells, and the gauges from marks and from the state of the business."""
        waiting, cells = self._cells()
        if self._birth is None:
            self._birth = read_birth(self._store)
        values = by_family(cells)
        pacing.empty(cells)
        self._last_own = {
            (name, labels, field): value
            for name in catalogue.OWN_HEALTH
            for labels, fields in values.get(name, {}).items()
            for field, value in fields.items()
        }
        _add(values, waiting)
        pacing.give_way()
        now = time.time() if self._pipeline is None else self._pipeline.clock()
        document, open_since = self._store.document(state.DOCUMENT), self._store.oldest_open()
        gauges: dict[str, Values] = {}
        with self._guard("state"):  # a newer version may have written data that this version cannot read
            for family, labels, value in quality_view.gauges(
                state.decode(document), now, self._settings.phone_number_id
            ):
                gauges.setdefault(family.name, {})[labels] = {0: value}
                pacing.give_way()
        pacing.give_way()
        for (kind, number), at in open_since.items():
            name, further = mark_labels(kind)
            if name in catalogue.FAMILIES:  # a newer version may know more marks
                gauges.setdefault(name, {})[number, *further] = {0: at}
        values |= gauges
        bot = self._bot()
        self._start_at_zero(values, bot)
        return values | self._declared(bot)

    def _exemplars(self) -> dict[str, Exemplars]:
        """Return the exemplars that the workers have written. Unreadable exemplars are left out."""
        document = self._store.document(exemplars.DOCUMENT)
        found: dict[str, Exemplars] = {}
        with suppress(msgspec.MsgspecError):  # a newer version may have written data that this version cannot read
            for (family, labels, bucket), exemplar in exemplars.decode(document).items():
                found.setdefault(family, {}).setdefault(labels, {})[bucket] = exemplar
        return found

    def _cells(self) -> tuple[Measurements, dict[Cell, float]]:
        """Return amounts that this process could not commit, and the cells.

        While only writes fail, drops and errors would otherwise not show. Amounts that a commit takes during the read
        may be in the cells already, and are not added to them.
        """
        if self._pipeline is None or self._pipeline.store_up:
            cells = self._store.cells()
            self._report_unreadable()
            return self._errors_of_exporter(), cells
        own = self._pipeline.own
        drains, waiting = own.drains, own.waiting()
        cells = self._store.cells()
        self._report_unreadable()
        return (waiting if own.drains == drains else Measurements()), cells

    def _report_unreadable(self) -> None:
        if self._store.unreadable:
            self._guard.report("state", message="a row of the store that this version cannot read was left out")

    def _errors_of_exporter(self) -> Measurements:
        """Return the errors of a process without a pipeline, which commits nothing and counts for itself."""
        found = Measurements()
        if self._pipeline is None:
            self._errors.update(self._guard.drain())
            for where, amount in self._errors.items():
                found.count(catalogue.INTERNAL_ERRORS, (where,), amount)
        return found

    def _declared(self, bot: Bot) -> dict[str, Values]:
        """Return the families of declared journeys and experiments."""
        plans = [experiment.plan for experiment in list(self.experiments.values())]
        return {
            catalogue.JOURNEY_STEP_INFO.name: {
                (journey, step, str(index)): {0: 1.0}
                for journey, steps in bot.journeys.items()
                for index, step in enumerate(steps, 1)
            },
            catalogue.EXPERIMENT_WEIGHT.name: {
                (plan.name, variant, str(index), plan.goal): {0: float(weight)}
                for plan in plans
                for index, (variant, weight) in enumerate(plan.variants.items(), 1)
            },
            catalogue.EXPERIMENT_PLANNED.name: {(plan.name,): {0: float(plan.planned_contacts)} for plan in plans},
        }

    def _bot(self) -> Bot:
        return Bot(
            thresholds=tuple(f"{after:g}" for after in self._settings.overdue_after),
            journeys={journey.plan.name: tuple(journey.plan.steps) for journey in list(self._journeys.values())},
            experiments={each.plan.name: tuple(each.plan.variants) for each in list(self.experiments.values())},
            in_hours=self._settings.in_hours is not None,
        )

    def _start_at_zero(self, values: dict[str, Values], bot: Bot) -> None:
        """Add a 0 for counters with closed label sets, since `increase` ignores the first value of a series."""
        numbers = set(self._settings.phone_number_id)
        for name, found in values.items():
            if catalogue.FAMILIES[name].per_number:
                numbers.update([labels[0] for labels in found])
                pacing.give_way()
        for name, starts in self._starts_of(numbers, bot).items():
            found = values.setdefault(name, {})
            for labels in starts:
                if labels not in found:
                    found[labels] = {}
            pacing.give_way()

    def _starts_of(self, numbers: set[str], bot: Bot) -> dict[str, list[tuple[str, ...]]]:
        """Return the label values by family that start at 0. They seldom change between two scrapes."""
        known_numbers, known_bot, starts = self._starts
        if known_numbers != numbers or known_bot != bot:
            starts = {}
            for family in catalogue.FAMILIES.values():
                owners: list[tuple[str, ...]] = [(number,) for number in numbers] if family.per_number else [()]
                found = [(*owner, *start) for start in family.start_values(bot) for owner in owners]
                if found:
                    starts[family.name] = found
                pacing.give_way()
            self._starts = numbers, bot, starts
        return starts

    def _without_store(self, own: Measurements) -> dict[str, Values]:
        """Return only own health, including its last values from the store."""
        own.merge(self._last_own)
        values = {name: found for name, found in by_family(own.increments).items() if name in catalogue.OWN_HEALTH}
        for name in catalogue.OWN_HEALTH:
            for start in catalogue.FAMILIES[name].start_values(Bot()):
                values.setdefault(name, {}).setdefault(start, {})
        self._keep_from_falling(values)
        return values | self._of_process(up=False)

    def _keep_from_falling(self, values: dict[str, Values]) -> None:
        """Never show own health lower than before. Amounts from memory may reach the store only later."""
        for name in catalogue.OWN_HEALTH:
            for labels, fields in values.get(name, {}).items():
                for field, value in fields.items():
                    cell = (name, labels, field)
                    fields[field] = self._shown[cell] = max(value, self._shown.get(cell, 0.0))
            for (shown, labels, field), value in self._shown.items():
                if shown == name:
                    values.setdefault(name, {}).setdefault(labels, {}).setdefault(field, value)

    def _of_process(self, *, up: bool) -> dict[str, Values]:
        """Return the values that each process has for itself and that are not stored."""
        values: dict[str, Values] = {
            catalogue.STORE_UP.name: {(): {0: float(up)}},
            catalogue.BUILD_INFO.name: {(__version__, self._settings.app_version): {0: 1.0}},
        }
        if self._pipeline is not None:
            values[catalogue.QUEUE_EVENTS.name] = {(): {0: float(self._pipeline.waiting)}}
            values[catalogue.QUEUE_CAPACITY.name] = {(): {0: float(self._pipeline.capacity)}}
        return values

    def _is_up(self) -> bool:
        """Test the store. Without any event since the start, the pipeline has not used it yet."""
        try:
            self._store.oldest_open()
        except StoreUnavailableError:
            return False
        return True


def by_family(cells: Mapping[Cell, float]) -> dict[str, Values]:
    """Return cells by family and label values. Families of a newer version are left out."""
    found: dict[str, Values] = {}
    for count, ((name, labels, field), value) in enumerate(cells.items(), 1):
        values = found.get(name)
        if values is None:
            if name not in catalogue.FAMILIES:
                continue
            values = found[name] = {}
        fields = values.get(labels)
        if fields is None:
            values[labels] = {field: value}
        else:
            fields[field] = value
        if not count % _GIVE_WAY_AFTER:
            pacing.give_way()
    return found


def _add(values: dict[str, Values], amounts: Measurements) -> None:
    """Add further amounts. Families of a newer version are left out."""
    for (name, labels, field), amount in amounts.increments.items():
        if name in catalogue.FAMILIES:
            fields = values.setdefault(name, {}).setdefault(labels, {})
            fields[field] = fields.get(field, 0.0) + amount
