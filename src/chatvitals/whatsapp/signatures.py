"""Signatures of webhooks. Meta signs the raw bytes of each POST with the app secret (whatsapp/README.md 1.3)."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEME = "sha256="


def check(body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Return whether `header` is the signature of exactly these bytes with any of the secrets. It never raises.

    Args:
        body: the request's raw body. A body that was parsed and written again has another signature.
        header: the value of `X-Hub-Signature-256`, which is `sha256=` and 64 lower-case hexadecimal digits.
        secrets: the secrets of the apps that send here. An empty secret matches nothing, since anybody could use it.

    """
    if header is None:
        return False
    if not header.isascii():
        return False  # the comparison in constant time raises on such text
    matches = False
    for secret in secrets:
        # No early exit, so that the duration does not show which secret matched.
        matches |= bool(secret) & hmac.compare_digest(header, sign(body, secret))
    return matches


def sign(body: bytes, secret: str) -> str:
    """Return the value of `X-Hub-Signature-256` that Meta would send with `body`."""
    signature = _keyed(secret).copy()
    signature.update(body)
    return _SCHEME + signature.hexdigest()


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    """Return a hash that already contains the key, half of the work for a short body. Work on copies of it."""
    # Settings read from the environment may hold surrogates where a byte was not UTF-8.
    return hmac.new(secret.encode("utf-8", "surrogateescape"), digestmod="sha256")
