"""Journeys, experiments, statuses and choices of a plain reading of conversations/README.md."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tests.helpers.person_facts import DAY, Run, Tie

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.helpers.person_facts import Count, Fact, Outbound, Rules, Turn

LEVELS = ["sent", "delivered", "read", "played"]


class PersonCounts:
    """The facts about one person, and the counts beside turns."""

    def __init__(self, number: str, rules: Rules, outbound: Mapping[str, Outbound], count: Count) -> None:
        self.number, self.rules, self.outbound, self._count = number, rules, outbound, count
        self.waiting: list[Fact] = []
        self.turns: list[Turn] = []
        self.runs: list[Run] = []
        self.handovers: list[tuple[float, str]] = []
        self.templates: list[tuple[float, str, str]] = []
        self.exposed: dict[str, tuple[str, set[str]]] = {}
        self.chosen: dict[str, int] = {}
        self.choices: set[tuple[str, str, int]] = set()
        self.last_heard = self.last_message = self.last_reply = self.resolved_at = self.known_by = -math.inf
        self.resolved = False

    def count(self, name: str, value: float = 1, /, **labels: str) -> None:
        """Add to a sample of the person's number."""
        self._count(name, value, phone_number_id=self.number, **labels)

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add to a histogram."""
        self.observe_endless(name, seconds, **labels)
        self.count(f"{name}_bucket", float(seconds <= 14400), le="14400.0", **labels)

    def observe_endless(self, name: str, seconds: float, /, **labels: str) -> None:
        """Add to a histogram's bucket `+Inf` alone."""
        self.count(f"{name}_count", **labels)
        self.count(f"{name}_sum", seconds, **labels)

    # Journeys and experiments

    def _step(self, fact: Fact) -> None:
        journey, step = fact.code, fact.name
        run = next((run for run in self.runs if run.journey == journey), None)
        from_step = run.step if run else "start"
        self.count("journey_transitions_total", journey=journey, from_step=from_step, to_step=step)
        if run is None:
            run = Run(journey, step, fact.at, fact.at, fact.at)
            self.runs.append(run)
            self.count("journey_runs_started_total", journey=journey)
        else:
            spent = fact.at - run.entered
            self.observe("journey_step_seconds", spent, journey=journey, step=run.step, end="advanced")
            run.step, run.entered, run.active, run.stalled = step, fact.at, fact.at, False
        run.entries[step] += 1
        self.count("journey_step_visits_total", journey=journey, step=step)
        self.count("journey_step_reached_total", float(run.entries[step] == 1), journey=journey, step=step)
        self.count("journey_step_loops_total", float(run.entries[step] == 3), journey=journey, step=step)
        if self.rules.journeys[journey].get("completed_by") == step:
            self._end_run(run, "completed", fact.at)

    def _end_by_code(self, fact: Fact) -> None:
        for run in self.runs.copy():
            if run.journey == fact.code:
                self._end_run(run, fact.name, fact.at)

    def _end_run(self, run: Run, outcome: str, until: float) -> None:
        self.runs.remove(run)
        end = "abandoned" if outcome.startswith("abandoned") else outcome
        self.count("journey_runs_total", journey=run.journey, outcome=outcome)
        spent = max(0.0, until - run.entered)
        self.observe("journey_step_seconds", spent, journey=run.journey, step=run.step, end=end)
        for step in run.entries:
            self.count("journey_step_ended_total", journey=run.journey, step=step)
        if end == "abandoned":
            self.count("journey_step_dropped_total", journey=run.journey, step=run.step, outcome=outcome)
        if outcome == "completed":
            for name, (goal, _) in self.exposed.items():
                if goal == run.journey:
                    self._outcome("goal", name)

    def _expose(self, fact: Fact) -> None:
        if fact.name not in self.exposed:
            self.exposed[fact.name] = (fact.code, set())
            self.count("experiment_contacts_total", experiment=fact.name)

    def _outcome(self, outcome: str, *names: str) -> None:
        for name in names or self.exposed:
            if outcome not in self.exposed[name][1]:
                self.exposed[name][1].add(outcome)
                self.count("experiment_outcomes_total", experiment=name, outcome=outcome)

    # Statuses and choices

    def _status(self, fact: Fact) -> None:
        record = self.outbound[fact.name]
        category = record.category(self.known_by)
        names = [fact.status]
        if fact.status in LEVELS:
            names = LEVELS[record.level : LEVELS.index(fact.status) + 1]
            record.level = max(record.level, LEVELS.index(fact.status) + 1)
        template = record.template if record.template and record.template[0] <= self.known_by else None
        for name in names:
            self.count("message_statuses_total", status=name, category=category)
            if template and name != "played":
                labels = {"template": template[1], "language": template[2]}
                self.count("template_messages_total", status=name, **labels)
        if fact.status == "failed":
            self.count("message_failures_total", code=fact.code, category=category)
            self._outcome("send_failed")
            if template:
                labels = {"template": template[1], "language": template[2]}
                self.count("template_failures_total", code=fact.code, **labels)

    def _choice(self, fact: Fact) -> None:
        if fact.second < self.chosen.get(fact.name, fact.second):
            self._count("duplicates_total", kind="preference")
            return
        if fact.received - fact.second > 7 * DAY:
            self._count("events_dropped_total", reason="stale")
            return
        self.chosen[fact.name] = fact.second
        category = fact.name if fact.name == "marketing_messages" else "other"
        if fact.status == "resume":
            self.count("opt_ins_total", category=category)
            return
        self.count("opt_outs_total", category=category)
        self._outcome("opt_out")
        if any(0 < template[0] - fact.at < 1 for template in self.templates):
            raise Tie  # the code keeps whole seconds of a template
        sent = [template for template in self.templates if 0 <= fact.at - template[0] <= 3 * DAY]
        if sent:
            _, name, language = max(sent)
            self.count("template_opt_outs_total", template=name, language=language)
