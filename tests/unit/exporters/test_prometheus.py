"""`/metrics` as a view of the store: both formats, series that start at 0, gauges that are absent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families as text_families

from chatvitals._version import __version__
from chatvitals.events import Handled, Message, Send, Status
from chatvitals.exporters.prometheus import render
from chatvitals.metrics import catalogue
from chatvitals.stores.base import Changes
from tests.helpers.single_worker import EPOCH, NUMBER, PHONE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.vitals import Vitals

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(vitals: Vitals) -> Samples:
    text = render(vitals.collector)[0].decode()
    return {
        (sample.name.removeprefix("chatvitals_"), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_families(text)
        for sample in family.samples
    }


def key(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted(labels.items()))


def busy(vitals: Vitals) -> None:
    """Let a bit of everything happen and settle."""
    who: dict[str, Any] = {"phone_number_id": NUMBER, "wa_id": PHONE, "received": EPOCH}
    vitals._emit(Message(**who, id="m1", type="text", timestamp=EPOCH))
    vitals._emit(Send(**(who | {"received": EPOCH + 3.0}), kind="reply", accepted=True, id="r1", seconds=0.2))
    vitals._emit(Send(**who, kind="campaign", accepted=True, id="c1", template='say "hi"\\', language="en"))
    vitals._emit(Status(**who, id="c1", status="read", timestamp=EPOCH, category="utility"))
    vitals._emit(Handled(phone_number_id=NUMBER, handler="menu", seconds=0.01, result="ok"))
    vitals.journey("order", ["menu", "paid"]).reach("menu", contact=PHONE, phone_number_id=NUMBER)
    vitals.clock.advance(40)  # type: ignore[attr-defined]
    vitals.settle()


def test_both_formats_say_the_same(start: Callable[..., Vitals]) -> None:
    """Prometheus's own parsers read both, and find the same samples. OpenMetrics adds when the counters began."""
    vitals = start(app_version="1.2.3")
    busy(vitals)
    text, plain_type = render(vitals.collector)
    openmetrics, open_type = render(vitals.collector, OPENMETRICS)
    assert plain_type.startswith("text/plain; version=")
    assert open_type.startswith("application/openmetrics-text; version=1.0.0")
    assert openmetrics.endswith(b"# EOF\n")
    both = (text_families(text.decode()), openmetrics_families(openmetrics.decode()))  # type: ignore[no-untyped-call]
    found = [
        {
            (s.name, tuple(sorted(s.labels.items()))): s.value
            for family in families
            for s in family.samples
            if not s.name.endswith("_created")
        }
        for families in both
    ]
    assert found[0] == found[1]
    assert len(found[0]) > 100


def test_types_and_help_come_from_the_catalogue(start: Callable[..., Vitals]) -> None:
    """Each family is shown once, with its own help."""
    vitals = start()
    busy(vitals)
    families = list(text_families(render(vitals.collector)[0].decode()))
    shown = {family.name + ("_total" if family.type == "counter" else ""): family for family in families}
    assert len(shown) == len(families)
    for name, family in shown.items():
        assert (family.type, family.documentation) == (catalogue.FAMILIES[name].kind, catalogue.FAMILIES[name].help)


def test_openmetrics_tells_units(start: Callable[..., Vitals]) -> None:
    """Names that end in seconds say so in `# UNIT` as well."""
    text = render(start(phone_number_id="11").collector, OPENMETRICS)[0].decode()
    units = {family.name: family.unit for family in openmetrics_families(text)}  # type: ignore[no-untyped-call]
    assert units["chatvitals_wait_seconds"] == "seconds"
    assert units["chatvitals_turns"] == ""
    assert set(units.values()) == {"seconds", ""}


def test_openmetrics_tells_when_the_store_began(start: Callable[..., Vitals], tmp_path: Path) -> None:
    """Every counter and histogram counts since then, also after a restart of the bot."""
    store = f"sqlite:///{tmp_path / 'store.db'}"
    first = start(store=store, phone_number_id="11")
    before = created(first)
    assert set(before.values()) == {EPOCH}
    assert 'chatvitals_wait_seconds_created{phone_number_id="11",turn="first"}' in before
    assert 'chatvitals_turns_created{outcome="answered",phone_number_id="11",turn="first"}' in before
    first.close()
    again = start(store=store, phone_number_id="11")
    again.clock.advance(3600)  # type: ignore[attr-defined]
    assert set(created(again).values()) == {EPOCH}


def created(vitals: Vitals) -> dict[str, float]:
    lines = render(vitals.collector, OPENMETRICS)[0].decode().splitlines()
    return {series: float(value) for line in lines if "_created" in line for series, value in [line.rsplit(" ", 1)]}


