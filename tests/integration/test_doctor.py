"""`chatvitals doctor` as a whole: a healthy bot, skipped checks, exit codes, and `--fix`."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import main
from chatvitals.doctor import traffic
from chatvitals.doctor.report import CHECKS
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.healthy_bot import Patient


def test_a_healthy_bot_is_well_in_every_check(patient: Patient) -> None:
    """Each check has a line, all of them well, and the exit status is 0."""
    result = patient.doctor("--json")
    assert result.states("attention") == set()
    assert result.states("skipped") == set()
    assert result.states("ok") == set(CHECKS)
    assert (result.status, result.err) == (0, "")


def test_a_bot_that_has_answered_is_well_at_any_time(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a reply, it needs attention a minute after the webhook."""
    monkeypatch.setattr(traffic, "_ANSWER_SECONDS", -1.0)
    assert patient.doctor("--json").finding("received and sent")["state"] == "ok"


def test_the_lines_fit_80_columns_and_say_the_state_in_a_word(
    patient: Patient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns are aligned, nothing but the terminal's colours needs colour, and the last line sums up."""
    monkeypatch.setenv("COLUMNS", "80")
    result = patient.doctor()
    *lines, empty, last, then = result.out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in result.out
    first = [line for line in lines if line[0] != " "]
    assert len(first) == len(CHECKS)
    assert all(line.startswith("✓ ok         ") for line in first)
    assert all(line[31:33] == "  " for line in first), "the findings begin in one column"
    assert (empty, last) == ("", f"{len(CHECKS)} checks passed.")
    assert then == "Next step: none, because all checks passed."


def test_a_misspelt_variable_is_the_first_step(patient: Patient) -> None:
    """It may cause everything else. Its value is not shown."""
    patient.environ["CHATVITAL_APP_SECRET"] = "a-value-that-nobody-may-see"
    result = patient.doctor()
    assert result.status == 1
    assert "CHATVITAL_APP_SECRET: this variable is ignored" in result.out
    assert "Next step (variables): rename it to CHATVITALS_APP_SECRET, or remove it." in " ".join(result.out.split())
    assert "nobody-may-see" not in result.out + result.err


def test_what_it_needs_is_said_where_nothing_is_given(
    patient: Patient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything is skipped with the option and the variable that would enable it, and that is no failure."""
    monkeypatch.chdir(tmp_path.parent)
    patient.environ.clear()
    result = patient.doctor("--json")
    assert result.status == 0
    assert result.states("skipped") == {found["check"] for found in json.loads(result.out)}
    for option in ("ACCESS_TOKEN", "WABA_IDS", "APP_ID", "APP_SECRET", "STORE", "METRICS_URL", "WEBHOOK_URL"):
        assert f"CHATVITALS_{option}" in result.out
    nothing, then = patient.doctor().out.splitlines()[-2:]
    assert nothing.startswith("Nothing was checked. ")
    assert then == "Next step: give --app MODULE:APP, or --metrics-url URL."


def test_options_win_over_variables(patient: Patient) -> None:
    """A variable applies only where its option is absent."""
    result = patient.doctor("--waba", "1", "--waba", "2,3", "--json")
    assert [found["subject"] for found in result.findings("subscription")] == ["1", "2", "3"]
    assert result.status == 1
    assert patient.doctor("--graph-url", "http://127.0.0.1:9", "--json").finding("access token")["state"] == "attention"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--waba", "W1"], "--waba must be ids that consist of digits"),
        (["--app-id", "mine"], "--app-id must be"),
        (["--url", "bot.example"], "--url must be"),
        (["--url", "https://[bot"], "--url must be"),
        (["--metrics-url", "ftp://x"], "--metrics-url must be"),
        (["--graph-url", "x"], "--graph-url must be"),
        (["--graph-url", "http://x:99999999"], "--graph-url must be"),
        (["--graph-url", "https://x/?a=b"], "--graph-url must be"),
        (["--app-secret", "sécret"], "--app-secret must contain only ASCII"),
        (["--verify-token", "a\nb"], "--verify-token must be"),
        (["--store", "mysql://root:a-store-password-of-theirs@x"], "--store must be"),
        (["--access-token", "two words"], "--access-token must contain"),
    ],
)
def test_wrong_words_exit_2_with_a_sentence(patient: Patient, words: list[str], said: str) -> None:
    """The sentence names the option, not its setting. Nothing is checked, and no secret is quoted."""
    result = patient.doctor(*words)
    assert (result.status, result.out) == (2, "")
    assert said in result.err
    assert patient.edges.calls == []


@pytest.mark.parametrize(
    ("variable", "value"), [("ALL_PROXY", "bad://me:a-store-password-of-theirs@x"), ("SSL_CERT_FILE", "/nowhere.pem")]
)
def test_an_environment_in_which_nothing_can_be_asked(patient: Patient, variable: str, value: str) -> None:
    """A proxy's address may hold a password."""
    patient.environ[variable] = value
    result = patient.doctor()
    assert result.status == 2
    assert variable in result.err


def test_yes_alone_is_wrong(patient: Patient, capsys: pytest.CaptureFixture[str]) -> None:
    """It answers a question that only `--fix` asks."""
    with pytest.raises(SystemExit) as ended:
        main.main(["doctor", "--yes"])
    assert ended.value.code == 2
    assert "--yes needs --fix" in capsys.readouterr().err


def test_without_httpx_a_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is an extra."""
    gone = ("chatvitals.doctor.", "chatvitals.graph_api.", "chatvitals.cli.doctor")
    for name in [name for name in sys.modules if name.startswith(gone) and not name.endswith("_options")]:
        monkeypatch.delitem(sys.modules, name)
        package, _, module = name.rpartition(".")
        monkeypatch.delattr(f"{package}.{module}", raising=False)
    monkeypatch.setitem(sys.modules, "httpx", None)
    assert main.main(["doctor"]) == 2
    assert "pip install 'chatvitals[graph]'" in capsys.readouterr().err


def test_ctrl_c_ends_it_with_130_and_no_traceback(patient: Patient) -> None:
    """Also in the middle of a request."""
    patient.edges.delay = 4.0
    code = "import sys; from chatvitals.cli.main import main; sys.exit(main(['doctor']))"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, **patient.environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until("the first request", lambda: patient.edges.calls)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, "", "\nchatvitals: interrupted\n")


class Terminal(io.StringIO):
    """A standard input that is a terminal."""

    def isatty(self) -> bool:
        """Answer yes."""
        return True


def test_fix_subscribes_without_asking_where_yes_says_so(patient: Patient) -> None:
    """The account is looked at again, and is well."""
    patient.edges.subscribed = False
    result = patient.doctor("--fix", "--yes", "--json")
    assert f"POST /{patient.edges.waba_id}/subscribed_apps" in patient.edges.calls
    assert result.finding("subscription")["state"] == "ok"
    assert result.status == 0


@pytest.mark.parametrize(("answer", "status"), [("y\n", 0), ("yes\n", 0), ("n\n", 1), ("\n", 1), ("", 1)])
def test_fix_asks_at_a_terminal(patient: Patient, monkeypatch: pytest.MonkeyPatch, answer: str, status: int) -> None:
    """Whatever is not a yes is a no."""
    patient.edges.subscribed = False
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    result = patient.doctor("--fix")
    assert result.status == status
    assert f"to the account {patient.edges.waba_id}? [y/N]" in result.err
    assert patient.edges.subscribed is (status == 0)


def test_fix_does_nothing_where_nobody_can_be_asked(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report names the change that it would make."""
    patient.edges.subscribed = False
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    result = patient.doctor("--fix")
    assert (result.status, patient.edges.subscribed) == (1, False)
    assert f"The account {patient.edges.waba_id} would be subscribed." in result.out


def test_fix_has_nothing_to_do_for_a_healthy_bot(patient: Patient) -> None:
    """And posts nothing to WhatsApp."""
    result = patient.doctor("--fix", "--yes")
    assert "Nothing to fix" in result.out
    assert not [call for call in patient.edges.calls if call.startswith("POST")]


def test_a_fix_that_is_refused_says_why(patient: Patient) -> None:
    """A token may read an account and not change it."""
    patient.edges.subscribed = False
    patient.edges.refuses_subscribing = True
    result = patient.doctor("--fix", "--yes", "--json")
    found = result.finding("subscription")
    assert found["found"].startswith("the subscription was refused: the token has no permission")
    assert result.status == 1


def test_a_fix_that_had_no_success_is_none(patient: Patient) -> None:
    """Whatever the API answers else than that it was done."""
    patient.edges.subscribed = False
    patient.edges.succeeds = False
    found = patient.doctor("--fix", "--yes", "--json").finding("subscription")
    assert found["found"] == "the subscription failed without a reason"
