"""The result of an experiment as sentences and a table."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

import msgspec

from chatvitals.analysis import statistics
from chatvitals.analysis.document import Document, Table
from chatvitals.analysis.experiment_comparison import FEWEST, GUARDRAILS
from chatvitals.analysis.wording import count, counted, interval, percent, points

if TYPE_CHECKING:
    from chatvitals.analysis.experiment_comparison import Against, ExperimentResult

_HEADS: Final = {
    "better": "BETTER",
    "worse": "WORSE",
    "no difference": "NO DIFFERENCE THAT MATTERS",
    "no conclusion": "NO CONCLUSION YET",
    "split broken": "NO CONCLUSION POSSIBLE",
}
_YEAR_DAYS: Final = 365


def document(result: ExperimentResult) -> Document:
    """Return the result as a document."""
    days = f"{counted(math.floor(result.days), 'day')}, " if result.days >= 1 else ""
    goal = result.goal or "not declared"
    made = Document(
        f"{result.name} → goal: {goal}, {days}{counted(result.contacts, 'contact')}, control: {result.control}",
        verdict=" ".join(sentences(result)),
        data=msgspec.to_builtins(result) | {"contacts": result.contacts, "control": result.control},
    )
    table = Table(
        ("variant", "contacts", "goal", "share", "difference (95 %, safe to look at daily)"), title=result.name
    )
    against = {each.variant: each for each in result.against}
    for name, (contacts, share) in result.variants.items():
        difference = ""
        if name in against:
            estimate = against[name].goal
            difference = f"{points(estimate.value)} points  ({interval(estimate.low, estimate.high)})"
        table.add(name, count(contacts), count(share.count), percent(share.value), difference)
    made.section("", table)
    broken = result.split < statistics.SPLIT_ALPHA
    made.section(
        "",
        f"split       {' : '.join(count(contacts) for contacts, _ in result.variants.values())}, "
        f"{'broken' if broken else 'fine'} (p = {_p(result.split)})",
        *(f"guardrails  {_guardrails(each, result)}" for each in result.against),
        *(f"waits       {_waits(each, result.control)}" for each in result.against),
    )
    return made


def sentences(result: ExperimentResult) -> list[str]:
    """Return the verdict and the advice as sentences."""
    best = next(each for each in result.against if each.variant == result.best)
    worse = [GUARDRAILS[rail.outcome] for rail in best.guardrails if rail.worse]
    said = [f"{_HEADS[result.verdict]}."]
    match result.verdict:
        case "split broken":
            said.append(
                f"The variants did not get the contacts that their weights ask for (p = {_p(result.split)}). Something "
                "loses contacts of one variant. Repair that and start a new experiment."
            )
        case "better":
            said.append(
                f"{best.variant} reaches the goal more often: {points(best.goal.value)} points "
                f"({interval(best.goal.low, best.goal.high)})."
            )
            said.append(
                f"But it is worse in: {', '.join(worse)}. Weigh that first."
                if worse
                else f"No guardrail is worse. You may stop and keep {best.variant}."
            )
        case "worse":
            said.append(
                f"{best.variant} reaches the goal less often than {result.control}. You may stop and keep "
                f"{result.control}."
            )
        case "no difference":
            said.append(
                f"A difference larger than {_magnitude(best)} points can be ruled out. "
                f"You may stop and keep {result.control}."
            )
        case "no conclusion":
            said += _not_yet(result, best)
    if worse and result.verdict not in {"better", "split broken"}:
        said.append(f"Harm is already shown: {best.variant} is worse in {', '.join(worse)}. Consider stopping.")
    return said


def _not_yet(result: ExperimentResult, best: Against) -> list[str]:
    said = ["You may look as often as you like, but do not stop for a winner now."]
    if min(contacts for contacts, _ in result.variants.values()) < FEWEST:
        return [*said, f"Each variant needs at least {FEWEST} contacts first."]
    if result.naive:
        p_value, hits = result.naive[-1], sum(p < statistics.ALPHA for p in result.naive)
        said.append(
            f"The simple test that spreadsheets use says p = {_p(p_value)} today. It was below 0.05 on {hits} of the "
            f"last {len(result.naive)} days. Looked at daily for a month, that test is wrong in about one of four "
            "experiments without any difference."
        )
    if math.isfinite(best.needed) and best.goal.value:
        more = max(best.needed - result.contacts, 0.0)
        rate = result.contacts / result.days if result.days > 0 else math.nan
        days = more / rate if rate > 0 else math.nan
        when = f": {counted(math.ceil(days), 'day')} at {count(rate)} a day" if days > 0 else ""
        effect = points(best.goal.value)
        said.append(
            f"A difference as small as {effect} points would take over a year to show."
            if days > _YEAR_DAYS
            else f"If {best.variant} really differs by {effect} points, about {_rounded(more)} contacts more "
            f"show it{when}."
        )
    said.append(
        f"If {_magnitude(best)} points would not matter to you: stop, keep {result.control}, and test something bolder."
    )
    return said


def _guardrails(each: Against, result: ExperimentResult) -> str:
    parts = [
        f"{GUARDRAILS[rail.outcome]} {percent(rail.ours)} / {percent(rail.control)}{' WORSE' if rail.worse else ''}"
        for rail in each.guardrails
    ]
    end = "" if any(rail.worse for rail in each.guardrails) else ": none is shown to be worse"
    return f"{each.variant} / {result.control}: {', '.join(parts)}{end}"


def _waits(each: Against, control: str) -> str:
    if math.isnan(each.waits.value):
        return f"{each.variant}: too few waits to compare"
    pairs = f"a wait of {each.variant} was the longer one in {round((each.waits.value + 0.5) * 100)} of 100 pairs"
    if each.waits.direction == 0:
        return f"{each.variant} and {control} waited alike ({pairs}, where 50 means no difference)"
    return f"{each.variant} waited {'longer' if each.waits.direction > 0 else 'less'} than {control} ({pairs})"


def _magnitude(best: Against) -> str:
    return f"{max(-best.goal.low, best.goal.high) * 100:.1f}"


def _rounded(value: float) -> str:
    size = 10 ** max(math.floor(math.log10(max(value, 1))) - 1, 0)
    return count(math.ceil(value / size) * size)


def _p(value: float) -> str:
    return f"{value:.2f}" if value >= 0.01 else f"{value:.3f}" if value >= 0.001 else "below 0.001"
