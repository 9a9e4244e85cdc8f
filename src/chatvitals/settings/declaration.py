"""The declaration of a setting (parser, check, secrecy), and the only reader of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, dataclass_transform

import msgspec

from chatvitals.settings.checks import NotAllowedError
from chatvitals.settings.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

PREFIX = "CHATVITALS_"
_HIDDEN = "(the value is hidden because it is secret)"
_OF_TESTS = frozenset({"CHATVITALS_REQUIRE_SERVICES", "CHATVITALS_FLEET_CUSTOMERS"})
_OF_KUBERNETES = r"CHATVITALS_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)"
"""Kubernetes sets these in each pod where a Service has a name such as `chatvitals`."""
_ELSEWHERE = {
    "webhook_path": "Give it to vitals.instrument_app(app, webhook_path=…).",
    "metrics_path": "Give it to vitals.instrument_app(app, metrics_path=…).",
    "verify_token": "The bot itself answers WhatsApp's handshake, so only chatvitals doctor takes the verify token.",
    "token": "The token of /metrics is metrics_token, and the token of the Graph API is access_token.",
}
"""Names that people expect among the settings, with their place."""
_LONGEST_FILE = 1_000_000
_LONGEST_SHOWN = 100


class Rule(msgspec.Struct, frozen=True):
    """The parsing and the check of a setting.

    Args:
        check: takes a value and returns it in one form, or raises `NotAllowedError`.
        parse: turns the text of a variable into a value of the keyword. None where a text cannot express the value.
        secret: whether no message may show the value. It may also come from a file, with `CHATVITALS_<NAME>_FILE`.
        optional: whether None means "not given".
        never_empty: whether an empty variable is an error, because it would open access. Such a variable comes from a
            configuration that found no secret, such as `${UNSET}` in a compose file.

    """

    check: Callable[[Any], object]
    parse: Callable[[str], object] | None = str
    secret: bool = False
    optional: bool = False
    never_empty: bool = False


def setting(default: Any, rule: Rule, *, shown: bool = True) -> Any:
    """Declare a field of a class of settings.

    Args:
        default: the value where nothing is given.
        rule: the parsing and the check.
        shown: whether `repr` shows it. A secret is never shown.

    """
    return Setting(default, rule, shown and not rule.secret)


class Setting(msgspec.Struct, frozen=True):
    """A declared setting."""

    default: Any
    rule: Rule
    shown: bool


@dataclass_transform(kw_only_default=True, frozen_default=True)
class SettingsGroup:
    """Base of a frozen class of settings, whose fields are declared with `setting`.

    It does the work of a dataclass, whose generated methods made up a tenth of the import.

    Args:
        **given: values by name, which are not checked. Missing settings have their defaults.

    Raises:
        TypeError: there is no setting of this name.

    """

    declared: ClassVar[dict[str, Setting]] = {}

    def __init_subclass__(cls) -> None:
        cls.declared = {name: value for name, value in vars(cls).items() if isinstance(value, Setting)}
        for name, each in cls.declared.items():
            setattr(cls, name, each.default)

    def __init__(self, **given: Any) -> None:
        unknown = given.keys() - self.declared.keys()
        if unknown:
            raise TypeError(f"{type(self).__name__} has no setting {min(unknown)!r}")
        for name, each in self.declared.items():
            object.__setattr__(self, name, given.get(name, each.default))

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed, such as its {name!r}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__} cannot be changed, such as its {name!r}")

    def __eq__(self, other: object) -> bool:
        return vars(self) == vars(other) if type(other) is type(self) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(vars(self).values()))

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={getattr(self, name)!r}" for name, each in self.declared.items() if each.shown)
        return f"{type(self).__name__}({shown})"


def rules(group: type[SettingsGroup]) -> dict[str, Rule]:
    """Return the rules of a class of settings, by name."""
    return {name: each.rule for name, each in group.declared.items()}


def values(group: type[SettingsGroup], given: Mapping[str, Any], environ: Mapping[str, str]) -> dict[str, Any]:
    """Return checked values from keywords or variables.

    Raises:
        SettingsError: a setting is unknown or its value is not allowed.

    """
    known = rules(group)
    for name in given:
        if name not in known:
            listed = ", ".join(sorted(known))
            advice = f" {_ELSEWHERE[name]}" if name in _ELSEWHERE else did_you_mean(str(name), known)
            raise SettingsError(f"there is no setting {name!r}.{advice} The settings are: {listed}")
    found: dict[str, Any] = {}
    for name, rule in sorted(known.items()):
        raw = given.get(name)
        if raw is not None or (name in given and not rule.optional):
            found[name] = checked(name, rule, raw)
        elif (text := text_of(name, rule, environ)) is not None:
            found[name] = _checked_text(name, rule, text)
    return found


def checked(name: str, rule: Rule, value: object) -> Any:
    """Return a value in its normal form.

    Raises:
        SettingsError: the value is not allowed.

    """
    clean = _without_carriage_returns(value)
    try:
        return rule.check(clean)
    except NotAllowedError as refused:
        raise _error(name, rule, refused, value) from None


def text_of(name: str, rule: Rule, environ: Mapping[str, str]) -> str | None:
    """Return the text of a setting's variable, or of the file in `CHATVITALS_<NAME>_FILE`, or None.

    Raises:
        SettingsError: both are set, the file cannot be read, or the text is empty where that is not allowed.

    """
    variable = PREFIX + name.upper()
    text = environ.get(variable)
    path = environ.get(f"{variable}_FILE") if rule.secret else None
    if path == "" and not text and rule.never_empty:
        raise SettingsError(f"{variable}_FILE is empty: set it to the path of a file, or remove the variable")
    if path:
        if text:
            raise SettingsError(f"both {variable} and {variable}_FILE are set: remove one of them")
        text = _read(f"{variable}_FILE", path)
    if text is None:
        return None
    text = text.rstrip("\r\n")
    if not text and rule.never_empty:
        raise SettingsError(f"{name} must be a text that is not empty: set {variable}, or remove the variable")
    return text or None


def known_variables(groups: Iterable[type[SettingsGroup]]) -> set[str]:
    """Return the names of all variables that classes of settings read."""
    known = set[str]()
    for each in groups:
        for name, rule in rules(each).items():
            known.add(PREFIX + name.upper())
            if rule.secret:
                known.add(f"{PREFIX}{name.upper()}_FILE")
    return known


def refuse_unknown_variables(environ: Mapping[str, str], groups: Iterable[type[SettingsGroup]]) -> None:
    """Refuse variables with our prefix that are not known.

    Raises:
        SettingsError: there is an unknown variable. The message suggests the probable name.

    """
    known = known_variables(groups)
    for variable in sorted(environ):
        if variable.startswith(PREFIX) and variable not in known | _OF_TESTS and not _is_of_kubernetes(variable):
            elsewhere = _ELSEWHERE.get(variable.removeprefix(PREFIX).lower())
            advice = f" {elsewhere}" if elsewhere else _variable_meant(variable, known)
            raise SettingsError(f"there is no variable {variable}.{advice} Remove it, or correct its name.")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence with the closest known name, after a space. It is empty where no name is close.

    did_you_mean("replyy", ["reply", "campaign"]) == " Did you mean 'reply'?"

    """
    import difflib  # noqa: PLC0415 - only for a mistake

    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" Did you mean {close[0]!r}?" if close else ""


