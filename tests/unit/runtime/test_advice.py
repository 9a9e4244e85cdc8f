"""The log of a bot: how it is set up, and each mistake in exactly one sentence."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import chatvitals
from chatvitals.runtime import advice

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest

    from chatvitals.vitals import Vitals

BODY = b'{"object":"whatsapp_business_account","entry":[]}'


def test_the_start_line_says_how_the_bot_is_set_up(caplog: pytest.LogCaptureFixture) -> None:
    """Version, store, hooks, signature and metrics; no secret."""
    with caplog.at_level(logging.INFO, "chatvitals"):
        chatvitals.init(store="memory:", hooks=False, app_secret="hush", metrics_token="hush").close()
    [record] = caplog.records
    assert record.levelno == logging.INFO
    assert record.getMessage() == (
        f"chatvitals {chatvitals.__version__} started: store Memory, hooks off, signature checked, metrics with a token"
    )


def test_a_bot_without_a_secret_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """Anybody could send webhooks that count."""
    with caplog.at_level(logging.WARNING, "chatvitals"):
        vitals = chatvitals.init(store="memory:", hooks=False)
        vitals.observe_webhook(BODY)
        vitals.close()
    [record] = caplog.records
    assert record.getMessage().startswith("chatvitals: no app_secret is set")


def test_webhooks_that_are_refused_are_explained_once(
    start: Callable[..., Vitals], caplog: pytest.LogCaptureFixture
) -> None:
    """A wrong signature and a missing one have different causes."""
    vitals = start(app_secret="right")
    with caplog.at_level(logging.WARNING, "chatvitals"):
        for _ in range(3):
            vitals.observe_webhook(BODY, {"X-Hub-Signature-256": "sha256=" + "0" * 64})
            vitals.observe_webhook(BODY)
        vitals.settle()
    assert sorted(record.getMessage() for record in caplog.records) == sorted([advice.BAD_SIGNATURE, advice.UNSIGNED])