def test_a_histogram_s_buckets_add_up(start: Callable[..., Vitals]) -> None:
    """Buckets are cumulative, `+Inf` equals the count, the sum is in seconds."""
    vitals = start()
    busy(vitals)
    found = samples(vitals)
    labels = {"phone_number_id": NUMBER, "turn": "first", "actor": "bot", "evidence": "api"}
    buckets = {
        dict(values)["le"]: value
        for (name, values), value in found.items()
        if name == "response_seconds_bucket" and dict(values).items() >= labels.items()
    }
    assert buckets == {
        "0.5": 0, "1.0": 0, "2.0": 0, "5.0": 1, "10.0": 1, "20.0": 1, "30.0": 1, "60.0": 1, "120.0": 1, "300.0": 1,
        "600.0": 1, "1800.0": 1, "3600.0": 1, "14400.0": 1, "+Inf": 1,
    }  # fmt: skip
    assert found[key("response_seconds_count", **labels)] == 1
    assert found[key("response_seconds_sum", **labels)] == 3


def test_a_label_without_a_value_is_left_out(start: Callable[..., Vitals]) -> None:
    """No opening hours, no code: Prometheus takes an empty label and none for the same."""
    vitals = start()
    busy(vitals)
    found = samples(vitals)
    assert found[key("sends_total", phone_number_id=NUMBER, kind="reply", result="accepted")] == 1
    assert found[key("turns_opened_total", phone_number_id=NUMBER, turn="first")] == 1
    assert found[key("build_info", version=__version__)] == 1


def test_odd_characters_of_a_template_are_escaped(start: Callable[..., Vitals]) -> None:
    """A quote or a backslash in a name breaks no line."""
    vitals = start()
    busy(vitals)
    labels = {"phone_number_id": NUMBER, "template": 'say "hi"\\', "language": "en", "status": "read"}
    assert samples(vitals)[key("template_messages_total", **labels)] == 1


# What starts at 0


def expected_zeros(number: str) -> set[tuple[str, tuple[tuple[str, str], ...]]]:
    """List series of a number that must be there before anything has happened to it."""
    zeros = {
        key(name, phone_number_id=number)
        for name in "handovers_open handovers_total fallbacks_total late_failures_total "
        "webhook_lag_seconds_count human_first_response_seconds_count send_seconds_count".split()
    }
    zeros |= {key("conversations_started_total", phone_number_id=number, origin=o) for o in ("new", "returning")}
    for turn in ("first", "next"):
        zeros.add(key("turns_opened_total", phone_number_id=number, turn=turn))
        zeros.add(key("turns_open", phone_number_id=number, turn=turn))
        zeros.add(key("wait_seconds_count", phone_number_id=number, turn=turn))
        zeros |= {
            key("turns_total", phone_number_id=number, turn=turn, outcome=outcome)
            for outcome in ("answered", "dismissed", "failed", "unanswered")
        }
        zeros |= {
            key("turns_overdue_total", phone_number_id=number, turn=turn, threshold=threshold)
            for threshold in ("10", "60", "300", "3600")
        }
    return zeros


def test_series_without_a_number_start_at_0(start: Callable[..., Vitals]) -> None:
    """A fresh bot shows zeros, so that `increase` sees the first event."""
    found = samples(start())
    for result in "accepted unsigned bad_signature undecodable oversize rejected unread".split():
        assert found[key("webhooks_total", result=result)] == 0
    for kind in "message status echo preference".split():
        assert found[key("duplicates_total", kind=kind)] == 0
    for reason in "malformed stale queue_full store".split():
        assert found[key("events_dropped_total", reason=reason)] == 0
    assert found[key("clock_skews_total")] == 0
    assert found[key("store_up")] == 1
    assert found[key("queue_events")] == 0
    assert found[key("queue_capacity_events")] == 10_000


def test_the_numbers_of_the_settings_start_at_0_before_anything_has_come(start: Callable[..., Vitals]) -> None:
    """They are known from the first scrape of the first day."""
    found = samples(start(phone_number_id=["11", "22"]))
    for number in ("11", "22"):
        assert expected_zeros(number) <= found.keys()
        assert all(found[series] == 0 for series in expected_zeros(number))


def test_a_number_that_has_been_seen_starts_at_0_everywhere(start: Callable[..., Vitals]) -> None:
    """Its first message makes all its closed series appear, and the settings' numbers keep theirs."""
    vitals = start(phone_number_id="11")
    vitals._emit(Message(phone_number_id="33", wa_id=PHONE, id="m1", type="reaction", timestamp=EPOCH, received=EPOCH))
    found = samples(vitals)
    for number in ("11", "33"):
        assert expected_zeros(number) <= found.keys()
        assert all(found[series] == 0 for series in expected_zeros(number))


def test_thresholds_and_opening_hours_of_the_settings_shape_the_zeros(start: Callable[..., Vitals]) -> None:
    """`in_hours` is yes or no where a schedule is set. Thresholds are those that are set."""
    hours = {"timezone": "UTC", "days": {"mon": [["09:00", "18:00"]]}}
    vitals = start(overdue_after=[2.5], in_hours=hours)
    vitals._emit(Message(phone_number_id="33", wa_id=PHONE, id="m1", type="reaction", timestamp=EPOCH, received=EPOCH))
    found = samples(vitals)
    opened = {dict(labels)["in_hours"] for name, labels in found if name == "turns_opened_total"}
    assert opened == {"yes", "no"}
    assert {dict(labels)["threshold"] for name, labels in found if name == "turns_overdue_total"} == {"2.5"}


