"""Growth of counters over restarts, gaps and late starts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.analysis.errors import TooLittleDataError
from chatvitals.analysis.history import Grid, History, grid, known_span
from chatvitals.analysis.prometheus_api import PrometheusApi
from chatvitals.metrics import catalogue
from tests.helpers.analysis_prometheus import Answer, answering, data

Points = list[tuple[float, float]]
TURNS = catalogue.TURNS_OPENED


def grown(points: Points, *, known: Points | None = None, whole: bool = False) -> float:
    """Return what a history of 5 minutes makes of a series. Its job is known all the time by default."""
    known = [(float(at), 1.0) for at in range(0, 301, 60)] if known is None else known

    def answer(_: str, parameters: dict[str, str]) -> Answer:
        return data(({"job": "bot"}, known if "build_info" in parameters["query"] else points))

    with answering(answer) as url:
        history = History(PrometheusApi(url), Grid(0.0, 60.0, 6))
        counts = history.counts(TURNS, whole=whole)
    return counts.until(300.0) if whole else counts.between(0.0, 300.0)


def test_a_counter_counts_from_its_first_value() -> None:
    assert grown([(0, 100), (60, 110), (300, 130)]) == 30


def test_a_restart_counts_from_zero() -> None:
    assert grown([(0, 100), (60, 110), (120, 4), (300, 9)]) == 19


def test_a_series_that_appears_counts_from_zero() -> None:
    assert grown([(120, 3), (300, 5)]) == 5


def test_a_job_that_appears_brings_no_old_counts() -> None:
    """A Prometheus that is new to an old store would count everything otherwise."""
    assert grown([(120, 1000), (300, 1005)], known=[(120, 1), (300, 1)]) == 5


def test_an_experiment_counts_what_was_before_the_first_sample() -> None:
    assert grown([(120, 1000), (300, 1005)], known=[(120, 1), (300, 1)], whole=True) == 1005


@pytest.mark.parametrize(
    ("after", "total"),
    [([(180, 1010), (300, 1015)], 1015), ([(180, 2), (300, 5)], 1005), ([(0, 2), (300, 1015)], 2015)],
)
def test_a_renamed_job_does_not_count_its_experiment_twice(after: Points, total: float) -> None:
    """A job that counts on where another ended shows the same store. Other jobs are other bots."""

    def answer(_: str, parameters: dict[str, str]) -> Answer:
        if "build_info" in parameters["query"]:
            return data(({"job": "bot-2"}, [(at, 1.0) for at, _ in after]), ({"job": "bot"}, [(0, 1), (120, 1)]))
        return data(({"job": "bot-2"}, after), ({"job": "bot"}, [(0, 990), (120, 1000)]))

    with answering(answer) as url:
        counts = History(PrometheusApi(url, clock=lambda: 0.0), Grid(0.0, 60.0, 6)).counts(TURNS, whole=True)
    assert counts.until(300.0) == total


def test_a_gap_keeps_the_last_value() -> None:
    def answer(_: str, parameters: dict[str, str]) -> Answer:
        points: Points = [(0, 1), (300, 1)] if "build_info" in parameters["query"] else [(0, 10), (60, 12), (240, 20)]
        return data(({"job": "bot"}, points))

    with answering(answer) as url:
        counts = History(PrometheusApi(url), Grid(0.0, 60.0, 6)).counts(TURNS)
    assert [counts.between(0, at) for at in (60.0, 120.0, 180.0, 240.0, 300.0)] == [2, 2, 2, 10, 10]


@pytest.mark.parametrize("by", ["phone_number_id", "phone_number_id le"])
def test_a_prometheus_with_native_histograms_alone_is_refused_with_the_setting(by: str) -> None:
    """It has no series of their buckets and sums, so all times would be missing without a reason."""

    def answer(_: str, parameters: dict[str, str]) -> Answer:
        return data() if "_bucket" in parameters["query"] or "_sum" in parameters["query"] else data(({}, [(0, 1)]))

    with answering(answer) as url:
        history = History(PrometheusApi(url), Grid(0.0, 60.0, 6))
        with pytest.raises(TooLittleDataError, match="always_scrape_classic_histograms: true"):
            history.counts(catalogue.WAIT_SECONDS, by)


def test_a_histogram_without_any_sample_yet_is_no_native_histogram() -> None:
    """A new bot has waited for nobody."""

    def answer(_: str, parameters: dict[str, str]) -> Answer:
        return data(({"job": "bot"}, [(0, 1)])) if "build_info" in parameters["query"] else data()

    with answering(answer) as url:
        counts = History(PrometheusApi(url), Grid(0.0, 60.0, 6)).counts(catalogue.WAIT_SECONDS)
    assert counts.between(0.0, 300.0) == 0


@given(st.lists(st.integers(0, 90 * 288), min_size=2, max_size=4, unique=True))
def test_all_bounds_lie_on_the_grid_or_within_five_minutes(slots: list[int]) -> None:
    bounds = [1_790_000_000.0 + slot * 300 for slot in slots]
    found = grid(bounds)
    assert found.count <= 10_001
    assert found.step <= 3600
    for bound in bounds:
        assert bound - (found.start + found.index(bound) * found.step) < max(300, found.step) + 1
    assert found.end == pytest.approx(max(bounds), abs=found.step)


def test_a_bot_that_began_minutes_ago_is_known() -> None:
    now = 1_790_000_000.0
    began = now - 240

    def answer(_: str, parameters: dict[str, str]) -> Answer:
        start, end, step = (float(parameters[name]) for name in ("start", "end", "step"))
        times = (start + index * step for index in range(round((end - start) / step) + 1))
        points = [(at, 1.0) for at in times if at >= began]
        return data(({}, points)) if points else data()

    with answering(answer) as url:
        first, last = known_span(PrometheusApi(url, clock=lambda: 0.0), now)
    assert began <= first <= began + 60
    assert last == now
