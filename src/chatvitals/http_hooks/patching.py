"""Replacement of a method of a client class, or of one client, by an observing wrapper, and its removal."""

from __future__ import annotations

import functools
import threading
import types
import weakref
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import msgspec

from chatvitals.http_hooks import memory_bodies
from chatvitals.whatsapp import send_requests

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from chatvitals.http_hooks.observer import Pending, SendObserver, UnreadSend

    Observing = Callable[[], SendObserver | None]
    Arguments = tuple[Any, ...]
    Keywords = Mapping[str, Any]

# Held only briefly, while attributes are compared and set.
lock = threading.RLock()

# The body of the send that is observed here. A nested call with the same body is the same send: requests calls `send`
# again for each redirect and then urllib3, and several wrappers of ours may be stacked.
_covered: ContextVar[object] = ContextVar("chatvitals_covered", default=None)
_unobserved: ContextVar[bool] = ContextVar("chatvitals_unobserved", default=False)

_ABSENT = object()


class Method(msgspec.Struct, frozen=True):
    """A method of a client library that all requests of its clients pass through."""

    module: str
    owner: str
    name: str
    asynchronous: bool
    address: Callable[[Any, Arguments, Keywords], tuple[object, object]]
    """Maps client, arguments and keywords to HTTP method and address (or path), without access to the body."""
    body: Callable[[Any, Arguments, Keywords], object]
    """Maps client, arguments and keywords to the body, or to None where there is none. It never consumes anything."""
    answered: Callable[[Pending, Any, Any, Keywords], None]
    """Gets pending send, client, response and keywords. It finishes the send now, or when the bot has read the body."""
    content: Callable[[Any], object] = memory_bodies.content
    """Maps the body to its content if it is in memory, else to None. It never consumes anything."""

    @property
    def label(self) -> str:
        """The name of the class for users."""
        return f"{self.module}.{self.owner}"

    def loaded_class(self, modules: Mapping[str, Any]) -> type | None:
        """Return the class if the library has been imported, else None. A partly imported library has no class yet."""
        owner = getattr(modules.get(self.module), self.owner, None)
        return owner if isinstance(owner, type) and self.name in vars(owner) else None


class Patch:
    """One replaced method. While `observing()` returns None, the wrapper passes all calls through.

    Args:
        method: the method to replace.
        target: the class, or one client.
        observing: function that returns the observer at the time of a call.

    """

    __slots__ = ("__weakref__", "_had", "_name", "_observing", "_target", "wrapper")

    def __init__(self, method: Method, target: Any, observing: Observing) -> None:
        self._name = method.name
        self._observing = observing
        self._target: Callable[[], Any]
        bare: Callable[[Any], Callable[..., Any]]
        self._had = had = vars(target).get(method.name, _ABSENT)
        if isinstance(target, type):
            self._target = functools.partial(_itself, target)
            bare = functools.partial(_bound, had)
            self.wrapper = _wrapper(method, bare, observing, self.heal, had)
            setattr(target, method.name, self.wrapper)
            return
        self._target = weakref.ref(target)  # the undo function must not keep the client alive
        # The class's attribute is looked up at call time, because others may patch it later.
        bare = functools.partial(_of_class, method.name) if had is _ABSENT else functools.partial(_whatever, had)
        looks_like = _static(type(target), method.name)
        # The client's attribute refers to the client, like a bound method must. The garbage collector ends the cycle.
        self.wrapper = _wrapper(method, bare, observing, self.heal, looks_like)
        # Without `__setattr__`, because aiohttp's warns in debug mode.
        vars(target)[method.name] = types.MethodType(self.wrapper, target)

    def undo(self) -> None:
        """Restore exactly the original attribute. Where another patch lies over ours, leave that patch."""
        with lock:
            target = self._target()
            attribute = None if target is None else vars(target).get(self._name)
            if getattr(attribute, "__func__", attribute) is not self.wrapper:
                return
            if isinstance(target, type):
                setattr(target, self._name, self._had)
            elif self._had is _ABSENT:
                del vars(target)[self._name]
            else:
                vars(target)[self._name] = self._had

    def heal(self) -> None:
        """Undo a patch that is not used any more. It was restored when a patch over it was removed."""
        with lock:
            if self._observing() is None:
                self.undo()

    def is_under(self, attribute: Any) -> bool:
        """Return whether calls of `attribute` reach our wrapper, according to `__wrapped__`."""
        for _ in range(32):  # chains of wrappers are short, and a cycle must end
            if attribute is self.wrapper:
                return True
            attribute = getattr(attribute, "__wrapped__", None)
            if attribute is None:
                return False
        return False


