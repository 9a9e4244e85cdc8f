"""Settings: keywords, then variables, then defaults. A wrong one is refused with a sentence that shows no secret."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from chatvitals import settings as settings_package
from chatvitals.settings import OpeningHours, Settings, SettingsError, SettingsKeywords
from chatvitals.whatsapp import closing_remarks

HIDDEN = "hunter2-hunter2-hunter2"

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

_WRONG_THRESHOLDS: list[Any] = [
    "10", None, [0], [-1], [2, 1], [1, 1], [True], [float("nan")], [1.0, float("inf")], list(map(float, range(1, 18)))
]  # fmt: skip
_WRAPPED: list[Any] = [
    " abc",
    "abc ",
    '"abc"',
    "'abc'",
    "${SECRET}",
    "$SECRET",
    "<secret>",
    "None",
    "null",
    ["ok", "'abc'"],
]
_WRONG_HOURS: list[Any] = ["9-18", {}, {"timezone": "Europe/Rome"}, []]
WRONG: list[tuple[str, Any]] = [
    *[("app_secret", value) for value in ("", [""], [b"x"], 5, {"a": 1}, "half\ud83d", *_WRAPPED)],
    *[
        ("store", value)
        for value in ("", "redis", "sqlite:///", "sqlite://x.db", 5, b"memory:", "sqlite:///a\nb", "sqlite:///a.db ")
    ],
    *[
        ("store", value)
        for value in ("sqlite:///:memory:", "sqlite:////:memory:", "sqlite:///a.db?mode=ro", "'memory:'")
    ],
    *[("identity_key", value) for value in ("short", b"k" * 15, b"k" * 65, 5, ["k" * 16], "${A_KEY_OF_THE_BOT}")],
    *[("hooks", value) for value in (1, "yes", None)],
    *[
        ("phone_number_id", value)
        for value in ("", [""], [1], 5, None, "12\ud83d", "1\n2", " ", "1, 2", "+1 555-999-0000", "15559990000 ")
    ],
    *[("settle_after", value) for value in (-1, 601, float("nan"), float("inf"), "10", True, None)],
    *[("unanswered_after", value) for value in (59, 86_401, float("nan"), "3600", False)],
    *[("overdue_after", value) for value in _WRONG_THRESHOLDS],
    *[("closings", value) for value in (5, None, [""], ["half\ud83d"])],
    *[("in_hours", value) for value in _WRONG_HOURS],
    *[("queue_size", value) for value in (0, 10_000_001, 1.5, "5", True, None)],
    *[("max_body", value) for value in (1023, 2**29, 4096.0, "4096")],
    *[("label_cap", value) for value in (0, 100_001, 2.5, True)],
    *[("metrics_token", value) for value in ("", "two words", "tökén", b"abc", 5, "line\n", '"abc"', "${TOKEN}")],
    *[("app_version", value) for value in (1.2, None, b"1", "half\ud83d", "two\nlines")],
    *[("access_token", value) for value in ("", "two words", b"abc", "'abc'", "None")],
    *[("waba_ids", value) for value in ("W1", [""], [1], [], 5)],
    *[("graph_url", value) for value in ("x", "ftp://x", "https://[x", "https://x/?a=b", "https://x/v26.0", 5)],
    *[("api_version", value) for value in ("26", "v", "v26.0/me", 26)],
    *[("poll_every", value) for value in (0, 86_401, "60")],
    *[("hourly_calls", value) for value in (0, 1.5)],
]


def load(**given: Any) -> Settings:
    return Settings.load(given, environ={})


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


def test_an_address_of_the_graph_api_with_a_version_is_refused_with_what_to_do() -> None:
    """The version is a setting of its own."""
    with pytest.raises(SettingsError, match="graph_url must be an address without a version \\(set the version"):
        load(graph_url="https://graph.facebook.com/v26.0")


def test_a_blank_secret_is_refused_and_does_not_pass_for_none() -> None:
    """Without a secret everybody's webhooks count, so a secret that got lost on the way must not go unnoticed."""
    with pytest.raises(SettingsError, match="app_secret must be one or several texts"):
        Settings.load({}, {"CHATVITALS_APP_SECRET": " , "})


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_is_refused_with_a_sentence_that_names_the_setting(name: str, value: Any) -> None:
    """The sentence begins with the name and goes on with what is allowed."""
    with pytest.raises(SettingsError) as refused:
        load(**{name: value})
    sentence = str(refused.value)
    assert re.match(rf"{name} must (be|look like|contain) \S", sentence)
    assert refused.value.__cause__ is None
    assert len(sentence) < 400