def _variable_meant(variable: str, known: Iterable[str]) -> str:
    """Return a sentence with the closest variable. The common prefix is left out, because it makes all names alike."""
    advice = did_you_mean(variable.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
    return advice.replace("'", f"'{PREFIX}", 1)


def _is_of_kubernetes(variable: str) -> bool:
    import re  # noqa: PLC0415 - few environments have such a variable

    return re.fullmatch(_OF_KUBERNETES, variable) is not None


def _checked_text(name: str, rule: Rule, text: str) -> Any:
    """Return the value of a variable. An error shows its text, and names it, because people look for it."""
    variable = PREFIX + name.upper()
    if rule.parse is None:
        raise SettingsError(f"{name} can be set by keyword only, not by {variable}")
    try:
        return rule.check(_without_carriage_returns(rule.parse(text)))
    except NotAllowedError as refused:
        raise _error(name, rule, refused, text, f" in {variable}") from None


def _error(name: str, rule: Rule, refused: NotAllowedError, value: object, where: str = "") -> SettingsError:
    ending = f"{where} {_HIDDEN}" if rule.secret else f", not {_shown(value)}{where}"
    return SettingsError(f"{name} {refused}{ending}")


def _shown(value: object) -> str:
    """Return a value for a message, cut where it is long."""
    shown = repr(value)
    return shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"


def _without_carriage_returns(value: object) -> object:
    """Return texts without the carriage returns of files from Windows."""
    if isinstance(value, str):
        return value.rstrip("\r")
    if isinstance(value, list):
        return [_without_carriage_returns(item) for item in value]
    return tuple(map(_without_carriage_returns, value)) if isinstance(value, tuple) else value


def _read(variable: str, path: str) -> str:
    from pathlib import Path  # noqa: PLC0415 - most bots keep no secret in a file

    path = path.rstrip("\r\n")
    try:
        with Path(path).open(encoding="utf-8") as file:
            return file.read(_LONGEST_FILE)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "it is not a text"
        raise SettingsError(f"{variable} names the file {path}, which cannot be read: {why}") from None
