"""A scenario with a key that the runner does not know is refused: it would silently test something else."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatvitals.testing import run_scenario
from chatvitals.testing.scenario_keys import check


def scenario(*steps: dict[str, Any], **keys: Any) -> dict[str, Any]:
    return {"name": "made up", "steps": list(steps), "until": 1, "expect": {}, **keys}


TEXT = {"t": 0.2, "in": "text", "contact": "A", "id": "m1"}


def test_all_known_keys_pass() -> None:
    """Every step may have a time, a worker and a delay of its commit."""
    batch = {"t": 1.2, "batch": [{"in": "text", "contact": "A", "id": "m2"}, {"bad": "message"}]}
    check(scenario({**TEXT, "text": "hi", "phone": "551187654321", "worker": 2, "held": 0.5}, batch, absent=[]))


@pytest.mark.parametrize(
    ("given", "unknown"),
    [
        (scenario(TEXT, expects={}), "a scenario has keys .* expects"),
        (scenario({**TEXT, "txet": "hi"}), "a step 'in' has keys .* txet"),
        (scenario({"t": 1, "batch": [{**TEXT, "tset": 1}]}), "a step 'in' has keys .* t, tset"),
        (scenario({"t": 1, "batch": [{"in": "text", "contact": "A", "id": "m", "held": 2}]}), "held"),
        (scenario({"t": 1, "send": "text", "contact": "A", "id": "b1", "tagged": "reply"}), "tagged"),
        (scenario({"t": 1, "call": "handover", "contact": "A", "code": 1}), "a step 'call' has keys .* code"),
        (scenario(journeys=[{"name": "order", "step": ["menu"]}]), "a journey has keys .* step"),
        (scenario(experiments=[{"name": "tone", "variant": {}}]), "an experiment has keys .* variant"),
    ],
)
def test_an_unknown_key_is_refused_by_its_name(given: dict[str, Any], unknown: str) -> None:
    """The sentence says where the key stands."""
    with pytest.raises(ValueError, match=unknown):
        check(given)


@pytest.mark.parametrize("step", [{"t": 1, "wait": 5}, {**TEXT, "status": "sent"}])
def test_a_step_of_no_kind_or_of_two_is_refused(step: dict[str, Any]) -> None:
    """A step does one thing."""
    with pytest.raises(ValueError, match=re.escape("a step of a kind that this version does not know")):
        check(scenario(step))


def test_the_runner_refuses_before_anything_happens() -> None:
    """A file for a newer version is no green test."""
    with pytest.raises(ValueError, match="later"):
        run_scenario(scenario({**TEXT, "later": True}))


RAW = {
    "object": "whatsapp_business_account",
    "entry": [
        {
            "id": "990001112223334",
            "changes": [
                {
                    "field": "messages",
                    "value": {
                        "metadata": {"phone_number_id": "990005556667778", "display_phone_number": "15550001234"},
                        "contacts": [{"wa_id": "15550004321"}],
                        "messages": [
                            {"from": "15550004321", "id": "wamid.1", "timestamp": "1795392005", "type": "text"}
                        ],
                    },
                }
            ],
        }
    ],
}


def test_the_context_of_a_raw_webhook_is_kept() -> None:
    """A template that is sent while a raw webhook is handled is a reply, as for any webhook."""
    template = {"t": 6.2, "send": "template", "contact": "A", "id": "b1", "ids": "phone"}
    raw = {"t": 5.2, "webhook": RAW}
    inside = run_scenario(scenario(raw, {**template, "in_context": True}, until=30))
    outside = run_scenario(scenario(raw, template, until=30))
    sent = 'chatvitals_sends_total{kind="%s",phone_number_id="990005556667778",result="accepted"} 1.0'
    assert sent % "reply" in inside
    assert sent % "campaign" in outside


def test_a_context_that_was_never_there_is_refused() -> None:
    """Another worker has not seen the webhook."""
    step = {"t": 6.2, "send": "text", "contact": "A", "id": "b1", "in_context": True, "worker": 2}
    with pytest.raises(ValueError, match="worker 2 has handled no message of A"):
        run_scenario(scenario({"t": 5.2, "webhook": RAW}, step, until=30))
