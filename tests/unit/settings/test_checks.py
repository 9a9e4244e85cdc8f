"""A wrong setting is refused with a sentence that names it and shows no secret."""

from __future__ import annotations

import re
from typing import Any

import pytest

from chatvitals.settings import Settings, SettingsError
from tests.helpers.loaded_settings import HIDDEN, load

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
    ("name", "text", "said"),
    [
        ("label_cap", "1.5", "label_cap must be a whole number from 1 to 100000, not '1.5' in CHATVITALS_LABEL_CAP"),
        (
            "max_body",
            "4MB",
            "max_body must be a whole number of bytes from 1024 to 268435456, not '4MB' in CHATVITALS_",
        ),
        ("overdue_after", "10;60", "at most 16 rising numbers of seconds above 0, such as 10,60,300, not '10;60' in "),
        ("settle_after", "10s", "settle_after must be a number of seconds from 0 to 600, not '10s' in CHATVITALS_"),
        ("settle_after", "1e9", "settle_after must be a number of seconds from 0 to 600, not '1e9' in CHATVITALS_"),
        ("metrics_token", "é", "ASCII characters and no spaces in CHATVITALS_METRICS_TOKEN (the value is hidden"),
    ],
)
def test_a_wrong_variable_is_refused_with_unit_limits_and_its_name(name: str, text: str, said: str) -> None:
    """Most people give a unit: the sentence tells which one is meant, and where the text was found."""
    with pytest.raises(SettingsError, match=re.escape(said)):
        Settings.load({}, {f"CHATVITALS_{name.upper()}": text})


def test_a_strange_variable_is_not_taken_for_another() -> None:
    """All names begin alike, so that the rest alone is compared."""
    with pytest.raises(SettingsError) as strange:
        Settings.load({}, {"CHATVITALS_FOO": "x"})
    assert str(strange.value) == "there is no variable CHATVITALS_FOO. Remove it, or correct its name."
    with pytest.raises(SettingsError, match=r"Did you mean 'CHATVITALS_SETTLE_AFTER'\?"):
        Settings.load({}, {"CHATVITALS_SETTLE": "x"})


@pytest.mark.parametrize("name", ["metrics_token", "access_token"])
def test_an_empty_token_is_told_to_be_empty(name: str) -> None:
    """`os.environ.get("TOKEN", "")` gives it, and has neither spaces nor other characters."""
    with pytest.raises(SettingsError, match=f"{name} must be a text that is not empty"):
        Settings.load({name: ""}, {})


@pytest.mark.parametrize("url", ["sqlite://bot.db", "sqlite:///", "sqlite:/bot.db", "SQLITE:///bot.db"])
def test_a_url_of_sqlite_with_wrong_slashes_is_explained(url: str) -> None:
    """The scheme is right, so that the sentence must not be about it."""
    with pytest.raises(SettingsError, match="not a URL of 'sqlite' without three slashes and a path"):
        Settings.load({"store": url}, {})
