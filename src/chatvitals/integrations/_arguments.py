"""Checks of the arguments of integrations. Each mistake is one sentence, raised where the bot starts."""

from __future__ import annotations

import inspect
import types
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

_PARTS: Final = (
    ("flask", "Blueprint"),
    ("quart", "Blueprint"),
    ("sanic", "Blueprint"),
    ("fastapi", "APIRouter"),
    ("starlette", "Router"),
    ("starlette", "BaseRoute"),
    ("ninja", "NinjaAPI"),
    ("ninja", "Router"),
)
_ADAPTERS: Final = (
    ("mangum", "Mangum"),
    ("a2wsgi", "ASGIMiddleware"),
    ("a2wsgi", "WSGIMiddleware"),
    ("asgiref", "WsgiToAsgi"),
    ("azure", "AsgiMiddleware"),
    ("azure", "WsgiMiddleware"),
    ("azure", "ExternalHttpFunctionApp"),
)


class _Kind(NamedTuple):
    """A kind of web application: its article and name, its middleware, and how many arguments it takes."""

    article: str
    name: str
    middleware: str
    arguments: int


_ASGI: Final = _Kind("an", "ASGI", "ChatVitalsMiddleware", 3)
_WSGI: Final = _Kind("a", "WSGI", "ChatVitalsWSGIMiddleware", 2)


def check_asgi(app: object, vitals: object) -> None:
    """Check the arguments of a middleware for ASGI.

    Raises:
        TypeError: `app` is no ASGI application, or `vitals` is not the result of `chatvitals.init`.

    """
    _check_middleware(app, vitals, _ASGI, _WSGI)


def check_wsgi(app: object, vitals: object) -> None:
    """Check the arguments of a middleware for WSGI.

    Raises:
        TypeError: `app` is no WSGI application, or `vitals` is not the result of `chatvitals.init`.

    """
    _check_middleware(app, vitals, _WSGI, _ASGI)


def _check_middleware(app: object, vitals: object, ours: _Kind, other: _Kind) -> None:
    if not callable(app):
        raise TypeError(f"app must be an application, not {type(app).__name__!r}")
    check_vitals(vitals)
    if _is_lambda(app):
        raise TypeError(_lambda_sentence(app))
    if _is_uncalled(app):
        raise TypeError(_uncalled_sentence(ours.middleware, app))
    if takes(app, other.arguments) and not takes(app, ours.arguments):
        raise TypeError(
            f"{_shown(app)} is {other.article} {other.name} application, "
            f"and {ours.middleware} takes {ours.name} applications: "
            f"use chatvitals.{other.middleware}(app, vitals), or vitals.instrument_app(app)"
        )


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
        TypeError: `function` cannot be called, or is a coroutine function or a web application.

    """
    if not callable(function):
        raise TypeError(
            f"lambda_handler takes the function with the arguments event and context, not {type(function).__name__!r}: "
            "write @vitals.lambda_handler above it"
        )
    if _is_web_application(function):
        raise TypeError(
            f"lambda_handler takes the function with the arguments event and context, not the web application "
            f"{_shown(function)}: use vitals.instrument_app(app), and give the application to an adapter such as "
            "Mangum or apig-wsgi"
        )
    if inspect.iscoroutinefunction(function):
        raise TypeError(
            "lambda_handler takes a plain function, because AWS Lambda does not await the result: "
            "use asyncio.run() in it"
        )


def takes(app: Any, count: int) -> bool | None:
    """Return whether `app` can be called with `count` arguments, or None where that is not known.

    A function that wraps another one counts by its own arguments, such as that of Werkzeug's `Request.application`.
    """
    try:
        inspect.signature(app, follow_wrapped=False).bind(*range(count))
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
    for sentence in _mistakes(app):
        return sentence
    return (
        f"instrument_app does not know applications like {type(app).__name__!r}: it takes those of Starlette, "
        "FastAPI, Flask, Quart, Django, aiohttp, Tornado and Sanic, and clients of pywa. Wrap another ASGI application "
        "as ChatVitalsMiddleware(app, vitals) and another WSGI application as vitals.instrument_wsgi(app), or call "
        "vitals.observe_webhook(body, headers) in the handler"
    )


def _mistakes(app: object) -> Iterator[str]:
    """Yield a sentence for each usual mistake that `app` is."""
    if isinstance(app, type):
        yield f"instrument_app takes an application, not the class {app.__name__!r}: create the application first"
    if isinstance(app, str):
        yield f"instrument_app takes the application itself, not its name {app!r:.80}: import it first"
    if isinstance(app, types.ModuleType):
        yield f"instrument_app takes an application, not the module {app.__name__!r}: name the application in it"
    if isinstance(app, types.MethodType) and _is_web_application(app.__self__):
        yield f"instrument_app takes the {type(app.__self__).__name__!r} itself, not its {app.__name__!r}"
    if any(is_instance(app, *each) for each in _PARTS):
        yield (
            f"instrument_app takes the whole application, not its part {_shown(app)}: pass the application that "
            "includes it, and the full path as webhook_path"
        )
    if any(is_instance(app, *each) for each in _ADAPTERS):
        yield (
            f"instrument_app takes the application itself, not the adapter {_shown(app)} around it: "
            "call instrument_app before the adapter is created"
        )
    if _is_lambda(app):
        yield _lambda_sentence(app)
    if _is_uncalled(app):
        yield _uncalled_sentence("instrument_app", app)


def started_sentence() -> str:
    """Return a sentence on an application that runs already, with advice."""
    return (
        "instrument_app was called after the application had started: "
        "call it at the place where the application is created, not in a request"
    )


def _shown(app: Any) -> str:
    """Return the name of a function or method, or of the type of an object, in quotes."""
    return repr(str(getattr(app, "__name__", "") or type(app).__name__))


def _uncalled_sentence(taker: str, app: object) -> str:
    kind = "class" if isinstance(app, type) else "function"
    return (
        f"{taker} takes an application, not the {kind} {_shown(app)}: call it first if it creates the application, "
        "or call vitals.observe_webhook(body, headers) in it if it handles the webhook"
    )


def _is_uncalled(app: object) -> bool:
    """Return whether `app` is a function or class that takes the arguments of no kind of application.

    Objects are not judged. Their `__call__` may be of a kind that `inspect` describes wrongly.
    """
    if not isinstance(app, (types.FunctionType, type)) or hasattr(app, "__signature__"):
        return False
    return takes(app, 2) is False and takes(app, 3) is False


def _first_names(app: Any) -> list[str]:
    try:
        return [name.strip("_") for name in inspect.signature(app, follow_wrapped=False).parameters][:2]
    except (TypeError, ValueError):
        return []


def _is_lambda(app: object) -> bool:
    """Return whether `app` is called with an event and its context, as functions and frameworks of AWS Lambda are."""
    if not callable(app) or not takes(app, 2) or takes(app, 3):
        return False
    event, context = _first_names(app)
    return event == "event" or context == "context"


def _lambda_sentence(app: object) -> str:
    return (
        f"{_shown(app)} is called with an event and its context, as in AWS Lambda: use vitals.lambda_handler(function)"
    )


def _is_web_application(app: object) -> bool:
    """Return whether `app` takes the arguments of ASGI or WSGI."""
    if not callable(app):
        return False
    return (takes(app, 3) is True and takes(app, 2) is False) or _first_names(app)[:1] == ["environ"]
