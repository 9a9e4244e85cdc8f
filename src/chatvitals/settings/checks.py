"""Checks of settings, and parsers for the text of variables.

A check takes a value and returns it in one form, or raises `NotAllowedError`. The error's text follows the name.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from chatvitals.settings.errors import SettingsError
from chatvitals.stores import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

_NOTHING = frozenset({"None", "null", "undefined"})
_PLACEHOLDER = r"\$\w+|\$?\{.*\}|\$\(.*\)|<.*>"
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off"})


class NotAllowedError(Exception):
    """A value is not allowed. The text names the allowed values, such as "must be True or False"."""


# From the text of a variable


def flag_of(text: str) -> bool:
    """Return a flag."""
    lowered = text.strip().lower()
    if lowered not in _TRUE | _FALSE:
        raise NotAllowedError("must be one of 1, true, yes, on, 0, false, no, off")
    return lowered in _TRUE


def texts_of(text: str) -> list[str]:
    """Return texts that are separated by commas."""
    parts = texts_or_none_of(text)
    if not parts:  # a blank secret must not count as no secret, because then everybody's webhooks would count
        raise NotAllowedError("must be one or several texts, separated by commas")
    return parts


def texts_or_none_of(text: str) -> list[str]:
    """Return texts that are separated by commas. A single comma is the empty list."""
    _refuse_quotes(text.strip())
    if text.strip().startswith("[") and text.strip().endswith("]"):
        raise NotAllowedError("must be texts that are separated by commas, without brackets and quotes")
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers_of(text: str) -> list[float] | str:
    """Return numbers that are separated by commas, or the text, which the check refuses with the unit."""
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        return text


def number_of(text: str) -> float | str:
    """Return a number, or the text, which the check refuses with the unit and the limits."""
    try:
        return float(text)
    except ValueError:
        return text


def whole_of(text: str) -> int | str:
    """Return a whole number, or the text, which the check refuses with the limits."""
    try:
        return int(text)
    except ValueError:
        return text


# Checks


def texts(value: object) -> tuple[str, ...]:
    """Allow a text or any number of texts."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, set, frozenset)) or not all(_is_printable(i) and i for i in items):
        raise NotAllowedError("must be a printable text that is not empty, or a list of such texts")
    return tuple(items)


def secrets(value: object) -> tuple[str, ...]:
    """Allow a text or a list of at least one text. An empty list is a configuration that found no secret."""
    if value in ([], (), set(), frozenset()):
        raise NotAllowedError("must be a text or a list of at least one text")
    found = texts(value)
    for each in found:
        _refuse_wrapping(each)
    return found


def text(value: object) -> str:
    """Allow a printable text. As a label value, half a surrogate pair would break every scrape."""
    if not isinstance(value, str) or not value.isprintable():
        raise NotAllowedError("must be a printable text")
    return value


def header_text(value: object) -> str:
    """Allow a text that can be part of an HTTP header."""
    if not isinstance(value, str) or not value:
        raise NotAllowedError("must be a text that is not empty")
    if not value.isascii() or not _is_printable(value) or " " in value:
        raise NotAllowedError("must contain only ASCII characters and no spaces")
    _refuse_wrapping(value)
    return value


