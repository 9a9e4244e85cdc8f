"""Comparison of customers' measurements with `/metrics`, row by row, with the allowed differences."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from chatvitals.analysis import quantiles
from chatvitals.demo import order_flow
from chatvitals.demo.ground_truth import at_rank
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from chatvitals.demo.ground_truth import Truth

# The customer's clock stops when WhatsApp accepts a reply. The bot's clock stops when the bot learns of it. Likewise,
# they start when WhatsApp gets the message, and when the webhook arrives. On loopback, both take milliseconds.
SECONDS_APART = 0.15
SHARE_APART = 0.05
_OF_STEP = ("reached", "visits", "left")


@dataclass(slots=True)
class Reported:
    """The content of one scrape, summed over its series."""

    messages: float = 0
    opened: float = 0
    waiting: float = 0
    outcomes: dict[str, float] = field(default_factory=dict)
    response_sum: float = 0
    response_count: float = 0
    buckets: dict[float, float] = field(default_factory=dict)
    internal_errors: float = 0
    dropped: float = 0
    late_failures: float = 0
    """Replies that failed after they had been counted as answers."""
    not_understood: float = 0
    order: order_flow.Progress = field(default_factory=order_flow.Progress)
    exposed: float = 0
    goals: float = 0
    rating: str = ""
    """The number's rating in WhatsApp's word. It is empty where there is no rating."""
    template: str = ""
    """The template's rating in the same form."""

    @property
    def answered(self) -> float:
        """Turns that ended answered."""
        return self.outcomes.get("answered", 0)

    @property
    def unanswered(self) -> float:
        """Turns without a reply, which are waiting, unanswered or failed."""
        return self.waiting + self.outcomes.get("unanswered", 0) + self.outcomes.get("failed", 0)

    @property
    def mean(self) -> float | None:
        """The average response time in seconds, which is sum ÷ count."""
        return self.response_sum / self.response_count if self.response_count else None

    def bucket(self, q: float) -> tuple[float, float, float] | None:
        """Return lower and upper limit of the bucket at rank `q`, and the interpolated quantile, in seconds."""
        counts, below = {}, 0.0
        for upper, upto in sorted(self.buckets.items()):
            counts[upper], below = upto - below, upto
        lower, upper = quantiles.bucket_of(counts, q)
        if math.isnan(upper):
            return None
        return lower, upper, quantiles.histogram_quantile(counts, q) if math.isfinite(upper) else lower


def parse(exposition: str) -> Reported:
    """Read the text of one scrape."""
    reported = Reported()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            _add(reported, sample.name.removeprefix("chatvitals_"), sample.labels, sample.value)
    return reported


def _add(reported: Reported, name: str, labels: dict[str, str], value: float) -> None:
    match name:
        case "messages_received_total":
            reported.messages += value
        case "turns_opened_total":
            reported.opened += value
        case "turns_open":
            reported.waiting += value
        case "turns_total":
            outcome = labels.get("outcome", "")
            reported.outcomes[outcome] = reported.outcomes.get(outcome, 0) + value
        case "response_seconds_sum":
            reported.response_sum += value
        case "response_seconds_count":
            reported.response_count += value
        case "response_seconds_bucket":
            upper = float(labels["le"])
            reported.buckets[upper] = reported.buckets.get(upper, 0) + value
        case "internal_errors_total":
            reported.internal_errors += value
        case "events_dropped_total":
            reported.dropped += value
        case _:
            _add_rest(reported, name, labels, value)


def _add_rest(reported: Reported, name: str, labels: dict[str, str], value: float) -> None:
    match name:
        case "late_failures_total":
            reported.late_failures += value
        case "fallbacks_total":
            reported.not_understood += value
        case "experiment_contacts_total":
            reported.exposed += value
        case "experiment_outcomes_total" if labels.get("outcome") == "goal":
            reported.goals += value
        case "quality_rating":  # the demo has one number and one template
            reported.rating = enums.RATINGS[int(value)]
        case "template_quality":
            reported.template = enums.RATINGS[int(value)]
        case _:
            reported.order.add(name, labels, value)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table as text, with whether both sides agree."""

    name: str
    measured: str
    reported: str
    allowed: str
    """The values of the metrics that are allowed with the customers' measurements."""
    agrees: bool
    parts: str = ""
    """The meaning of several numbers in one cell, such as `reached / visits / left`. The table has no room for it."""


