"""Right code of a bot's author: type checkers accept every line. The test never runs this file."""

from __future__ import annotations

import collections
from typing import TYPE_CHECKING, assert_type

from fastapi import FastAPI
from starlette.applications import Starlette

import chatvitals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals import Experiment, Journey, Observation, OpeningHours, Poll, Store


def settings(hours: OpeningHours, schedule: Mapping[str, object]) -> None:
    """Keywords of `init` are typed one by one."""
    chatvitals.init(app_secret="secret", store="memory:", expose="leader", settle_after=10)
    chatvitals.init(app_secret=["old", "new"], in_hours=hours)
    chatvitals.init(in_hours=schedule)
    chatvitals.init(in_hours=collections.UserDict(schedule))


def doors(vitals: chatvitals.Vitals) -> None:
    """An application keeps its type."""
    assert_type(vitals.instrument_app(FastAPI(), metrics_path="/metrics"), FastAPI)
    assert_type(vitals.instrument_app(Starlette()), Starlette)
    with vitals.observe_webhook(b"{}", {"X-Hub-Signature-256": "sha256=0"}) as observation:
        assert_type(observation, chatvitals.Observation)
        outcome: str = observation.result
        _ = outcome == "accepted"


def declared(vitals: chatvitals.Vitals, experiment: Experiment, store: Store, poll: Poll) -> None:
    """Decorators keep signatures, of functions and of coroutines."""
    order: Journey = vitals.journey("order", steps=["menu", "paid"], completed_by="paid")

    @order.step("menu")
    def menu(count: int) -> str:
        return str(count)

    @vitals.handler("greet")
    async def greet(name: str) -> int:
        return len(name)

    assert_type(menu(1), str)
    _ = greet
    order.reach("paid", contact="15550001111", phone_number_id="1")
    assert_type(vitals.experiment("greeting", {"plain": 1, "emoji": 1}, goal=order), chatvitals.Experiment)
    assert_type(experiment.variant(), str)
    vitals.record_poll(poll)
    store.compact()
    with vitals.sending("reply", actor="human"):
        vitals.handover()


def named(observation: Observation) -> str:
    """Results can be annotated."""
    return observation.result
