"""Random scenarios through the real doors against a plain reading of the page (`tests/helpers/scenario_reader.py`)."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, assume, given
from prometheus_client.parser import text_string_to_metric_families

from chatvitals.testing import run_scenario
from tests.helpers.examples import examples
from tests.helpers.person_facts import Tie
from tests.helpers.random_scenarios import scenarios
from tests.helpers.scenario_reader import Reading

if TYPE_CHECKING:
    from collections.abc import Mapping

COMPARED = (
    "messages_received_total conversations_started_total turns_opened_total turns_total response_seconds_count "
    "response_seconds_sum response_seconds_bucket wait_seconds_count wait_seconds_sum wait_seconds_bucket "
    "turns_overdue_total turns_open human_first_response_seconds_count human_first_response_seconds_sum "
    "handovers_total handovers_open fallbacks_total sends_total message_statuses_total message_failures_total "
    "template_messages_total template_failures_total template_opt_outs_total late_failures_total opt_outs_total "
    "opt_ins_total journey_runs_started_total journey_runs_total journey_step_reached_total journey_step_visits_total "
    "journey_step_loops_total journey_step_fallbacks_total journey_step_messages_total journey_transitions_total "
    "journey_step_dropped_total journey_step_ended_total journey_step_seconds_count journey_step_seconds_sum "
    "journey_runs_open journey_runs_stalled experiment_contacts_total experiment_outcomes_total "
    "experiment_wait_seconds_count experiment_wait_seconds_sum webhook_lag_seconds_count webhook_lag_seconds_sum "
    "duplicates_total events_dropped_total clock_skews_total oldest_open_turn_timestamp_seconds "
    "oldest_open_handover_timestamp_seconds"
).split()


def shown(exposition: str) -> Counter[tuple[str, frozenset[tuple[str, str]]]]:
    """Return the samples that are compared. One bucket of each histogram is enough."""
    found: Counter[tuple[str, frozenset[tuple[str, str]]]] = Counter()
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            name = sample.name.removeprefix("chatvitals_")
            if name in COMPARED and sample.value and sample.labels.get("le", "14400.0") == "14400.0":
                labels = {label: value for label, value in sample.labels.items() if value and label != "variant"}
                found[name, frozenset(labels.items())] += sample.value  # type: ignore[assignment]
    return found


def differing(scenario: Mapping[str, Any], store: str = "memory:") -> dict[str, tuple[float, float]]:
    """Return the samples in which the code and the reading differ: (shown, read)."""
    seen = shown(run_scenario(scenario, store))
    read = {key: value for key, value in Reading(dict(scenario)).read().items() if key[0] in COMPARED}
    return {
        f"{name}{dict(sorted(labels))}": (seen.get((name, labels), 0.0), read.get((name, labels), 0.0))
        for name, labels in seen.keys() | read.keys()
        if not math.isclose(seen.get((name, labels), 0.0), read.get((name, labels), 0.0), rel_tol=1e-9, abs_tol=2e-3)
    }


@examples(100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
@given(scenarios())
def test_random_scenarios_end_as_the_page_says(scenario: dict[str, Any]) -> None:
    """Merges, spellings, notices, closing remarks, journeys, experiments and opening hours, all at once."""
    try:
        found = differing(scenario)
    except Tie:  # two things at one moment: the page has no opinion
        assume(False)
    assert found == {}
