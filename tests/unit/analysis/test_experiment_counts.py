"""Counts of an experiment whose declaration changes while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from chatvitals.analysis.errors import TooLittleDataError
from chatvitals.analysis.experiment_comparison import judge
from chatvitals.analysis.experiment_counts import ExperimentCounts, from_prometheus, from_samples
from chatvitals.analysis.history import HOUR
from chatvitals.analysis.prometheus_api import PrometheusApi
from chatvitals.exporters.scrape import Sample
from tests.helpers.analysis_prometheus import Answer, answering, data

START, HOURS = 1_790_000_000 // 3600 * HOUR, 48
END = START + HOURS * HOUR
Values = Callable[[int], float | None]


def counts(contacts: dict[str, Values], weights: dict[tuple[str, str], Values]) -> ExperimentCounts:
    """Return the counts from contacts by variant, and weights by variant and goal, as functions of the hour."""

    def series(labels: dict[str, str], values: Values) -> tuple[dict[str, str], list[tuple[float, float]]]:
        known = ((START + hour * HOUR, values(hour)) for hour in range(HOURS + 1))
        return labels, [(at, value) for at, value in known if value is not None]

    def answer(path: str, parameters: dict[str, str]) -> Answer:
        query = parameters["query"]
        if path.endswith("/query"):
            found = [{"metric": {"experiment": "greeting"}, "value": [END, "1"]}] if "contacts_total" in query else []
            return 200, json.dumps({"status": "success", "data": {"resultType": "vector", "result": found}}).encode()
        if "experiment_contacts_total" in query:
            return data(*(series({"variant": name, "job": "bot"}, values) for name, values in contacts.items()))
        if "experiment_weight" in query:
            return data(
                *(
                    series({"variant": name, "journey": goal, "index": str(index)}, values)
                    for index, ((name, goal), values) in enumerate(weights.items(), 1)
                )
            )
        return data(series({"job": "bot"}, lambda _: 1.0)) if "build_info" in query else data()

    with answering(answer) as url:
        return from_prometheus(PrometheusApi(url, clock=lambda: 0.0), "greeting", END)


def test_a_split_follows_the_weights_of_each_time() -> None:
    found = counts(
        {"plain": lambda hour: 50.0 * hour, "emoji": lambda hour: 50.0 * min(hour, 24) + 450 * max(hour - 24, 0)},
        {("plain", ""): lambda _: 1.0, ("emoji", ""): lambda hour: 1.0 if hour <= 24 else 9.0},
    )
    assert judge(found).verdict != "split broken"


def test_a_variant_that_was_removed_breaks_no_split() -> None:
    found = counts(
        {
            "plain": lambda hour: 50.0 * hour,
            "emoji": lambda hour: 50.0 * hour,
            "long": lambda hour: 50.0 * min(hour, 9),
        },
        {
            ("plain", ""): lambda _: 1.0,
            ("emoji", ""): lambda _: 1.0,
            ("long", ""): lambda hour: 1.0 if hour <= 9 else None,
        },
    )
    assert judge(found).verdict != "split broken"
    assert [each.name for each in found.variants] == ["plain", "emoji", "long"]


def test_a_variant_that_nobody_has_seen_breaks_the_split() -> None:
    weights: dict[tuple[str, str], Values] = {(name, ""): lambda _: 1.0 for name in ("plain", "emoji", "long")}
    found = counts({"plain": lambda hour: 9.0 * hour, "emoji": lambda hour: 9.0 * hour}, weights)
    assert judge(found).verdict == "split broken"
    alone = counts({"plain": lambda hour: 9.0 * hour}, {key: weights[key] for key in list(weights)[:2]})
    assert judge(alone).verdict == "split broken"


def test_the_first_few_contacts_may_see_one_variant() -> None:
    with pytest.raises(TooLittleDataError, match="same variant, plain"):
        counts(
            {"plain": lambda hour: min(hour, 3.0)},
            {("plain", ""): lambda _: 1.0, ("emoji", ""): lambda _: 1.0},
        )


def test_the_latest_goal_and_order_count() -> None:
    found = counts(
        {"plain": lambda hour: 9.0 * hour, "emoji": lambda hour: 9.0 * hour},
        {
            ("emoji", "booking"): lambda hour: 1.0 if hour > 24 else None,
            ("plain", "booking"): lambda hour: 1.0 if hour > 24 else None,
            ("plain", "order"): lambda hour: 1.0 if hour <= 24 else None,
            ("emoji", "order"): lambda hour: 1.0 if hour <= 24 else None,
        },
    )
    assert (found.goal, found.variants[0].name) == ("booking", "emoji")


def test_a_store_asks_nothing_of_a_variant_that_is_declared_no_more() -> None:
    def contacts(variant: str, value: float) -> Sample:
        return Sample("chatvitals_experiment_contacts_total", {"experiment": "greeting", "variant": variant}, value)

    weights = [
        Sample("chatvitals_experiment_weight", {"experiment": "greeting", "variant": name, "index": str(index)}, 90.0)
        for index, name in enumerate(("plain", "emoji"), 1)
    ]
    found = from_samples([*weights, contacts("plain", 900), contacts("emoji", 910), contacts("long", 60)], "greeting")
    assert judge(found).split > 0.5
