"""Detection of workers: tasks or threads that serve many customers.

Their outermost function is a loop, or one of their functions loops over a queue. Other loops are those of a job, such
as its attempts at a send.
"""

from __future__ import annotations

import dis
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from types import CodeType, FrameType

# Packages that run tasks and threads. Their own loops say nothing about the function that they run.
_RUNNERS: Final = frozenset({"anyio", "asgiref", "asyncio", "concurrent", "gevent", "threading", "trio", "uvloop"})
# Among them, modules whose workers have the context of the fork, not that of a job.
_POOLS: Final = frozenset({"concurrent.futures.process"})
_INLINE: Final = frozenset({"asyncio.tasks", "asyncio.taskgroups", "asyncio.timeouts"})  # such as `wait_for`
_HANDS_ON: Final = "chatvitals.tracking.threads"  # it runs the function in place of `Thread.run`
_TAKES: Final = frozenset({"get", "get_nowait", "blpop", "brpop"})  # methods of queues
_NEAR: Final = 12  # instructions
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
    """Return whether the caller runs in a loop of a worker."""
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 - the only way to the caller's stack
    outermost = None
    for _ in range(_MOST_FRAMES):
        module = "" if frame is None else str(frame.f_globals.get("__name__", ""))
        if frame is None or module == _HANDS_ON:
            break
        if module not in _INLINE:
            if module.partition(".")[0] in _RUNNERS and module not in _POOLS:
                break
            if _is_in(frame, _queue_loops(frame.f_code)):
                return True
            outermost = frame
        frame = frame.f_back
    return outermost is not None and _is_in(outermost, _loops(outermost.f_code))


def _is_in(frame: FrameType, loops: tuple[tuple[int, int], ...]) -> bool:
    return any(begin <= frame.f_lasti <= end for begin, end in loops)


@lru_cache(maxsize=256)
def _loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the first and last bytecode offset of each loop of a function."""
    steps = list(dis.get_instructions(code))
    back = [step for step in steps if step.opname in _BACK]
    return tuple((step.argval, step.offset) for step in back if step.offset in _reached(steps, step.argval))


@lru_cache(maxsize=4096)  # a stack has tens of functions
def _queue_loops(code: CodeType) -> tuple[tuple[int, int], ...]:
    """Return the loops of a function, like `_loops`, that take their items from a queue."""
    if _TAKES.isdisjoint(code.co_names):  # nearly always
        return ()
    steps = list(dis.get_instructions(code))
    return tuple(loop for loop in _loops(code) if _takes_items(code, steps, *loop))


def _takes_items(code: CodeType, steps: list[dis.Instruction], begin: int, end: int) -> bool:
    """Return whether a loop calls `get` as only queues have it, or goes through `iter(queue.get, None)`."""
    first = next(index for index, step in enumerate(steps) if step.offset >= begin)
    before = {str(step.argval) for step in steps[max(0, first - _NEAR) : first]}
    if "iter" in before and not _TAKES.isdisjoint(before):
        return True
    return any(
        step.argval in _TAKES and _is_without_key(code, steps[index + 1 : index + _NEAR])
        for index, step in enumerate(steps)
        if begin <= step.offset <= end
    )


def _is_without_key(code: CodeType, call: list[dis.Instruction]) -> bool:
    """Return whether a call has only named arguments. A dictionary's `get` has a key, and that of HTTP an address."""
    given, named = 0, 0
    for step in call:
        if step.opname == "KW_NAMES":
            named = len(code.co_consts[step.arg or 0])
        elif step.opname in {"CALL", "CALL_KW"}:
            return step.argval == named if given else not step.argval
        elif step.opname.startswith("LOAD_"):
            given += 1
            named = len(step.argval) if isinstance(step.argval, tuple) else named
    return False


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
