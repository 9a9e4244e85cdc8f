"""The keys of a scenario. Unknown keys are refused, because they would silently test another behaviour."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SCENARIO: Final = _words("name why needs settings journeys experiments steps until expect absent")
_EXPERIMENT: Final = _words("name variants goal")
_JOURNEY: Final = _words("name steps completed_by stalled_after abandoned_after expires_after")
_ANY_STEP: Final = _words("t worker held")
_ITEM: Final = _words("contact id ids phone number ts")
_STEPS: Final[dict[str, frozenset[str]]] = {
    "in": _ITEM | _words("in text of group field change to"),
    "status": _ITEM | _words("status category code"),
    "echo": _ITEM | _words("echo"),
    "preference": _ITEM | _words("preference category"),
    "bad": _words("bad number"),
    "batch": _words("batch"),
    "webhook": _words("webhook"),
    "send": _words("send contact id ids phone number in_context started rejected tag actor template language"),
    "call": _words("call contact id ids phone number in_context actor"),
    "step": _words("step journey contact ids phone number in_context"),
    "end": _words("end journey contact ids phone number in_context"),
    "expose": _words("expose contact ids phone number in_context"),
    "poll": _words("poll"),
    "restart": _words("restart"),
}
"""All keys of a step by the key that names its kind, without the keys of all steps."""


def check(scenario: Mapping[str, Any]) -> None:
    """Check that every key of a scenario is known.

    Raises:
        ValueError: a key or a kind of step is not known.

    """
    _refuse_unknown(scenario, _SCENARIO, "a scenario")
    for journey in scenario.get("journeys", ()):
        _refuse_unknown(journey, _JOURNEY, "a journey")
    for experiment in scenario.get("experiments", ()):
        _refuse_unknown(experiment, _EXPERIMENT, "an experiment")
    for step in scenario["steps"]:
        _check_step(step, _ANY_STEP)
        for item in step.get("batch", ()):
            _check_step(item, frozenset())


def _check_step(step: Mapping[str, Any], further: frozenset[str]) -> None:
    kinds = [kind for kind in _STEPS if kind in step]
    if len(kinds) != 1:
        raise ValueError(f"a step of a kind that this version does not know: {sorted(step)}")
    _refuse_unknown(step, _STEPS[kinds[0]] | further, f"a step {kinds[0]!r}")


def _refuse_unknown(given: Iterable[str], known: frozenset[str], what: str) -> None:
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{what} has keys that this version does not know: {', '.join(unknown)}")
