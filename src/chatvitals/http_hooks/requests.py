"""Sends through requests: `Session.send`, which calls itself for redirects and reads the body unless it streams."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.http_hooks.late_answers import LateAnswer, Ways
from chatvitals.http_hooks.patching import Method

if TYPE_CHECKING:
    from chatvitals.http_hooks.observer import Pending
    from chatvitals.http_hooks.patching import Arguments, Keywords


_WAYS = Ways(("close",), ("iter_content",))


def _request(args: Arguments, kwargs: Keywords) -> Any:
    return args[0] if args else kwargs.get("request")


def _address(_client: Any, args: Arguments, kwargs: Keywords) -> tuple[object, object]:
    request = _request(args, kwargs)
    return getattr(request, "method", None), getattr(request, "url", None)


def _body(_client: Any, args: Arguments, kwargs: Keywords) -> object:
    return getattr(_request(args, kwargs), "body", None)


def _answered(pending: Pending, client: Any, response: Any, kwargs: Keywords) -> None:
    if not kwargs.get("stream", client.stream) or isinstance(getattr(response, "_content", None), bytes):
        pending.finish(response.status_code, response.content)
        return
    LateAnswer(pending, response, response.status_code, _WAYS)


METHODS = (Method("requests", "Session", "send", asynchronous=False, address=_address, body=_body, answered=_answered),)
