"""A variable with a misspelt prefix is told by its name, once and without its value."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

import chatvitals
from chatvitals.cli import main
from chatvitals.settings import SettingsError, ToolSettings
from chatvitals.settings.misspelt import misspelt

if TYPE_CHECKING:
    from pathlib import Path

HIDDEN = "a-value-that-nobody-may-see"


@pytest.mark.parametrize(
    ("variable", "meant"),
    [
        ("CHATVITAL_APP_SECRET", "CHATVITALS_APP_SECRET"),
        ("CHATVITAL_APPSECRET", "CHATVITALS_APP_SECRET"),
        ("CHAT_VITALS_STORE", "CHATVITALS_STORE"),
        ("CHATVITLAS_HOOKS", "CHATVITALS_HOOKS"),
        ("CATVITALS_OTLP", "CHATVITALS_OTLP"),
        ("CHATBITALS_LABEL_CAP", "CHATVITALS_LABEL_CAP"),
        ("chatvitals_app_secret", "CHATVITALS_APP_SECRET"),
        ("CHATVITALS.STORE", "CHATVITALS_STORE"),
        ("\ufeffCHATVITALS_STORE", "CHATVITALS_STORE"),
        ("CHATVITAL_METRICS_TOKEN_FILE", "CHATVITALS_METRICS_TOKEN_FILE"),
        ("CHATVITAL_PROMETHEUS", "CHATVITALS_PROMETHEUS"),
    ],
)
def test_a_slip_in_the_prefix_is_found(variable: str, meant: str) -> None:
    """Also another case, a dash, a dot, or the mark that an editor puts before the first line."""
    assert misspelt({variable: HIDDEN, "PATH": "/bin"}) == [(variable, meant)]


@pytest.mark.parametrize(
    "variable",
    [
        "CHATVITALS_STORE", "STORE", "APP_SECRET", "VITALS_APP_SECRET", "CHATWOOT_ACCESS_TOKEN", "CHAT_STORE",
        "CHATVITAL_SERVICE_HOST", "CHATVITAL_PORT", "CHATVITAL_PORT_9464_TCP", "CHATVITAL_COLOUR", "HOSPITAL_STORE",
        "CHATVITALITY_STORE", "CAPITALS_STORE", "DIGITAL_APP_SECRET", "CHAT_METRICS_TOKEN", "",
    ],
)  # fmt: skip
def test_a_variable_of_another_program_is_let_be(variable: str) -> None:
    """As are those that Kubernetes sets for a Service whose name is close."""
    assert misspelt({variable: HIDDEN}) == []


def test_a_start_logs_it_once_and_never_its_value(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The bot starts all the same, because the variable may belong to another program."""
    monkeypatch.setenv("CHATVITAL_APP_SECRET", HIDDEN)
    with caplog.at_level(logging.WARNING, "chatvitals"):
        chatvitals.init(store="memory:", hooks=False).close()
    said = "The variable 'CHATVITAL_APP_SECRET' is ignored, because its name must be 'CHATVITALS_APP_SECRET'"
    assert caplog.text.count(said) == 1
    assert HIDDEN not in caplog.text


def test_each_command_says_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """On standard error, before what the command itself has to say."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CHATVITAL_STORE", HIDDEN)
    assert main.main(["journeys"]) == 1
    said = "The variable 'CHATVITAL_STORE' is ignored, because its name must be 'CHATVITALS_STORE'"
    out, err = capsys.readouterr()
    assert err.startswith(f"chatvitals journeys: {said}: rename it, or remove it.\n")
    assert HIDDEN not in out + err


def test_the_tools_refuse_an_unknown_variable_as_the_bot_does() -> None:
    """`chatvitals now` reads no setting of the bot where it has a Prometheus."""
    with pytest.raises(SettingsError, match="Did you mean 'CHATVITALS_PROMETHEUS_TOKEN'"):
        ToolSettings.load({}, {"CHATVITALS_PROMETHEUS_TOKN": HIDDEN})
