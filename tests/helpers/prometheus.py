"""A real Prometheus that tests run for themselves."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx

from tests.helpers import services
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Prometheus(NamedTuple):
    """One that runs."""

    url: str
    log: Path

    def get(self, path: str, **parameters: str) -> Any:
        """Return the data that an endpoint of the API answers."""
        answer = httpx.get(f"{self.url}/api/v1/{path}", params=parameters, trust_env=False, timeout=600)
        assert answer.is_success, f"{parameters}: {answer.text}"
        return answer.json()["data"]

    def wait_until_ready(self) -> None:
        """Wait until it answers queries, which it refuses with 503 while it reads its data."""
        ready = f"{self.url}/-/ready"
        until("ready", lambda: httpx.get(ready, trust_env=False, timeout=60).is_success, self.log.read_text)

    def value(self, query: str) -> float | None:
        """Return the one value of a query, or None where there is no series."""
        result = self.get("query", query=query)["result"]
        return float(result[0]["value"][1]) if result else None

    def wait_for(self, query: str, wanted: float) -> None:
        """Wait until a query has a value, which takes a scrape or two."""
        until(f"{query} == {wanted}", lambda: self.value(query) == wanted, self.log.read_text)


@contextmanager
def prometheus(config: str, folder: Path, *flags: str) -> Iterator[Prometheus]:
    """Run a Prometheus with a configuration and further flags. `folder` keeps its log, and its data in `data`."""
    program, port = services.require("prometheus"), services.free_port()
    file, log = folder / "prometheus.yml", folder / "log"
    file.write_text(config)
    command = [program, f"--config.file={file}", f"--storage.tsdb.path={folder}/data",
               "--storage.tsdb.retention.time=90d", "--query.timeout=9m",
               f"--web.listen-address=127.0.0.1:{port}", *flags]  # fmt: skip
    with services.running(command, log, port) as process:
        server = Prometheus(f"http://127.0.0.1:{port}", log)
        server.wait_until_ready()
        yield server
        process.kill()  # a second sooner than asking it, and nothing is to be kept
