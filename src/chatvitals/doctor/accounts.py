"""Check that an account's webhooks reach the app and that no override redirects them (whatsapp/README.md 1.4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatvitals.doctor import http
from chatvitals.doctor.app import same
from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.doctor.graph import RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.doctor.finding import Finding
    from chatvitals.doctor.graph import Graph, Json

SUBSCRIPTION = "subscription"
_OVERRIDE = "callback override"


class Subscription(NamedTuple):
    """The subscription of an account, as far as it is known."""

    finding: Finding
    override: str = ""
    """The address that gets this account's messages instead of the app's callback address."""
    missing: bool = False
    """Whether the account is known to lack a subscription, which `--fix` can add."""
    known: bool = True


def subscription(graph: Graph, waba: str, app_id: str) -> Subscription:
    """Check whether the app receives an account's webhooks."""
    if graph.out_of_reach:
        return Subscription(skipped(SUBSCRIPTION, f"not checked: {graph.out_of_reach}", subject=waba), known=False)
    try:
        rows = graph.rows(f"{waba}/subscribed_apps")
    except RefusedError as error:
        return Subscription(attention(SUBSCRIPTION, str(error), error.do_next, subject=waba), known=False)
    apps = {_app(row): row for row in rows}
    names = ", ".join(_named(row) for row in rows)
    mend = "`chatvitals doctor --fix` subscribes it, after asking"
    if not apps:
        found = "no app is subscribed, so no webhook comes"
        return Subscription(attention(SUBSCRIPTION, found, mend, subject=waba), missing=True)
    if app_id and app_id not in apps:
        found = f"the app {app_id} is not subscribed, only {names}"
        return Subscription(attention(SUBSCRIPTION, found, mend, subject=waba), missing=True)
    own = [apps[app_id]] if app_id else rows
    override = next((uri for row in own if isinstance(uri := row.get("override_callback_uri"), str) and uri), "")
    found = f"an app is subscribed, but it is not known which one is yours: {names}"
    found = f"{_named(apps[app_id])} is subscribed" if app_id else found
    return Subscription(ok(SUBSCRIPTION, found, subject=waba), override)


def overrides(waba: str, subscribed: Subscription, numbers: Iterable[Json], callback: str) -> Finding:
    """Return whether overrides send messages and quality webhooks to different addresses.

    Args:
        waba: the account.
        subscribed: the subscription, as far as it is known.
        numbers: its numbers, with `webhook_configuration` where the API returns it.
        callback: the app's own callback address, or the empty string.

    """
    found = {subscribed.override: "the account"} if subscribed.override else {}
    for row in numbers:
        configured = row.get("webhook_configuration")
        configured = configured if isinstance(configured, dict) else {}
        for key, whose in (
            ("phone_number", f"the number {row.get('id')}"),
            ("whatsapp_business_account", "the account"),
        ):
            if address := _text(configured.get(key)):
                found.setdefault(address, whose)
    elsewhere = {address: whose for address, whose in found.items() if not (callback and same(address, callback))}
    if not subscribed.known and not found:
        return skipped(_OVERRIDE, "not known, as the subscription could not be read", subject=waba)
    if not elsewhere:
        return ok(_OVERRIDE, "none, so all webhooks go to the app's callback address", subject=waba)
    address, whose = next(iter(elsewhere.items()))
    own = f" ({http.shown(callback)})" if callback else ""
    return attention(
        _OVERRIDE,
        f"messages of {whose} go to {http.shown(address)}. Webhooks about quality, templates and the account "
        f"always go to the app's own callback address{own}",
        "point that address to this bot as well, or remove the override. Otherwise these gauges stay empty",
        subject=waba,
    )


def subscribe(graph: Graph, waba: str) -> Finding | None:
    """Subscribe the token's app to an account. Return a finding on a failure, or None."""
    try:
        answer = graph.post(f"{waba}/subscribed_apps")
    except RefusedError as error:
        return attention(SUBSCRIPTION, f"the subscription was refused: {error}", error.do_next, subject=waba)
    if answer.get("success") is not True:
        return attention(SUBSCRIPTION, "the subscription failed without a reason", "try again", subject=waba)
    return None


def _app(row: Json) -> str:
    data = row.get("whatsapp_business_api_data")
    return str(data.get("id", "")) if isinstance(data, dict) else ""


def _named(row: Json) -> str:
    data = row.get("whatsapp_business_api_data")
    name = data.get("name") if isinstance(data, dict) else None
    return f"{name} ({_app(row)})" if isinstance(name, str) and name else f"the app {_app(row)}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
