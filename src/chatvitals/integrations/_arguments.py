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


def is_instance(app: object, module: str, name: str) -> bool:
    """Return whether `app` is an instance of a class that another tool may have replaced in its module.

    OpenTelemetry's instrumentations put a subclass in its place. The class of an application from before, or of a
    framework that derives from it, is known by its name alone.
    """
    package = module.partition(".")[0]
    return any(kind.__name__ == name and kind.__module__.partition(".")[0] == package for kind in type(app).__mro__)


def taken_sentence(path: str) -> str:
    """Return a sentence on a path that the bot serves itself, with advice."""
    return (
        f"the bot answers {path} already: choose another metrics_path, or leave it out and add chatvitals to your "
        "own metrics with registry.register(vitals.collector)"
    )


def unknown_sentence(app: object) -> str:
    """Return a sentence on an unknown kind of application, with the alternatives."""
    if isinstance(app, type):
        return f"instrument_app takes an application, not the class {app.__name__!r}: create the application first"
    if isinstance(app, str):
        return f"instrument_app takes the application itself, not its name {app!r:.80}: import it first"
    return (
        f"instrument_app does not know applications like {type(app).__name__!r}: it takes those of Starlette, "
        "FastAPI, Flask, Quart, Django, aiohttp, Tornado and Sanic, and clients of pywa. Wrap another ASGI application "
        "as ChatVitalsMiddleware(app, vitals) and another WSGI application as vitals.instrument_wsgi(app), or call "
        "vitals.observe_webhook(body, headers) in the handler"
    )


def started_sentence() -> str:
    """Return a sentence on an application that runs already, with advice."""
    return (
        "instrument_app was called after the application had started: "
        "call it at the place where the application is created, not in a request"
    )
