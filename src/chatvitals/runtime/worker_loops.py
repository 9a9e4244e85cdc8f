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
_JUMPS: Final = frozenset(dis.hasjrel) | frozenset(dis.hasjabs)
_NO_NEXT: Final = frozenset(
    {"JUMP_FORWARD", "JUMP_BACKWARD", "JUMP_BACKWARD_NO_INTERRUPT", "RETURN_VALUE", "RETURN_CONST"}
    | {"RAISE_VARARGS", "RERAISE"}
)
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
    steps = list(dis.get_instructions(code))
    back = [step for step in steps if step.opname in _BACK]
    return tuple((step.argval, step.offset) for step in back if step.offset in _reached(steps, step.argval))


def _reached(steps: list[dis.Instruction], start: int) -> set[int]:
    """Return the bytecode offsets that can follow `start` without an exception.

    Handlers of exceptions lie at the end of a function and jump back, before Python 3.13. That is no loop.
    """
    at = {step.offset: index for index, step in enumerate(steps)}
    found: set[int] = set()
    waiting = [start]
    while waiting:
        offset = waiting.pop()
        if offset in found or offset not in at:
            continue
        found.add(offset)
        step = steps[at[offset]]
        if step.opcode in _JUMPS:
            waiting.append(step.argval)
        if step.opname not in _NO_NEXT and at[offset] + 1 < len(steps):
            waiting.append(steps[at[offset] + 1].offset)
    return found
