"""Checks of the arguments of integrations. Each mistake is one sentence, raised where the bot starts."""

from __future__ import annotations

import inspect
from typing import Any


def check_arguments(app: object, vitals: object) -> None:
    """Check what every middleware is given.

    Raises:
        TypeError: `app` cannot be called, or `vitals` is not the result of `chatvitals.init`.

    """
    if not callable(app):
        raise TypeError(f"app must be an application, not {type(app).__name__!r}")
    check_vitals(vitals)


def check_vitals(vitals: object) -> None:
    """Check what every integration is given.

    Raises:
        TypeError: `vitals` is not the result of `chatvitals.init`.

    """
    if not hasattr(vitals, "webhook_sink"):
        raise TypeError(f"vitals must be the result of chatvitals.init(), not {type(vitals).__name__!r}")


def check_handler(function: object) -> None:
    """Check what `lambda_handler` is given.

    Raises:
        TypeError: `function` cannot be called, or is a coroutine function.

    """
    if not callable(function):
        raise TypeError(
            f"lambda_handler takes the function with the arguments event and context, not {type(function).__name__!r}: "
            "write @vitals.lambda_handler above it"
        )
    if inspect.iscoroutinefunction(function):
        raise TypeError(
            "lambda_handler takes a plain function, because AWS Lambda does not await the result: "
            "use asyncio.run() in it"
        )


def takes(app: Any, count: int) -> bool | None:
    """Return whether `app` can be called with `count` arguments, or None where that is not known."""
    try:
        inspect.signature(app).bind(*range(count))
    except TypeError:
        return False
    except ValueError:
        return None
    return True
