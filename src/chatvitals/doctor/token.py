"""Checks of the access token's validity and permissions, and of this machine's clock."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.doctor.graph import RefusedError
from chatvitals.stores.base import LEASE_TOLERANCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from chatvitals.doctor.finding import Finding
    from chatvitals.doctor.graph import Graph, Json

_TOKEN, _SCOPES, _CLOCK = "access token", "token scopes", "clock"
_NEEDED, _USEFUL = "whatsapp_business_management", "whatsapp_business_messaging"
_SOON = 7 * 86_400.0
_NEVER = 2**40  # seconds; 0 also means never
_RENEW = "create a token of a system user, which need not expire, and set CHATVITALS_ACCESS_TOKEN"


class Token:
    """The check of the token. `app_id` is known after the check."""

    def __init__(self, graph: Graph, app_id: str, apps: Sequence[Graph]) -> None:
        self.app_id: str = app_id
        self._graph = graph
        self._apps = apps

    def check(self, token: str, now: float) -> Iterator[Finding]:
        """Yield the findings about the token."""
        try:
            data = self._told(token)
        except RefusedError as error:
            if self._graph.out_of_reach or not _asks_for_an_app(error):
                yield attention(_TOKEN, str(error), error.do_next)
            else:
                yield skipped(
                    _TOKEN,
                    "WhatsApp does not let this token inspect itself",
                    "--app-id (CHATVITALS_APP_ID) and CHATVITALS_APP_SECRET let the app inspect it",
                )
            return
        if data.get("is_valid") is not True:
            self._graph.out_of_reach = "the access token is not valid"
            yield attention(_TOKEN, f"WhatsApp reports that it is not valid{_reason(data)}", _RENEW)
            return
        yield self._validity(data, now)
        yield _scopes(data)

    def _told(self, token: str) -> Json:
        try:
            return _data(self._graph.get("debug_token", input_token=token))
        except RefusedError as error:
            refused = error
        for app in self._apps if _asks_for_an_app(refused) else ():
            try:
                return _data(app.get("debug_token", input_token=token))
            except RefusedError:  # the next secret may belong to the app; the check of the fields names wrong secrets
                continue
        raise refused

    def _validity(self, data: Json, now: float) -> Finding:
        owner = str(data.get("app_id") or "")
        if self.app_id and owner and owner != self.app_id:
            found = f"valid, but it belongs to the app {owner}, not to {self.app_id}"
            return attention(_TOKEN, found, "use a token of the app that receives the webhooks, or correct --app-id")
        self.app_id = self.app_id or owner
        expires = data.get("expires_at")
        if not isinstance(expires, int) or not 0 < expires < _NEVER:
            return ok(_TOKEN, "valid, does not expire")
        day = time.strftime("%Y-%m-%d", time.gmtime(expires))
        if expires - now < _SOON:
            return attention(_TOKEN, f"valid, but it expires on {day}, {_in(expires - now)}", _RENEW)
        return ok(_TOKEN, f"valid until {day}")


def clock(skew: float | None) -> Finding:
    """Return whether this machine's clock agrees with the API's clock."""
    if skew is None:
        return skipped(_CLOCK, "no answer of the Graph API contained the time", "a valid access token enables this")
    if abs(skew) <= LEASE_TOLERANCE:
        return ok(_CLOCK, f"agrees with WhatsApp's within {LEASE_TOLERANCE:g} s")
    found = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} WhatsApp's, so waits are measured wrongly"
    return attention(_CLOCK, found, "let NTP set the clock of this machine (timedatectl set-ntp true)")


def _scopes(data: Json) -> Finding:
    listed = data.get("scopes")
    scopes = {str(scope) for scope in listed} if isinstance(listed, list) else set()
    if _NEEDED not in scopes:
        found = f"{_NEEDED} is missing, so ratings and templates cannot be read"
        return attention(_SCOPES, found, "create a token with this permission")
    if _USEFUL not in scopes:
        return ok(_SCOPES, f"{_NEEDED}. Without {_USEFUL} it reads everything but cannot send")
    return ok(_SCOPES, f"{_NEEDED}, {_USEFUL}")


def _asks_for_an_app(error: RefusedError) -> bool:
    return error.code == 100 or 200 <= error.code < 300


def _data(answer: Json) -> Json:
    data = answer.get("data")
    return data if isinstance(data, dict) else {}


def _reason(data: Json) -> str:
    error = data.get("error")
    text = error.get("message") if isinstance(error, dict) else None
    return f": {text[:200]}" if isinstance(text, str) and text else ""


def _in(seconds: float) -> str:
    return f"in {seconds / 86_400:.0f} days" if seconds >= 2 * 86_400 else f"in {max(seconds, 0) / 3600:.0f} h"
