"""Settings: keywords, then variables, then defaults."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from chatvitals import settings as settings_package
from chatvitals.settings import Settings, SettingsError, SettingsKeywords
from chatvitals.whatsapp import closing_remarks
from tests.helpers.loaded_settings import HIDDEN, load

DEFAULTS: dict[str, Any] = {
    "app_secret": (),
    "store": "sqlite:///chatvitals.db",
    "identity_key": b"",
    "identity_key_previous": b"",
    "hooks": True,
    "phone_number_id": (),
    "settle_after": 10.0,
    "unanswered_after": 86_400.0,
    "overdue_after": (10.0, 60.0, 300.0, 3600.0),
    "closings": closing_remarks.DEFAULT,
    "in_hours": None,
    "queue_size": 10_000,
    "max_body": 4 * 1024 * 1024,
    "label_cap": 200,
    "acknowledge_account_events": False,
    "expose": "all",
    "otlp": False,
    "metrics_token": None,
    "app_version": "",
    "access_token": None,
    "waba_ids": (),
    "graph_url": "https://graph.facebook.com",
    "api_version": "v26.0",
    "poll_every": 300.0,
    "hourly_calls": 100,
}
NEVER_EMPTY = {"app_secret", "identity_key", "identity_key_previous", "metrics_token", "access_token"}
GIVEN: list[tuple[str, Any, Any]] = [
    ("app_secret", "one", ("one",)),
    ("app_secret", ["one", "two"], ("one", "two")),
    ("app_secret", None, ()),
    ("store", "memory:", "memory:"),
    ("store", "sqlite:////var/lib/bot.db", "sqlite:////var/lib/bot.db"),
    ("identity_key", "k" * 16, b"k" * 16),
    ("identity_key", b"k" * 64, b"k" * 64),
    ("identity_key", None, b""),
    ("hooks", False, False),
    ("phone_number_id", "1", ("1",)),
    ("phone_number_id", ("1", "2"), ("1", "2")),
    ("settle_after", 0, 0.0),
    ("settle_after", 600, 600.0),
    ("unanswered_after", 3600, 3600.0),
    ("overdue_after", [1, 2.5], (1.0, 2.5)),
    ("closings", ["Cheers"], ("Cheers",)),
    ("closings", [], ()),
    ("overdue_after", (), ()),
    ("in_hours", None, None),
    ("queue_size", 1, 1),
    ("max_body", 1024, 1024),
    ("label_cap", 1, 1),
    ("metrics_token", "abc", "abc"),
    ("metrics_token", None, None),
    ("app_version", "1.2.3", "1.2.3"),
    ("access_token", "EAAx", "EAAx"),
    ("access_token", None, None),
    ("waba_ids", "1", ("1",)),
    ("waba_ids", ["1", "2", "1"], ("1", "2")),
    ("graph_url", "http://127.0.0.1:9/base", "http://127.0.0.1:9/base"),
    ("api_version", "v25.0", "v25.0"),
    ("poll_every", 60, 60.0),
    ("hourly_calls", 5, 5),
    ("app_secret", "windows\r", ("windows",)),
    ("app_secret", ["one\r", "two"], ("one", "two")),
    ("metrics_token", "abc\r", "abc"),
]
FROM_TEXT: list[tuple[str, str, Any]] = [
    ("app_secret", "one, two,", ("one", "two")),
    ("store", "memory:", "memory:"),
    ("identity_key", "k" * 16, b"k" * 16),
    ("hooks", "No", False),
    ("hooks", "on", True),
    ("phone_number_id", "1,2", ("1", "2")),
    ("settle_after", "2.5", 2.5),
    ("unanswered_after", "3600", 3600.0),
    ("overdue_after", "5, 50", (5.0, 50.0)),
    ("closings", "cheers, ta", ("cheers", "ta")),
    ("closings", ",", ()),
    ("queue_size", "7", 7),
    ("max_body", "2048", 2048),
    ("label_cap", "9", 9),
    ("metrics_token", "abc", "abc"),
    ("app_version", "1.2.3", "1.2.3"),
    ("app_version", "1.2.3\r\n", "1.2.3"),
    ("access_token", "EAAx\r", "EAAx"),
    ("waba_ids", "1, 2", ("1", "2")),
    ("graph_url", "http://127.0.0.1:9", "http://127.0.0.1:9"),
    ("api_version", "v25.0", "v25.0"),
    ("poll_every", "60", 60.0),
    ("hourly_calls", "5", 5),
]


def test_there_is_a_default_for_everything() -> None:
    """Nothing must be set, and this list of defaults is complete."""
    settings = load()
    assert {name: getattr(settings, name) for name in Settings.declared} == DEFAULTS


def test_the_keywords_of_init_are_the_fields_of_settings() -> None:
    """The typed keywords and the keywords of `load` are the same."""
    assert set(SettingsKeywords.__annotations__) == set(DEFAULTS)


@pytest.mark.parametrize(("name", "value", "expected"), GIVEN)
def test_a_keyword_is_taken_and_brought_to_one_form(name: str, value: Any, expected: Any) -> None:
    """A value that may be written in several ways has one form afterwards."""
    found = getattr(load(**{name: value}), name)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(("name", "text", "expected"), FROM_TEXT)
def test_a_variable_is_read_and_a_keyword_wins_over_it(name: str, text: str, expected: Any) -> None:
    """The same setting as `CHATVITALS_<NAME>`. The keyword's value wins."""
    environ = {f"CHATVITALS_{name.upper()}": text}
    found = getattr(Settings.load({}, environ), name)
    assert found == expected
    assert type(found) is type(expected)
    keyword, won = next((value, to) for known, value, to in GIVEN if known == name)
    assert getattr(Settings.load({name: keyword}, environ), name) == won


