"""Who sent a webhook: Meta signs the raw bytes of each POST with the app secret (whatsapp/README.md 1.3)."""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SCHEME = "sha256="


def check(body: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """Return whether `header` is the signature of exactly these bytes with any of the secrets; never raises.

    Args:
        body: the request's body as it came; parsing and writing it again changes it.
        header: the value of `X-Hub-Signature-256`: `sha256=` and 64 lower-case hexadecimal digits, nothing else.
        secrets: the secrets of the apps that send here; an empty one matches nothing, since anybody could sign with it.

    """
    if header is None:
        return False
    # Bytes, because comparing text in constant time raises on anything but ASCII.
    given = header.encode("utf-8", "replace")
    matches = False
    for secret in secrets:
        # No early exit: how long it takes tells nothing about which secret matched.
        matches |= bool(secret) & hmac.compare_digest(given, sign(body, secret).encode())
    return matches


def sign(body: bytes, secret: str) -> str:
    """Return the value of `X-Hub-Signature-256` with which Meta would send `body`."""
    signature = _keyed(secret).copy()
    signature.update(body)
    return _SCHEME + signature.hexdigest()


@lru_cache(maxsize=16)
def _keyed(secret: str) -> hmac.HMAC:
    """Return a hash that has taken in the key, half of the work of a short body; take copies of it."""
    # Settings read from the environment may hold surrogates where a byte was not UTF-8.
    return hmac.new(secret.encode("utf-8", "surrogateescape"), digestmod="sha256")
