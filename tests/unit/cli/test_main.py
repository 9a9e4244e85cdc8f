"""The command `chatvitals`: help, and a sentence for every wrong word."""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals._version import __version__
from chatvitals.cli import demo, main, replay
from chatvitals.metrics import catalogue
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.stores.base import Changes
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMAND = [str(Path(sys.executable).with_name("chatvitals"))]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *words], capture_output=True, text=True, timeout=120, check=False)


def test_help_names_the_commands() -> None:
    """The installed command lists the commands, and exits 0."""
    found = run("--help")
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout.startswith("usage: chatvitals")
    for command in ("demo", "replay", "doctor"):
        assert command in found.stdout


def test_the_version_is_the_package_s() -> None:
    """For bug reports."""
    assert run("--version").stdout == f"chatvitals {__version__}\n"


@pytest.mark.parametrize(
    ("command", "options"),
    [("demo", ["--duration", "--port"]), ("replay", ["--openmetrics"]), ("doctor", ["--fix", "--json"])],
)
def test_each_command_has_its_help(command: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """With its options."""
    with pytest.raises(SystemExit) as ended:
        main.main([command, "--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(option in text for option in options)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["sing"], "invalid choice: 'sing' (choose from"),
        (["--loud"], "arguments"),
        (["replay"], "the following arguments are required: FILE.jsonl"),
        (["replay", ""], "must be a path, and not an empty text"),
        (["assets", "--out", ""], "argument --out: must be a path, and not an empty text"),
        (["simulate", "--openmetrics", "-"], "must be a path, because standard output shows the progress, not '-'"),
        (["replay", "x", "--loud"], "unrecognized arguments: --loud"),
        (["assets", "--out", "x", "--slo", "much"], "must be a share between 0 and 1, such as 0.95, not 'much'"),
        (["assets", "--out", "x", "--slo", "95"], "must be a share between 0 and 1, such as 0.95, not '95'"),
        (["simulate", "--openmetrics", "x", "--seed", "any"], "must be a whole number, not 'any'"),
        (["replay", "x", "--every", "0"], "must be a number of seconds above 0, not '0'"),
        (["replay", "x", "--every", "nan"], "must be a number of seconds above 0, not 'nan'"),
        (["replay", "x", "--every", "inf"], "must be a number of seconds above 0, not 'inf'"),
        (["demo", "--duration", "soon"], "must be a number of seconds above 0, not 'soon'"),
        (["demo", "--duration", "-1"], "must be a number of seconds above 0, not '-1'"),
        (["demo", "--port", "65536"], "must be a port from 0 (any free one) to 65535, not '65536'"),
        (["demo", "--port", "http"], "must be a port from 0 (any free one) to 65535, not 'http'"),
        (["demo", "--scenario", "stormy"], "choose from"),
    ],
)
def test_wrong_words_exit_2_with_a_sentence(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is run, and the sentence names the allowed values."""
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    assert ended.value.code == 2
    err = capsys.readouterr().err
    assert "usage: chatvitals" in err
    assert said in err.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "usage", "said"),
    [
        (["compare", "--nosuch"], "usage: chatvitals compare ", "unrecognized arguments: --nosuch"),
        (["compare", "--wrng"], "usage: chatvitals compare ", "arguments: --wrng"),
        (["compare", "--aginst=b"], "usage: chatvitals compare ", "--aginst. Did you mean '--against'?"),
        (["assets", "--outt", "x"], "usage: chatvitals assets ", "--outt. Did you mean '--out'?"),
        (["store", "--urll", "info"], "usage: chatvitals store ", "unrecognized arguments: --urll"),
        (["store", "forget", "--contakt", "1"], "usage: chatvitals store forget ", "Did you mean '--contact'?"),
        (["--versio"], None, ""),
        (["--verson"], "usage: chatvitals [-h]", "--verson. Did you mean '--version'?"),
        (["journeys", "nosuch"], "usage: chatvitals journeys ", "unrecognized arguments: nosuch"),
        (["now", "-x"], "usage: chatvitals now ", "unrecognized arguments: -x"),
    ],
)
def test_a_wrong_option_gets_the_usage_of_its_command_and_the_closest_option(
    words: list[str], usage: str | None, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A misspelt option comes before a missing argument. An abbreviation is still taken."""
    with pytest.raises(SystemExit) as ended:
        main.main(words)
    err = capsys.readouterr().err
    assert ended.value.code == (0 if usage is None else 2)
    assert err.startswith(usage or "")
    assert err.rstrip().endswith(said)


def test_without_a_command_all_commands_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    """A newcomer types the name alone. It is still no success."""
    assert main.main([]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert all(f"    {command} " in shown.err for command in main.COMMANDS)


def test_the_exporter_refuses_a_store_in_memory(capsys: pytest.CaptureFixture[str]) -> None:
    """It would serve an empty store of its own, and every number would be 0."""
    assert main.main(["exporter", "--store", "memory:"]) == 2
    assert "a store in memory belongs to its process: give a file or a server" in capsys.readouterr().err


@pytest.mark.parametrize("command", [*main.COMMANDS])
def test_each_command_explains_a_wrong_option_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The usage of `chatvitals` alone would not name a single option."""
    with pytest.raises(SystemExit):
        main.main([command, "--no-such-option"])
    err = capsys.readouterr().err
    assert err.startswith(f"usage: chatvitals {command} [-h]")
    assert err.endswith(f"chatvitals {command}: error: unrecognized arguments: --no-such-option\n")


def test_options_reach_the_demo(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its exit status is the command's."""
    given: list[Any] = []

    def demo_run(duration: float | None, scenario: str, *, plain: bool, port: int) -> int:
        given.append((duration, scenario, plain, port))
        return 7

    monkeypatch.setattr(demo, "run", demo_run)
    assert main.main(["demo"]) == 7
    assert main.main(["demo", "--duration", "2.5", "--scenario", "slow", "--plain", "--port", "0"]) == 7
    assert given == [(None, "calm", False, 9464), (2.5, "slow", True, 0)]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["log.jsonl"], (Path("log.jsonl"), None, 60.0)),
        (["-", "--openmetrics", "out", "--every", "5"], (Path("-"), Path("out"), 5.0)),
    ],
)
def test_options_reach_replay(
    words: Sequence[str], expected: tuple[Path, Path | None, float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its exit status is the command's."""
    given: list[Any] = []

    def replay_run(path: Path, openmetrics: Path | None, *, every: float) -> int:
        given.append((path, openmetrics, every))
        return 3

    monkeypatch.setattr(replay, "run", replay_run)
    assert main.main(["replay", *words]) == 3
    assert given == [expected]


def test_an_interrupt_is_a_word_and_not_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C exits 130, as shells expect."""

    def interrupt(*_: Any, **__: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(replay, "run", interrupt)
    assert main.main(["replay", "x"]) == 130
    assert capsys.readouterr().err == "\nchatvitals: interrupted\n"


def test_a_reader_who_has_seen_enough_is_no_error() -> None:
    """`chatvitals … | head` ends without a traceback."""
    code = "import chatvitals.cli.main as c, chatvitals.cli.replay as r\ndef run(*_, **__): raise BrokenPipeError\n"
    code += "r.run = run\nraise SystemExit(c.main(['replay', 'x']))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert (found.returncode, found.stderr) == (0, "")


def test_asking_for_help_imports_no_command() -> None:
    """Each command imports what it needs, and nothing else does."""
    code = "import sys, chatvitals.cli.main as c\ntry: c.main(['--help'])\nexcept SystemExit: pass\n"
    code += "tools = {'chatvitals.cli.demo', 'chatvitals.cli.replay', 'rich', 'uvicorn'}\n"
    code += "print(sorted(tools & sys.modules.keys()))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert found.stdout.splitlines()[-1] == "[]"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("words", [["--help"], ["simulate", "--help"], ["--version"]])
def test_a_full_disk_behind_the_output_is_a_sentence(words: list[str]) -> None:
    """No traceback, neither at once nor at the interpreter's end."""
    environment = {**os.environ, "PYTHONUNBUFFERED": ""}
    with Path("/dev/full").open("w") as full:
        found = subprocess.run(
            [*COMMAND, *words],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=120,
            check=False,
            env=environment,
        )
    sentence = "the output cannot be written (No space left on device): free some space, or write it elsewhere"
    assert (found.returncode, found.stderr) == (1, f"chatvitals {words[0]}: {sentence}\n")


def test_an_output_that_the_shell_has_closed_is_no_error() -> None:
    """`chatvitals … >&-` has no standard output at all."""
    words = [*COMMAND, "--version"]
    found = subprocess.run(["sh", "-c", '"$@" >&-', "sh", *words], stderr=subprocess.PIPE, timeout=120, check=False)
    assert (found.returncode, found.stderr) == (0, b"")


def in_ascii(*words: str) -> subprocess.CompletedProcess[bytes]:
    environment = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONIOENCODING": ""}
    return subprocess.run([*COMMAND, *words], capture_output=True, timeout=120, check=False, env=environment)


@pytest.mark.parametrize("command", [*main.COMMANDS])
def test_each_help_can_be_read_in_a_locale_without_unicode(command: str) -> None:
    """As in a bare container or a cron job."""
    found = in_ascii(command, "--help")
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.isascii()


def test_a_name_that_the_locale_lacks_is_no_error(tmp_path: Path) -> None:
    """The exported lines stay JSON, and the other commands show a question mark."""
    url = f"sqlite:///{tmp_path / 'bot.db'}"
    vitals = Vitals(Settings.load({"store": url, "hooks": False}, {}), background=False)
    journey = vitals.journey("café", steps=["thé", "lait"])
    journey.reach("thé", contact="15550004321", phone_number_id="990005556667778")
    vitals.close()
    with closing(open_store(url)) as store, store.transaction() as transaction:
        cell = (catalogue.JOURNEY_STEP_REACHED.name, ("990005556667778", "café", "thé"), 0)
        transaction.commit(Changes(increments={cell: 3.0}))
    exported = in_ascii("store", "export", url)
    assert (exported.returncode, exported.stderr) == (0, b"")
    assert "café" in {label for line in exported.stdout.splitlines() for label in json.loads(line).get("labels", ())}
    shown = in_ascii("journeys", "--store", url)
    assert (shown.returncode, shown.stderr) == (0, b"")
    assert b"caf?" in shown.stdout


@pytest.mark.parametrize("words", [["now"], ["journeys"], ["store", "info", "sqlite:///chatvitals.db"]])
def test_a_missing_store_file_is_named_by_each_command(words: list[str], tmp_path: Path) -> None:
    """A command in the wrong folder says so, and creates no file there."""
    found = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode != 0
    assert "there is no store file chatvitals.db: look in the folder in which the bot runs" in found.stderr
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    ("words", "status", "about", "reason"),
    [
        (["compare", "nosuch"], 1, "the experiment nosuch", "there is no store file"),
        (["journeys", "--journey", "nosuch"], 1, "the journey nosuch", "there is no store file"),
        (["report", "journey", "nosuch"], 2, "the journey nosuch", "this needs the history of a Prometheus"),
        (["compare", "nosuch", "--prometheus", "http://127.0.0.1:9"], 1, "the experiment nosuch", "http://127.0.0.1:9"),
    ],
)
def test_a_name_that_cannot_be_looked_up_comes_before_the_reason(
    words: list[str], status: int, about: str, reason: str, tmp_path: Path
) -> None:
    """Whoever has misspelt a name does not first repair a store."""
    found = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode == status
    assert f"chatvitals {words[0]}: {about} cannot be looked up: {reason}" in found.stderr


@pytest.mark.parametrize("words", [["now", "--store"], ["journeys", "--store"], ["store", "info"]])
def test_a_folder_in_place_of_a_store_file_is_named_by_each_command(words: list[str], tmp_path: Path) -> None:
    """It is there, so that it is not missing."""
    (tmp_path / "data").mkdir()
    command = [*COMMAND, *words, "sqlite:///data"]
    found = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode != 0
    assert "data is a folder: name a file in it, such as sqlite:///data/chatvitals.db" in found.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "none.jsonl"], "none.jsonl cannot be used: No such file or directory (check the path)"),
        (["replay", "folder"], "folder cannot be used: Is a directory (it is a folder, so name a file)"),
        (["assets", "--out", "file"], "file cannot be used: File exists (it is a file, so name a folder)"),
        (
            ["assets", "--out", "file/below"],
            "file/below cannot be used: Not a directory (it is a file, so name a folder)",
        ),
        (
            ["simulate", "--openmetrics", "none/out"],
            "none/out cannot be used: No such file or directory (check the path)",
        ),
    ],
)
def test_a_wrong_path_is_a_sentence_with_advice(words: list[str], said: str, tmp_path: Path) -> None:
    """No number of an error, and no error class."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    found = subprocess.run([*COMMAND, *words], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert found.returncode in {1, 2}
    assert found.stderr == f"chatvitals {words[0]}: {said}\n"


def test_a_log_of_a_windows_program_is_read(tmp_path: Path) -> None:
    """It begins with a byte order mark, and its lines end with carriage returns."""
    log = tmp_path / "log.jsonl"
    log.write_bytes(b'\xef\xbb\xbf{"received": 1795392000, "body": "{}"}\r\n{"received": 1795392001, "body": "{}"}\r\n')
    found = run("replay", str(log))
    assert (found.returncode, found.stderr) == (0, "")
    assert "2 read, 0 skipped" in found.stdout


def test_a_key_pressed_while_a_command_is_loaded_is_a_sentence(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A report imports much, which takes a second on a cold machine."""

    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(importlib, "import_module", interrupted)
    assert main.main(["report"]) == 130
    assert capsys.readouterr().err == "\nchatvitals: interrupted\n"
