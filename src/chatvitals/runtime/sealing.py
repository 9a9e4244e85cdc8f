"""Ids that travel through somebody else's queue: readable for the bot's own processes only, and so for no log."""

from __future__ import annotations

import base64
import binascii
import hmac
import itertools
import secrets
from hashlib import blake2b

_NONCE = 12
_TAG = 12


def seal(key: bytes, content: bytes) -> str:
    """Return `content` as a text that nobody can read or alter without `key` (32 bytes)."""
    nonce = secrets.token_bytes(_NONCE)
    hidden = _crossed(key, nonce, content)
    return base64.b64encode(nonce + _tag(key, nonce + hidden) + hidden).decode()


def unseal(key: bytes, text: str) -> bytes | None:
    """Return what was sealed with this key, or None where it was another one, or something else."""
    try:
        sealed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    nonce, tag, hidden = sealed[:_NONCE], sealed[_NONCE : _NONCE + _TAG], sealed[_NONCE + _TAG :]
    if not hmac.compare_digest(tag, _tag(key, nonce + hidden)):
        return None
    return _crossed(key, nonce, hidden)


def _tag(key: bytes, content: bytes) -> bytes:
    return blake2b(content, digest_size=_TAG, key=key, person=b"seal").digest()


def _crossed(key: bytes, nonce: bytes, content: bytes) -> bytes:
    """Cross `content` with BLAKE2b in counter mode: its own inverse, as long as no nonce comes twice."""
    stream = bytearray()
    for block in itertools.count():
        if len(stream) >= len(content):
            break
        stream += blake2b(nonce + block.to_bytes(4, "little"), key=key, person=b"stream").digest()
    return bytes(a ^ b for a, b in zip(content, stream, strict=False))
