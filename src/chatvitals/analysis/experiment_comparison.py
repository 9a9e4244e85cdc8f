"""Comparison of an experiment's variants, and whether a conclusion is allowed yet (analysis/README.md)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from chatvitals.analysis import experiment_counts, statistics
from chatvitals.analysis.figures import BOUNDS
from chatvitals.analysis.statistics import ALPHA, PLANNED, ConfidenceSequence, Estimate, Share

if TYPE_CHECKING:
    from chatvitals.analysis.experiment_counts import ExperimentCounts, VariantCounts

Verdict = Literal["better", "worse", "no difference", "no conclusion", "split broken"]

MARGIN: Final = 0.02
"""The default for the largest difference of shares that is too small to matter."""
GUARDRAILS: Final = {"opt_out": "opt-outs", "unanswered": "no answer", "send_failed": "failed sends"}
FEWEST: Final = 50
"""Contacts that each variant needs before anything is concluded. The intervals hold only for larger samples."""
_RECENT_DAYS: Final = 8


@dataclass(slots=True)
class Guardrail:
    """A check whether a variant does harm. It is one-sided and safe to look at daily."""

    outcome: str
    ours: float
    control: float
    least: float
    """The difference is at least this share. Above 0, the variant is worse."""

    @property
    def worse(self) -> bool:
        """Whether the variant is worse."""
        return self.least > 0


@dataclass(slots=True)
class Against:
    """One variant compared with the control."""

    variant: str
    goal: Estimate
    p_value: float
    """P-value, adjusted for the number of variants and valid under daily looks."""
    verdict: Verdict
    guardrails: list[Guardrail]
    waits: Estimate
    """Chance that a wait of this variant is longer than a wait of the control, minus one half."""
    needed: float = math.nan
    """Contacts of all variants together that are needed to show a difference of this size."""


@dataclass(slots=True)
class ExperimentResult:
    """The result of an experiment so far.

    Args:
        name: the experiment.
        goal: the journey that is the goal.
        days: days that the experiment has run. NaN where that is not known.
        planned: planned number of contacts.
        variants: contacts and share of the goal by variant, the control first.
        split: p-value of the split check.
        against: each variant compared with the control.
        verdict: the verdict on the best variant.
        best: the variant that the verdict is about.
        margin: the largest difference that does not matter.
        naive: p-value of a simple test of the best variant, at the end of each of the last days.

    """

    name: str
    goal: str
    days: float
    planned: float
    variants: dict[str, tuple[float, Share]]
    split: float
    against: list[Against]
    verdict: Verdict
    best: str
    margin: float
    naive: list[float] = field(default_factory=list)

    @property
    def contacts(self) -> float:
        """Contacts of all variants."""
        return sum(contacts for contacts, _ in self.variants.values())

    @property
    def control(self) -> str:
        """The variant that the others are compared with."""
        return next(iter(self.variants))


def judge(counts: ExperimentCounts, *, planned: float | None = None, margin: float = MARGIN) -> ExperimentResult:
    """Return the conclusion that the counts of an experiment allow.

    Args:
        counts: the counts, with the control first.
        planned: planned number of contacts. The default is the experiment's own declaration, or 6,000.
        margin: the largest difference of shares that does not matter, 0 to 1.

    Example:
        >>> judge(counts).verdict  # doctest: +SKIP
        'no conclusion'

    """
    control, others = counts.variants[0], counts.variants[1:]
    size = planned or counts.planned or PLANNED
    split = experiment_counts.split(counts.variants)
    against = [_against(variant, control, size, len(others)) for variant in others]
    adjusted = statistics.holm([each.p_value for each in against])
    for each, variant, p_value in zip(against, others, adjusted, strict=True):
        each.p_value = p_value
        enough = min(variant.contacts, control.contacts) >= FEWEST
        each.verdict = _verdict(each.goal, p_value, margin, enough=enough, split=split)
        if each.verdict == "no conclusion" and each.goal.value and not math.isnan(each.goal.value):
            pair = variant.contacts + control.contacts
            each.needed = _needed(each.goal.value, variant, control, size) * counts.contacts / max(pair, 1)
    best = max(against, key=_rank)
    return ExperimentResult(
        counts.name,
        counts.goal,
        counts.days,
        size,
        {variant.name: (variant.contacts, _share(variant, "goal")) for variant in counts.variants},
        split,
        against,
        best.verdict,
        best.variant,
        margin,
        _naive(counts, control.name, best.variant),
    )


_RANK: Final = {"better": 4, "no conclusion": 3, "no difference": 2, "worse": 1, "split broken": 0}


def _rank(each: Against) -> tuple[int, float]:
    return _RANK[each.verdict], -math.inf if math.isnan(each.goal.value) else each.goal.value


def _against(variant: VariantCounts, control: VariantCounts, size: float, variants: int) -> Against:
    sequence = ConfidenceSequence(size, ALPHA / variants)
    ours, other = _share(variant, "goal"), _share(control, "goal")
    units = variant.contacts + control.contacts
    # Holm takes the p-values of the whole alpha; the intervals shown hold for all variants together
    p_value = ConfidenceSequence(size).p_value(ours.value - other.value, ours.variance + other.variance, units)
    one_sided = ConfidenceSequence(size, 2 * ALPHA / variants)
    guardrails = []
    for outcome in GUARDRAILS:
        bad, usual = _share(variant, outcome), _share(control, outcome)
        guardrails.append(Guardrail(outcome, bad.value, usual.value, one_sided.rare_difference(bad, usual).low))
    return Against(
        variant.name, sequence.difference(ours, other), p_value, "no conclusion", guardrails, _waits(control, variant)
    )


def _verdict(goal: Estimate, p_value: float, margin: float, *, enough: bool, split: float) -> Verdict:
    if split < statistics.SPLIT_ALPHA:
        return "split broken"
    if enough and p_value <= ALPHA:
        return "better" if goal.value > 0 else "worse"
    if enough and max(-goal.low, goal.high) <= margin:
        return "no difference"
    return "no conclusion"


def _waits(control: VariantCounts, variant: VariantCounts) -> Estimate:
    """Compare waits, with unanswered turns as the worst rank.

    Waits are counted per turn, but contacts were randomised. So the variance is that of as many waits as there
    are contacts. This is right even where all waits of a contact are alike.
    """
    ranked = [[side.waits.get(bound, 0.0) for bound in BOUNDS] for side in (control, variant)]
    found = statistics.superiority(*ranked)
    turns = [sum(side) for side in ranked]
    contacts = [control.contacts, variant.contacts]
    if math.isnan(found.value):
        return Estimate(math.nan, -0.5, 0.5)
    repeated = max(1.0, *(turn / contact for turn, contact in zip(turns, contacts, strict=True) if contact))
    return statistics.Superiority(found.value, found.variance * repeated, found.degrees / repeated).interval()


def _needed(effect: float, variant: VariantCounts, control: VariantCounts, size: float) -> float:
    units = variant.contacts + control.contacts
    deviation2 = units * (_share(variant, "goal").variance + _share(control, "goal").variance)
    return ConfidenceSequence(size).units_needed(effect, deviation2) if units else math.inf


def _naive(counts: ExperimentCounts, control: str, variant: str) -> list[float]:
    found = []
    for day in counts.daily[-_RECENT_DAYS:]:
        (contacts, goals), (usual_contacts, usual_goals) = day[variant], day[control]
        found.append(statistics.z_test(Share(goals, contacts), Share(usual_goals, usual_contacts)))
    return found


def _share(variant: VariantCounts, outcome: str) -> Share:
    return Share(variant.outcomes.get(outcome, 0.0), variant.contacts)
