"""Rules of conversations/README.md 7: the choice of variants, how long it holds, and what counts once."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING, Any, ClassVar, cast

import pytest

from chatvitals.conversations.identity import Hasher
from chatvitals.events import Exposed
from chatvitals.metrics import catalogue
from chatvitals.stores import open_store
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.tracking import experiments
from chatvitals.tracking.experiments import ExperimentPlan
from tests.helpers.recorded_events import NUMBER, PHONE, ListeningVitals, item
from tests.helpers.waiting import returned

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from chatvitals.stores.base import Store
    from chatvitals.tracking.experiments import Experiment

VARIANTS = {"plain": 1, "emoji": 1}
DAY = 86_400.0
CONTACTS, OUTCOMES = catalogue.EXPERIMENT_CONTACTS, catalogue.EXPERIMENT_OUTCOMES


@pytest.fixture
def vitals() -> ListeningVitals:
    """A Vitals to listen to."""
    return ListeningVitals()


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """A store that several workers share."""
    made = open_store("memory:" if request.param == "memory" else f"sqlite:///{tmp_path / 'bot.db'}")
    yield made
    made.close()


def phone(index: int) -> str:
    """Return somebody's phone id."""
    return str(15_550_100_000 + index)


def user(index: int) -> str:
    """Return the business-scoped id of the same."""
    return f"US.{90_000_000_000_000_000_000 + index}"


def of(experiment: Experiment, contact: str) -> str:
    """Return the variant of a contact."""
    return experiment.variant(contact=contact, phone_number_id=NUMBER)


# Declaring


