"""Run a snippet of a document in its own process, as after copying it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "the-app-secret"
# What a check may use: a signed webhook with a message written now, and all metrics that are not 0.
_TOOLS = f"""
import time
import prometheus_client
from chatvitals.simulator import payloads, people
from chatvitals.whatsapp import signatures

TEXT = {{"type": "text", "text": {{"body": "hello"}}}}
MESSAGE = payloads.message(people.Person("", "15550004321"), "wamid.1", TEXT, at=time.time())
BODY = payloads.webhook(people.BusinessNumber(), [MESSAGE])
HEADERS = {{"content-type": "application/json", "x-hub-signature-256": signatures.sign(BODY, "{SECRET}")}}

def metrics():
    snippet.vitals.settle(60)
    registry = prometheus_client.CollectorRegistry()
    registry.register(snippet.vitals.collector)
    return prometheus_client.generate_latest(registry).decode()
"""


def run(code: str, folder: Path, check: str = "") -> None:
    """Import a snippet as the module `snippet`, then run a check that knows the names above.

    Args:
        code: the snippet, as it stands in the document.
        folder: the working folder of the process.
        check: more code, run after the snippet.

    Raises:
        AssertionError: something raised.

    """
    (folder / "snippet.py").write_text(code, encoding="utf-8")
    environ = {
        "CHATVITALS_GRAPH_URL": "http://127.0.0.1:9",  # nothing leaves this machine
        "CHATVITALS_SETTLE_AFTER": "0",
        "CHATVITALS_STORE": "sqlite:///snippet.db",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join([str(folder), *sys.path]),
        "WHATSAPP_APP_SECRET": SECRET,
    }
    whole = f"import snippet\n{_TOOLS}\n{check}\nsnippet.vitals.close()\n"
    done = subprocess.run(
        [sys.executable, "-c", whole], cwd=folder, env=environ, capture_output=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr.decode()
