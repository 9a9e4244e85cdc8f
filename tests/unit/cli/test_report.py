"""`chatvitals report` and `compare`: what cannot be written or has no effect is refused before Prometheus is asked."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.fast

NOBODY_LISTENS = "http://127.0.0.1:9"


def _refusal(page: Path, capsys: pytest.CaptureFixture[str]) -> str:
    assert main.main(["report", "--html", str(page), "--prometheus", NOBODY_LISTENS]) == 1
    return capsys.readouterr().err


def test_a_page_in_a_folder_that_does_not_exist_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no folder" in _refusal(tmp_path / "missing" / "page.html", capsys)


def test_a_folder_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is a folder. Give the name of a file in it." in _refusal(tmp_path, capsys)


def test_a_page_that_may_not_be_written_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may write anywhere, so the test takes the permission away from `os.access`."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert "permission denied" in _refusal(tmp_path / "page.html", capsys)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("report --from 2026-11-01", "--from has no effect on the report on a drop"),
        ("report --to 2026-11-01", "--to has no effect on the report on a drop"),
        ("report --against 8d", "--against has no effect on the report on a drop"),
        ("report unanswered --drop last", "--drop has no effect on the report on unanswered turns"),
        ("report templates --against 8d", "--against has no effect on the report on templates"),
        ("report journey order --drop last", "--drop has no effect on the report on a journey"),
        ("compare greeting --days 3", "--days has no effect on the comparison of an experiment"),
        ("compare greeting --since-first-message", "--since-first-message has no effect on the comparison of an exp"),
        ("compare --on 2026-11-01 --against 2026-11-02 --margin 3", "--margin has no effect on a comparison by --on"),
        ("compare --before 8d --after 2026-11-02 --against x", "--against has no effect on a comparison by --before"),
        ("compare --version 1 --against 2 --until 2026-11-02", "--until has no effect on a comparison by --version"),
    ],
)
def test_an_option_without_effect_is_refused(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Else the answer would look like one that follows it. Prometheus is not asked."""
    assert main.main([*words.split(), "--prometheus", NOBODY_LISTENS]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.endswith("leave it out\n")
