"""`chatvitals exporter` as a command, and the scrape configs of the cookbook."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest

from chatvitals.cli import exporter
from chatvitals.stores.base import Changes
from chatvitals.stores.sqlite import SQLiteStore
from tests.helpers import services
from tests.helpers.fleet import Scrape

if TYPE_CHECKING:
    from collections.abc import Iterator

CELL = ("chatvitals_messages_received_total", ("990001", "text"), 0)
ROOT = Path(__file__).parents[2]


@contextmanager
def running(store: str, *options: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the exporter on a free port. Gives its process and address."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}
    words = ["exporter", "--store", store, "--port", "0", *options]
    code = "import sys; from chatvitals.cli.main import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environ,
        start_new_session=True,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first.startswith("Metrics: http://127.0.0.1:"), process.communicate()[1]
        yield process, first.split()[1]
    finally:
        process.kill()
        process.communicate()


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, trust_env=False, timeout=60)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_the_stores_numbers_until_it_is_told_to_end(tmp_path: Path, ending: signal.Signals) -> None:
    """Numbers that workers commit meanwhile show at once. Ctrl-C ends it with status 0 and without a word."""
    store = SQLiteStore(tmp_path / "s.db")
    for _ in range(2):
        with store.transaction() as transaction:
            transaction.commit(Changes(increments={CELL: 3.0}, open_since={("chatvitals_x", "990001", 1): 5.0}))
    with running(f"sqlite:///{tmp_path / 's.db'}") as (process, url):
        first = get(url)
        with store.transaction() as transaction:
            transaction.commit(Changes(increments={CELL: 1.0}))
        second = get(url, accept="application/openmetrics-text")
        process.send_signal(ending)
        out, err = process.communicate(timeout=60)
    assert Scrape(first.text)("messages_received_total") == 6
    assert Scrape(first.text)("store_up") == 1
    assert "chatvitals_queue" not in first.text  # it has none
    assert second.headers["content-type"].startswith("application/openmetrics-text")
    assert 'chatvitals_messages_received_total{phone_number_id="990001",type="text"} 7.0' in second.text
    assert (process.returncode, out, err) == (0, "", "")
    store.close()


def test_a_token_and_other_paths(tmp_path: Path) -> None:
    """Without the token 401. A browser at the root is told where to look. HEAD has no body."""
    SQLiteStore(tmp_path / "s.db").cells()
    with running(f"sqlite:///{tmp_path / 's.db'}", "--token", "secret") as (_, url):
        assert get(url).status_code == 401
        assert get(url, authorization="Bearer wrong").status_code == 401
        assert get(url, authorization="Bearer secret").status_code == 200
        root = get(url.removesuffix("/metrics") + "/")
        assert (root.status_code, root.text) == (200, "the metrics are at /metrics\n")
        assert get(url + "/more").status_code == 404
        head = httpx.head(url, headers={"authorization": "Bearer secret"}, trust_env=False, timeout=60)
        assert (head.status_code, head.content) == (200, b"")
        assert httpx.post(url, trust_env=False, timeout=60).status_code == 501


def test_probes_say_whether_the_store_can_be_read(tmp_path: Path) -> None:
    """Without a token, as probes have none. The reason is on standard error at once."""
    with running(f"sqlite:///{tmp_path / 's.db'}", "--token", "secret") as (process, url):
        base = url.removesuffix("/metrics")
        assert get(f"{base}/-/healthy").status_code == 200
        assert (get(f"{base}/-/ready").status_code, get(url).status_code) == (503, 401)
        store = SQLiteStore(tmp_path / "s.db")
        store.cells()
        assert get(f"{base}/-/ready").status_code == 200
        store.close()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[1]
    assert said.startswith("chatvitals exporter: ")
    assert said.count("\n") == 1
    assert "/-/ready answers 503 until this is fixed" in said


def test_a_store_that_is_not_there_yet_is_not_created(tmp_path: Path) -> None:
    """The bot begins it, as its own user. Until then the store is down, and afterwards it is up."""
    with running(f"sqlite:///{tmp_path / 's.db'}") as (_, url):
        assert Scrape(get(url).text)("store_up") == 0
        assert not list(tmp_path.iterdir())
        store = SQLiteStore(tmp_path / "s.db")
        store.cells()
        assert Scrape(get(url).text)("store_up") == 1
        store.close()


def test_a_cell_that_makes_no_sense_costs_itself_alone(tmp_path: Path) -> None:
    """The scrape goes on without it."""
    store = SQLiteStore(tmp_path / "s.db")
    broken = ("chatvitals_messages_received_total", (), 0)  # without the number that each of its cells names
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={broken: 1.0}))
    with running(f"sqlite:///{tmp_path / 's.db'}") as (_, url):
        answer = get(url)
        assert answer.status_code == 200
        assert "chatvitals_messages_received_total 1" not in answer.text
        assert "chatvitals_store_up 1" in answer.text
    store.close()


def test_it_changes_nothing_in_the_store(tmp_path: Path) -> None:
    """It does not know the bot's settings, by which contacts that are due would be settled."""
    store = SQLiteStore(tmp_path / "s.db")
    with store.transaction() as transaction:
        transaction.commit(Changes(states={1: (b"not even a state", 5.0)}, increments={CELL: 1.0}))
    with running(f"sqlite:///{tmp_path / 's.db'}") as (_, url):
        assert Scrape(get(url).text)("messages_received_total") == 1
    assert next(store.dump()).states == {1: (b"not even a state", 5.0)}
    store.close()


@pytest.mark.parametrize(
    ("store", "port", "said"),
    [("mysql://x", 0, "store must be"), ("sqlite:///x.db", 99_999_999, "cannot be used")],
)
def test_what_is_wrong_is_a_sentence(store: str, port: int, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """It does not start, with exit status 2."""
    assert exporter.run(store, "127.0.0.1", port, None, {}) == 2
    assert said in capsys.readouterr().err


def scrape_configs() -> list[str]:
    """Return the YAML blocks of the cookbook about scraping."""
    section = (ROOT / "examples/README.md").read_text().partition("## Scraping")[2].partition("\n## ")[0]
    return re.findall(r"```yaml\n(.*?)```", section, flags=re.DOTALL)


@pytest.mark.parametrize("number", range(3))
def test_the_cookbooks_scrape_configs_are_valid(number: int, tmp_path: Path) -> None:
    """Prometheus itself checks each of the three set-ups."""
    promtool = services.require("promtool")
    configs = scrape_configs()
    assert len(configs) == 3
    config = tmp_path / "prometheus.yml"
    config.write_text(configs[number])
    checked = subprocess.run([promtool, "check", "config", str(config)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