def compare(truth: Truth, reported: Reported) -> list[Row]:
    """Return the rows of the closing table.

    Counts are exact. A response time may differ by the transport times, and for a delayed webhook also by the rest of
    WhatsApp's whole second. Mean and quantiles may differ by as much as these differences allow. A reply whose failure
    comes after it was counted as an answer stays an answer in the metrics. Such late failures may cause differences.
    """
    late = reported.late_failures
    answered = [(turn.wait, turn.unknown) for turn in truth.turns if turn.wait is not None]
    least = [max(wait - unknown - _apart(wait), 0.0) for wait, unknown in answered]
    most = [wait + _apart(wait) for wait, _ in answered]
    return [
        _count("messages", truth.messages, reported.messages),
        _count("turns", len(truth.turns), reported.opened, late),
        _count("answered", len(answered), reported.answered, late),
        _count("without an answer", truth.unanswered, reported.unanswered, late),
        _mean(truth.mean, reported.mean, least, most),
        _quantile(0.5, truth, reported, least, most),
        _quantile(0.95, truth, reported, least, most),
        *_journey(truth, reported),
    ]


def verdict(rows: list[Row]) -> str:
    """Return a sentence on whether all rows agree, and on the rows that do not."""
    apart = [row for row in rows if not row.agrees]
    if not apart:
        return "Customers and metrics agree."
    said = ". ".join(
        f"{row.name}{f' ({row.parts})' if row.parts else ''}: customers measured {row.measured}, "
        f"metrics say {row.reported} (allowed: {row.allowed})"
        for row in apart
    )
    return f"Customers and metrics disagree. {said}."


def seconds(value: float | None) -> str:
    """Return a time in seconds as text."""
    return "-" if value is None else f"{value:.2f} s"


def _count(name: str, measured: int, reported: float, late: float = 0.0) -> Row:
    allowed = f"± {late:g} failed late" if late else "exact"
    return Row(name, f"{measured}", f"{reported:g}", allowed, abs(measured - reported) <= late)


def _journey(truth: Truth, reported: Reported) -> list[Row]:
    """Compare the funnel step by step, and the related counts.

    A run that stopped at a step was dropped there or is still open. The time of the scrape decides between the two.
    """
    ours, theirs = truth.order, reported.order
    lost = sum(turn.not_understood for turn in truth.turns)
    seen = len(ours.people), ours.completed  # no customer completes a second order
    return [
        *(
            _counts(f"{order_flow.JOURNEY}: {step}", _step(ours, step), _step(theirs, step), _words_of_step(step))
            for step in order_flow.STEPS
        ),
        _counts(
            "not understood",
            (lost, ours.loops.total()),
            (reported.not_understood, theirs.loops.total()),
            ("turns", "went round"),
        ),
        _counts(order_flow.EXPERIMENT, seen, (reported.exposed, reported.goals), ("saw it", "paid")),
    ]


def _counts(name: str, measured: tuple[float, ...], reported: tuple[float, ...], words: tuple[str, ...]) -> Row:
    said, heard = (" / ".join(f"{count:g}" for count in counts) for counts in (measured, reported))
    return Row(name, said, heard, "exact", measured == reported, " / ".join(words))


def _words_of_step(step: str) -> tuple[str, ...]:
    return (*_OF_STEP[:2], "completed") if step == order_flow.STEPS[-1] else _OF_STEP


def _step(progress: order_flow.Progress, step: str) -> tuple[int, int, int]:
    rest = progress.completed if step == order_flow.STEPS[-1] else progress.stopped[step]
    return progress.reached[step], progress.visits[step], rest


def _mean(measured: float | None, reported: float | None, least: list[float], most: list[float]) -> Row:
    if measured is None or reported is None:
        return Row("response mean", seconds(measured), seconds(reported), "exact", measured is reported)
    low, high = sum(least) / len(least), sum(most) / len(most)
    return Row("response mean", seconds(measured), seconds(reported), _between(low, high), low <= reported <= high)


def _quantile(q: float, truth: Truth, reported: Reported, least: list[float], most: list[float]) -> Row:
    """Compare by bucket. A histogram only shows the bucket of the response at that rank."""
    name, measured, bucket = f"response p{q * 100:g}", truth.quantile(q), reported.bucket(q)
    if measured is None or bucket is None:
        agrees = measured is None and bucket is None
        return Row(name, seconds(measured), seconds(bucket and bucket[2]), "exact", agrees)
    lower, upper, value = bucket
    low, high = at_rank(q, least), at_rank(q, most)
    said = f"{seconds(value)} in {lower:g}-{upper:g} s"
    # the value within the bucket is interpolated, not measured
    return Row(name, seconds(measured), said, _between(low, high), lower <= high and low <= upper, "its bucket counts")


def _between(low: float, high: float) -> str:
    return f"{low:.2f} to {high:.2f} s"


def _apart(wait: float) -> float:
    return SECONDS_APART + SHARE_APART * wait
