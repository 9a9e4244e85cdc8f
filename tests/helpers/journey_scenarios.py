"""Histories of contacts on journeys, checked against the laws of conversations/README.md 6 and 7."""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st

from chatvitals.conversations import state
from chatvitals.events import Call, Exposed, Message, PersonEvent, Preference, RunEnd, Send, Status, Step
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from tests.scenarios.test_order_independence import EPOCH, LONGEST, Delivery, World

if TYPE_CHECKING:
    from chatvitals.events import RunOutcome
    from chatvitals.metrics.measurements import Cell

NUMBER = "990005556667778"
PHONES = ["15550004321", "15550004322", "15550004323"]
DAY = 86_400.0
SPANS = {"order": (1800.0, DAY, 7 * DAY), "quick": (60.0, 300.0, 900.0)}
STEPS = {"order": ["menu", "item", "address", "paid"], "quick": ["ask", "done"]}
COMPLETED_BY = {"order": "paid", "quick": "done"}
EXPERIMENTS = {"greeting": "order", "tone": ""}


_BY_STEP = (
    catalogue.JOURNEY_STEP_REACHED,
    catalogue.JOURNEY_STEP_VISITS,
    catalogue.JOURNEY_STEP_ENDED,
    catalogue.JOURNEY_STEP_DROPPED,
    catalogue.JOURNEY_STEP_LOOPS,
    catalogue.JOURNEY_RUNS_OPEN,
    catalogue.JOURNEY_STEP_SECONDS,
)


class JourneyWorld(World):
    """Checks all laws whenever something was committed, and the gauges against the states themselves."""

    merging = False  # whether contacts may turn out to be one person

    def conserve(self) -> None:
        """Hold everything that can be counted twice against itself."""
        super().conserve()
        cells = self.store.cells()
        self._runs(cells)
        self._steps(cells)
        self._experiments(cells)

    def _runs(self, cells: dict[Cell, float]) -> None:
        """Runs started = sum over outcomes + runs open. The gauges equal the states."""
        started, ended = by(cells, catalogue.JOURNEY_RUNS_STARTED, 1), by(cells, catalogue.JOURNEY_RUNS, 1)
        opened = by(cells, catalogue.JOURNEY_RUNS_OPEN, 1)
        for journey in STEPS:
            assert started[journey] == ended[journey] + opened[journey], journey
        contacts = [state.decode(row) for row in self.rows() if isinstance(row, bytes)]
        runs = [run for contact in contacts for run in contact.runs]
        assert by(cells, catalogue.JOURNEY_RUNS_OPEN, 1, 2) == Counter((run.journey, run.step) for run in runs)
        stalled = by(cells, catalogue.JOURNEY_RUNS_STALLED, 1, 2)
        assert stalled == Counter((run.journey, run.step) for run in runs if run.stalled)
        assert stalled <= by(cells, catalogue.JOURNEY_RUNS_OPEN, 1, 2)
        for contact in contacts:
            assert self.merging or len({run.journey for run in contact.runs}) == len(contact.runs)

    def _steps(self, cells: dict[Cell, float]) -> None:
        """What is counted by step fits together, and drop-off lies within 0 and 1."""
        reached, visits, ended, dropped, loops, opened, spent = (by(cells, family, 1, 2) for family in _BY_STEP)
        assert dropped <= ended <= reached <= visits
        assert loops <= reached
        assert visits == spent + opened  # each entry is left once, or is where a run is now
        outcomes = by(cells, catalogue.JOURNEY_RUNS, 1, 2)
        cut = {pair: n for pair, n in outcomes.items() if pair[1].startswith("abandoned_by_")}
        assert by(cells, catalogue.JOURNEY_STEP_DROPPED, 1, 3) == cut
        ends = by(cells, catalogue.JOURNEY_STEP_SECONDS, 3)
        assert sum(ends.values()) - ends["advanced"] == sum(outcomes.values())  # every run has one last step

    def _experiments(self, cells: dict[Cell, float]) -> None:
        """A contact counts once, and so does each of its outcomes."""
        contacts = by(cells, catalogue.EXPERIMENT_CONTACTS, 1, 2)
        for experiment in EXPERIMENTS:
            assert sum(n for (name, _), n in contacts.items() if name == experiment) <= len(PHONES) * (1 + self.merging)
        for (experiment, variant, outcome), amount in by(cells, catalogue.EXPERIMENT_OUTCOMES, 1, 2, 3).items():
            assert amount <= contacts[experiment, variant], outcome
            assert outcome != "goal" or EXPERIMENTS[experiment]
        waits = sum(by(cells, catalogue.EXPERIMENT_WAIT, 1).values())
        assert waits <= len(EXPERIMENTS) * sum(by(cells, catalogue.TURNS, 1).values())

    def rows(self) -> list[Any]:
        """Return all rows of the store."""
        with self.store.transaction() as transaction:
            return list(transaction.due(math.inf, 1000).values())


