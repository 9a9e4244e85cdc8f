"""Findings from the counts of a bot: both sides of an answer, and lost webhooks."""

from __future__ import annotations

from chatvitals.doctor import bot
from chatvitals.doctor.metrics import last_webhook
from chatvitals.doctor.traffic import traffic
from chatvitals.exporters.scrape import Sample

NOW = 1_795_392_000.0


def samples(**values: float) -> list[Sample]:
    """Return samples of metrics by short names."""
    names: dict[str, tuple[str, dict[str, str]]] = {
        "accepted": ("webhooks_total", {"result": "accepted"}),
        "refused": ("webhooks_total", {"result": "bad_signature"}),
        "unread": ("webhooks_total", {"result": "unread"}),
        "messages": ("messages_received_total", {}),
        "turns": ("turns_opened_total", {}),
        "sends": ("sends_total", {}),
        "replies": ("response_seconds_count", {}),
        "last": ("last_webhook_timestamp_seconds", {}),
    }
    return [Sample(f"chatvitals_{names[name][0]}", dict(names[name][1]), value) for name, value in values.items()]


def test_both_sides_are_said() -> None:
    """The counts are since the store was begun."""
    found = traffic(samples(accepted=12, messages=9, turns=8, sends=1, replies=7), NOW)
    assert found.state == "ok"
    assert found.found == "12 webhooks with 9 messages received, 1 send seen, 7 turns answered"


def test_sends_without_webhooks_point_at_the_path() -> None:
    """Refused ones are named: then the secret is wrong, not the path."""
    found = traffic(samples(sends=3, refused=4), NOW)
    assert found.found == "3 sends seen, 0 turns answered, but no webhook has counted (4 refused)"
    assert "webhook_path" in found.next


def test_webhooks_that_the_bot_never_reads_are_named() -> None:
    """They come, and nothing of them can count. Once one has counted, the age of the last one is the finding."""
    found = last_webhook(samples(unread=3), NOW)
    assert found.found == "no webhook was accepted, and the bot answered 3 without reading the body"
    assert "read the whole body" in found.next
    assert last_webhook(samples(unread=3, accepted=1, last=NOW - 5), NOW).state == "ok"


def test_webhooks_without_replies_point_at_the_client() -> None:
    """But not in the first minute: the bot may be answering."""
    counts = {"accepted": 2.0, "messages": 2.0, "turns": 1.0}
    assert "record_reply()" in traffic(samples(last=NOW - 61, **counts), NOW).next
    assert traffic(samples(last=NOW - 59, **counts), NOW).state == "ok"


def test_webhooks_on_another_path_are_told_by_the_metrics_alone() -> None:
    """The bot counts them, and its log names the path."""
    assert "the bot's log names" in bot.webhook_path(None, "", 1.0, 0.0).next
    assert bot.webhook_path(None, "", 1.0, 1.0).state == "ok"
    assert bot.webhook_path(None, "", 0.0, 0.0).state == "skipped"
