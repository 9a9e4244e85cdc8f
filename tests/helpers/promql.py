"""Which labels the result of a PromQL query can have, and which names in it nobody knows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import promql_parser

from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Iterable

_TARGET: Final = {"job", "instance", "pod"}  # what Prometheus adds
_ALERT: Final = {"alertname", "alertstate", "severity", "phone_number_id", "template", "journey", "step", "job"}
_RECORDED: Final = {"job", "phone_number_id"}
_FOREIGN: Final = {
    "up": _TARGET,
    "ALERTS": _ALERT,
    "phone_number_id:chatvitals_turns_opened:increase1h": _RECORDED,
}

Walked = tuple[set[str], list[str]]


def walk(node: Any) -> Walked:  # noqa: PLR0911 - one for each kind of node
    """Return the labels that a query's result may have, and the query's faults."""
    match node:
        case promql_parser.VectorSelector():
            return _selector(node.name or "", {matcher.name for matcher in node.matchers.matchers})
        case promql_parser.MatrixSelector():
            return walk(node.vector_selector)
        case promql_parser.AggregateExpr():
            return _aggregate(node)
        case promql_parser.BinaryExpr():
            return _binary(node)
        case promql_parser.Call():
            known, wrong = _both([walk(argument) for argument in node.args])
            return known | (
                {str(node.args[1]).strip('"')} if node.func.name in {"label_join", "label_replace"} else set()
            ), wrong
        case promql_parser.NumberLiteral() | promql_parser.StringLiteral():
            return set(), []
    return walk(node.expr)  # parentheses, a subquery, a sign


def _selector(metric: str, used: set[str]) -> Walked:
    known = _labels(metric)
    return known, [f"no {label} in {metric}" for label in used - known] if known else [f"no metric {metric}"]


def _labels(metric: str) -> set[str]:
    """Return the labels that a series of this name can have. None where the catalogue has no such family."""
    if metric in _FOREIGN:
        return _FOREIGN[metric]
    family = catalogue.FAMILIES.get(metric) or catalogue.FAMILIES.get(re.sub(r"_(bucket|sum|count)$", "", metric))
    if family is None or (family.kind == "histogram") is (metric == family.name):
        return set()
    return {*family.all_labels, *_TARGET, *({"le"} if metric.endswith("_bucket") else ())}


def _aggregate(node: Any) -> Walked:
    known, wrong = walk(node.expr)
    made = {str(node.param).strip('"')} if str(node.op) == "count_values" else set()
    if str(node.op) in {"topk", "bottomk"}:  # they choose series and leave them as they are
        return known, wrong
    if node.modifier is None:
        return made, wrong
    named = set(node.modifier.labels)
    wrong = wrong + [f"{label} is on no series of {node.expr}" for label in named - known]
    return (named if "By" in str(node.modifier.type) else known - named) | made, wrong


def _binary(node: Any) -> Walked:
    (left, wrong), (right, also) = walk(node.lhs), walk(node.rhs)
    wrong = wrong + also
    if node.modifier is None or node.modifier.matching is None:
        return left | right, wrong
    matched = set(node.modifier.matching.labels)
    brought = set(node.modifier.group_labels or ())
    there = left & right if "On" in str(node.modifier.matching.type) else left | right
    wrong += [f"{label} is not in {node} to match by" for label in matched - there]
    wrong += [f"{label} is on no series of {node.rhs}" for label in brought - right]
    return left | brought, wrong


def _both(parts: Iterable[Walked]) -> Walked:
    found = list(parts)
    return set().union(*(known for known, _ in found)), [text for _, wrong in found for text in wrong]
