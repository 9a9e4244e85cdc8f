"""The README is true: CI runs its commands, its quick start runs, and its metrics are real."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from chatvitals.metrics import catalogue
from tests.helpers import readme, snippets

if TYPE_CHECKING:
    from pathlib import Path

TEXT = readme.PATH.read_text()
ROOT = readme.PATH.parent
CI = readme.PATH.with_name(".ci") / "run"
COMMANDS = readme.snippets(TEXT, "sh")
(QUICK_START,) = readme.snippets(TEXT, "python")
(CHECK_IT,) = readme.snippets(TEXT, "console")

# A bot behind the quick start that answers each webhook; WhatsApp accepts the answer.
_ANSWERED = """
import httpx, re
from fastapi.testclient import TestClient

def accept(request):
    return httpx.Response(200, json={"messages": [{"id": "wamid.2"}]})

@snippet.app.post("/webhook")
async def webhook(message: dict):
    send = {"messaging_product": "whatsapp", "to": "15550004321", "type": "text", "text": {"body": "hi"}}
    async with httpx.AsyncClient(transport=httpx.MockTransport(accept)) as client:
        await client.post("http://graph.example/990005556667778/messages", json=send)
    return "ok"

with TestClient(snippet.app) as client:
    assert client.post("/webhook", content=BODY, headers=HEADERS).json() == "ok"
    for _ in range(50):
        lines = client.get("/metrics").text.splitlines()
        shown = [line for line in lines if not line.startswith("#") and re.search(PATTERN, line)]
        if len(shown) == len(EXPECTED):
            break
assert sorted(shown) == sorted(EXPECTED), shown
"""


def test_it_has_at_most_150_lines() -> None:
    """Everything else stands in the documents that it links to."""
    assert len(TEXT.splitlines()) <= 150


def test_its_counts_are_true() -> None:
    """Metrics outside its table are counted in tens. Each case of host safety is a row of its page."""
    shown = len(re.findall(r"^\| `chatvitals_", TEXT, re.MULTILINE))
    assert f"There are about {round(len(catalogue.FAMILIES) - shown, -1)} more metrics, six dashboards" in TEXT
    assert len(list((ROOT / "grafana" / "dashboards").glob("*.json"))) == 6
    cases = re.findall(r"^\| \d+ \|", (ROOT / "tests" / "safety" / "README.md").read_text(), re.MULTILINE)
    assert f"[{len(cases)} cases](" in TEXT


def test_generated_tables_are_up_to_date() -> None:
    """After a change of metrics or settings: `python -m tests.helpers.readme`."""
    assert readme.part(readme.CONTRACT.read_text(), "catalogue") == readme.catalogue_part()
    assert readme.part(readme.COOKBOOK.read_text(), "settings") == readme.settings_part()


def test_the_benchmark_names_every_verdict() -> None:
    """Each budget has a line. `python -m tests.helpers.readme --benchmark` measures anew."""
    part = readme.part(readme.TESTS.read_text(), "webhook")
    rows = [line.split(" | ") for line in part.splitlines() if line.startswith("| ") and "| what |" not in line]
    assert len([row for row in rows if row[2]]) >= 9
    assert all(row[3] in {"met", "**budget not met**"} for row in rows if row[2])


@pytest.mark.parametrize("name", [*readme.BENCHMARKS, "scale"])
def test_each_benchmark_stands_below_its_command(name: str) -> None:
    """`python -m tests.helpers.readme --benchmark` measures them anew, and `--million` the scale."""
    first, _, table = readme.part(readme.TESTS.read_text(), name).partition("\n\n")
    options = readme.SCALE if name == "scale" else readme.BENCHMARKS[name]
    command = f".venv/bin/python {' '.join(('-m', f'tests.benchmarks.{name}', *options))}"
    assert re.fullmatch(rf"From `{re.escape(command)}` \(CPython [\d.]+, \d+ cores\):", first)
    assert table.startswith("| " if name != "start" else "import chatvitals adds")


def test_the_quick_start_counts_a_signed_webhook_and_its_reply(tmp_path: Path) -> None:
    """The lines of "Check it" are exactly those that its command finds after one message and one reply."""
    command, *lines = CHECK_IT.strip().splitlines()
    (pattern,) = re.findall(r"grep -E '(.*)'$", command)
    snippets.run(QUICK_START, tmp_path, f"PATTERN, EXPECTED = {pattern!r}, {lines!r}\n{_ANSWERED}")


def test_two_commands_set_everything_up_and_ci_runs_the_one_of_the_tests() -> None:
    """The demo and the tests each take one line on a fresh machine. CI runs all tests, months in a run of their own."""
    demo, tests = (command.strip().split(" && ") for command in COMMANDS if "venv" in command)
    assert demo == ["python3 -m venv .venv", ".venv/bin/pip install -e '.[demo]'", ".venv/bin/chatvitals demo"]
    assert tests[:2] == ["python3 -m venv .venv", ".venv/bin/pip install -e '.[dev]'"]
    lines = CI.read_text().splitlines()
    assert tests[0] in lines
    assert any(line.startswith(".venv/bin/pip install") and line.endswith("-e '.[dev]'") for line in lines)
    runs = [line.split() for line in lines if line.startswith(".venv/bin/pytest")]
    assert [run[0] for run in runs] == [tests[2]] * 2
    assert all("-m" not in run for run in runs)
    assert [run[-1] for run in runs] == ['"${months[@]/#/--ignore=}"', '"${months[@]}"']


def test_images_have_whole_addresses() -> None:
    """A package index shows this page elsewhere, where relative addresses lead nowhere."""
    addresses = re.findall(r'(?:src|srcset)="([^"]+)"|!\[[^\]]*\]\(([^)]+)\)', TEXT)
    assert addresses
    assert all("".join(address).startswith("https://") for address in addresses)