def test_the_process_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    """`init` reads the variables of the process, when it is called and not when it is imported."""
    monkeypatch.setenv("CHATVITALS_APP_VERSION", "from-the-environment")
    assert Settings.load({}).app_version == "from-the-environment"


@pytest.mark.parametrize("given", [[], (), "", [""], set()])
def test_68_an_empty_secret_is_an_error(given: Any) -> None:
    """A configuration that found no secret is not the same as no secret."""
    with pytest.raises(SettingsError, match="app_secret must be"):
        Settings.load({"app_secret": given}, {})


def test_an_empty_variable_is_as_good_as_none() -> None:
    """Container files often set a variable to nothing."""
    environ = {f"CHATVITALS_{name.upper()}": "" for name in DEFAULTS if name not in NEVER_EMPTY}
    assert Settings.load({}, environ) == load()


@pytest.mark.parametrize("name", sorted(NEVER_EMPTY))
def test_68_an_empty_secret_in_a_variable_is_an_error(name: str) -> None:
    """`${UNSET}` in a compose file must not open a door."""
    with pytest.raises(SettingsError, match=f"{name} must be a text that is not empty"):
        Settings.load({}, {f"CHATVITALS_{name.upper()}": ""})
    with pytest.raises(SettingsError, match=f"CHATVITALS_{name.upper()}_FILE is empty"):
        Settings.load({}, {f"CHATVITALS_{name.upper()}_FILE": ""})


@pytest.mark.parametrize("given", [[], (), set()])
def test_68_a_list_without_a_secret_is_an_error(given: Any) -> None:
    """A configuration that found no secret is not the same as no secret."""
    with pytest.raises(SettingsError, match="app_secret must be a text or a list of at least one text"):
        load(app_secret=given)


def test_a_secret_may_come_from_a_file(tmp_path: Path) -> None:
    """The file of a container's secret ends with a line feed, or as Windows ends lines."""
    path = tmp_path / "secret"
    path.write_bytes(b"one,two\r\n")
    assert Settings.load({}, {"CHATVITALS_APP_SECRET_FILE": f"{path}"}).app_secret == ("one", "two")
    store = tmp_path / "store"
    store.write_text("redis://:hush@h/0\n")
    assert Settings.load({}, {"CHATVITALS_STORE_FILE": f"{store}"}).store == "redis://:hush@h/0"


def test_a_secret_from_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """The sentence names variable, file and reason."""
    variable = "CHATVITALS_METRICS_TOKEN_FILE"
    with pytest.raises(SettingsError, match=rf"{variable} names the file .*/nothing, .*No such file"):
        Settings.load({}, {variable: f"{tmp_path}/nothing"})
    (tmp_path / "empty").write_text("\n")
    with pytest.raises(SettingsError, match="metrics_token must be a text that is not empty"):
        Settings.load({}, {variable: f"{tmp_path}/empty"})
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="cannot be read: it is not a text"):
        Settings.load({}, {variable: f"{tmp_path}/bytes"})


def test_a_secret_from_two_places_is_refused() -> None:
    """It would be unclear which value counts."""
    with pytest.raises(SettingsError, match="both CHATVITALS_METRICS_TOKEN and CHATVITALS_METRICS_TOKEN_FILE are set"):
        Settings.load({}, {"CHATVITALS_METRICS_TOKEN": "a", "CHATVITALS_METRICS_TOKEN_FILE": "/b"})


def test_an_unknown_variable_is_refused_with_the_one_that_was_meant() -> None:
    """A misspelt variable does not go unnoticed."""
    said = "there is no variable CHATVITALS_APPSECRET. Did you mean 'CHATVITALS_APP_SECRET'?"
    with pytest.raises(SettingsError, match=re.escape(said)):
        Settings.load({}, {"CHATVITALS_APPSECRET": HIDDEN})
    with pytest.raises(SettingsError, match=re.escape("CHATVITALS_LABEL_CAP_FILE")):
        Settings.load({}, {"CHATVITALS_LABEL_CAP_FILE": "/x"})


@pytest.mark.parametrize(
    "variable",
    [
        "CHATVITALS_SERVICE_HOST", "CHATVITALS_SERVICE_PORT", "CHATVITALS_SERVICE_PORT_METRICS", "CHATVITALS_PORT",
        "CHATVITALS_PORT_9464_TCP", "CHATVITALS_PORT_9464_TCP_ADDR", "CHATVITALS_EXPORTER_SERVICE_HOST",
        "CHATVITALS_EXPORTER_PORT_9464_TCP_PROTO", "CHATVITALS_METRICS_URL", "CHATVITALS_PROMETHEUS",
    ],
)  # fmt: skip
def test_variables_of_kubernetes_and_of_the_tools_are_let_be(variable: str) -> None:
    """A Service with a name such as `chatvitals` puts variables into each pod."""
    assert Settings.load({}, {variable: "x"}) == load()


def test_settings_alone_read_the_environment() -> None:
    """Elsewhere a variable would have no check, no secrecy and no file."""
    package = Path(settings_package.__file__).parents[1]
    readers = {
        f"{path.relative_to(package)}"
        for path in package.rglob("*.py")
        if re.search(r"environ(\.get\(|\[)\W*CHATVITALS_|getenv", path.read_text(encoding="utf-8"))
    }
    assert readers == set()


def test_settings_do_not_change() -> None:
    """One frozen object serves all threads."""
    with pytest.raises(AttributeError, match="label_cap"):
        load().label_cap = 5  # type: ignore[misc]
