"""The declaration of a metric family, and the register of all families."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Literal, TypeAlias

import msgspec

PREFIX = "chatvitals_"
NUMBER = "phone_number_id"

HUMAN_SECONDS = (
    0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 14400.0
)  # fmt: skip
SEND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
HANDLER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


class Bot(msgspec.Struct, frozen=True):
    """The declarations of a bot. Series with label values from here start at 0."""

    thresholds: tuple[str, ...] = ()
    """Values of the label `threshold`."""
    journeys: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Steps by journey."""
    experiments: Mapping[str, tuple[str, ...]] = msgspec.field(default_factory=dict)
    """Variants by experiment."""
    in_hours: bool = False
    """Whether opening hours are set."""

    def steps(self) -> list[tuple[str, ...]]:
        """Return each journey with each of its steps."""
        return [(journey, step) for journey, steps in self.journeys.items() for step in steps]

    def variants(self) -> list[tuple[str, ...]]:
        """Return each experiment with each of its variants."""
        return [(name, variant) for name, variants in self.experiments.items() for variant in variants]


Starts: TypeAlias = tuple[tuple[str, ...], ...] | Callable[[Bot], Iterable[tuple[str, ...]]]
Kind: TypeAlias = Literal["counter", "gauge", "histogram"]
Scope: TypeAlias = Literal["store", "health", "process"]


class Family(msgspec.Struct, frozen=True):
    """One metric family. Names and buckets are final, in seconds where the name says so."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    starts: Starts = ()
    """Label values (after `phone_number_id`, where the family has it) whose series start at 0."""
    hours: bool = False
    """Whether the label `in_hours` follows. It is empty where no opening hours are set."""
    capped: tuple[str, ...] = ()
    """Labels whose values come from outside, so that the setting `label_cap` limits them."""
    scope: Scope = "store"
    """`store` is shared by all workers. `process` is counted by each process and not stored. `health` is counted by
    each process, stored by its next commit, and shown even while the store is away.
    """
    unit: str = ""
    """Unit in UCUM, such as `s` or `{turn}`. It is empty where the number is a code."""

    @property
    def per_number(self) -> bool:
        """Whether the first label is the business number."""
        return self.labels[:1] == (NUMBER,)

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The labels in the order in which values are given."""
        return (*self.labels, "in_hours") if self.hours else self.labels

    @property
    def suffix(self) -> str:
        """The unit at the end of a Prometheus name, either `seconds` or empty."""
        return "seconds" if self.unit == "s" else ""

    @property
    def otel_name(self) -> str:
        """The name in OpenTelemetry. Prometheus converts it back to `name`."""
        bare = self.name.removeprefix(PREFIX).removesuffix("_total").removesuffix("_seconds")
        return f"chatvitals.{bare}"

    def start_values(self, bot: Bot) -> list[tuple[str, ...]]:
        """Return the label values whose series start at 0, without the number.

        Args:
            bot: the declarations of settings and code.

        """
        starts = self.starts(bot) if callable(self.starts) else self.starts
        if not self.hours:
            return list(starts)
        hours = ("yes", "no") if bot.in_hours else ("",)
        return [(*values, hour) for values in starts for hour in hours]


FAMILIES: dict[str, Family] = {}


def declare(  # noqa: PLR0913 - a declaration names all properties of a family
    name: str,
    kind: Kind,
    help_text: str,
    labels: str = "",
    *,
    number: bool = True,
    buckets: tuple[float, ...] = (),
    starts: Mapping[str, Iterable[str]] | Starts | None = None,
    hours: bool = False,
    capped: str = "",
    scope: Scope = "store",
    unit: str = "",
) -> Family:
    """Declare a family. Each family is declared once.

    Args:
        name: name without the prefix.
        kind: type of the metric.
        help_text: meaning of the metric, in a sentence.
        labels: names of the labels, separated by spaces.
        number: whether `phone_number_id` comes first.
        buckets: upper bounds of a histogram, without `+Inf`.
        starts: label values whose series start at 0: by label, as combinations, or as a function of the bot.
        hours: whether the label `in_hours` follows.
        capped: labels whose values `label_cap` limits, beside `phone_number_id`.
        scope: the place where the metric is counted. See `Family.scope`.
        unit: the counted thing in the singular, such as `turn`. A name in seconds needs no unit.

    Raises:
        ValueError: a family with this name exists already.

    """
    own = tuple(labels.split())
    all_labels = (NUMBER, *own) if number else own
    begin: Starts = ()
    if isinstance(starts, Mapping):
        begin = tuple(itertools.product(*(tuple(starts[label]) for label in own)))
    elif starts is not None:
        begin = starts
    elif kind == "counter" and not own:
        begin = ((),)
    caps = tuple(label for label in all_labels if label == NUMBER or label in capped.split())
    ucum = "s" if name.endswith("_seconds") else f"{{{unit}}}" if unit else ""
    family = Family(PREFIX + name, kind, help_text, all_labels, buckets, begin, hours, caps, scope, ucum)
    if family.name in FAMILIES:
        raise ValueError(f"{family.name} is declared twice")
    FAMILIES[family.name] = family
    return family


def markdown() -> str:
    """Return the catalogue as a Markdown table for conversations/README.md."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family in FAMILIES.values():
        labels = ", ".join(f"`{label}`" for label in family.all_labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |")
    return "\n".join(rows)
