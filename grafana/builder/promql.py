"""PromQL in pieces: selectors by the dashboard's variables, and the few forms that all panels share."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatvitals.metrics import catalogue
from chatvitals.monitoring.expressions import one

if TYPE_CHECKING:
    from collections.abc import Callable

P: Final = "by (phone_number_id)"
NUMBER: Final = 'phone_number_id=~"$phone",job=~"$job"'
RATE: Final = "$__rate_interval"
RANGE: Final = "$__range"
DAY: Final = "1d"
WINDOW: Final = "$window"  # grows with the time range, so that a month is as calm as a day
_FEWEST: Final = 10  # with fewer turns one slow answer would be more than 10 %
BUSINESS: Final = 'waba_id=~"$business",job=~"$job"'
"""Matchers of series that belong to an account."""
NAMES: Final = f"max by (phone_number_id, display_phone_number) (chatvitals_number_info{{{NUMBER}}})"
ACCOUNTS: Final = f"max by (waba_id) (chatvitals_number_info{{{NUMBER}}})"
RATING: Final = f"max {P} (chatvitals_quality_rating{{{NUMBER}}})"
RATING_AS_LABEL: Final = f'count_values {P} ("rating", {RATING})'
IN_HOURS: Final = 'in_hours=~"$in_hours"'
JOB: Final = 'job=~"$job"'
VERSION: Final = f"max by (job, app_version) (chatvitals_build_info{{{JOB}}})"
_FEWEST_HALF_HOURS: Final = 12
FEWEST_RUNS: Final = 20  # with fewer runs a difference of shares is chance


def of(name: str, matchers: str = "") -> str:
    """Return the series of a family of the chosen numbers, and of the chosen hours where the family has them."""
    bare = f"chatvitals_{re.sub(r'_(bucket|sum|count)$', '', name)}"
    family = catalogue.FAMILIES.get(f"chatvitals_{name}") or catalogue.FAMILIES[bare]
    hours = IN_HOURS if family.hours else ""
    return f"chatvitals_{name}{{{','.join(filter(None, (matchers, hours, NUMBER)))}}}"


def own(name: str, matchers: str = "") -> str:
    """Return the series of a family that belongs to no number."""
    return f"chatvitals_{name}{{{','.join(filter(None, (matchers, JOB)))}}}"


def count(series: str, window: str, by: str = P, at: str = "") -> str:
    """Return how often something happened. Every target of a store shows the same totals, so one target is enough."""
    return f"sum {by} ({one(f'increase({series}[{window}]{at})')})".replace("sum  (", "sum (")


def rate(series: str, window: str, by: str = P, at: str = "") -> str:
    """Return a rate for a ratio. The number of targets cancels out in a ratio."""
    return f"sum {by} (rate({series}[{window}]{at}))".replace("sum  (", "sum (")


def ratio(part: str, whole: str, window: str, by: str = P, at: str = "") -> str:
    """Return the share of a part in a whole, and no series where the whole is 0."""
    return f"{rate(part, window, by, at)} / ({rate(whole, window, by, at)} > 0)"


def quantile(share: float, family: str, window: str, by: str = "phone_number_id", matchers: str = "") -> str:
    """Return a quantile of a histogram, of all targets together."""
    labels = ", ".join(filter(None, ("le", by)))
    return f"histogram_quantile({share:g}, sum by ({labels}) (rate({of(family + '_bucket', matchers)}[{window}])))"


def mean(family: str, window: str, by: str = P, matchers: str = "", at: str = "") -> str:
    """Return the average of a histogram. It is never an average of averages."""
    return ratio(of(family + "_sum", matchers), of(family + "_count", matchers), window, by, at)


def counted(series: str, window: str, by: str) -> str:
    """Return how often something rare happened, in whole numbers.

    `increase` does not see what a series begins with, and estimates between samples. A series that came into sight
    later than its target is new, and its first value counts: it has fewer samples than a series that is always there.
    """
    always = own("webhooks_total", 'result="accepted"')
    target = "({})".format(
        " or ".join(
            f"max by (job, instance) (count_over_time({each}[{window}]))" for each in (always, own("build_info"))
        )
    )
    later = f"count_over_time({series}[{window}]) < on (job, instance) group_left () {target}"
    more = one(f"increase({series}[{window}])")
    first = one(f"min_over_time({series}[{window}]) and ({later}) unless resets({series}[{window}]) > 0")
    return f"round(sum {by} ({more} + {first} or {more} or {first}))"


def seen(expression: str, series: str, by: str) -> str:
    """Return the series with an event in the range: a legend of zeros hides the rest."""
    return f"{expression} and ({counted(series, RANGE, by)} > 0)"


def or_none(expression: str, label: str) -> str:
    """Return a measure by a label, and 0 for `none` where it is empty: an empty panel may look broken."""
    return f'{expression} or label_replace(vector(0), "{label}", "none", "", "")'


def where_enough(expression: str, window: str, by: str = P) -> str:
    """Return a measure of turns, without the times of too few turns."""
    return f"({expression}) and ({count(OPENED, window, by)} >= {_FEWEST})"


def where_enough_or_a_day(measure: Callable[[str], str], events: str = "", by: str = P) -> str:
    """Return a measure of the window. A bot with few events an hour has the measure of the day instead.

    Its windows hardly ever have enough, and a panel that stays empty says nothing. `events` are turns by default.
    """
    events = events or OPENED
    few = f"{count(events, DAY, by)} < {24 * _FEWEST}"
    enough = [f"({measure(window)}) and ({count(events, window, by)} >= {_FEWEST})" for window in (WINDOW, DAY)]
    return f"(({enough[0]}) or ({enough[1]} and ({few})))"


def oldest_wait() -> str:
    """Return the longest wait of those who wait now, and 0 where nobody waits.

    A gauge that ends without a mark of its end, as one that was pushed, is seen for five minutes more.
    """
    waiting = total("turns_open")
    oldest = gauge("oldest_open_turn_timestamp_seconds", over="min")
    return f"(max(time() - {oldest}) and {waiting} > 0) or 0 * {waiting}"


def named(expression: str) -> str:
    """Return series by number, with the phone number as people write it."""
    return f"({expression}) * on (phone_number_id) group_left (display_phone_number) {NAMES}"


def while_rated(expression: str) -> str:
    """Return sums of counts by the rating at that time. Too few half hours give no value."""
    rated = f"({expression}) * on (phone_number_id) group_left (rating) {RATING_AS_LABEL}"
    enough = f"count_over_time(({RATING})[{RANGE}:30m]) >= {_FEWEST_HALF_HOURS}"
    return f"(sum_over_time(({rated})[{RANGE}:30m]) and on (phone_number_id) ({enough}))"


def while_running(expression: str) -> str:
    """Return counts of half hours by job, summed over the range by the version of the bot at that time.

    Half hours that end with two versions, as during a deploy, are left out.
    """
    alone = f"{VERSION} and on (job) count by (job) ({VERSION}) == 1"
    return f"sum_over_time((({expression}) * on (job) group_left (app_version) ({alone}))[{RANGE}:30m])"


def points(now: str, before: str, enough: str) -> str:
    """Return the difference of two shares in percentage points, where both have enough data."""
    return f"100 * (({now}) - ({before})) and ({enough})"


def fresh(expression: str, known: str = "") -> str:
    """Return a count, or 0 where the count is empty and the numbers are fresh.

    `known` are the series that must exist for a 0. The default is a store that can be read.
    """
    return f"{expression} or 0 * max({known or own('store_up') + ' == 1'})"


def gauge(name: str, by: str = P, matchers: str = "", over: str = "max") -> str:
    """Return a gauge that several targets may show alike."""
    return f"{over} {by} ({of(name, matchers)})"


def lowest(how_many: int, name: str, by: str = P) -> str:
    """Return a gauge of those whose average of the range is lowest. More bands than that cannot be read."""
    return f"({gauge(name, by)}) {among_lowest(how_many, name, by)}"


def among_lowest(how_many: int, name: str, by: str = P) -> str:
    """Return the condition that a gauge's average of the range is among the lowest."""
    average = f"max {by} (avg_over_time({of(name)}[{RANGE}] @ end()))"
    return f"and {by.replace('by', 'on', 1)} bottomk({how_many}, {average})"


def total(name: str, by: str = "", matchers: str = "") -> str:
    """Return a gauge that is split by labels and that several targets may show alike, as a sum."""
    return f"sum {by} ({one(of(name, matchers))})".replace("sum  (", "sum (")


OPENED: Final = of("turns_opened_total")
OVERDUE: Final = of("turns_overdue_total", 'threshold="$threshold"')
BUDGET: Final = "(1 - $slo)"
"""The share of turns that may be late."""
