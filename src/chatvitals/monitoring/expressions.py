"""PromQL expressions that several rules share."""

from __future__ import annotations

import re
from typing import Final

from chatvitals.metrics import catalogue

NUMBER: Final = "by (job, phone_number_id)"
"""The grouping of everything about a business number."""
RUN: Final = "by (job, phone_number_id, journey)"
STEP: Final = "by (job, phone_number_id, journey, step)"
JOB: Final = "by (job)"
IN_HOURS: Final = 'in_hours!="no"'
"""Turns that count for the objective: all of them, or those in opening hours where a schedule is set."""


def one(expression: str) -> str:
    """Return one target's value of an expression over one family.

    Every target of a store shows the same totals. Only the family's own labels are kept, because a scrape may add
    any other label.

    Example:
        >>> one("chatvitals_journey_runs_stalled")
        'max by (job, journey, phone_number_id, step) (chatvitals_journey_runs_stalled)'

    """
    return f"max by ({', '.join(('job', *labels_of(expression)))}) ({expression})"


def labels_of(expression: str) -> list[str]:
    """Return the labels of the family that an expression is about.

    Raises:
        KeyError: the catalogue has no such family.

    """
    name = re.findall(r"chatvitals_\w+", expression)[0]
    bare = re.sub(r"_(bucket|sum|count)$", "", name)
    family = catalogue.FAMILIES.get(name) or catalogue.FAMILIES[bare]
    return sorted({*family.all_labels, *(("le",) if name.endswith("_bucket") else ())})


def increase(series: str, window: str, by: str = NUMBER, at: str = "") -> str:
    """Return the increase of a counter within a window. `at` is an offset."""
    return f"sum {by} ({one(f'increase({series}[{window}]{at})')})"


def counted(series: str, window: str, by: str = NUMBER) -> str:
    """Return the increase of a counter of rare events within a window, with the first values of new series.

    `increase` misses the value with which a series begins. A series that is new on a known target began within the
    window, so all that it counts is new. A series that a store outage or a restart hid has not begun anew.
    """
    target = f"on (job) (count by (job) (last_over_time(chatvitals_build_info[1h] offset {window})))"
    # a series that was there at the beginning, or within the day before it
    before = (
        f"unless {one(f'{series} offset {window}')} unless {one(f'last_over_time({series}[1d:15m] offset {window})')}"
    )
    new = f"{one(series)} {before} and {target}"
    return f"sum {by} (({new}) or {one(f'increase({series}[{window}])')})"


def held(series: str, by: str, over: str = "max") -> str:
    """Return a gauge of the store, or its last value within an hour where no target shows it.

    A store outage and a deploy hide the gauges of the store. An alert on one should not resolve meanwhile.
    """
    return f"({over} {by} ({series}) or {over} {by} (last_over_time({series}[1h])))"


def held_age(series: str, by: str) -> str:
    """Return the age of the time in a gauge, or its last known age where no target shows the gauge.

    While nothing is seen, nothing is known to get older: other alerts page for a bot or a store that is away.
    """
    age = f"time() - max {by} ({series})"
    return f"({age} or last_over_time(({age})[1h:1m]))"


def held_rating(series: str, by: str) -> str:
    """Return a rating, or 0 where it is unknown. A rating that is unknown or unseen keeps its last value for an hour.

    WhatsApp sometimes gives no rating for one poll. RED is still RED then, and nobody should be paged again.
    While the store is away, or no target is up, the rating is kept for a day. An alert that fires once YELLOW has
    lasted for a day would begin anew after each longer outage.
    """
    now = f"max {by} ({series})"
    last = f"last_over_time(({now} > 0)[1h:1m])"
    builds = f"count {JOB} (%s)"
    gone = f"{builds % 'last_over_time(chatvitals_build_info[1d])'} unless {builds % 'chatvitals_build_info'}"
    away = f"(max {JOB} (chatvitals_store_up) == 0 or ({gone}))"
    # a coarse step, because each evaluation takes all steps of a day
    kept = f"(max {by} (last_over_time({series}[1d])) and on (job) {away} unless {_had_ended(now, '1d:30m')})"
    return f"(({now} > 0) or {last} or {held(series, by)} or {kept})"


def held_while_blind(series: str, by: str, over: str = "max") -> str:
    """Return a gauge whose absence has a meaning. While the store cannot be seen, its last value within an hour counts.

    A gauge that had ended while the store could still be seen has no such value. A deploy would page for it again.
    """
    now = f"{over} {by} ({series})"
    last = f"{over} {by} (last_over_time({series}[1h]))"
    return f"({now} or ({last} unless on (job) (chatvitals_store_up == 1) unless {_had_ended(now, '1h:1m')}))"


def _had_ended(gauge: str, span: str) -> str:
    """Return the condition that the store was seen without a gauge, later than with it."""
    seen = f"max_over_time(timestamp({gauge})[{span}])"
    store_seen = f"max_over_time(timestamp(max {JOB} (chatvitals_store_up == 1))[{span}])"
    return f"({seen} < on (job) group_left () {store_seen})"


def usual(series: str, since: str) -> str:
    """Return a recorded ratio's average over a week, once three days are known. `since` is the end of that week."""
    return f"(avg_over_time({series}[7d:1h] offset {since}) {known(series, since)})"


def known(series: str, since: str) -> str:
    """Return the condition that a recorded series has three days of history."""
    return f"and count_over_time({series}[7d:1h] offset {since}) >= 72"


def beyond_chance(difference: str, share: str, of: str) -> str:
    """Return the condition that a difference of two shares is more than four standard deviations of the first."""
    return f"{difference} > 4 * sqrt({share} * (1 - {share}) / {of})"
