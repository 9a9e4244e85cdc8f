"""Check of the app's webhook fields and callback address (whatsapp/README.md 6.5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatvitals.doctor import http
from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.doctor.graph import RefusedError
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.doctor.finding import Finding
    from chatvitals.doctor.graph import Graph, Json

_FIELDS, _CALLBACK = "webhook fields", "callback address"
_TICK = "tick them in the App Dashboard, WhatsApp, Configuration, Webhook fields"


class Subscribed(NamedTuple):
    """The app's subscription: the finding about its fields, and its callback address."""

    finding: Finding
    callback: str = ""


def fields(app_id: str, apps: Sequence[Graph]) -> Subscribed:
    """Check the fields that the app is subscribed to.

    Args:
        app_id: the app's id, or the empty string.
        apps: clients of the Graph API with the app's own tokens, one for each secret.

    """
    if not app_id or not apps:
        enable = "--app-id (CHATVITALS_APP_ID) and the app secret (CHATVITALS_APP_SECRET) enable this"
        return Subscribed(skipped(_FIELDS, "only the app itself may list its webhook fields", enable))
    refused: RefusedError | None = None
    for app in apps:
        try:
            rows = app.rows(f"{app_id}/subscriptions")
        except RefusedError as error:
            refused = error
        else:
            return _read(app_id, rows)
    assert refused is not None  # noqa: S101 - there was at least one to ask
    return Subscribed(attention(_FIELDS, str(refused), refused.do_next))


def callback(known: str, url: str) -> Finding:
    """Return whether the app's callback address is the address of `--url`."""
    if not known:
        return skipped(_CALLBACK, "the app's callback address is not known", "the app id and app secret enable this")
    where = http.shown(known)
    if not url:
        return skipped(_CALLBACK, f"webhooks go to {where}", "--url (CHATVITALS_WEBHOOK_URL) compares it with yours")
    if http.is_loopback(url):
        return ok(_CALLBACK, f"webhooks go to {where}, and --url is a local address")
    if same(known, url):
        return ok(_CALLBACK, f"webhooks go to {where}")
    return attention(
        _CALLBACK,
        f"webhooks go to {where}, not to {http.shown(url)}",
        "correct it in the App Dashboard, WhatsApp, Configuration, or check that --url is this bot's address",
    )


def same(one: str, other: str) -> bool:
    """Return whether two addresses are the same, without a slash at the end and the query."""
    return http.shown(one).rstrip("/").lower() == http.shown(other).rstrip("/").lower()


def _read(app_id: str, rows: list[Json]) -> Subscribed:
    row = next((row for row in rows if row.get("object") == enums.OBJECT), None)
    if row is None:
        found = f"the app {app_id} has no subscription for WhatsApp"
        return Subscribed(attention(_FIELDS, found, f"set the callback address, and {_TICK}"))
    address = row.get("callback_url")
    address = address if isinstance(address, str) else ""
    if row.get("active") is False:
        found = "the app's subscription is switched off, so no webhook comes"
        return Subscribed(attention(_FIELDS, found, "verify the callback address again in the App Dashboard"), address)
    listed = row.get("fields")
    ticked = {_name(item) for item in listed} if isinstance(listed, list) else set()
    missing = [name for name in enums.WANTED_FIELDS if name not in ticked]
    if missing:
        found = f"not subscribed: {', '.join(missing)}"
        return Subscribed(
            attention(_FIELDS, found, _TICK.replace("them", "it") if len(missing) == 1 else _TICK), address
        )
    return Subscribed(ok(_FIELDS, f"all {len(enums.WANTED_FIELDS)} that chatvitals reads are subscribed"), address)


def _name(item: object) -> str:
    """Return a field's name. Older versions of the API return a bare name instead of an object."""
    return str(item.get("name")) if isinstance(item, dict) else str(item)
