"""Import of a bot with `--app module:app`, so that the doctor knows the bot's own set-up."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.settings import Settings, SettingsError
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.doctor.finding import Finding

_PATH = "webhook path"
_UNKNOWN = skipped(_PATH, "no webhook has come yet", "--app MODULE:APP compares it with the app's own paths")


class BotSetup(NamedTuple):
    """The set-up in a bot's code."""

    settings: Settings
    webhook_paths: tuple[str, ...]
    """The paths that chatvitals watches."""
    metrics_paths: tuple[str, ...]
    posts: tuple[str, ...]
    """The paths at which the application answers POST. It is empty where its framework does not list them."""
    tokens: dict[str, str]
    """The access tokens of `watch_quality`, by account."""


def load(name: str) -> BotSetup:
    """Import a bot and return its set-up. Everything that it started in this process is closed again.

    Args:
        name: `module:app`, as for uvicorn. The current folder is searched first.

    Raises:
        SettingsError: the bot cannot be imported, or holds no `Vitals`.

    """
    module_name, _, attribute = name.partition(":")
    if not module_name or not attribute:
        raise SettingsError(f"--app must look like module:app, not {name!r}")
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        module = importlib.import_module(module_name)
    except Exception as error:  # the bot's own code may raise anything
        raise SettingsError(
            f"the module {module_name} cannot be imported ({type(error).__name__}: {error}): run the doctor in the "
            "bot's folder, with the bot's environment variables"
        ) from error
    try:
        app: Any = module
        for part in attribute.split("."):
            app = getattr(app, part)
    except AttributeError:
        raise SettingsError(f"the module {module_name} has no {attribute!r}") from None
    found = next(_vitals_of(app, module), None)
    if found is None:
        raise SettingsError(
            f"{name} is not watched by chatvitals: call chatvitals.init() and vitals.instrument_app(app)"
        )
    sink, poller = found.webhook_sink, found._poller
    made = BotSetup(
        found.settings,
        tuple(sorted(sink.webhook_paths)),
        tuple(sorted(sink.metrics_paths)),
        tuple(sorted(set(_posts(app)))),
        {} if poller is None else poller.tokens(),
    )
    found.close()
    return made


def webhook_path(bot: BotSetup | None, callback_path: str, lost: float, accepted: float) -> Finding:
    """Return whether chatvitals watches the path that WhatsApp posts to.

    Args:
        bot: the set-up in the bot's code, or None where it is not known.
        callback_path: the path of the address that WhatsApp posts to. It is empty where it is not known.
        lost: webhooks that the running bot has seen on other paths.
        accepted: webhooks that the running bot has accepted.

    """
    if lost and not accepted:
        found = "webhooks of WhatsApp came to a path that chatvitals does not watch"
        return attention(_PATH, found, _of_code(bot).next or "set webhook_path to the path that the bot's log names")
    if bot is not None:
        return _of_code(bot, callback_path)
    if accepted:
        return ok(_PATH, "webhooks come to the path that chatvitals watches")
    return _UNKNOWN


def _of_code(bot: BotSetup | None, callback_path: str = "") -> Finding:
    """Return whether the paths in the bot's code fit together, and fit the address that WhatsApp posts to."""
    if bot is None:
        return _UNKNOWN._replace(next="")
    if not bot.webhook_paths:
        do_next = "call vitals.instrument_app(app, webhook_path=…), or observe_webhook() in the handler"
        return attention(_PATH, "chatvitals watches no path of this app", do_next)
    shown, bare = " ".join(bot.webhook_paths), {path.rstrip("/") for path in bot.webhook_paths}
    if bot.posts and not bare & {path.rstrip("/") for path in bot.posts}:
        which = "" if len(bot.posts) == 1 else "one of "
        do_next = f"set webhook_path to {which}{' '.join(bot.posts)}"
        return attention(_PATH, f"chatvitals watches {shown}, where the app answers no POST", do_next)
    if callback_path and not any(callback_path.rstrip("/").endswith(path) for path in bare):
        found = f"webhooks go to {callback_path}, and chatvitals watches {shown}"
        return attention(_PATH, found, "set webhook_path to that path, unless a proxy rewrites it")
    return ok(_PATH, f"chatvitals watches {shown}")


def _vitals_of(app: Any, module: Any) -> Iterator[Vitals]:
    """Yield the `Vitals` of an application, from itself, its middleware, or a variable of its module."""
    if isinstance(app, Vitals):
        yield app
    for middleware in getattr(app, "user_middleware", None) or ():
        yield from _only(getattr(middleware, "kwargs", {}).get("vitals"))
    for door in (app, getattr(app, "wsgi_app", None), getattr(app, "asgi_app", None)):
        yield from _only(getattr(door, "_vitals", None))
    for value in vars(module).values():
        yield from _only(value)


def _only(value: object) -> Iterator[Vitals]:
    if isinstance(value, Vitals):
        yield value


def _posts(app: Any) -> Iterator[str]:
    """Yield the fixed paths at which an application of Starlette, FastAPI, Flask or Quart answers POST."""
    for route in getattr(app, "routes", None) or ():
        if "POST" in (getattr(route, "methods", None) or ()):
            yield str(getattr(route, "path", ""))
        for inner in getattr(route, "routes", None) or ():
            if "POST" in (getattr(inner, "methods", None) or ()):
                yield f"{getattr(route, 'path', '')}{getattr(inner, 'path', '')}"
    rules = getattr(app, "url_map", None)
    for rule in rules.iter_rules() if rules is not None else ():
        if "POST" in (rule.methods or ()):
            yield str(rule.rule)
