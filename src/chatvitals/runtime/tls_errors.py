"""The TLS error behind the errors of client libraries, which call it a failed connection."""

from __future__ import annotations

import ssl

_MOST_CAUSES = 8


def behind(error: BaseException) -> ssl.SSLError | None:
    """Return the TLS error behind an error, or None for other errors."""
    found: BaseException | None = error
    for _ in range(_MOST_CAUSES):
        if found is None or isinstance(found, ssl.SSLError):
            return found
        found = found.__cause__ or found.__context__
    return None


def reason(error: ssl.SSLError) -> str:
    """Return OpenSSL's words for the reason, such as `self-signed certificate` or `wrong version number`."""
    told: str | None = getattr(error, "verify_message", None)  # neither attribute is always there
    if told:
        return told.rstrip(".")
    return str(getattr(error, "reason", None) or "no reason given").lower().replace("_", " ")