@pytest.mark.parametrize(
    ("name", "text"),
    [("hooks", "maybe"), ("settle_after", "ten"), ("overdue_after", "1;2"), ("queue_size", "1.5"), ("max_body", "4MB"),
     ("unanswered_after", "1h"), ("label_cap", ""), ("settle_after", "nan"), ("app_secret", '"a,b"'),
     ("app_secret", '["a", "b"]'), ("closings", "'ok'"),
     ("phone_number_id", "15559990000 # ours"), ("store", '"memory:"')],
)  # fmt: skip
def test_a_wrong_variable_is_refused_in_the_same_way(name: str, text: str) -> None:
    """Whether a keyword or a variable was wrong makes no difference to the sentence."""
    with pytest.raises(SettingsError, match=rf"^{name} must be "):
        Settings.load({}, {f"CHATVITALS_{name.upper()}": text or " "})


def test_a_long_value_is_cut_in_the_sentence() -> None:
    """A whole certificate may stand in the wrong variable."""
    with pytest.raises(SettingsError, match="must be True or False") as refused:
        load(hooks="x" * 100_000)
    assert len(str(refused.value)) < 200


def test_opening_hours_in_a_variable_are_refused_with_what_to_do() -> None:
    """A schedule has no form as text."""
    with pytest.raises(SettingsError, match="in_hours can be set by keyword only"):
        Settings.load({}, {"CHATVITALS_IN_HOURS": "9-18"})


def test_an_unknown_setting_is_refused_with_the_list_of_those_that_are() -> None:
    """A misspelt keyword does not go unnoticed."""
    with pytest.raises(
        SettingsError,
        match=r"there is no setting 'app_secrets'\. Did you mean 'app_secret'\? The settings are: access_token, ack",
    ):
        load(app_secrets="x")


def test_overdue_thresholds_beyond_the_deadline_are_refused() -> None:
    """A turn that has ended cannot become overdue."""
    with pytest.raises(SettingsError, match=r"overdue_after goes up to 3600 s, beyond unanswered_after \(600 s\)"):
        load(unanswered_after=600)
    assert load(unanswered_after=3600).unanswered_after == 3600.0


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("app_secret", {"a": HIDDEN}),
        ("app_secret", [HIDDEN, ""]),
        ("app_secret", HIDDEN + "\ud83d"),
        ("metrics_token", HIDDEN + " x"),
        ("identity_key", [HIDDEN]),
        ("identity_key", HIDDEN * 4),
        ("identity_key", HIDDEN * 4 + "\ud83d"),
        ("store", HIDDEN),
        ("store", f"mysql://:{HIDDEN}@localhost"),
        ("store", [HIDDEN]),
    ],
)
def test_no_sentence_shows_a_secret(name: str, value: Any) -> None:
    """Errors end up in logs and bug reports. So do the errors that they were raised from."""
    with pytest.raises(SettingsError) as refused:
        load(**{name: value})
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


def test_repr_shows_no_secret() -> None:
    """Printed settings show no secret, token, key or store URL."""
    settings = load(app_secret=HIDDEN, metrics_token=HIDDEN, identity_key=HIDDEN, store=f"sqlite:///{HIDDEN}")
    assert "hunter2" not in repr(settings)
    assert "queue_size=10000" in repr(settings)


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


# Opening hours

ROME = {
    "timezone": "Europe/Rome",
    "days": {"mon": [["09:00", "12:30"], ["14:00", "18:00"]], "sun": [["00:00", "24:00"]]},
}


def rome(year: int, month: int, day: int, hour: int, minute: int = 0, *, fold: int = 0) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=ZoneInfo("Europe/Rome"), fold=fold).timestamp()


def hours(**changes: Any) -> OpeningHours:
    schedule = load(in_hours=ROME | changes).in_hours
    assert schedule is not None
    return schedule


@pytest.mark.parametrize(
    ("hour", "minute", "open_"),
    [(8, 59, False), (9, 0, True), (12, 29, True), (12, 30, False), (14, 0, True), (17, 59, True), (18, 0, False)],
)
def test_a_start_is_included_and_an_end_is_not(hour: int, minute: int, open_: bool) -> None:  # noqa: FBT001 - a table's column
    """Spans that meet leave no gap and no overlap."""
    assert hours().contains(rome(2026, 11, 23, hour, minute)) is open_