def test_declared_journeys_start_at_0_for_known_numbers(start: Callable[..., Vitals]) -> None:
    """Steps and outcomes are closed lists once the code has declared them. Their order is told without a number."""
    vitals = start(phone_number_id="11")
    vitals.journey("order", ["menu", "paid"])
    vitals._emit(Message(phone_number_id="11", wa_id=PHONE, id="m1", type="reaction", timestamp=EPOCH, received=EPOCH))
    found = samples(vitals)
    step = {"phone_number_id": "11", "journey": "order", "step": "paid"}
    for name in ("step_reached_total", "step_visits_total", "step_loops_total", "step_ended_total", "runs_open"):
        assert found[key(f"journey_{name}", **step)] == 0
    assert found[key("journey_runs_started_total", phone_number_id="11", journey="order")] == 0
    for outcome in catalogue.RUN_OUTCOME:
        assert found[key("journey_runs_total", phone_number_id="11", journey="order", outcome=outcome)] == 0
    assert found[key("journey_step_info", journey="order", step="menu", index="1")] == 1
    assert found[key("journey_step_info", journey="order", step="paid", index="2")] == 1


def test_declared_experiments_start_at_0_for_known_numbers(start: Callable[..., Vitals]) -> None:
    """Otherwise `increase` would miss the first contact and the first outcome of each variant."""
    vitals = start(phone_number_id="11")
    vitals.experiment("greeting", {"plain": 1, "warm": 1})
    found = samples(vitals)
    warm = {"phone_number_id": "11", "experiment": "greeting", "variant": "warm"}
    assert found[key("experiment_contacts_total", **warm)] == 0
    assert found[key("experiment_outcomes_total", **warm, outcome="unanswered")] == 0


def test_the_oldest_gauges_are_absent_when_nothing_is_open(start: Callable[..., Vitals]) -> None:
    """A 0 would be the year 1970. Without a waiting customer the series is absent."""
    vitals = start()
    busy(vitals)
    assert not [name for name, _ in samples(vitals) if name.startswith("oldest_")]
    vitals._emit(
        Message(phone_number_id=NUMBER, wa_id=PHONE, id="m2", type="text", timestamp=EPOCH + 40, received=EPOCH + 40.0)
    )
    vitals.handover(contact=PHONE, phone_number_id=NUMBER)
    vitals.clock.advance(20)  # type: ignore[attr-defined]
    found = samples(vitals)
    assert found[key("oldest_open_turn_timestamp_seconds", phone_number_id=NUMBER, turn="next")] == EPOCH + 40
    assert found[key("oldest_open_handover_timestamp_seconds", phone_number_id=NUMBER)] == EPOCH + 40


def test_families_that_this_version_does_not_know_are_left_alone(start: Callable[..., Vitals]) -> None:
    """A newer worker may share the store."""
    vitals = start()
    with vitals.store.transaction() as transaction:
        transaction.commit(Changes(increments={("chatvitals_of_tomorrow", ("x",), 0): 1.0}))
    assert "of_tomorrow" not in render(vitals.collector)[0].decode()


# Registries


def test_the_collector_registers_in_any_registry_beside_others(start: Callable[..., Vitals]) -> None:
    """A bot with metrics of its own adds ours to them."""
    vitals = start()
    registry = CollectorRegistry(auto_describe=True)
    mine = Counter("mine", "The bot's own.", registry=registry)
    mine.inc()
    registry.register(vitals.collector)
    busy(vitals)
    for generate in (generate_latest, generate_openmetrics):
        text = generate(registry).decode()
        assert "mine_total 1.0" in text
        assert "chatvitals_turns_opened_total{" in text
    registry.unregister(vitals.collector)
    assert "chatvitals_" not in generate_latest(registry).decode()
    registry.register(vitals.collector)


def test_registering_does_not_read_the_store(start: Callable[..., Vitals], monkeypatch: pytest.MonkeyPatch) -> None:
    """Start-up does not wait for a store that is away."""
    vitals = start()
    monkeypatch.setattr(vitals.collector, "collect", None)
    CollectorRegistry(auto_describe=True).register(vitals.collector)


def test_twice_in_one_registry_is_prometheus_client_s_own_clear_error(start: Callable[..., Vitals]) -> None:
    """Also for two `Vitals` in one process, which would show every number twice."""
    vitals = start()
    registry = CollectorRegistry()
    registry.register(vitals.collector)
    for again in (vitals, start()):
        with pytest.raises(ValueError, match=r"Duplicated timeseries in CollectorRegistry: .*chatvitals_"):
            registry.register(again.collector)
    assert "chatvitals_store_up 1.0" in generate_latest(registry).decode()
