"""Mistakes of a bot's author: type checkers refuse every marked line and need each mark. Nothing runs this file."""

from __future__ import annotations

import chatvitals


def settings() -> None:
    """Unknown settings and wrong types are found before the bot starts."""
    chatvitals.init(app_secrets="secret")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    chatvitals.init(expose="some")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    chatvitals.init(settle_after="10")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def calls(vitals: chatvitals.Vitals) -> None:
    """A typed word is one of a few."""
    vitals.sending("replyy")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    vitals.record_reply(actor="robot")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    vitals.handover("15550001111")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    vitals.emit(None)  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]
    order = vitals.journey("order", steps=["menu"])
    vitals.experiment("greeting", {"plain": "much"}, goal=order)  # type: ignore[dict-item]  # pyright: ignore[reportArgumentType]