@contextmanager
def unobserved() -> Iterator[None]:
    """Do not count the calls in the body of the `with` statement, because they are ours and not the bot's."""
    token = _unobserved.set(True)
    try:
        yield
    finally:
        _unobserved.reset(token)


def _wrapper(
    method: Method,
    bare: Callable[[Any], Callable[..., Any]],
    observing: Observing,
    heal: Callable[[], None],
    looks_like: Any,
) -> Callable[..., Any]:
    """Return a wrapper with the name, signature and kind (sync or async) of `looks_like`.

    Response and exception pass as the same objects. `_covered` is reset by value, because a token could not be reset
    where a coroutine is closed in another context than it ran in.
    """

    def call(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(method, observing(), heal, (self, args, kwargs))
        if begun is None:
            return bare(self)(*args, **kwargs)
        pending, covers = begun
        before = _covered.get()
        _covered.set(covers)
        pending.enter()
        try:
            response = bare(self)(*args, **kwargs)
        except BaseException as error:
            pending.failed(error)
            raise
        finally:
            _covered.set(before)
            pending.leave()
        if pending.counts:
            with pending.guard("clients"):
                method.answered(pending, self, response, kwargs)
        return response

    async def acall(self: Any, /, *args: Any, **kwargs: Any) -> Any:
        begun = _begin(method, observing(), heal, (self, args, kwargs))
        if begun is None:
            return await bare(self)(*args, **kwargs)
        pending, covers = begun
        before = _covered.get()
        _covered.set(covers)
        pending.enter()
        try:
            response = await bare(self)(*args, **kwargs)
        except BaseException as error:
            pending.failed(error)
            raise
        finally:
            _covered.set(before)
            pending.leave()
        if pending.counts:
            with pending.guard("clients"):
                method.answered(pending, self, response, kwargs)
        return response

    # Without the `__dict__`, where other instrumentations put marks by which they recognise their own wrappers.
    return functools.update_wrapper(acall if method.asynchronous else call, looks_like, updated=())


def _begin(
    method: Method, observer: SendObserver | None, heal: Callable[[], None], call: tuple[Any, Arguments, Keywords]
) -> tuple[Pending | UnreadSend, object] | None:
    """Return the send of a call and the body that it covers, or None for calls to ignore. It never raises."""
    if observer is None:
        heal()
        return None
    try:
        verb, url = method.address(*call)
        if not send_requests.is_endpoint(verb, url) or _unobserved.get():
            return None
        body = method.body(*call)
        if body is None or _covered.get() is body:
            return None
        content = method.content(body)
        pending = observer.unread(str(url)) if content is None else observer.begin(str(verb), str(url), content)
    except Exception as error:  # noqa: BLE001 - `with guard` would cost every other request 0.3 µs
        observer.guard.report("clients", error)
        return None
    return None if pending is None else (pending, body)


def _itself(target: Any) -> Any:
    return target


def _whatever(attribute: Any, _client: Any) -> Any:
    return attribute


def _bound(attribute: Any, client: Any) -> Any:
    """Bind a class's attribute to a client like Python does. Other wrappers may be descriptors or other callables."""
    get = getattr(type(attribute), "__get__", None)
    return attribute if get is None else get(attribute, client, type(client))


def _of_class(name: str, client: Any) -> Any:
    return _bound(_static(type(client), name), client)


def _static(owner: type, name: str) -> Any:
    """Return a class's attribute in its stored, unbound form."""
    for base in owner.__mro__:
        if name in vars(base):
            return vars(base)[name]
    raise AttributeError(name)
