"""Where every pod is scraped, one of them shows the shared numbers. The others say how they are themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.events import Message
from chatvitals.exporters.leader_election import LeaderElection
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.stores.memory import MemoryStore
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.stores.base import Store
    from chatvitals.testing import FakeClock

OWN = {f"chatvitals_{name}" for name in ("store_up", "queue_events", "queue_capacity_events", "build_info")}


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'store.db'}")
    yield opened
    opened.close()


def test_a_lease_is_its_holders_until_it_ends(store: Store) -> None:
    """Others wait, the holder renews, giving back ends it at once, and leases do not get in each other's way."""
    assert store.lease("x", "a", 10.0, 100.0)
    assert not store.lease("x", "b", 10.0, 109.0)
    assert store.lease("y", "b", 10.0, 109.0)
    assert store.lease("x", "a", 10.0, 109.0)
    assert not store.lease("x", "b", 10.0, 118.0)
    assert store.lease("x", "b", 10.0, 119.0)
    assert store.lease("x", "b", 0.0, 120.0)
    assert store.lease("x", "a", 10.0, 120.0)


def test_who_is_scraped_first_leads_until_it_is_gone(store: Store, clock: FakeClock) -> None:
    """Between scrapes the leader's thread renews. A pod that ends is followed by another within the lease."""
    first, second = LeaderElection(store, clock, "pod-1"), LeaderElection(store, clock, "pod-2")
    assert first.ask()
    for _ in range(60):  # a minute between two scrapes
        clock.advance(1.0)
        first.renew()
        second.renew()
    assert not second.ask()
    assert first.ask()
    clock.advance(16.0)  # the first one has ended
    assert second.ask()
    assert not first.ask()


def test_who_is_no_longer_scraped_gives_up(store: Store, clock: FakeClock) -> None:
    """A leader that Prometheus does not see would show the numbers to nobody."""
    first, second = LeaderElection(store, clock, "pod-1"), LeaderElection(store, clock, "pod-2")
    assert first.ask()
    for _ in range(320):
        clock.advance(1.0)
        first.renew()
    assert second.ask()


def test_a_leader_whose_clock_is_set_back_goes_on_renewing(store: Store, clock: FakeClock) -> None:
    """Other pods keep the right time, and would take the lease otherwise."""
    first = LeaderElection(store, clock, "pod-1")
    assert first.ask()
    right = clock.now
    clock.now -= 3600.0
    first.renew()
    assert store.lease("expose", "pod-2", 15.0, right - 3599.0) is False


def test_workers_of_one_pod_lead_together(store: Store, clock: FakeClock) -> None:
    """Whichever of them answers the scrape, the pod's target shows the same."""
    assert LeaderElection(store, clock, "pod-1").ask()
    assert LeaderElection(store, clock, "pod-1").ask()
    assert LeaderElection(store, clock).ask() is False  # by default the host's name


class Away(MemoryStore):
    """A store that can go away."""

    away = False

    def lease(self, name: str, holder: str, seconds: float, now: float) -> bool:
        """Give a lease, or fail."""
        if self.away:
            raise StoreUnavailableError("away")
        return super().lease(name, holder, seconds, now)


def test_while_the_store_is_away_everything_stays(clock: FakeClock) -> None:
    """No other worker can take over, and no numbers vanish."""
    store = Away()
    first, second = LeaderElection(store, clock, "pod-1"), LeaderElection(store, clock, "pod-2")
    assert first.ask()
    assert not second.ask()
    store.away = True
    clock.advance(100.0)
    first.renew()
    assert first.ask()
    assert not second.ask()


def test_only_the_leader_shows_shared_families(monkeypatch: pytest.MonkeyPatch, clock: FakeClock) -> None:
    """Summed over all pods, each number is there once. Each pod says how it is itself."""
    store = MemoryStore()
    settings = Settings.load({"hooks": False, "settle_after": 0.0, "expose": "leader"}, {})
    pods = []
    for name in ("pod-1", "pod-2"):
        monkeypatch.setattr("chatvitals.exporters.leader_election.socket.gethostname", lambda name=name: name)
        pods.append(Vitals(settings, store=store, clock=clock, background=False))
    pods[1]._emit(Message(phone_number_id="1", wa_id="15550001111", id="wamid.1", type="text", received=clock.now))
    pods[1].settle()
    leader, other = ({family.name: family for family in pod.collector.collect()} for pod in pods)
    assert leader["chatvitals_messages_received"].samples[0].value == 1
    assert set(other) == OWN
    assert set(leader) > OWN
    assert other["chatvitals_store_up"].samples[0].value == 1
    for pod in pods:
        pod.close()


def test_expose_takes_two_words() -> None:
    """A wrong one is refused with both."""
    assert Settings.load({}, {"CHATVITALS_EXPOSE": "leader"}).expose == "leader"
    with pytest.raises(ValueError, match="expose must be 'all' or 'leader', not 'pod'"):
        Settings.load({"expose": "pod"}, {})
