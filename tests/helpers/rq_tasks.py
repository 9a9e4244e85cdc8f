"""A bot's jobs, run by a real RQ worker in `test_threads_and_jobs.py`; each in a child that ends without a goodbye."""

from __future__ import annotations

import os

import requests

import chatvitals

vitals = chatvitals.init()  # CHATVITALS_* variables name the store


def answer(number: str, phone: str) -> None:
    """Answer a customer."""
    requests.post(
        f"{os.environ['GRAPH_URL']}/{number}/messages",
        json={"messaging_product": "whatsapp", "to": phone, "type": "text", "text": {"body": "hello"}},
        timeout=5,
    ).raise_for_status()
    vitals.settle()  # RQ ends this process by os._exit
