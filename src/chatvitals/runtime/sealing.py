"""Encryption of ids in a task queue, so that only the bot's own processes can read them.

The cipher is ChaCha20-Poly1305 of the package `cryptography`, which the extra `celery` installs.
"""

from __future__ import annotations

import base64
import binascii
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

_NONCE = 12


def require() -> None:
    """Raise an error with advice where the cipher is missing.

    Raises:
        ModuleNotFoundError: the package `cryptography` is not installed.

    """
    try:
        _cipher(bytes(32))
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "contacts travel with Celery's tasks encrypted, which needs cryptography: pip install 'chatvitals[celery]'"
        ) from error


def seal(key: bytes, content: bytes) -> str:
    """Return `content` as an encrypted text. Only `key` (32 bytes) can read or change it."""
    nonce = secrets.token_bytes(_NONCE)
    return base64.b64encode(nonce + _cipher(key).encrypt(nonce, content, None)).decode()


def unseal(key: bytes, text: str) -> bytes | None:
    """Return the content that was sealed with this key, or None for any other text."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - the package is part of an extra

    try:
        sealed = base64.b64decode(text, validate=True)
        return _cipher(key).decrypt(sealed[:_NONCE], sealed[_NONCE:], None)
    except (binascii.Error, ValueError, InvalidTag):
        return None


def _cipher(key: bytes) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305  # noqa: PLC0415 - as above

    return ChaCha20Poly1305(key)
