"""The bot's refusal of a webhook, as a status or as an exception of a web framework."""

from __future__ import annotations

from typing import Final

STATUSES: Final = (401, 403, 404, 405)
"""Statuses with which an application rejects a webhook as forged."""

# Modules of exceptions that servers answer with a status. Those of HTTP clients have a status, too, but say something
# about the bot's own requests.
_MODULES: Final = (
    "aiohttp.web_exceptions",
    "blacksheep.exceptions",
    "bottle",
    "falcon",
    "litestar",
    "ninja",
    "rest_framework",
    "robyn",
    "sanic",
    "starlette",
    "tornado.web",
    "webob",
    "werkzeug",
)
_OF_DJANGO: Final = frozenset({"PermissionDenied", "Http404"})  # which know no status
_MOST_BASES: Final = 32


def is_one(error: BaseException) -> bool:
    """Return whether a web framework answers this exception with a status that rejects a webhook."""
    for kind in type(error).__mro__[:_MOST_BASES]:
        module = kind.__module__
        if module.partition(".")[0] == "django" and kind.__name__ in _OF_DJANGO:
            return True
        if any(f"{module}.".startswith(f"{known}.") for known in _MODULES):
            return _status(error) in STATUSES
    return False


def _status(error: BaseException) -> int:
    for owner in (getattr(error, "response", None), error):  # the first is that of Flask's `abort(response)`
        for name in ("status_code", "code", "status"):
            text = format(getattr(owner, name, ""))[:3]  # a number, an `HTTPStatus`, or a line such as "403 Forbidden"
            if text.isdecimal():
                return int(text)
    return 0
