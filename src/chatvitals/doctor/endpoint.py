"""Checks that the webhook endpoint answers WhatsApp's handshake and refuses unsigned webhooks.

chatvitals blocks no requests, because that is the bot's own task. The requests here are forged on purpose and empty
(`"entry": []`), so that a bot that accepts them does nothing.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from chatvitals.doctor import http
from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.whatsapp import signatures

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.doctor.config import Setup
    from chatvitals.doctor.finding import Finding

_HANDSHAKE, _WRONG, _BAD, _NONE = "handshake", "wrong verify token", "bad signature", "no signature"
_FORGED = b'{"object":"whatsapp_business_account","entry":[]}'
_VERIFY = "answer GET with hub.challenge as plain text if hub.verify_token is correct, otherwise with 403"
_REFUSE = "answer 401 unless X-Hub-Signature-256 matches the raw body, because anybody can post there"


def endpoint(setup: Setup) -> Iterator[Finding]:
    """Yield the findings about the endpoint."""
    if not setup.url:
        yield skipped(_HANDSHAKE, "no webhook endpoint is given", "--url (CHATVITALS_WEBHOOK_URL) enables this")
        return
    try:
        yield (
            _handshake(setup)
            if setup.verify_token
            else skipped(
                _HANDSHAKE, "the verify token is not known", "--verify-token (CHATVITALS_VERIFY_TOKEN) enables this"
            )
        )
        yield _wrong_token(setup.url)
        other = signatures.sign(_FORGED, secrets.token_hex(16))
        yield _forged(setup.url, _BAD, {"X-Hub-Signature-256": other})
        yield _forged(setup.url, _NONE, {})
    except http.NoAnswerError as error:
        yield attention(_HANDSHAKE, str(error), error.do_next)


def _handshake(setup: Setup) -> Finding:
    challenge = secrets.token_hex(8)
    answer = _asked(setup.url, setup.verify_token, challenge)
    if answer.status != 200:
        return attention(_HANDSHAKE, f"the bot answers the correct verify token with {_status(answer)}", _hint(answer))
    if answer.body.strip() != challenge.encode():
        kind = answer.kind or "no content type"
        quoted = b'"' + challenge.encode() + b'"' == answer.body.strip()
        found = "the challenge comes back in quotes" if quoted else f"the answer is not the challenge ({kind})"
        do_next = "answer with the challenge as plain text, not as JSON" if quoted else _VERIFY
        return attention(_HANDSHAKE, found, do_next)
    return ok(_HANDSHAKE, "the bot answers the challenge")


def _wrong_token(url: str) -> Finding:
    challenge = secrets.token_hex(8)
    answer = _asked(url, f"not-yours-{secrets.token_hex(8)}", challenge)
    if answer.status == 200 and challenge.encode() in answer.body:
        found = "the bot answers the challenge with any token, so anybody could register the address"
        return attention(_WRONG, found, _VERIFY)
    if answer.status >= 500:
        return attention(_WRONG, f"the bot answers a wrong token with {_status(answer)}", _VERIFY)
    if answer.status in {404, 405} or 300 <= answer.status < 400:
        return attention(_WRONG, f"the bot answers a wrong token with {_status(answer)}", _hint(answer))
    return ok(_WRONG, f"a wrong token is refused ({answer.status})")


def _forged(url: str, check: str, headers: dict[str, str]) -> Finding:
    answer = http.ask(url, method="POST", headers={"Content-Type": "application/json", **headers}, content=_FORGED)
    if 200 <= answer.status < 300:
        return attention(check, f"a forged webhook is accepted ({answer.status})", _REFUSE)
    if answer.status >= 500:
        return attention(check, f"a forged webhook makes the bot fail ({answer.status})", _REFUSE)
    if answer.status in {404, 405} or 300 <= answer.status < 400:
        return attention(check, f"the bot answers a POST with {_status(answer)}", _hint(answer))
    return ok(check, f"a forged webhook is refused ({answer.status})")


def _asked(url: str, token: str, challenge: str) -> http.HttpAnswer:
    params = {"hub.mode": "subscribe", "hub.challenge": challenge, "hub.verify_token": token}
    return http.ask(url, params=params)


def _status(answer: http.HttpAnswer) -> str:
    to = answer.headers.get("location", "")
    return f"{answer.status}, to {http.shown(to)}" if to and 300 <= answer.status < 400 else f"status {answer.status}"


def _hint(answer: http.HttpAnswer) -> str:
    if 300 <= answer.status < 400:
        return "use the final address, here and at WhatsApp, because WhatsApp follows no redirects"
    if answer.status in {404, 405}:
        return "check the path of --url, and that the bot accepts GET and POST there"
    if answer.status >= 500:
        return "see the bot's log, because this request makes it fail"
    return "compare the verify token with the bot's, and look for a proxy that requires a login"
