"""`chatvitals doctor --app`: the bot's code tells everything, a wrong webhook path is found, one next step ends it."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.healthy_bot import Patient

BOT = """
import os
import chatvitals
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

async def hook(request):
    return PlainTextResponse("ok")

vitals = chatvitals.init(
    app_secret=os.environ["BOT_SECRET"],
    store=os.environ["BOT_STORE"],
    metrics_token=os.environ["BOT_METRICS"],
    hooks=False,
)
app = Starlette(routes=[Mount("/whatsapp", routes=[Route("/hook", hook, methods=["POST"])])])
vitals.instrument_app(app, webhook_path="{path}", metrics_path="/metrics")
"""
FLASK = """
import chatvitals
from flask import Flask

vitals = chatvitals.init(app_secret="s3cr3t-s3cr3t", store="memory:", hooks=False)
app = Flask(__name__)

@app.post("/hook")
def hook():
    return "ok"

vitals.instrument_app(app, webhook_path="/webhook")
"""
names = (f"bot_of_doctor_{number}" for number in itertools.count())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bot's folder, in which the command runs."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(folder: Path, text: str) -> str:
    """Write a module and return its name: each test has its own."""
    name = next(names)
    (folder / f"{name}.py").write_text(text)
    return name


def of_patient(patient: Patient, folder: Path, path: str) -> str:
    """Write a bot that shares the patient's settings. The doctor's own variables are gone. Returns `module:app`."""
    kept = patient.environ
    patient.environ = {
        "BOT_SECRET": kept["CHATVITALS_APP_SECRET"],
        "BOT_STORE": kept["CHATVITALS_STORE"],
        "BOT_METRICS": kept["CHATVITALS_METRICS_TOKEN"],
        "CHATVITALS_METRICS_URL": kept["CHATVITALS_METRICS_URL"],
    }
    return f"{written(folder, BOT.replace('{path}', path))}:app"


def test_the_app_tells_secret_store_token_and_paths(patient: Patient, folder: Path) -> None:
    """Only the host is not in the code. `/webhook` is the patient's path, and the app's is another."""
    result = patient.doctor("--app", of_patient(patient, folder, "/whatsapp/hook"), "--json")
    assert result.finding("metrics")["state"] == "ok"
    assert result.finding("store")["state"] == "ok"
    assert result.finding("webhook path")["found"] == "chatvitals watches /whatsapp/hook"
    counted = "1 webhook with 1 message received, 0 sends seen, 1 turn answered"
    assert result.finding("received and sent")["found"] == counted


def test_a_path_that_the_app_does_not_serve_is_found(patient: Patient, folder: Path) -> None:
    """It is the one next step, whatever else is wrong."""
    result = patient.doctor("--app", of_patient(patient, folder, "/webhook"))
    assert "chatvitals watches /webhook, where the app answers no POST" in " ".join(result.out.split())
    assert result.out.splitlines()[-1] == "Next step (webhook path): set webhook_path to /whatsapp/hook."
    assert result.status == 1


def test_a_flask_bot_is_read_as_well(patient: Patient, folder: Path) -> None:
    """Its door hides behind `wsgi_app`."""
    patient.environ.clear()
    result = patient.doctor("--app", f"{written(folder, FLASK)}:app", "--json")
    assert result.finding("webhook path")["next"] == "set webhook_path to /hook"


@pytest.mark.parametrize(
    ("text", "app", "said"),
    [
        ("", "bot", "--app must look like module:app, not 'bot'"),
        ("", "{name}:app", "has no 'app'"),
        ("app = 1", "{name}:app", "is not watched by chatvitals: call chatvitals.init()"),
        ("import os; os.environ['NO_SUCH']", "{name}:app", "cannot be imported (KeyError: 'NO_SUCH')"),
    ],
)
def test_an_app_that_cannot_be_read_is_explained(
    patient: Patient, folder: Path, text: str, app: str, said: str
) -> None:
    """Exit status 2, and a sentence."""
    result = patient.doctor("--app", app.replace("{name}", written(folder, text)))
    assert result.status == 2
    assert said in result.err
