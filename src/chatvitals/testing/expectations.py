"""Comparison of an exposition with a scenario's expectations."""

from __future__ import annotations

import re
from functools import lru_cache
from math import inf, isclose
from typing import TYPE_CHECKING, Any

from prometheus_client.parser import text_string_to_metric_families

from chatvitals.testing.payloads import EPOCH

if TYPE_CHECKING:
    from collections.abc import Mapping

_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?P<labels>.*)\})?")
_LABEL = re.compile(r'(\w+)="([^"]*)"')
_TOLERANCE = 0.002

_Samples = list[tuple[str, dict[str, str], float]]
_MOST_LINES = 10_000


def differences(scenario: Mapping[str, Any], exposition: str) -> list[str]:
    """Return the differences between the exposition and the scenario's expectations, one sentence each.

        assert differences(scenario, run_scenario(scenario)) == []

    Args:
        scenario: the content of a scenario file. Only `expect` and `absent` are read.
        exposition: the text of `/metrics`.

    Raises:
        ValueError: an expectation is no selector, or the exposition is not valid.

    """
    samples: _Samples = [sample for line in exposition.split("\n") for sample in _samples(line)]
    found = []
    for selector, expected in scenario.get("expect", {}).items():
        if selector == "absent":
            continue
        wanted = _number(expected)
        actual = sum(value for _, value in _matching(samples, selector))
        if not _same(wanted, actual, selector):
            found.append(f"{selector} is {actual:g}, not {expected}")
    unwanted = [*scenario.get("absent", ()), *scenario.get("expect", {}).get("absent", ())]
    return found + [f"{selector} is there" for selector in unwanted if _matching(samples, selector)]


@lru_cache(_MOST_LINES)  # most lines of two expositions are the same
def _samples(line: str) -> _Samples:
    return [
        (sample.name, dict(sample.labels), sample.value)
        for family in text_string_to_metric_families(line)
        for sample in family.samples
    ]


def _number(expected: Any) -> float:
    if isinstance(expected, str):
        if expected.startswith("epoch+"):
            return EPOCH + float(expected.removeprefix("epoch+"))
        return inf if expected == "+Inf" else float(expected)
    return float(expected)


def _same(wanted: float, actual: float, selector: str) -> bool:
    name = selector.partition("{")[0]
    if name.endswith(("_sum", "_timestamp_seconds")):
        return wanted == actual or isclose(wanted, actual, rel_tol=0.0, abs_tol=_TOLERANCE)
    return wanted == actual


def _matching(samples: _Samples, selector: str) -> list[tuple[dict[str, str], float]]:
    match = _SELECTOR.fullmatch(selector)
    if match is None:
        raise ValueError(f"not a selector: {selector!r}")
    wanted = dict(_LABEL.findall(match["labels"] or ""))
    bound = wanted.pop("le", None)
    return [
        (labels, value)
        for name, labels, value in samples
        if name == match["name"]
        and all(labels.get(label, "") == text for label, text in wanted.items())
        and (bound is None or ("le" in labels and float(labels["le"]) == float(bound)))
    ]
