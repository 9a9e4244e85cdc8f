"""Show WhatsApp's rating of each number, and its proposal for blocked numbers (whatsapp/README.md 6.1, 6.3)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.doctor.graph import RefusedError
from chatvitals.graph_api.poller import NO_SUCH_FIELD, NUMBER_FIELDS, SURE_NUMBER_FIELDS
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.doctor.finding import Finding
    from chatvitals.doctor.graph import Graph, Json

_CHECK = "business number"
_BAD_STATUSES = frozenset(enums.NUMBER_STATUSES) - {"CONNECTED", "LINKED", "UNKNOWN", enums.OTHER}
_MANAGER = "open WhatsApp Manager, Phone numbers"


def numbers(graph: Graph, waba: str) -> tuple[list[Finding], list[Json]]:
    """Return a finding for each number of an account, and the API's rows."""
    if graph.out_of_reach:
        return [skipped(_CHECK, f"not checked: {graph.out_of_reach}", subject=waba)], []
    try:
        rows = _rows(graph, waba)
    except RefusedError as error:
        return [attention(_CHECK, str(error), error.do_next, subject=waba)], []
    if not rows:
        do_next = "add one in WhatsApp Manager, or give the token's system user this account"
        return [attention(_CHECK, "the account has no number that the token can see", do_next, subject=waba)], []
    return [_number(row) for row in rows], rows


def callback(rows: list[Json]) -> str:
    """Return the app's own callback address from the numbers' rows, or the empty string."""
    for row in rows:
        configured = row.get("webhook_configuration")
        address = configured.get("application") if isinstance(configured, dict) else None
        if isinstance(address, str) and address:
            return address
    return ""


def _rows(graph: Graph, waba: str) -> list[Json]:
    """Return the numbers with all fields, or with the fields that every version and account has."""
    fields = (f"{NUMBER_FIELDS},webhook_configuration", NUMBER_FIELDS, SURE_NUMBER_FIELDS)
    for wanted in fields[:-1]:
        try:
            return graph.rows(f"{waba}/phone_numbers", fields=wanted)
        except RefusedError as error:
            if error.code != NO_SUCH_FIELD:
                raise
    return graph.rows(f"{waba}/phone_numbers", fields=fields[-1])


def _number(row: Json) -> Finding:
    subject = str(row.get("display_phone_number") or row.get("id") or "a number")
    rating, status = (str(row.get(name) or "").upper() for name in ("quality_rating", "status"))
    rating = rating or "UNKNOWN"
    rated = "no rating yet" if rating in enums.NO_RATING else f"rated {rating}"
    found = f"{rated}, {status}" if status else rated
    blocked = list(_blocked(row.get("health_status")))
    if blocked:
        says, proposed = blocked[0]
        return attention(_CHECK, f"{found}, {says}", proposed or f"{_MANAGER}, for the reason", subject=subject)
    if status in _BAD_STATUSES:
        return attention(_CHECK, found, f"{_MANAGER}, which shows the missing step", subject=subject)
    if rating == "RED":
        do_next = "send fewer templates, to people who asked for them. See the templates' ratings and opt-outs"
        return attention(_CHECK, found, do_next, subject=subject)
    return ok(_CHECK, found, subject=subject)


def _blocked(health: object) -> Iterator[tuple[str, str]]:
    """Yield blocked and limited entities of the chain, blocked first, with WhatsApp's own proposals."""
    entities = health.get("entities") if isinstance(health, dict) else None
    entities = [entity for entity in entities if isinstance(entity, dict)] if isinstance(entities, list) else []
    for value, word in (("BLOCKED", "sending is blocked"), ("LIMITED", "sending is limited")):
        for entity in entities:
            if str(entity.get("can_send_message")).upper() == value:
                kind = str(entity.get("entity_type", "")).lower().replace("_", " ")
                error = _first(entity.get("errors"))
                reason = error.get("error_description") or _first(entity.get("additional_info"), "text").get("text")
                says = f"{word} by the {kind}" + (f": {str(reason)[:200]}" if reason else "")
                yield says, str(error.get("possible_solution") or "")[:200]


def _first(items: object, bare: str = "") -> Json:
    """Return the first object of a list. A bare text is put under the key `bare`."""
    first = items[0] if isinstance(items, list) and items else None
    if isinstance(first, str) and bare:
        return {bare: first}
    return first if isinstance(first, dict) else {}
