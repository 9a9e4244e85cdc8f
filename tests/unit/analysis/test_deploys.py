"""Versions of bots over time, and the changes of them."""

from __future__ import annotations

import pytest

from chatvitals.analysis.deploys import Deploy, deploys, version_spans
from chatvitals.analysis.event_log import EventLog
from chatvitals.analysis.history import Grid
from chatvitals.analysis.periods import Period
from chatvitals.analysis.prometheus_api import PrometheusApi
from tests.helpers.analysis_prometheus import Answer, answering, data

OVER = Grid(0.0, 300.0, 13)
Runs = tuple[str, str, str, int, int]


def found(*runs: Runs) -> tuple[dict[str, list[Period]], list[Deploy]]:
    """Return periods and changes of versions, from job, `app_version`, `version`, and the first and last minute."""
    series = [
        ({"job": job, "app_version": app, "version": version}, [(at * 60.0, 1.0) for at in range(start, end + 1, 5)])
        for job, app, version, start, end in runs
    ]
    with answering(lambda *_: data(*series)) as url:
        api = PrometheusApi(url, clock=lambda: 0.0)
        return version_spans(api, OVER), deploys(api, OVER)


def test_an_update_of_chatvitals_is_no_other_version_of_the_bot() -> None:
    """Prometheus sorts 0.10 before 0.9, so the later period comes first."""
    spans, changes = found(("bot", "1.4", "0.10.0", 30, 60), ("bot", "1.4", "0.9.0", 0, 25))
    assert spans == {"1.4": [Period(0.0, 3600.0, "1.4")]}
    assert changes == []


def test_a_rollback_is_a_change() -> None:
    _, changes = found(("bot", "1.3", "", 0, 20), ("bot", "1.4", "", 25, 40), ("bot", "1.3", "", 45, 60))
    assert changes == [Deploy("1.4", "1.3", 1500.0), Deploy("1.3", "1.4", 2700.0)]


def test_a_deploy_during_which_both_versions_run_is_one_change() -> None:
    _, changes = found(("bot", "1.3", "", 0, 35), ("bot", "1.4", "", 25, 60))
    assert changes == [Deploy("1.4", "1.3", 1500.0)]


@pytest.mark.parametrize("shown", [(0,), (0, 5)])
def test_samples_that_are_far_apart_are_no_gaps(shown: tuple[int, ...]) -> None:
    """Twenty minutes lie between two samples. Prometheus shows each at one or two times of the grid."""
    series = [
        ({"job": "bot", "app_version": version}, [((at + late) * 60.0, 1.0) for at in moments for late in shown])
        for version, moments in (("1.3", (0, 20)), ("1.4", (40, 60)))
    ]
    with answering(lambda *_: data(*series)) as url:
        spans = version_spans(PrometheusApi(url, clock=lambda: 0.0), OVER)
    assert spans == {"1.3": [Period(0.0, 2400.0, "1.3")], "1.4": [Period(2400.0, 3600.0, "1.4")]}


def test_a_long_outage_is_not_taken_for_the_distance_of_samples() -> None:
    spans, _ = found(("bot", "1.3", "", 0, 10), ("bot", "1.3", "", 50, 60))
    assert spans == {"1.3": [Period(0.0, 900.0, "1.3"), Period(3000.0, 3600.0, "1.3")]}


def test_a_gap_of_one_of_two_bots_is_no_change() -> None:
    _, changes = found(("a", "1.3", "", 0, 60), ("b", "7.0", "", 0, 15), ("b", "7.0", "", 45, 60))
    assert changes == []


def test_a_job_with_a_new_name_is_no_change() -> None:
    _, changes = found(("bot", "1.3", "", 0, 25), ("bot-eu", "1.3", "", 30, 60))
    assert changes == []


def test_a_number_has_the_deploys_of_its_own_bots_alone() -> None:
    """Two bots share a Prometheus. A number that no job shows has the deploys of all."""
    versions = [
        ({"job": job, "app_version": version}, [(at * 60.0, 1.0) for at in range(start, end + 1, 5)])
        for job, version, start, end in (("a", "1", 0, 25), ("a", "2", 30, 60), ("b", "7", 0, 40), ("b", "8", 45, 60))
    ]
    shown = [({"job": "b"}, [(0.0, 1.0)])]

    def answer(_: str, query: dict[str, str]) -> Answer:
        text = query["query"]
        return data(*(versions if "build_info" in text else shown if '"123"' in text else ()))

    with answering(answer) as url:
        api = PrometheusApi(url, clock=lambda: 0.0)
        assert [each.version for each in deploys(api, OVER, "123")] == ["8"]
        assert [each.version for each in deploys(api, OVER, "456")] == ["2", "8"]
        assert [each.version for each in deploys(api, OVER)] == ["2", "8"]


def test_only_a_gap_that_is_longer_than_usual_is_an_outage() -> None:
    """Samples are twenty minutes apart, and two are missing."""
    points = [(at * 60.0, 1.0) for at in (0, 20, 40, 100, 120)]
    with answering(lambda *_: data(({"job": "bot"}, points))) as url:
        log = EventLog(PrometheusApi(url, clock=lambda: 0.0), Grid(0.0, 300.0, 25))
        assert [(each.at, each.what) for each in log._outages()] == [(3600.0, "no metrics of bot for 1 hour")]