def by(cells: dict[Cell, float], family: catalogue.Family, *labels: int) -> Counter[Any]:
    """Return the counts of a family, summed by the labels at these positions. Zeros are left out."""
    counts: Counter[Any] = Counter()
    for (name, values, index), value in cells.items():
        if name == family.name and index != SUM and value:
            counts[tuple(values[i] for i in labels) if len(labels) > 1 else values[labels[0]]] += int(value)
    return Counter({key: count for key, count in counts.items() if count})


def step(who: dict[str, Any], journey: str, name: str) -> Step:
    """Return that somebody reached a step."""
    stalled, abandoned, expires = SPANS[journey]
    return Step(
        **who, journey=journey, step=name, completes=name == COMPLETED_BY[journey],
        stalled_after=stalled, abandoned_after=abandoned, expires_after=expires,
    )  # fmt: skip


GAPS = st.sampled_from([0.05, 0.4, 1.7, 8.9, 14.2, 61.3, 305.1, 900.7, 1805.3, 40_000.3, 87_000.7])
DELAYS = st.sampled_from([0.0, 0.0, 0.0, 2.6, 6.4])
KINDS = ["message", "message", "step", "step", "step", "step", "reply", "reply", "failing", "end", "handover",
         "resolve", "exposed", "stop", "rejected"]  # fmt: skip
BY_PHONE = [{"wa_id": phone} for phone in PHONES]
BY_ANY_ID: list[dict[str, str]] = [
    {"wa_id": PHONES[0]},
    {"user_id": f"US.{PHONES[0]}"},
    {"wa_id": PHONES[0], "user_id": f"US.{PHONES[0]}"},
    {"wa_id": PHONES[1]},
]


@st.composite
def histories(draw: st.DrawFn, people: list[dict[str, str]] = BY_PHONE) -> list[Delivery]:  # noqa: C901 - a list of kinds
    """Draw what happens to some contacts on two journeys and in two experiments."""
    now = 0.2
    out: list[Delivery] = []
    for index in range(draw(st.integers(1, 16))):
        now = round(now + draw(GAPS), 3)
        if now > LONGEST:
            break
        who: dict[str, Any] = {"phone_number_id": NUMBER, **draw(st.sampled_from(people)), "received": EPOCH + now}
        name = f"wamid.{index}"
        journey = draw(st.sampled_from(list(STEPS)))
        event: PersonEvent
        match draw(st.sampled_from(KINDS)):
            case "message":
                second = EPOCH + math.floor(now - draw(DELAYS))
                event = Message(**who, id=name, type="text", timestamp=second)
            case "step":
                event = step(who, journey, draw(st.sampled_from(STEPS[journey])))
            case "reply":
                event = Send(**who, id=name, kind="reply", accepted=True)
            case "rejected":
                event = Send(**who, kind="reply", accepted=False, code="131047")
            case "failing":
                out.append(Delivery(now, Send(**who, id=name, kind="reply", accepted=True)))
                now = round(now + draw(st.sampled_from([0.5, 5.05, 30.05])), 3)
                who["received"] = EPOCH + now
                second = EPOCH + math.floor(now)
                event = Status(**who, id=name, status="failed", timestamp=second, code="131000", category="utility")
            case "end":
                outcome: RunOutcome = draw(st.sampled_from(["completed", "handed_over", "restarted"]))
                event = RunEnd(**who, journey=journey, outcome=outcome)
            case "exposed":
                experiment = draw(st.sampled_from(list(EXPERIMENTS)))
                variant = draw(st.sampled_from(["plain", "emoji"]))
                event = Exposed(**who, experiment=experiment, variant=variant, goal=EXPERIMENTS[experiment])
            case "stop":
                event = Preference(
                    **who, category="marketing_messages", value="stop", timestamp=EPOCH + math.floor(now)
                )
            case "handover" | "resolve" as call:
                event = Call(**who, name=call)
            case other:
                raise ValueError(other)
        out.append(Delivery(now, event))
    return out
