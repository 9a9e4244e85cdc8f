"""Settings: one frozen object; keywords win over CHATVITALS_* variables, which win over the defaults."""

from __future__ import annotations

import os
import zoneinfo
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from chatvitals.stores import redis_url
from chatvitals.whatsapp import closing_remarks

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY_SECONDS = 86_400.0
_SECRETS = frozenset({"app_secret", "metrics_token", "identity_key", "store"})


class SettingsError(ValueError):
    """A setting has a value that is not allowed; the message names the setting and what is allowed."""


class SettingsKeywords(TypedDict, total=False):
    """The keywords of `chatvitals.init`; each field of `Settings` explains one."""

    app_secret: str | Sequence[str] | None
    store: str
    identity_key: str | bytes | None
    hooks: bool
    phone_number_id: str | Sequence[str]
    settle_after: float
    unanswered_after: float
    overdue_after: Sequence[float]
    closings: Sequence[str]
    in_hours: OpeningHours | Mapping[str, Any] | None
    queue_size: int
    max_body: int
    label_cap: int
    metrics_token: str | None
    expose: Literal["all", "leader"]
    app_version: str
    acknowledge_account_events: bool
    otlp: bool


@dataclass(frozen=True, slots=True)
class OpeningHours:
    """A weekly schedule: opening times per weekday, start included, end not, in one time zone."""

    timezone: zoneinfo.ZoneInfo
    days: tuple[tuple[tuple[int, int], ...], ...]  # minutes of the day, Monday first

    def contains(self, at: float) -> bool:
        """Return whether the point in time `at` (Unix seconds) lies within opening hours."""
        local = datetime.fromtimestamp(at, self.timezone)
        minute = local.hour * 60 + local.minute
        return any(start <= minute < end for start, end in self.days[local.weekday()])


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set, checked. Build it with `Settings.load`, which also reads the environment.

    `repr` never shows a secret.
    """

    app_secret: tuple[str, ...] = field(default=(), repr=False)
    """App secrets that sign webhooks; with several, any may match. Without one, unsigned webhooks count."""
    store: str = field(default="sqlite:///chatvitals.db", repr=False)
    """Where states and numbers live. All workers of a bot share one.

    - `memory:` this process, until it ends
    - `sqlite:///PATH` a file on this host; four slashes for an absolute path
    - `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` with TLS, `unix:///PATH?db=DB&password=PASSWORD`: a Redis or
      Valkey for several hosts, with the extra `chatvitals[redis]`
    - `redis+sentinel://USER:PASSWORD@HOST:PORT,HOST:PORT/MASTER/DB` through Sentinels, whose own login goes into
      `?sentinel_username=…&sentinel_password=…`; `redis+cluster://USER:PASSWORD@HOST:PORT,HOST:PORT` a cluster;
      `rediss+sentinel://` and `rediss+cluster://` with TLS

    Special characters in user and password are percent-encoded. `?prefix=NAME` tells bots on one Redis apart (default
    `chatvitals`); further options after the `?` go to redis-py, such as `ssl_ca_certs=PATH`.
    """
    identity_key: bytes = field(default=b"", repr=False)
    """Key of the hashes that stand for people, at least 16 bytes; by default created once and kept in the store."""
    hooks: bool = True
    """Whether the HTTP clients of this process are watched for replies."""
    phone_number_id: tuple[str, ...] = ()
    """Business numbers to show from the start. The first is used for sends whose address names none."""
    settle_after: float = 10.0
    """Seconds after receipt at which an event is applied (conversations/README.md 4)."""
    unanswered_after: float = _DAY_SECONDS
    """Seconds after a turn's last message at which it ends unanswered; at most 24 h."""
    overdue_after: tuple[float, ...] = (10.0, 60.0, 300.0, 3600.0)
    """Ages of an open turn, in seconds, at which it is counted as overdue; at most 16."""
    closings: tuple[str, ...] = field(default=closing_remarks.DEFAULT, repr=False)
    """Short texts such as `ok thanks` that wait for no reply where they follow one; an empty list switches this off.

    Case, punctuation and emoji make no difference. The default holds phrases in 14 languages.
    """
    in_hours: OpeningHours | None = None
    """Opening hours; with them, turns, responses and waits carry the label `in_hours`."""
    queue_size: int = 10_000
    """Events that wait at most while the store is down; beyond it the oldest are dropped and counted."""
    max_body: int = 4 * 1024 * 1024
    """Bytes of a webhook that are read at most; Meta's are 3 MB at most."""
    label_cap: int = 200
    """Distinct values of one label at most; others show as `other`."""
    metrics_token: str | None = field(default=None, repr=False)
    """Bearer token that `/metrics` asks for; None leaves it open."""
    expose: Literal["all", "leader"] = "all"
    """Whose `/metrics` shows the shared numbers: `all`, or where every pod is scraped, the one `leader` of them."""
    app_version: str = ""
    """Version of the bot, shown on `chatvitals_build_info` to mark deploys."""
    acknowledge_account_events: bool = False
    """Whether webhooks about the account alone are answered with 200 where the bot answers with an error.

    WhatsApp repeats what was not answered with 200 for days, and bots that only know messages answer so.
    """

    otlp: bool = False
    """Whether the numbers are pushed to an OTLP endpoint once a minute, as the variables `OTEL_EXPORTER_OTLP_*` say."""

    @classmethod
    def load(cls, given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
        """Return checked settings from keywords, then `CHATVITALS_<NAME>` variables, then defaults.

        Raises:
            SettingsError: a setting is unknown or its value is not allowed.

        """
        environ = os.environ if environ is None else environ
        known = {f.name for f in fields(cls)}
        for name in given:
            if name not in known:
                raise SettingsError(f"there is no setting {name!r}; the settings are: {', '.join(sorted(known))}")
        values: dict[str, Any] = {}
        for name in sorted(known):
            raw = given.get(name)
            if raw is not None or (name in given and name not in _NONE_MEANS_NOT_GIVEN):
                values[name] = _checked(name, raw)
            elif environ.get(f"CHATVITALS_{name.upper()}") or (
                name in _NEVER_EMPTY and f"CHATVITALS_{name.upper()}" in environ
            ):
                values[name] = _checked(name, _from_text(name, environ[f"CHATVITALS_{name.upper()}"]))
        settings = cls(**values)
        if settings.overdue_after and settings.overdue_after[-1] > settings.unanswered_after:
            raise SettingsError(
                f"overdue_after goes up to {settings.overdue_after[-1]:g} s, beyond unanswered_after "
                f"({settings.unanswered_after:g} s), where a turn has ended: choose smaller thresholds"
            )
        return settings


_NEVER_EMPTY = frozenset({"app_secret", "identity_key", "metrics_token"})
"""An empty secret is a configuration that found none, such as `${UNSET}` in a compose file, and would open a door."""
_NONE_MEANS_NOT_GIVEN = frozenset({"app_secret", "identity_key", "in_hours", "metrics_token"})


def _wrong(name: str, allowed: str, value: object) -> SettingsError:
    shown = "a secret" if name in _SECRETS else repr(value)
    return SettingsError(f"{name} must be {allowed}, not {shown}")


def _from_text(name: str, text: str) -> object:
    """Turn the text of an environment variable into what the keyword would take."""
    if name in {"hooks", "acknowledge_account_events", "otlp"}:
        lowered = text.strip().lower()
        if lowered not in {"1", "true", "yes", "on", "0", "false", "no", "off"}:
            raise _wrong(name, "one of 1, true, yes, on, 0, false, no, off", text)
        return lowered in {"1", "true", "yes", "on"}
    if name in {"app_secret", "phone_number_id", "closings"}:
        parts = [part.strip() for part in text.split(",") if part.strip()]
        if (
            not parts and name != "closings"
        ):  # a blank secret must not pass for none: then everybody's webhooks would count
            raise _wrong(name, "one or several texts with commas between them", text)
        return parts
    if name == "in_hours":
        raise SettingsError("in_hours can be set by keyword only, not by CHATVITALS_IN_HOURS")
    try:
        if name == "overdue_after":
            return [float(part) for part in text.split(",") if part.strip()]
        if name in {"settle_after", "unanswered_after"}:
            return float(text)
        if name in {"queue_size", "max_body", "label_cap"}:
            return int(text)
    except ValueError:
        raise _wrong(name, "a number", text) from None
    return text


def _checked(name: str, value: object) -> object:
    return _CHECKS[name](name, value)


def _texts(name: str, value: object) -> tuple[str, ...]:
    items = [value] if isinstance(value, str) else value
    if not isinstance(items, (list, tuple, set, frozenset)) or not all(_is_printable(i) and i for i in items):
        raise _wrong(name, "a text or a list of texts, printable and none of them empty", value)
    if name in _NEVER_EMPTY and not items:
        raise _wrong(name, "a text or a list of at least one text", value)
    return tuple(items)


def _text(name: str, value: object) -> str:
    if not _is_printable(value):  # as a label value, half a surrogate pair would break every scrape
        raise _wrong(name, "a printable text", value)
    return str(value)


def _is_printable(value: object) -> bool:
    return isinstance(value, str) and value.isprintable()


def _secret_text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value or not value.isascii() or any(c.isspace() for c in value):
        raise _wrong(name, "a text of ASCII characters without spaces", value)
    return value


def _store(name: str, value: object) -> str:
    text = _text(name, value)
    if text == "memory:" or (text.startswith("sqlite:///") and len(text) > len("sqlite:///")):
        return text
    scheme, colon, _ = text.partition(":")
    if scheme.lower() in redis_url.SCHEMES and text[len(scheme) :].startswith("://"):
        try:
            redis_url.parse(text)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from None
        return text
    given = f"one with the scheme {scheme!r}" if colon else "one without a scheme"  # the rest may hold a password
    raise SettingsError(
        f"{name} must be 'memory:' or 'sqlite:///PATH' (four slashes for an absolute path) or one of a Redis such as "
        f"'redis://HOST:PORT/DB', not {given}"
    )


def _expose(name: str, value: object) -> str:
    text = _text(name, value)
    if text not in {"all", "leader"}:
        raise _wrong(name, "'all' or 'leader'", value)
    return text


def _identity_key(name: str, value: object) -> bytes:
    key = value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
    if not isinstance(key, bytes) or not 16 <= len(key) <= 64:  # BLAKE2b takes keys up to 64 bytes
        raise _wrong(name, "16 to 64 bytes (or a text of that length)", value)
    return key


def _flag(name: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise _wrong(name, "True or False", value)
    return value


def _seconds(low: float, high: float) -> Callable[[str, object], float]:
    def check(name: str, value: object) -> float:
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            raise _wrong(name, f"a number of seconds from {low:g} to {high:g}", value)
        return float(value)

    return check


def _whole(low: int, high: int) -> Callable[[str, object], int]:
    def check(name: str, value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise _wrong(name, f"a whole number from {low} to {high}", value)
        return value

    return check


def _thresholds(name: str, value: object) -> tuple[float, ...]:
    allowed = "at most 16 rising numbers of seconds above 0"
    if not isinstance(value, (list, tuple)) or len(value) > 16:
        raise _wrong(name, allowed, value)
    if any(isinstance(v, bool) or not isinstance(v, (int, float)) or not 0 < v < float("inf") for v in value):
        raise _wrong(name, allowed, value)
    rising = tuple(float(v) for v in value)
    if list(rising) != sorted(set(rising)):
        raise _wrong(name, allowed, value)
    return rising


def _opening_hours(name: str, value: object) -> OpeningHours:
    if isinstance(value, OpeningHours):
        return value
    example = '{"timezone": "Europe/Rome", "days": {"mon": [["09:00", "18:00"]]}}'
    if not isinstance(value, Mapping) or set(value) != {"timezone", "days"} or not isinstance(value["days"], Mapping):
        raise SettingsError(f"{name} must look like {example}")
    try:
        zone = zoneinfo.ZoneInfo(value["timezone"])
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        raise SettingsError(
            f"{name}: {value['timezone']!r} is no known time zone; use an IANA name such as 'Europe/Rome' "
            "(and install the package 'tzdata' where the system has none)"
        ) from None
    days: list[tuple[tuple[int, int], ...]] = []
    for day in value["days"]:
        if day not in _DAYS:
            raise SettingsError(f"{name}: {day!r} is no day; the days are {', '.join(_DAYS)}")
    for day in _DAYS:
        try:
            spans = tuple((_minute(start), _minute(end)) for start, end in value["days"].get(day, ()))
        except (TypeError, ValueError, AttributeError):
            raise SettingsError(f"{name}: the times of {day!r} must look like [['09:00', '18:00']]") from None
        if any(start >= end for start, end in spans):
            raise SettingsError(f"{name}: on {day!r} a start is not before its end; split spans at midnight")
        days.append(spans)
    return OpeningHours(zone, tuple(days))


def _minute(text: str) -> int:
    hour, _, minute = text.partition(":")
    total = int(hour) * 60 + int(minute)
    if not 0 <= total <= 24 * 60 or not 0 <= int(minute) < 60:
        raise ValueError
    return total


_CHECKS: dict[str, Callable[[str, object], object]] = {
    "app_secret": _texts,
    "store": _store,
    "identity_key": _identity_key,
    "hooks": _flag,
    "phone_number_id": _texts,
    "settle_after": _seconds(0.0, 600.0),
    "unanswered_after": _seconds(60.0, _DAY_SECONDS),
    "overdue_after": _thresholds,
    "closings": _texts,
    "in_hours": _opening_hours,
    "queue_size": _whole(1, 10_000_000),
    "max_body": _whole(1024, 256 * 1024 * 1024),
    "label_cap": _whole(1, 100_000),
    "metrics_token": _secret_text,
    "expose": _expose,
    "app_version": _text,
    "acknowledge_account_events": _flag,
    "otlp": _flag,
}
