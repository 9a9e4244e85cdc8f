"""Detection of workers: tasks or threads whose outermost function is a loop, so that they serve many customers."""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import CodeType, FrameType

# Packages that run tasks and threads. Their own loops say nothing about the function that they run.
_RUNNERS: Final = frozenset({"anyio", "asgiref", "asyncio", "concurrent", "gevent", "threading", "trio", "uvloop"})
_BACK: Final = frozenset(
    {"JUMP_BACKWARD", "POP_JUMP_BACKWARD_IF_TRUE", "POP_JUMP_BACKWARD_IF_FALSE"}
    | {"POP_JUMP_BACKWARD_IF_NONE", "POP_JUMP_BACKWARD_IF_NOT_NONE"}
)  # not JUMP_BACKWARD_NO_INTERRUPT, which is part of `await`
_MOST_FRAMES: Final = 1000


def is_within_one() -> bool:
    """Return whether the caller runs in a loop of the outermost function of its task or thread."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to the caller's stack
    outermost = None
    for _ in range(_MOST_FRAMES):
        if frame is None or _package(frame) in _RUNNERS:
            break
        outermost = frame
        frame = frame.f_back
    if outermost is None:
        return False
    return any(begin <= outermost.f_lasti <= end for begin, end in _loops(outermost.f_code))


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


@lru_cache(maxsize=256)
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the first and last bytecode offset of each loop of a function."""
    steps = dis.get_instructions(code)
    return tuple((step.argval, step.offset) for step in steps if step.opname in _BACK)
