"""The situation now as a document, from Prometheus or from a store."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from chatvitals.analysis import experiment_comparison, experiment_counts
from chatvitals.analysis.document import Document
from chatvitals.analysis.errors import AnalysisError, printable
from chatvitals.analysis.now import Situation, add_experiment, add_lights, lights
from chatvitals.analysis.numbers import Number
from chatvitals.analysis.rating_changes import RATINGS
from chatvitals.analysis.wording import phone
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.exporters.scrape import Sample


def from_samples(samples: Iterable[Sample], now: float) -> Situation:
    """Return the situation from a store's samples. A store holds no history and no alerts.

    Args:
        samples: current samples of the store.
        now: Unix seconds.

    """
    found = Situation(now, 0.0)
    kept = list(samples)
    names = {
        sample.labels.get(catalogue.NUMBER, ""): Number(
            sample.labels.get(catalogue.NUMBER, ""),
            phone(printable(sample.labels.get("display_phone_number", ""))),
            printable(sample.labels.get("verified_name", "")),
        )
        for sample in kept
        if sample.name == catalogue.NUMBER_INFO.name
    }
    for sample in kept:
        if sample.name == catalogue.QUALITY_RATING.name:
            number = sample.labels.get(catalogue.NUMBER, "")
            found.ratings[str(names.get(number, Number(number)))] = RATINGS.get(round(sample.value), "UNKNOWN")
    found.waiting = sum(_values(kept, catalogue.TURNS_OPEN.name))
    polled, oldest = (
        min(_values(kept, family.name), default=math.nan)
        for family in (catalogue.QUALITY_UPDATED, catalogue.OLDEST_OPEN_TURN)
    )
    found.polled = now - polled
    found.oldest = now - oldest if found.waiting else math.nan
    add_lights(found)
    found.missing.append("alerts, budgets and changes: they need the history of a Prometheus (--prometheus)")
    experiments = {sample.labels["experiment"] for sample in kept if sample.labels.get("experiment")}
    for name in sorted(experiments):
        try:
            result = experiment_comparison.judge(experiment_counts.from_samples(kept, name))
        except AnalysisError:  # no contact has seen two variants yet
            continue
        add_experiment(found, result)
    return found


def _values(samples: list[Sample], name: str) -> list[float]:
    return [sample.value for sample in samples if sample.name == name]


def document(found: Situation) -> Document:
    """Return the situation as a document."""
    made = Document("Now")
    made.section("", *lights(found))
    todos = found.ranked()
    numbered = [f"{place} {todo.what}" for place, todo in enumerate(todos, 1)]
    made.section("Worth doing today, most useful first", *(numbered or ["Nothing: all is as usual."]))
    made.section("", *(f"Not measured: {each}." for each in found.missing))
    made.data = msgspec.to_builtins(found) | {"todos": msgspec.to_builtins(todos)}
    return made
