"""What a metric family is, and the register of all of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "chatvitals_"
NUMBER = "phone_number_id"

HUMAN_SECONDS = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 14400.0)
SEND_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
HANDLER_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
COMMIT_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)


@dataclass(frozen=True, slots=True)
class Family:
    """One metric family; names and buckets are final, in seconds where the name says so."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    closed: tuple[tuple[str, ...], ...] = ()
    """Label values (after `phone_number_id`, where the family has it) whose series start at 0."""
    hours: bool = False
    """Whether the label `in_hours` follows, empty where no opening hours are set."""

    @property
    def per_number(self) -> bool:
        """Whether the first label is the business number."""
        return self.labels[:1] == (NUMBER,)

    @property
    def all_labels(self) -> tuple[str, ...]:
        """The labels in the order in which values are given."""
        return (*self.labels, "in_hours") if self.hours else self.labels


FAMILIES: dict[str, Family] = {}


def declare(  # noqa: PLR0913 - a declaration names all there is
    name: str,
    kind: Literal["counter", "gauge", "histogram"],
    help_text: str,
    labels: str = "",
    *,
    number: bool = True,
    buckets: tuple[float, ...] = (),
    closed: Mapping[str, Iterable[str]] | Iterable[tuple[str, ...]] | None = None,
    hours: bool = False,
) -> Family:
    """Declare a family, once.

    Args:
        name: without the prefix.
        kind: its type.
        help_text: what it means, in a sentence.
        labels: names with spaces between them.
        number: whether `phone_number_id` comes first.
        buckets: upper bounds of a histogram, without `+Inf`.
        closed: values by label, or the combinations, whose series start at 0.
        hours: whether the label `in_hours` follows.

    Raises:
        ValueError: the name is declared already.

    """
    own = tuple(labels.split())
    all_labels = (NUMBER, *own) if number else own
    starts: tuple[tuple[str, ...], ...] = ()
    if isinstance(closed, Mapping):
        starts = tuple(itertools.product(*(tuple(closed[label]) for label in own)))
    elif closed is not None:
        starts = tuple(closed)
    elif kind == "counter" and not own:
        starts = ((),)
    family = Family(PREFIX + name, kind, help_text, all_labels, buckets, starts, hours)
    if family.name in FAMILIES:
        raise ValueError(f"{family.name} is declared twice")
    FAMILIES[family.name] = family
    return family


def markdown() -> str:
    """Return the catalogue as a Markdown table, as it stands in conversations/README.md."""
    rows = ["| metric | type | labels | meaning |", "|---|---|---|---|"]
    for family in FAMILIES.values():
        labels = ", ".join(f"`{label}`" for label in family.all_labels)
        rows.append(f"| `{family.name}` | {family.kind} | {labels} | {family.help} |")
    return "\n".join(rows)
