"""Observation of the bot's sends, by hooks on the HTTP clients of the whole process or on one client.

A library is hooked as soon as it has been imported. chatvitals imports none of them, since each import costs a bot
about 0.2 s and 10 MB. An import hook finds later imports. If another tool imports in another way, the next `refresh`
finds the library. Integrations call `refresh` for each webhook.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from chatvitals.http_hooks import aiohttp as _aiohttp
from chatvitals.http_hooks import http_client as _http_client
from chatvitals.http_hooks import httpx as _httpx
from chatvitals.http_hooks import niquests as _niquests
from chatvitals.http_hooks import requests as _requests
from chatvitals.http_hooks import urllib3 as _urllib3
from chatvitals.http_hooks.observer import REPLACED, Pending, SendObserver
from chatvitals.http_hooks.patching import Method, Patch, lock, unobserved
from chatvitals.runtime.import_hook import ImportHook

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pending", "SendObserver", "hooked", "install", "instrument_client", "refresh", "remove", "unobserved"]

_METHODS: tuple[Method, ...] = (
    *_httpx.METHODS,
    *_requests.METHODS,
    *_aiohttp.METHODS,
    *_niquests.METHODS,
    *_urllib3.METHODS,
    *_http_client.METHODS,
)

_observers: tuple[SendObserver, ...] = ()  # in order of installation; the last observer gets the sends
_patches: dict[Method, Patch] = {}
_waiting: tuple[Method, ...] = ()  # methods of libraries that were not yet imported at the last look
_modules = 0  # the number of modules at the last look


def install(observer: SendObserver) -> None:
    """Let `observer` see the sends of all clients of this process, in place of an earlier observer."""
    global _observers  # noqa: PLW0603 - class-level hooks are process-wide, and so is the list of observers
    with lock:
        if any(not other.store or other.store != observer.store for other in _observers if other is not observer):
            observer.guard.advice.once(REPLACED)
        _observers = (*(other for other in _observers if other is not observer), observer)
        _patch(_METHODS)
        _import_hook.install()


def remove(observer: SendObserver) -> None:
    """Remove `observer`. After the last removal, every class gets back exactly its original methods.

    Where another patch lies over ours, that patch stays and our wrapper passes all calls through.
    """
    global _observers  # noqa: PLW0603 - as in `install`
    with lock:
        _observers = tuple(other for other in _observers if other is not observer)
        if not _observers:
            _import_hook.remove()
            for patch in _patches.values():
                patch.undo()


def _imported() -> None:
    """Hook the library that has just been imported."""
    with lock:
        if _observers:
            _patch(_waiting)


_import_hook = ImportHook({method.module for method in _METHODS} | {"httpx2", "urllib3", "urllib3_future"}, _imported)


def refresh() -> None:
    """Hook the libraries that were imported since the last look. Without new imports it costs next to nothing."""
    global _modules  # noqa: PLW0603 - as in `install`
    modules = len(sys.modules)
    if modules == _modules:
        return
    for method in _waiting:
        if method.module in sys.modules:
            with lock:
                if _observers:
                    _patch(_waiting)
            return  # and look again next time, because a partly imported library may have no class yet
    _modules = modules


def hooked() -> list[str]:
    """Return the names of the libraries whose clients are watched in this process, such as `httpx`."""
    return sorted({method.module.partition(".")[0] for method in _patches}) if _observers else []


def instrument_client(client: Any, observer: SendObserver) -> Callable[[], None]:
    """Let only `observer` see the sends of one client. Return a function that undoes it.

    Args:
        client: an `httpx.Client`, `httpx.AsyncClient` (or httpx2's), `requests.Session`, `aiohttp.ClientSession`, a
            session of niquests, a pool of urllib3 or a connection of http.client.
        observer: the observer of the sends.

    Raises:
        TypeError: the client is of another kind.

    """
    for method in _METHODS:
        owner = method.loaded_class(sys.modules)
        if owner is not None and isinstance(client, owner):
            return _ClientWatch(method, client, observer)
    known = ", ".join(method.label for method in _METHODS if "._" not in method.label)
    raise TypeError(
        f"instrument_client cannot watch a {type(client).__module__}.{type(client).__qualname__}. "
        f"It takes an instance of one of: {known}"
    )


class _ClientWatch:
    """The hook on one client, until a call undoes it. The client keeps it alive, and nothing else must."""

    __slots__ = ("__weakref__", "_observer", "_patch")

    def __init__(self, method: Method, client: Any, observer: SendObserver) -> None:
        self._observer: SendObserver | None = observer
        with lock:
            self._patch = Patch(method, client, self._observing)

    def __call__(self) -> None:
        """Remove the hook. A second call does nothing."""
        self._observer = None
        self._patch.undo()

    def _observing(self) -> SendObserver | None:
        return self._observer


def _observing() -> SendObserver | None:
    observers = _observers
    return observers[-1] if observers else None


def _patch(methods: tuple[Method, ...]) -> None:
    """Hook those of `methods` whose library is imported and whose class is not hooked yet."""
    global _waiting  # noqa: PLW0603 - as in `install`
    waiting = []
    for method in methods:
        with _observers[-1].guard("clients"):
            owner = method.loaded_class(sys.modules)
            if owner is None:
                waiting.append(method)
                continue
            patch = _patches.get(method)
            if patch is None or not patch.is_under(vars(owner)[method.name]):
                _patches[method] = Patch(method, owner, _observing)
    _waiting = tuple(waiting)
