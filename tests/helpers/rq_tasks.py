"""A bot's jobs, run by a real RQ worker in `test_threads_and_jobs.py`. Each child ends without exit handlers."""

from __future__ import annotations

import os

import requests

import chatvitals
from chatvitals.integrations import rq as chatvitals_rq
from tests.helpers.waiting import unhurried

vitals = chatvitals.init()  # CHATVITALS_* variables name the store
unhurried(vitals)
if "RQ_BY_HAND" not in os.environ:  # without it, `init` and `settle` alone must do
    chatvitals_rq.instrument(vitals)


def answer(number: str, phone: str) -> None:
    """Answer a customer."""
    _send(number, phone, {"type": "text", "text": {"body": "hello"}})
    vitals.settle(60)  # RQ ends this process by os._exit


def answer_with_template(number: str, phone: str) -> None:
    """Answer with a template, and say that the customer was not understood. Nothing names the contact."""
    vitals.fallback()
    _send(number, phone, {"type": "template", "template": {"name": "menu"}})


def _send(number: str, phone: str, content: dict[str, object]) -> None:
    requests.post(
        f"{os.environ['GRAPH_URL']}/{number}/messages",
        json={"messaging_product": "whatsapp", "to": phone, **content},
        timeout=60,
    ).raise_for_status()
