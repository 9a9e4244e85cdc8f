"""A real Prometheus that tests run for themselves."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.helpers import services

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Prometheus(NamedTuple):
    """One that runs."""

    url: str
    log: Path

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data that an endpoint of the API answers."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False, timeout=60)
        assert answer.is_success, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def wait_until_ready(self) -> None:
        """Wait until it answers queries, which it refuses with 503 while it reads its data."""
        give_up = time.monotonic() + 30.0
        while not httpx.get(f"{self.url}/-/ready", trust_env=False).is_success:
            assert time.monotonic() < give_up, self.log.read_text()
            time.sleep(0.05)

    def value(self, query: str) -> float | None:
        """Return the one value of a query, or None where there is no series."""
        result = self.get("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, query: str, wanted: float) -> None:
        """Wait until a query has a value, which takes a scrape or two."""
        give_up = time.monotonic() + 15.0
        while (seen := self.value(query)) != wanted:
            assert time.monotonic() < give_up, f"{query} is {seen}, not {wanted}; {self.log.read_text()}"
            time.sleep(0.1)


@contextmanager
def prometheus(config: str, folder: Path, *flags: str) -> Iterator[Prometheus]:
    """Run a Prometheus with a configuration and further flags. `folder` keeps its log, and its data in `data`."""
    program, port = services.require("prometheus"), services.free_port()
    file, log = folder / "prometheus.yml", folder / "log"
    file.write_text(config)
    command = [program, f"--config.file={file}", f"--storage.tsdb.path={folder}/data",
               "--storage.tsdb.retention.time=90d", f"--web.listen-address=127.0.0.1:{port}", *flags]  # fmt: skip
    with services.running(command, log, port) as process:
        server = Prometheus(f"http://127.0.0.1:{port}", log)
        server.wait_until_ready()
        yield server
        process.kill()  # a second sooner than asking it, and nothing is to be kept