def test_a_day_that_is_not_named_is_closed_and_24_00_is_its_end() -> None:
    """Tuesday is closed, Sunday is open from midnight to midnight."""
    assert not hours().contains(rome(2026, 11, 24, 10))
    assert hours().contains(rome(2026, 11, 22, 0))
    assert hours().contains(rome(2026, 11, 22, 23, 59) + 59.9)


def test_hours_are_local_on_both_sides_of_a_change_of_clocks() -> None:
    """The same second of UTC is in hours in summer and not in winter."""
    schedule = hours(days={day: [["09:00", "18:00"]] for day in ("mon", "fri")})
    for monday, friday, utc in (((2027, 3, 29), (2027, 3, 26), 7), ((2026, 10, 23), (2026, 10, 26), 7)):
        in_summer = datetime(*monday, utc, 30, tzinfo=ZoneInfo("UTC")).timestamp()
        in_winter = datetime(*friday, utc, 30, tzinfo=ZoneInfo("UTC")).timestamp()
        assert schedule.contains(in_summer)
        assert not schedule.contains(in_winter)


def test_the_hour_that_comes_twice_is_open_twice() -> None:
    """When clocks go back, both passes of an hour that is open are open."""
    schedule = hours(days={"sun": [["02:00", "03:00"]]})
    first, second = rome(2026, 10, 25, 2, 30), rome(2026, 10, 25, 2, 30, fold=1)
    assert second - first == 3600
    assert schedule.contains(first)
    assert schedule.contains(second)


def test_an_opening_hours_object_is_taken_as_it_is() -> None:
    """Settings can be loaded from settings."""
    assert load(in_hours=hours()).in_hours == hours()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"timezone": "Europe/Atlantis"}, "'Europe/Atlantis' is not a known time zone. Use an IANA name"),
        ({"timezone": "Europe"}, "is not a known time zone"),
        ({"timezone": "../../etc/passwd"}, "is not a known time zone"),
        ({"timezone": ""}, "is not a known time zone"),
        ({"timezone": 1}, "is not a known time zone"),
        ({"timezone": ["Europe/Rome"]}, "is not a known time zone"),
        ({"days": {"monday": [["09:00", "18:00"]]}}, "'monday' is not a day. The days are mon, tue"),
        ({"days": {"mon": "09:00-18:00"}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["9", "18"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [[9, 18]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": None}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["09:00"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["09:00", "24:01"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["09:60", "18:00"]]}}, "the times of 'mon' must look like"),
        ({"days": {"mon": [["22:00", "02:00"]]}}, "a start is not before its end. Split spans at midnight"),
        ({"days": {"mon": [["09:00", "09:00"]]}}, "a start is not before its end"),
        ({"days": []}, "must look like"),
        ({"zone": "x"}, "must look like"),
    ],
)
def test_a_wrong_schedule_is_refused_with_what_is_wrong(changes: dict[str, Any], said: str) -> None:
    """The sentence names the day or the zone."""
    with pytest.raises(SettingsError, match=rf"^in_hours.*{re.escape(said)}"):
        load(in_hours=ROME | changes)


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("webhook_path", "Give it to vitals.instrument_app(app, webhook_path=…)."),
        ("metrics_path", "Give it to vitals.instrument_app(app, metrics_path=…)."),
        ("token", "The token of /metrics is metrics_token"),
    ],
)
def test_a_name_that_belongs_elsewhere_is_refused_with_its_place(name: str, place: str) -> None:
    """A close name of another meaning, such as metrics_token, would mislead."""
    with pytest.raises(SettingsError, match=re.escape(f"there is no setting {name!r}. {place}")):
        Settings.load({name: "/x"}, {})
    with pytest.raises(SettingsError, match=re.escape(f"there is no variable CHATVITALS_{name.upper()}. {place}")):
        Settings.load({}, {f"CHATVITALS_{name.upper()}": "/x"})


@pytest.mark.parametrize(
    ("variable", "text", "said"),
    [
        ("CHATVITALS_LABEL_CAP", "1.5", "label_cap must be a whole number, not '1.5'"),
        ("CHATVITALS_OVERDUE_AFTER", "10,x", "overdue_after must be numbers that are separated by commas, not '10,x'"),
        ("CHATVITALS_SETTLE_AFTER", "ten", "settle_after must be a number, not 'ten'"),
    ],
)
def test_a_text_that_is_no_such_number_is_refused_with_its_kind(variable: str, text: str, said: str) -> None:
    """1.5 is a number, so the sentence says what kind is needed."""
    with pytest.raises(SettingsError, match=re.escape(said)):
        Settings.load({}, {variable: text})