def one_of(*allowed: str) -> Callable[[object], str]:
    """Allow one of several texts."""

    def check(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise NotAllowedError(f"must be {' or '.join(map(repr, allowed))}")
        return value

    return check


def key(value: object) -> bytes:
    """Allow a key of BLAKE2b, which takes up to 64 bytes."""
    if isinstance(value, str):
        _refuse_placeholder(value)
    found = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if not isinstance(found, bytes) or not 16 <= len(found) <= 64:
        raise NotAllowedError("must be 16 to 64 bytes (or a text of that length)")
    return found


def flag(value: object) -> bool:
    """Allow only True and False."""
    if not isinstance(value, bool):
        raise NotAllowedError("must be True or False")
    return value


def seconds(low: float, high: float) -> Callable[[object], float]:
    """Allow a number of seconds within limits."""

    def check(value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise NotAllowedError(f"must be a number of seconds from {low:g} to {high:g}")
        return float(value)

    return check


def whole(low: int, high: int, unit: str = "") -> Callable[[object], int]:
    """Allow a whole number within limits. A unit stands in the error."""
    what = f"a whole number of {unit}" if unit else "a whole number"

    def check(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise NotAllowedError(f"must be {what} from {low} to {high}")
        return value

    return check


def thresholds(value: object) -> tuple[float, ...]:
    """Allow a list of rising ages."""
    not_allowed = NotAllowedError("must be a list of at most 16 rising numbers of seconds above 0, such as 10,60,300")
    if not isinstance(value, (list, tuple)) or len(value) > 16:
        raise not_allowed
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v < float("inf") for v in value):
        raise not_allowed
    rising = tuple(float(v) for v in value)
    if list(rising) != sorted(set(rising)):
        raise not_allowed
    return rising


def store(value: object) -> str:
    """Allow the URL of a store."""
    url = text(value)
    _refuse_wrapping(url)
    try:
        kind_of(url)
    except ValueError as error:
        told = str(error)
        raise SettingsError(told if told.startswith("store ") else f"store: {told}") from None
    return url


def number_ids(value: object) -> tuple[str, ...]:
    """Allow an id of a business number, or any number of ids."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, set, frozenset)) or not all(map(_may_be_number_id, items)):
        raise NotAllowedError(
            "must be ids of business numbers, as the App Dashboard shows them under WhatsApp, API Setup: "
            "texts such as '990005556667778'"
        )
    return tuple(dict.fromkeys(items))


def account_ids(value: object) -> tuple[str, ...]:
    """Allow ids of WhatsApp Business Accounts. Duplicates are removed."""
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, set, frozenset)) or not items or not all(map(_is_id, items)):
        raise NotAllowedError("must be ids that consist of digits, given as texts")
    return tuple(dict.fromkeys(items))


def app_id(value: object) -> str:
    """Allow the id of an app."""
    if not _is_id(value):
        raise NotAllowedError(
            "must be the app's id, which has only digits and is shown at the top of the App Dashboard"
        )
    return str(value)


def graph_url(value: object) -> str:
    """Allow an address of the Graph API without a version, which is a separate setting."""
    found = address("https://graph.facebook.com")(value)
    parts = urlsplit(found)
    if parts.query:
        raise NotAllowedError("must be an address without a query, such as https://graph.facebook.com")
    if re.search(r"/v\d+(\.\d+)?(/|$)", parts.path):
        raise NotAllowedError("must be an address without a version (set the version with api_version)")
    return found


def address(example: str) -> Callable[[object], str]:
    """Allow an http(s) address."""

    def check(value: object) -> str:
        try:
            parts = urlsplit(value) if isinstance(value, str) and value.isprintable() else None
            if parts and parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0:
                return str(value)
        except ValueError:  # an invalid port, or half an IPv6 address
            pass
        raise NotAllowedError(f"must be an address such as {example}")

    return check


def api_version(value: object) -> str:
    """Allow a version of the Graph API."""
    if not isinstance(value, str) or not re.fullmatch(r"v\d+(\.\d+)*", value, re.ASCII):
        raise NotAllowedError("must be a version such as 'v26.0'")
    return value


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdecimal()


def _may_be_number_id(value: object) -> bool:
    """Return whether a value may be an id. A bot that is tried out may have one of letters, but none of these marks."""
    return _is_printable(value) and bool(re.fullmatch(r"[^\s,+#()<>{}\"']+", str(value)))


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _refuse_wrapping(text: str) -> None:
    """Refuse marks around a value, which would never match the value itself."""
    if text != text.strip():
        raise NotAllowedError("must be without spaces at its ends")
    _refuse_quotes(text)
    _refuse_placeholder(text)


def _refuse_quotes(text: str) -> None:
    """Refuse quotes around a text. Docker keeps those of an env file."""
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        raise NotAllowedError("must be without quotes around it")


def _refuse_placeholder(text: str) -> None:
    if text in _NOTHING or re.fullmatch(_PLACEHOLDER, text):
        raise NotAllowedError("must be the value itself, and not a placeholder such as None, ${NAME} or <name>")
