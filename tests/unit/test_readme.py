"""The README says what is: its commands are CI's, its table is the catalogue's, its snippets run."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.helpers import readme

if TYPE_CHECKING:
    from pathlib import Path

TEXT = readme.PATH.read_text()
CI = readme.PATH.with_name(".ci") / "run"
SNIPPETS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^```sh\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)


def test_the_table_of_metrics_is_the_catalogue() -> None:
    """After a change of the catalogue: `python -m tests.helpers.readme`."""
    assert readme.part(readme.CONTRACT.read_text(), "catalogue") == readme.catalogue_part()


def test_the_benchmark_names_its_command_and_every_verdict() -> None:
    """Each budget has a line; `python -m tests.helpers.readme --benchmark` measures anew."""
    part = readme.part(TEXT, "benchmark")
    assert "python -m tests.benchmarks" in part
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| ") and "| what |" not in line]
    assert len([row for row in rows if row[2]]) >= 9
    assert all(row[3] in {"met", "**budget not met**"} for row in rows if row[2])


@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_every_python_snippet_compiles(number: int) -> None:
    """What is copied from the README is Python."""
    compile(SNIPPETS[number], f"README.md, snippet {number}", "exec")


def test_the_wrapping_of_a_fastapi_bot_runs(tmp_path: Path) -> None:
    """As it stands, in a process of its own, it counts a signed webhook and serves the metrics."""
    wrapping = next(snippet for snippet in SNIPPETS if "FastAPI()" in snippet)
    check = """
import json
from fastapi.testclient import TestClient
from chatvitals.whatsapp import signatures

@app.post("/webhook")
async def webhook(message: dict):
    return "ok"

body = json.dumps({"entry": []}).encode()
with TestClient(app) as client:
    plain = {"content-type": "application/json"}
    signed = {**plain, "x-hub-signature-256": signatures.sign(body, "the-app-secret")}
    assert client.post("/webhook", content=body, headers=signed).json() == "ok"
    assert client.post("/webhook", content=body, headers=plain).json() == "ok"
    page = client.get("/metrics").text
assert 'chatvitals_webhooks_total{result="accepted"} 1.0' in page, page
assert 'chatvitals_webhooks_total{result="unsigned"} 1.0' in page, page
"""
    code = wrapping + check
    environ = {"WHATSAPP_APP_SECRET": "the-app-secret", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()


def test_two_commands_set_everything_up_and_ci_runs_the_one_of_the_tests() -> None:
    """The demo and the tests each take one line on a fresh machine; CI installs and runs no other tests."""
    demo, tests = (command.strip().split(" && ") for command in COMMANDS[:2])
    assert [demo[0], demo[1], demo[2]] == [
        "python3 -m venv .venv",
        ".venv/bin/pip install -e '.[demo]'",
        ".venv/bin/chatvitals demo",
    ]
    assert tests[:2] == ["python3 -m venv .venv", ".venv/bin/pip install -e '.[dev]'"]
    lines = CI.read_text().splitlines()
    assert tests[0] in lines
    assert any(line.startswith(".venv/bin/pip install") and line.endswith("-e '.[dev]'") for line in lines)
    assert [line.removeprefix("CHATVITALS_REQUIRE_SERVICES=1 ") for line in lines if "pytest" in line] == [tests[2]]
