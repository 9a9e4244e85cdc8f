"""Every JSON node of every payload is replaced by what should not stand there.

A seeded sample runs each time. `CHATVITALS_FUZZ=full pytest tests/safety/test_payload_fuzz.py` runs all of it.
"""

from __future__ import annotations

import json
import os
import random
import re
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.exporters.prometheus import render
from chatvitals.settings import Settings
from chatvitals.testing import FakeClock
from chatvitals.vitals import Vitals
from tests.helpers.json_mutants import GONE, PAYLOADS, REPLACEMENTS, mutant, places

if TYPE_CHECKING:
    from collections.abc import Iterator

FULL = os.environ.get("CHATVITALS_FUZZ") == "full"
GROUPS = 8
SAMPLE = 400  # mutants of each group
DAY = 1_795_400_000.0
PERSONAL = ("15550004321", "15550005678", "Ada Example", "90000000000000000001")
OPEN_LABELS = {"phone_number_id", "waba_id", "template", "language"}
"""The labels that name things of the business, in whatever words."""
LINE = re.compile(r"^(chatvitals_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def mutants(group: int) -> Iterator[tuple[str, tuple[Any, ...], Any, Any]]:
    """Yield file, path, replacement and document of each mutant of a group, or of a sample."""
    found = [
        (path.name, place, replacement, document)
        for path in PAYLOADS[group::GROUPS]
        for document in [json.loads(path.read_bytes())]
        for place in places(document)
        for replacement in REPLACEMENTS
    ]
    if not FULL:
        found = random.Random(group).sample(found, SAMPLE)
    yield from found


def swallowed(where: str, error: Exception) -> None:
    """Fail on whatever the guard keeps from the bot."""
    raise AssertionError(where) from error


def start(clock: FakeClock) -> Vitals:
    """Return a bot's vitals in which nothing is swallowed."""
    settings = Settings.load({"store": "memory:", "hooks": False}, environ={})
    return Vitals(settings, clock=clock, background=False, on_error=swallowed)


def check(vitals: Vitals) -> None:
    """Assert that `/metrics` holds numbers only, that turns add up, and that nothing personal is shown."""
    text = render(vitals.collector)[0].decode()
    totals = {"turns_opened_total": 0.0, "turns_total": 0.0, "turns_open": 0.0}
    for name, _, value in LINE.findall(text):
        assert value != "NaN", name
        assert float(value) >= 0, name
        short = name.removeprefix("chatvitals_")
        if short in totals:
            totals[short] += float(value)
    assert totals["turns_opened_total"] == totals["turns_total"] + totals["turns_open"]
    assert not [word for word in PERSONAL if word in text]
    forged = {label for _, labels, _ in LINE.findall(text) for label in re.findall(r'(\w+)="forged text"', labels)}
    assert forged <= OPEN_LABELS


@pytest.mark.parametrize("group", range(GROUPS))
def test_no_value_in_any_place_of_any_payload_does_harm(group: int) -> None:
    """Nothing is raised or swallowed, and what is counted stays a number."""
    clock = FakeClock(DAY)
    vitals = start(clock)
    tried = 0
    for name, place, replacement, document in mutants(group):
        try:
            result = vitals.observe_webhook(mutant(document, place, replacement), {}).result
            vitals.settle()
        except Exception as error:
            raise AssertionError((name, place, str(replacement)[:40])) from error
        assert result in {"accepted", "foreign", "undecodable"}, (name, place, str(replacement)[:40])
        clock.advance(1.0)
        tried += 1
        if tried % 100 == 0:
            check(vitals)
    assert tried >= SAMPLE
    clock.advance(2 * 86_400)
    vitals.settle()
    check(vitals)


def test_the_places_are_those_of_the_whole_document() -> None:
    """A list, an object and what is in them are places. The document itself is none."""
    document = {"a": [{"b": 1}, 2]}
    assert list(places(document)) == [("a",), ("a", 0), ("a", 0, "b"), ("a", 1)]
    assert mutant(document, ("a", 0, "b"), GONE) == b'{"a": [{}, 2]}'
    assert mutant(document, ("a", 1), None) == b'{"a": [{"b": 1}, null]}'
    assert document == {"a": [{"b": 1}, 2]}
