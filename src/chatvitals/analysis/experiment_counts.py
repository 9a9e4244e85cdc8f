"""The counts of an experiment by variant, from Prometheus or a store."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatvitals.analysis.errors import TooLittleDataError, WrongNameError, listed, printable
from chatvitals.analysis.figures import apart
from chatvitals.analysis.history import DAY, HOUR, LONGEST_DAYS, Grid, History, known_span
from chatvitals.analysis.statistics import SPLIT_ALPHA, split_check
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.analysis.history import Counts
    from chatvitals.analysis.prometheus_api import PrometheusApi, Series
    from chatvitals.exporters.scrape import Sample

OUTCOMES: Final = ("goal", "opt_out", "unanswered", "send_failed", "handover")


@dataclass(slots=True)
class VariantCounts:
    """The counts of one variant.

    Args:
        name: name of the variant.
        contacts: contacts that have seen the variant.
        outcomes: contacts by outcome. A contact counts once per outcome.
        waits: ended turns by the upper bound of their wait in seconds, not cumulative.
        weight: the contacts that the variant should have got, on the same scale as those of the other variants. NaN
            where the variant is not declared.

    """

    name: str
    contacts: float = 0.0
    outcomes: dict[str, float] = field(default_factory=dict)
    waits: dict[float, float] = field(default_factory=dict)
    weight: float = 1.0


@dataclass(slots=True)
class ExperimentCounts:
    """The counts of a whole experiment.

    Args:
        name: name of the experiment.
        variants: the control first.
        goal: the journey whose completion is the goal. It is empty where that is not known.
        planned: planned contacts of all variants, or None where the experiment declares no number.
        days: days that the experiment has run. NaN where that is not known.
        at: time of the counts, in Unix seconds. NaN stands for now.
        daily: contacts and contacts with the goal by variant, at the end of each day.

    """

    name: str
    variants: list[VariantCounts] = field(default_factory=list)
    goal: str = ""
    planned: float | None = None
    days: float = math.nan
    at: float = math.nan
    daily: list[dict[str, tuple[float, float]]] = field(default_factory=list)

    @property
    def contacts(self) -> float:
        """Contacts of all variants."""
        return sum(variant.contacts for variant in self.variants)


def from_prometheus(
    api: PrometheusApi, name: str, at: float, *, control: str | None = None, number: str | None = None
) -> ExperimentCounts:
    """Return the counts of an experiment at a time.

    Args:
        api: the Prometheus to query.
        name: the experiment.
        at: Unix seconds.
        control: the variant that the others are compared with. The default is the declared control.
        number: the `phone_number_id` to count. The default is all numbers.

    Raises:
        SourceUnavailableError: Prometheus cannot be read.
        TooLittleDataError: no contact has seen a variant yet.
        WrongNameError: there is no such experiment or variant.

    """
    first, last = known_span(api, at)
    contacts_name = catalogue.EXPERIMENT_CONTACTS.name
    window = f"[{LONGEST_DAYS}d]"
    names = {
        s.labels["experiment"]
        for s in api.query(f"count by (experiment) (last_over_time({contacts_name}{window}))", at)
    }
    _check_name(name, names)
    end = min(at, last)
    start = end - max(math.ceil((end - first) / DAY), 1) * DAY
    history = History(api, Grid(start, HOUR, round((end - start) / HOUR) + 1))
    matching = f'experiment="{_quoted(name)}"' + (f',phone_number_id="{_quoted(number)}"' if number else "")
    contacts = history.counts(catalogue.EXPERIMENT_CONTACTS, "variant", matching, whole=True)
    outcomes = history.counts(catalogue.EXPERIMENT_OUTCOMES, "variant outcome", matching, whole=True)
    waits = history.counts(catalogue.EXPERIMENT_WAIT, "variant le", matching, whole=True)
    declared = history.gauge(
        f"max by (variant, index, journey) ({catalogue.EXPERIMENT_WEIGHT.name}{{{matching.partition(',')[0]}}})"
    )
    planned = api.query(
        f"last_over_time({catalogue.EXPERIMENT_PLANNED.name}{{{matching.partition(',')[0]}}}{window})", at
    )
    found = ExperimentCounts(name, at=at)
    for variant in sorted(contacts.values("variant")):
        counted = {outcome: outcomes.until(end, variant=variant, outcome=outcome) for outcome in OUTCOMES}
        upto = {float(le): waits.until(end, variant=variant, le=le) for le in waits.values("le")}
        found.variants.append(VariantCounts(variant, contacts.until(end, variant=variant), counted, apart(upto)))
    declared.sort(key=lambda series: series.points[-1][0])  # the latest declaration counts
    _declare(
        found,
        [(each.labels, each.last) for each in declared],
        [series.last for series in planned],
        control,
        _due(contacts, declared),
    )
    began = _began(contacts)
    found.days = (end - began) / DAY
    for day in range(math.ceil(found.days) - 1, -1, -1):
        moment = end - day * DAY
        found.daily.append({
            variant.name: (
                contacts.until(moment, variant=variant.name),
                outcomes.until(moment, variant=variant.name, outcome="goal"),
            )
            for variant in found.variants
        })  # fmt: skip
    return found


def from_samples(
    samples: Iterable[Sample], name: str, *, control: str | None = None, number: str | None = None
) -> ExperimentCounts:
    """Return the counts of an experiment from a store's samples. The duration is not known there.

    Raises:
        TooLittleDataError: no contact has seen a variant yet.
        WrongNameError: there is no such experiment or variant.

    """
    found, names = ExperimentCounts(name), set[str]()
    known: dict[str, VariantCounts] = {}
    upto: dict[str, dict[float, float]] = {}
    infos: list[tuple[dict[str, str], float]] = []
    planned: list[float] = []
    for sample in samples:
        labels, value = sample.labels, sample.value
        names.add(labels.get("experiment", ""))
        if labels.get("experiment") != name or (number and labels.get(catalogue.NUMBER, number) != number):
            continue
        variant = labels.get("variant", "")
        match sample.name:
            case catalogue.EXPERIMENT_WEIGHT.name:
                infos.append((labels, value))
            case catalogue.EXPERIMENT_PLANNED.name:
                planned.append(value)
            case catalogue.EXPERIMENT_CONTACTS.name:
                known.setdefault(variant, VariantCounts(variant)).contacts += value
            case catalogue.EXPERIMENT_OUTCOMES.name:
                outcomes = known.setdefault(variant, VariantCounts(variant)).outcomes
                outcomes[labels["outcome"]] = outcomes.get(labels["outcome"], 0.0) + value
            case "chatvitals_experiment_wait_seconds_bucket":
                buckets, bound = upto.setdefault(variant, {}), float(labels["le"])
                buckets[bound] = buckets.get(bound, 0.0) + value
            case _:
                pass
    _check_name(name, names)
    for variant, buckets in upto.items():
        known.setdefault(variant, VariantCounts(variant)).waits = apart(buckets)
    found.variants = [known[variant] for variant in sorted(known)]
    _declare(found, infos, planned, control)
    return found


def _declare(
    found: ExperimentCounts,
    infos: list[tuple[dict[str, str], float]],
    planned: list[float],
    control: str | None,
    due: dict[str, float] | None = None,
) -> None:
    """Add the declared order, weights, goal and planned size.

    `due` holds the contacts that each variant should have got. The default is that by the declared weights.
    """
    order: dict[str, float] = {}
    weights: dict[str, float] = {}
    for labels, weight in infos:
        order[labels["variant"]] = float(labels.get("index", "inf"))
        found.goal = labels.get("journey", "") or found.goal
        weights[labels["variant"]] = weight
    # a variant that no contact has seen is a part of the split
    weights = due or weights
    names = {variant.name for variant in found.variants}
    found.variants += [VariantCounts(name) for name, weight in weights.items() if weight > 0 and name not in names]
    for variant in found.variants:
        variant.weight = weights.get(variant.name, math.nan) if weights else 1.0
    if control is not None:
        if control not in {variant.name for variant in found.variants}:
            known = listed(variant.name for variant in found.variants)
            raise WrongNameError(f"--control: {found.name} has no variant {printable(control)}. It has: {known}")
        order[control] = -1.0
    found.variants.sort(key=lambda variant: (order.get(variant.name, math.inf), variant.name))
    if planned and max(planned) > 0:
        found.planned = max(planned)
    if not found.contacts:
        raise TooLittleDataError(f"No contact has seen a variant of {printable(found.name)} yet.")
    seen = [variant for variant in found.variants if variant.contacts]
    if len(seen) < 2 and not is_split_broken(found.variants):
        raise TooLittleDataError(
            f"All contacts of {printable(found.name)} have seen the same variant, {seen[0].name}. "
            "There is nothing to compare."
        )


def split(variants: Iterable[VariantCounts]) -> float:
    """Return the p-value of the split check. Variants that are not declared take no part in it."""
    declared = [variant for variant in variants if not math.isnan(variant.weight)]
    return split_check([variant.contacts for variant in declared], [variant.weight for variant in declared])


def is_split_broken(variants: Iterable[VariantCounts]) -> bool:
    """Return whether the variants did not get the contacts that their weights ask for."""
    return split(variants) < SPLIT_ALPHA


def _due(contacts: Counts, declared: list[Series]) -> dict[str, float]:
    """Return the contacts that each variant should have got, by the weights at each time.

    Weights may have changed, and variants may have been added or removed.
    """
    over = contacts.grid
    weights: list[dict[str, float]] = [{} for _ in range(over.count)]
    for series in declared:
        for at, weight in series.points:
            weights[over.index(at)][series.labels["variant"]] = weight
    latest = next((each for each in weights if each), {})
    total = [sum(values) for values in zip(*contacts.grown.values(), strict=True)] or [0.0] * over.count
    due, before = dict.fromkeys((name for each in weights for name in each), 0.0), 0.0
    for now, known in zip(total, weights, strict=True):
        # a change lies somewhere between two times of the grid: half of these contacts came before it
        for each in (latest, known or latest):
            if scale := sum(each.values()):
                for name, weight in each.items():
                    due[name] += (now - before) / 2 * weight / scale
        latest, before = known or latest, now
    return due


def _check_name(name: str, names: Iterable[str]) -> None:
    if name not in set(names):
        raise WrongNameError(f"there is no experiment {printable(name)}. There are: {listed(names)}")


def _began(contacts: Counts) -> float:
    """Return when the first contact saw a variant, within the grid."""
    firsts = [
        next(index for index, value in enumerate(values) if value > 0)
        for values in contacts.grown.values()
        if values[-1]
    ]
    return contacts.grid.start + contacts.grid.step * max(min(firsts, default=0) - 1, 0)


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
