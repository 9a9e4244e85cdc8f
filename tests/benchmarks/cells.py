"""Cells of bots with many business numbers, as months of use leave them: about 1,230 lines of `/metrics` a number."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.stores.base import Changes
from tests.benchmarks.traffic import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Cell
    from chatvitals.stores.base import Store

_JOURNEYS = {"order": ("menu", "item", "address", "payment", "paid"), "support": ("topic", "question", "solved")}
_STEPS = [(journey, step) for journey, steps in _JOURNEYS.items() for step in steps]
_MOVES: list[tuple[str, ...]] = [
    (journey, *pair) for journey, steps in _JOURNEYS.items() for pair in itertools.pairwise(steps)
]
_TURN = ("first", "next")
_TEMPLATES: list[tuple[str, ...]] = [(f"offer_{index}", "en_US") for index in range(4)]
_CATEGORIES = ("service", "marketing", "utility")
_STATUSES = ("sent", "delivered", "read", "failed")

_LABELS: dict[str, list[tuple[str, ...]]] = {
    "messages_received_total": [(each,) for each in ("text", "interactive", "image", "audio", "location", "button")],
    "response_seconds": [
        (turn, *pair) for turn in _TURN for pair in (("bot", "api"), ("human", "echo"), ("unknown", "status"))
    ],
    "sends_total": [("reply", "accepted", ""), ("campaign", "accepted", ""), ("notice", "accepted", "")],
    "message_statuses_total": list(itertools.product(_STATUSES, _CATEGORIES)),
    "template_messages_total": [(*each, status) for each in _TEMPLATES for status in _STATUSES],
    "template_failures_total": [(*each, code) for each in _TEMPLATES for code in ("131049", "131026")],
    "template_opt_outs_total": _TEMPLATES[:2],
    "handler_seconds": [(each, "ok") for each in ("menu", "item", "address", "payment", "help", "fallback")],
    "journey_transitions_total": _MOVES,
    "journey_step_dropped_total": [(*each, "abandoned") for each in _STEPS],
    "journey_step_seconds": [(*each, end) for each in _STEPS for end in ("advanced", "abandoned", "expired")],
    "experiment_contacts_total": [("greeting", each) for each in ("plain", "emoji")],
    "experiment_outcomes_total": [
        ("greeting", *each) for each in itertools.product(("plain", "emoji"), ("completed", "abandoned"))
    ],
    "experiment_wait_seconds": [("greeting", each) for each in ("plain", "emoji")],
}
"""Label values behind the business number. Other families have those that start at 0."""


def numbers(amount: int) -> list[str]:
    """Return the ids of business numbers. The first one is that of the traffic."""
    return [str(int(NUMBER) + index) for index in range(amount)]


def fill(store: Store, amount: int) -> None:
    """Have a store hold the cells of so many business numbers."""
    bot = catalogue.Bot(thresholds=("60", "300", "3600"), journeys=_JOURNEYS)
    for number in numbers(amount):
        with store.transaction() as transaction:
            transaction.commit(Changes(increments=dict(_cells(number, bot))))


def touch(store: Store, amount: int) -> None:
    """Change the cells of a conversation, for each of so many business numbers."""
    changed: dict[Cell, float] = {}
    for number in numbers(amount):
        for name, labels in (
            ("messages_received_total", ("text",)),
            ("turns_opened_total", ("next", "")),
            ("turns_total", ("next", "answered", "")),
            ("sends_total", ("reply", "accepted", "")),
            *(("message_statuses_total", (status, "service")) for status in _STATUSES[:3]),
            *((f"journey_step_{each}_total", _STEPS[0]) for each in ("reached", "visits", "messages")),
            ("journey_transitions_total", _MOVES[0]),
        ):
            changed[catalogue.PREFIX + name, (number, *labels), 0] = 1.0
        for name, labels in (
            ("response_seconds", ("next", "bot", "api", "")),
            ("wait_seconds", ("next", "")),
            ("webhook_lag_seconds", ()),
            ("send_seconds", ()),
            ("handler_seconds", ("menu", "ok")),
            ("journey_step_seconds", (*_STEPS[0], "advanced")),
        ):
            changed[catalogue.PREFIX + name, (number, *labels), 2] = 1.0
            changed[catalogue.PREFIX + name, (number, *labels), SUM] = 1.5
    with store.transaction() as transaction:
        transaction.commit(Changes(increments=changed))


def _cells(number: str, bot: catalogue.Bot) -> Iterator[tuple[Cell, float]]:
    for family in catalogue.FAMILIES.values():
        if family.per_number:
            for position, labels in enumerate(_label_values(family, bot), 1):
                if family.kind == "histogram":
                    for bucket in range(len(family.buckets) // 2):
                        yield (family.name, (number, *labels), bucket), float(position + bucket)
                    yield (family.name, (number, *labels), SUM), position + 0.123456
                else:
                    yield (family.name, (number, *labels), 0), float(position)


def _label_values(family: Family, bot: catalogue.Bot) -> list[tuple[str, ...]]:
    further = _LABELS.get(family.name.removeprefix(catalogue.PREFIX), [])
    if family.hours:
        further = [(*labels, "") for labels in further]
    return list(dict.fromkeys((*family.start_values(bot), *further)))