@pytest.mark.parametrize(
    ("name", "variants", "sentence"),
    [
        ("", VARIANTS, "the name of an experiment must be"),
        ("other", VARIANTS, "not 'other'"),
        ("greeting", {}, "needs at least one variant with a weight above 0"),
        ("greeting", {"plain": 0, "emoji": 0.0}, "needs at least one variant with a weight above 0"),
        ("greeting", {"plain": 1e308, "emoji": 1e308}, "the weights are too large to be added up"),
        ("greeting", {"plain": -1}, "a weight must be a number of at least 0, not -1 (plain)"),
        ("greeting", {"plain": float("nan")}, "not nan (plain)"),
        ("greeting", {"plain": float("inf")}, "not inf (plain)"),
        ("greeting", {"plain": "1"}, "not '1' (plain)"),
        ("greeting", {"plain": True}, "not True (plain)"),
        ("greeting", {"other": 1}, "the name of a variant of experiment 'greeting'"),
        ("greeting", {3: 1}, "the name of a variant of experiment 'greeting'"),
        ("greeting", ["plain", "emoji"], "variants must be weights by name, not ['plain', 'emoji']"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_a_sentence(
    vitals: ListeningVitals, name: str, variants: Any, sentence: str
) -> None:
    """At declaration time, and nothing is declared then."""
    with pytest.raises(ValueError, match="experiment") as caught:
        vitals.experiment(name, variants)
    assert sentence in str(caught.value)
    assert vitals.experiments == {}


def test_a_goal_is_a_journey(vitals: ListeningVitals) -> None:
    """Its name alone might be misspelt."""
    with pytest.raises(ValueError, match=r"goal must be a journey from vitals.journey\(\), not 'order'"):
        vitals.experiment("greeting", VARIANTS, goal="order")  # type: ignore[arg-type]


def test_declaring_the_same_twice_gives_the_same_and_another_under_its_name_is_refused(
    vitals: ListeningVitals,
) -> None:
    """Modules are imported twice in real life."""
    first = vitals.experiment("greeting", VARIANTS)
    assert vitals.experiment("greeting", dict(VARIANTS)) is first
    with pytest.raises(ValueError, match="experiment 'greeting' is already declared with different settings"):
        vitals.experiment("greeting", {"plain": 2, "emoji": 1})


# Drawing


def shares(plan: ExperimentPlan, many: int = 20_000) -> dict[str, float]:
    """Return the shares of the variants among many contacts, whose keys are as real ones."""
    hasher = Hasher(b"0123456789abcdef")
    drawn = [plan.draw(hasher.person(NUMBER, phone(index))) for index in range(many)]
    return {variant: drawn.count(variant) / many for variant in plan.variants}


@pytest.mark.parametrize(
    "variants", [VARIANTS, {"a": 1, "b": 2, "c": 7}, {"a": 0.05, "b": 0.95}, {"a": 0, "b": 3, "c": 0, "d": 1}]
)
def test_weights_are_respected(variants: dict[str, float]) -> None:
    """Within five standard errors, with fixed keys. A weight of 0 is never drawn."""
    for variant, share in shares(ExperimentPlan("greeting", variants)).items():
        expected = variants[variant] / sum(variants.values())
        assert abs(share - expected) <= 5 * (expected * (1 - expected) / 20_000) ** 0.5


def test_two_experiments_are_drawn_independently() -> None:
    """Else one would explain the other."""
    hasher = Hasher(b"0123456789abcdef")
    one, other = (ExperimentPlan(name, dict(VARIANTS)) for name in ("greeting", "menu"))
    keys = [hasher.person(NUMBER, phone(index)) for index in range(20_000)]
    both = sum(one.draw(key) == other.draw(key) for key in keys) / len(keys)
    assert abs(both - 0.5) < 5 * (0.25 / len(keys)) ** 0.5


@pytest.mark.parametrize("key", [-(2**63), -1, 0, 1, 2**63 - 1])
def test_every_key_gets_a_variant_that_has_a_weight(key: int) -> None:
    """At both ends of the keys, and with weights that do not add up in floats."""
    for variants in ({"a": 0.1, "b": 0.2, "c": 0.7, "d": 0}, {"a": 1e-300, "b": 1e300}, {"a": 0, "b": 5e-324}):
        assert variants[ExperimentPlan("greeting", variants).draw(key)] > 0


def test_the_last_of_all_points_gets_a_variant_that_has_a_weight(monkeypatch: pytest.MonkeyPatch) -> None:
    """There the sum of the weights may be rounded away."""

    class Highest:
        def __init__(self, *_: object, **__: object) -> None: ...

        def digest(self) -> bytes:
            return b"\xff" * 8

    monkeypatch.setattr(experiments, "blake2b", Highest)
    assert ExperimentPlan("greeting", {"a": 0.1, "b": 0.2, "c": 0.7, "d": 0}).draw(1) == "c"


# Sticking


def test_workers_and_restarts_agree(store: Store) -> None:
    """Before anything is committed, because the key decides, and after it."""
    vitals = ListeningVitals(store)
    first = {phone(i): of(vitals.experiment("greeting", VARIANTS), phone(i)) for i in range(40)}
    assert set(first.values()) == set(VARIANTS)
    for committed in (False, True):
        if committed:
            vitals.later(11.0)
        other = ListeningVitals(store, vitals.time).experiment("greeting", VARIANTS)
        assert {contact: of(other, contact) for contact in first} == first


def test_changed_weights_flip_nobody_who_was_exposed(store: Store) -> None:
    """Not even before the exposure's window has passed. Newcomers follow the new weights."""
    vitals = ListeningVitals(store)
    first = {phone(i): of(vitals.experiment("greeting", VARIANTS), phone(i)) for i in range(40)}
    vitals.settle()
    for _ in range(2):
        changed = ListeningVitals(store, vitals.time).experiment("greeting", {"plain": 0, "emoji": 1})
        assert {contact: of(changed, contact) for contact in first} == first
        assert of(changed, phone(1000)) == "emoji"
        vitals.later(11.0)


def test_a_contact_that_is_forgotten_is_drawn_anew(store: Store) -> None:
    """Whether its row has been deleted meanwhile or not: the reducer counts it as a new contact."""
    vitals = ListeningVitals(store)
    assert of(vitals.experiment("greeting", {"plain": 1, "emoji": 0}), PHONE) == "plain"
    vitals.later(11.0)
    for days, variant in ((89, "plain"), (2, "emoji")):
        vitals.time.advance(days * 86_400.0)
        changed = ListeningVitals(store, vitals.time).experiment("greeting", {"plain": 0, "emoji": 1})
        assert of(changed, PHONE) == variant


def test_a_variant_that_is_gone_is_given_to_nobody(store: Store) -> None:
    """The bot does not know this variant. A contact with another variant keeps it."""
    vitals = ListeningVitals(store)
    three = vitals.experiment("greeting", {"plain": 1, "emoji": 1, "song": 1})
    first = {phone(i): of(three, phone(i)) for i in range(40)}
    vitals.later(11.0)
    two = ListeningVitals(store, vitals.time).experiment("greeting", VARIANTS)
    for contact, variant in first.items():
        given = of(two, contact)
        assert given in VARIANTS
        assert variant in {given, "song"}


def test_both_ids_of_a_person_agree_at_once(vitals: ListeningVitals) -> None:
    """Within one request, before any commit, whichever id the code names, and for ever after."""
    greeting = vitals.experiment("greeting", VARIANTS)
    for index in range(40):
        with vitals.receive(item(phone(index), user(index))):
            given = greeting.variant()
            assert of(greeting, phone(index)) == of(greeting, user(index)) == given
    assert vitals.total(CONTACTS) == 40


def test_an_id_that_appears_later_changes_no_variant(store: Store) -> None:
    """Exposed by phone alone. Then a webhook shows phone and business-scoped id. Then that id alone."""
    vitals = ListeningVitals(store)
    greeting = vitals.experiment("greeting", VARIANTS)
    first = [of(greeting, phone(index)) for index in range(40)]
    for index in range(40):
        with vitals.receive(item(phone(index), user(index))):
            assert greeting.variant() == first[index]
    assert vitals.total(CONTACTS) == 40
    for worker in (greeting, ListeningVitals(store, vitals.time).experiment("greeting", VARIANTS)):
        assert [of(worker, user(index)) for index in range(40)] == first
    assert vitals.total(CONTACTS) == 40


def test_two_exposed_contacts_that_are_one_person_agree_from_then_on(store: Store) -> None:
    """Each id had its own variant. The person has one, on every worker that sees both ids, and after a restart."""
    vitals = ListeningVitals(store)
    greeting = vitals.experiment("greeting", VARIANTS)
    for index in range(20):
        of(greeting, phone(index))
        of(greeting, user(index))
    vitals.later(11.0)
    for index in range(20):
        vitals.receive(item(phone(index), user(index), at=vitals.time.now))
    vitals.later(11.0)
    seen = []
    for index in range(20):
        with vitals.receive(item(phone(index), user(index), name=f"again{index}", at=vitals.time.now)):
            seen.append(greeting.variant())
        assert of(greeting, phone(index)) == of(greeting, user(index)) == seen[-1]
    after = ListeningVitals(store, vitals.time).experiment("greeting", VARIANTS)
    assert [of(after, phone(index)) for index in range(20)] == [of(after, user(index)) for index in range(20)] == seen
    assert vitals.total(CONTACTS) == 40  # nothing that was counted is taken back


def test_the_same_person_on_two_numbers_is_two_contacts(vitals: ListeningVitals) -> None:
    """As everywhere (conversations/README.md 1)."""
    greeting = vitals.experiment("greeting", VARIANTS)
    given = [(greeting.variant(contact=PHONE, phone_number_id=str(number))) for number in range(990, 1010)]
    assert set(given) == set(VARIANTS)
    assert vitals.total(CONTACTS) == 20


# When something is missing


def test_without_a_contact_the_control_is_given(vitals: ListeningVitals) -> None:
    """The first variant that has a weight. It is counted as a problem, not as an exposure."""
    assert vitals.experiment("greeting", {"none": 0, "plain": 1, "emoji": 5}).variant() == "plain"
    assert vitals.heard(Exposed) == []
    assert vitals.problems("no_contact") == 1


class Away:
    """A store that cannot be used, in the way that a test names."""

    remote: ClassVar[bool] = False

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def away(*_: object) -> Any:
            raise self.error

        return away


@pytest.mark.parametrize("key", ["0123456789abcdef", None])
def test_while_the_store_is_away_the_control_is_given_and_nobody_is_exposed(key: str | None) -> None:
    """The store cannot be asked. Contacts that this process knows keep their variant, and new contacts come later."""
    vitals = ListeningVitals(identity_key=key)
    greeting = vitals.experiment("greeting", {"plain": 1, "emoji": 10_000})
    assert of(greeting, PHONE) == "emoji"
    there = vitals._assignments._store
    vitals._assignments._store = cast("Store", Away(StoreUnavailableError("away")))
    assert of(greeting, PHONE) == "emoji"
    assert of(greeting, phone(1)) == "plain"
    assert len(vitals.heard(Exposed)) == 2
    vitals._assignments._store = there
    assert of(greeting, phone(1)) == "emoji"


def test_a_store_that_was_never_there_gives_the_control(tmp_path: Path) -> None:
    """From the first call on, and nothing raises."""
    vitals = ListeningVitals(open_store(f"sqlite:///{tmp_path / 'missing' / 'bot.db'}"), identity_key=None)
    assert of(vitals.experiment("greeting", {"plain": 1, "emoji": 10_000}), PHONE) == "plain"
    assert vitals.heard(Exposed) == []


@pytest.mark.parametrize("key", ["0123456789abcdef", None])
@pytest.mark.parametrize("how", ["IMMEDIATE", "EXCLUSIVE"])
def test_a_locked_store_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None, how: str
) -> None:
    """Reading never waits for a writer, also right after a start: whatever waits here waits on."""
    monkeypatch.setattr("chatvitals.stores.sqlite._BUSY_SECONDS", 600.0)
    store = open_store(f"sqlite:///{tmp_path / 'bot.db'}")
    before = ListeningVitals(store, identity_key=key)
    variants = {"plain": 1, "emoji": 10_000}
    assert of(before.experiment("greeting", variants), PHONE) == "emoji"
    before.later(11.0)
    writer = sqlite3.connect(tmp_path / "bot.db", isolation_level=None)
    writer.execute(f"BEGIN {how}")
    after = ListeningVitals(open_store(f"sqlite:///{tmp_path / 'bot.db'}"), identity_key=key)
    assert returned(lambda: of(after.experiment("greeting", variants), PHONE)) == "emoji"
    writer.close()
    store.close()
    after.store.close()


def test_a_bug_of_ours_gives_the_control(vitals: ListeningVitals, swallowed: Any) -> None:
    """And is counted."""
    vitals._assignments._store = cast("Store", Away(RuntimeError("our mistake")))
    assert of(vitals.experiment("greeting", VARIANTS), PHONE) == "plain"
    assert len(swallowed.take("experiment")) == 1
