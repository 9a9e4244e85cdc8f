"""The order in which webhooks about the business arrive changes no state (conversations/README.md 8)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st

from chatvitals.events import AccountEvent, Poll, Webhook
from chatvitals.quality import gauges as quality_view
from chatvitals.quality import state as quality_state
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.testing import FakeClock, place
from chatvitals.testing.payloads import EPOCH
from chatvitals.vitals import Vitals
from tests.helpers.examples import examples

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

NOW = EPOCH + 7 * 86_400.0
W1, W2 = place("N1").waba, place("N6").waba
NUMBERS = [place("N1"), place("N2")]
TIERS = ["TIER_250", "TIER_2K", 10_000, "UNLIMITED", "TIER_NOT_SET", "TIER_9K"]
RESTRICTIONS = ["RESTRICTED_UTILITY_TEMPLATES", "RESTRICTED_DIRECT_SEND_UTILITY_TEMPLATES", "NEW"]
Gauges = dict[tuple[str, tuple[str, ...]], float]
Counts = dict[tuple[str, tuple[str, ...], int], float]

expirations = st.none() | st.integers(int(NOW) - 5, int(NOW) + 5) | st.just("soon")
restriction_info = st.lists(
    st.fixed_dictionaries({"restriction_type": st.sampled_from(RESTRICTIONS), "expiration": expirations}),
    min_size=1,
    max_size=2,
    unique_by=lambda item: item["restriction_type"],
)
templates = st.fixed_dictionaries(
    {"message_template_name": st.sampled_from(["a", "b"]), "message_template_language": st.sampled_from(["en", "it"])}
)
kinds: list[st.SearchStrategy[tuple[str, Any]]] = [
    st.tuples(
        st.just("phone_number_quality_update"),
        st.fixed_dictionaries(
            {
                "display_phone_number": st.sampled_from([number.display for number in NUMBERS]),
                "event": st.sampled_from(["FLAGGED", "FLAGGED", "UNFLAGGED", "UPGRADE", "DOWNGRADE", "NEW"]),
            },
            optional={
                "current_limit": st.sampled_from(TIERS),
                "max_daily_conversations_per_business": st.sampled_from(TIERS),
            },
        ),
    ),
    st.tuples(
        st.just("business_capability_update"),
        st.fixed_dictionaries({"max_daily_conversations_per_business": st.sampled_from(TIERS)}),
    ),
    st.tuples(
        st.just("message_template_status_update"),
        st.builds(
            lambda base, event: {**base, "event": event},
            templates,
            st.sampled_from(["APPROVED", "PAUSED", "REINSTATED", "NEW"]),
        ),
    ),
    st.tuples(
        st.sampled_from(["message_template_quality_update", "message_template_status_update"]),
        st.builds(
            lambda base, score: {**base, "new_quality_score": score}, templates, st.sampled_from(["GREEN", "RED", "x"])
        ),
    ),
    st.tuples(
        st.just("account_update"),
        st.fixed_dictionaries({"event": st.just("ACCOUNT_RESTRICTION"), "restriction_info": restriction_info}),
    ),
    st.tuples(
        st.just("account_update"),
        st.one_of(
            st.fixed_dictionaries({"event": st.just("ACCOUNT_RESTRICTION"), "restriction_info": restriction_info}),
            st.just({"event": "ACCOUNT_RESTRICTION", "violation_info": {"violation_type": "DIRECT_SEND_ABUSE_UNBAN"}}),
            st.just({"event": "ACCOUNT_RESTRICTION", "violation_info": {"violation_type": "DIRECT_SEND_ABUSE_WARN"}}),
            st.builds(
                lambda state: {"event": "DISABLED_UPDATE", "ban_info": {"waba_ban_state": state}},
                st.sampled_from(["DISABLE", "REINSTATE", "SCHEDULE_FOR_DISABLE"]),
            ),
        ),
    ),
]


@st.composite
def histories(draw: st.DrawFn) -> list[AccountEvent]:
    """Events of the last days, each at a second of its own."""
    few = draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=2))  # so that events meet
    found = draw(st.lists(st.one_of(few), min_size=2, max_size=16))
    span = st.integers(int(NOW) - 5 * 86_400, int(NOW) - 60) | st.integers(int(NOW) - 120, int(NOW) - 60)
    times = draw(st.lists(span, min_size=len(found), max_size=len(found), unique=True))
    wabas = draw(st.lists(st.sampled_from([W1, W1, W2]), min_size=len(found), max_size=len(found)))
    return [
        AccountEvent(field=field, entry=waba, time=time, value=value, received=NOW)
        for (field, value), time, waba in zip(found, sorted(times), wabas, strict=True)
    ]


class World:
    """A store and the one worker after another that receives what comes."""

    def __init__(self) -> None:
        self.clock = FakeClock(NOW)
        self.store: Store = open_store("memory:")
        self.start()

    def start(self) -> None:
        """Begin with a new process."""
        settings = Settings.load({"store": "memory:", "hooks": False}, environ={})
        self.vitals = Vitals(settings, store=self.store, clock=self.clock, background=False)

    def deliver(self, events: list[AccountEvent], named: list[int]) -> None:
        """Commit one POST with these events, which may also name numbers."""
        numbers = {NUMBERS[i].phone_number_id: NUMBERS[i].display for i in named}
        webhook = Webhook(result="accepted", received=self.clock(), events=list(events), numbers=numbers)
        self.vitals._emit(webhook)
        self.vitals.settle()

    def shown(self) -> tuple[Gauges, Counts]:
        """Return all gauges, and all counters but those of copies."""
        known = quality_state.decode(self.store.document(quality_state.DOCUMENT))
        gauges = {(family.name, labels): value for family, labels, value in quality_view.gauges(known, NOW)}
        counters = ("quality_events", "template_status_changes", "account_events", "events_dropped")
        names = {f"chatvitals_{name}_total" for name in counters}
        return gauges, {cell: value for cell, value in self.store.cells().items() if cell[0] in names}


def in_order(history: list[AccountEvent]) -> tuple[Gauges, Counts]:
    """Return the metrics of a history with named numbers, in which each event comes alone and in order."""
    world = World()
    world.deliver([], [0, 1])
    for event in history:
        world.deliver([event], [])
    return world.shown()


@examples(250)
@given(st.data())
def test_the_gauges_do_not_depend_on_the_order_of_arrival(data: st.DataObject) -> None:
    """Any order, copies, any split into POSTs, restarts, and numbers that are named late."""
    history = data.draw(histories())
    copies = data.draw(st.lists(st.sampled_from(history), max_size=6))
    arrivals = data.draw(st.permutations(history + copies))
    world = World()
    unnamed = data.draw(st.permutations([0, 1]))
    group: list[AccountEvent] = []
    for arrival in arrivals:
        group.append(copy.copy(arrival))
        group[-1].received = world.clock()
        world.clock.advance(data.draw(st.floats(0.0, 100.0)))
        if data.draw(st.booleans()):
            names_one = data.draw(st.booleans())
            world.deliver(group, [unnamed.pop()] if unnamed and names_one else [])
            group = []
        if data.draw(st.integers(0, 9)) == 0:
            world.start()
    world.deliver(group, unnamed)
    assert world.shown() == in_order(history)


@examples(60)
@given(st.data())
def test_polls_in_any_order_end_with_the_newest(data: st.DataObject) -> None:
    """Whichever worker commits first: rating, status and flag are those of the newest poll."""
    words = st.tuples(
        st.sampled_from(["GREEN", "YELLOW", "RED", "NA"]), st.sampled_from(["FLAGGED", "CONNECTED", "BANNED"])
    )
    found = data.draw(st.lists(words, min_size=1, max_size=8))
    polls = [_poll(word, NOW + 300 * i) for i, word in enumerate(found)]
    newest = [_newest(order) for order in (polls, data.draw(st.permutations(polls)))]
    assert newest[0] == newest[1]


def _poll(words: tuple[str, str], received: float) -> Poll:
    row: dict[str, Any] = {"id": NUMBERS[0].phone_number_id, "quality_rating": words[0], "status": words[1]}
    return Poll(waba_id=W1, received=received, numbers=[row])


def _newest(polls: list[Poll]) -> Gauges:
    world = World()
    for poll in polls:
        world.vitals.record_poll(poll)
        world.vitals.settle()
    names = {f"chatvitals_{n}" for n in ("quality_rating", "quality_updated_timestamp_seconds", "number_status")}
    return {gauge: value for gauge, value in world.shown()[0].items() if gauge[0] in names}
