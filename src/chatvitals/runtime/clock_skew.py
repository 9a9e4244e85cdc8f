"""The difference between the local clock and a server's clock, as far as an answer of the server proves it."""

from __future__ import annotations


def clock_skew(sent: float, received: float, earliest: float, latest: float) -> float:
    """Return by how many seconds the local clock is ahead of the server's at least. It is below 0 if it is behind.

    The server wrote its time between the request and the arrival of the answer. A slow answer proves no difference:

        clock_skew(sent=100.0, received=107.0, earliest=101.0, latest=102.0)  # 0.0
        clock_skew(sent=100.0, received=107.0, earliest=60.0, latest=61.0)  # 39.0
        clock_skew(sent=100.0, received=107.0, earliest=140.0, latest=141.0)  # -33.0

    Args:
        sent: local time of the request, in Unix seconds, as all of these times.
        received: local time after the answer.
        earliest: the least time that the server's clock may have shown.
        latest: the greatest time that it may have shown.

    """
    if latest < sent:
        return sent - latest
    return min(received - earliest, 0.0)
