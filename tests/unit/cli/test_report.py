"""`chatvitals report`: a page that cannot be written is refused before Prometheus is asked."""

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
