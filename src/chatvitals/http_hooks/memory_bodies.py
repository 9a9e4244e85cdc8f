"""The content of request bodies that lie in memory. A stream, which can be read only once, is never touched."""

from __future__ import annotations

import io
from typing import TypeVar

from chatvitals.whatsapp import send_requests

Text = TypeVar("Text", str, bytes)


def content(body: object) -> object:
    """Return the content that a client will send, or None for a stream. The body keeps its position.

    Args:
        body: text, bytes or a dict, which is its own content, or an object in memory that holds text or bytes.

    """
    if isinstance(body, (bytes, str, dict, bytearray)):
        return body
    try:
        if isinstance(body, io.BytesIO):  # the methods of the class, because a derived class may have others
            return _rest(io.BytesIO.getvalue(body), io.BytesIO.tell(body))
        if isinstance(body, io.StringIO):
            return _rest(io.StringIO.getvalue(body), io.StringIO.tell(body))
        if isinstance(body, memoryview):
            return body.tobytes() if body.nbytes <= send_requests.MAX_BYTES else b""
    except ValueError:  # it is closed, and the client will say so
        return b""
    return None


def _rest(whole: Text, start: int) -> Text:
    """Return the part from a position on, or nothing where it is too long for a send."""
    return whole[start:] if len(whole) - start <= send_requests.MAX_BYTES else whole[:0]
