"""The body of a request as WSGI and Django give it, copied while the application reads it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.integrations._http import Delivery
    from chatvitals.integrations._lost_webhooks import Lookout

_OPTIONAL: Final = {"read1": "_read1", "readinto": "_readinto", "seek": "_seek"}


class InputWatch:
    """A request's body that passes each piece to a delivery while the application reads it.

    It has the methods that the server's own body has. WSGI asks for four, and frameworks look which others there are:
    uWSGI has no `readinto`.
    """

    __slots__ = ("_bare", "_delivery", "_lost")

    def __init__(self, bare: Any, delivery: Delivery | Lookout) -> None:
        self._bare = bare
        self._delivery = delivery
        self._lost = False  # whether the position in the body is unknown after a `seek`

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._bare, name)
        return getattr(self, _OPTIONAL[name]) if name in _OPTIONAL else found

    def read(self, *size: Any) -> bytes:
        """Read from the body. Without a size, read the rest."""
        return self._look(self._bare.read(*size), size)

    def _read1(self, *size: Any) -> bytes:
        """Read the available data, with at most one system call."""
        return self._look(self._bare.read1(*size), size or (1,))

    def readline(self, *size: Any) -> bytes:
        """Read a line."""
        return self._look(self._bare.readline(*size), size or (1,))

    def readlines(self, *hint: Any) -> list[bytes]:
        """Read the rest as lines."""
        lines: list[bytes] = self._bare.readlines(*hint)
        self._look(b"".join(lines), hint)
        return lines

    def _readinto(self, buffer: Any) -> int:
        """Read into a buffer."""
        count: int = self._bare.readinto(buffer)
        self._look(bytes(memoryview(buffer)[:count]), (1,))
        return count

    def __iter__(self) -> Iterator[bytes]:
        for line in self._bare:
            yield self._look(line, (1,))
        self._look(b"", (1,))

    def _seek(self, *position: Any) -> Any:
        """Move in a body that the server has in memory. Copying is possible only from the beginning."""
        reached = self._bare.seek(*position)
        self._delivery.restart()
        self._lost = reached != 0
        return reached

    def _look(self, piece: bytes, asked: tuple[Any, ...]) -> bytes:
        """Copy a piece. The body ends with an unlimited read, or with an empty result of a limited read."""
        delivery = self._delivery
        if delivery.is_copying and not self._lost:
            try:
                limited = bool(asked) and isinstance(asked[0], int) and asked[0] >= 0
                if piece or not limited or asked[0]:
                    delivery.copy(piece, last=not limited or not piece)
            except Exception as error:  # noqa: BLE001 - the bot must not see it
                delivery.forget()
                delivery.report(error)
        return piece
