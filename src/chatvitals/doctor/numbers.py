"""Show WhatsApp's rating of each number, and its proposal for blocked numbers (whatsapp/README.md 6.1, 6.3)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.doctor.graph import RefusedError
from chatvitals.graph_api import fields
from chatvitals.whatsapp import enums, schema

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from chatvitals.doctor.finding import Finding
    from chatvitals.doctor.graph import Graph, Json

_CHECK = "business number"
_BAD_STATUSES = frozenset(enums.NUMBER_STATUSES) - {"CONNECTED", "LINKED", "UNKNOWN", enums.OTHER}
_BAD_NAMES = frozenset({"DECLINED", "EXPIRED"})
_UNVERIFIED = frozenset({"NOT_VERIFIED", "EXPIRED"})
_USUAL_THROUGHPUT = frozenset({"STANDARD", "NOT_APPLICABLE", ""})
_FIELDS = fields.NUMBERS.also("name_status", "code_verification_status", "throughput", "webhook_configuration")
_MANAGER = "open WhatsApp Manager, Phone numbers"


def numbers(graph: Graph, waba: str) -> tuple[list[Finding], list[Json]]:
    """Return a finding for each number of an account, and the API's rows."""
    if graph.out_of_reach:
        return [skipped(_CHECK, f"not checked: {graph.out_of_reach}", subject=waba)], []
    try:
        rows = graph.rows(f"{waba}/phone_numbers", _FIELDS)
    except RefusedError as error:
        return [attention(_CHECK, str(error), error.do_next, subject=waba)], []
    if not rows:
        do_next = "add one in WhatsApp Manager, or give the token's system user this account"
        return [attention(_CHECK, "the account has no number that the token can see", do_next, subject=waba)], []
    return [_number(row) for row in rows], rows


def unknown(ids: Iterable[str], rows: list[Json]) -> Iterator[Finding]:
    """Yield a finding for each `phone_number_id` of the bot that is not among the numbers of its accounts.

    Args:
        ids: the values of the setting.
        rows: the numbers of all accounts.

    """
    by_id = {str(row.get("id")): row for row in rows}
    by_digits = {re.sub(r"\D", "", str(row.get("display_phone_number"))): number for number, row in by_id.items()}
    for wanted in ids:
        if wanted in by_id:
            continue
        if wanted in by_digits:
            found, do_next = "this phone_number_id is the phone number itself", f"set it to the id {by_digits[wanted]}"
        else:
            found = "this phone_number_id is not a number of the accounts"
            do_next = f"set it to one of {', '.join(sorted(by_id))}, or add its account to waba_ids"
        yield attention(_CHECK, found, do_next, subject=wanted)


def callback(rows: list[Json]) -> str:
    """Return the app's own callback address from the numbers' rows, or the empty string."""
    for row in rows:
        configured = row.get("webhook_configuration")
        address = configured.get("application") if isinstance(configured, dict) else None
        if isinstance(address, str) and address:
            return address
    return ""


def _number(row: Json) -> Finding:
    subject = str(row.get("display_phone_number") or row.get("id") or "a number")
    rating, status = _rating(row), _word(row.get("status"))
    rated = "no rating yet" if rating in enums.NO_RATING else f"rated {rating}"
    throughput = _throughput(row.get("throughput"))
    found = ", ".join(part for part in (rated, status, throughput) if part)
    blocked = list(_blocked(row.get("health_status")))
    if blocked:
        says, proposed = blocked[0]
        return attention(_CHECK, f"{found}, {says}", proposed or f"{_MANAGER}, for the reason", subject=subject)
    if status in _BAD_STATUSES:
        verified = _word(row.get("code_verification_status"))
        found += ", its code is not verified" if verified in _UNVERIFIED else ""
        return attention(_CHECK, found, f"{_MANAGER}, which shows the missing step", subject=subject)
    if rating == "RED":
        do_next = "send fewer templates, to people who asked for them. See the templates' ratings and opt-outs"
        return attention(_CHECK, found, do_next, subject=subject)
    name = _word(row.get("name_status"))
    if name in _BAD_NAMES:
        found += f", its display name is {name}"
        return attention(_CHECK, found, f"{_MANAGER}, and choose another display name", subject=subject)
    return ok(_CHECK, found, subject=subject)


def _rating(row: Json) -> str:
    """Return the rating, which may be an object with a score."""
    found = row.get("quality_rating")
    return _word(found.get("score") if isinstance(found, dict) else found) or "UNKNOWN"


def _throughput(throughput: object) -> str:
    """Return the level of throughput where it is not the usual level."""
    level = _word(throughput.get("level") if isinstance(throughput, dict) else throughput)
    return f"{level} throughput" if level not in _USUAL_THROUGHPUT else ""


def _word(value: object) -> str:
    """Return one of WhatsApp's words, or the empty string for any other value."""
    return value[:64].upper() if isinstance(value, str) else ""


def _blocked(health: object) -> Iterator[tuple[str, str]]:
    """Yield blocked and limited entities of the chain, blocked first, with WhatsApp's own proposals.

    The chain as a whole comes last. It may be worse than the entities that are listed.
    """
    chain = health if isinstance(health, dict) else {"can_send_message": health}
    entities = [*schema.objects(chain.get("entities")), {**chain, "entity_type": "chain"}]
    for value, word in (("BLOCKED", "sending is blocked"), ("LIMITED", "sending is limited")):
        for entity in entities:
            if _word(entity.get("can_send_message")) == value:
                kind = str(entity.get("entity_type") or "chain").lower().replace("_", " ")
                error = _first(entity.get("errors"))
                reason = error.get("error_description") or _first(entity.get("additional_info"), "text").get("text")
                says = word if kind == "chain" else f"{word} by the {kind}"
                says += f": {str(reason)[:200]}" if reason else ""
                yield says, str(error.get("possible_solution") or "")[:200]


def _first(items: object, bare: str = "") -> Json:
    """Return the first object of a list, or the only object. A bare text is put under the key `bare`."""
    first = items[0] if isinstance(items, list) and items else items
    if isinstance(first, str) and bare:
        return {bare: first}
    return first if isinstance(first, dict) else {}
