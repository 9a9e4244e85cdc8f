"""The files of `examples/deploy` at work without Docker: the same entry points, on loopback."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from chatvitals.metrics.catalogue import FAMILIES
from tests.helpers.redis_servers import RedisServer
from tests.helpers.services import free_port, require
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path(__file__).parents[2] / "examples" / "deploy"
SERVICES: dict[str, Any] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]


def environ(**more: str) -> Mapping[str, str]:
    """Return this process's variables without those of chatvitals."""
    return {**{name: value for name, value in os.environ.items() if not name.startswith("CHATVITALS_")}, **more}


def is_healthy(port: int) -> bool:
    """Return whether the healthcheck of the compose file passes, run as the container would."""
    kind, python, *words = SERVICES["exporter"]["healthcheck"]["test"]
    assert (kind, python) == ("CMD", "python")
    words = [word.replace(":9464", f":{port}") for word in words]
    return subprocess.run([sys.executable, *words], check=False, capture_output=True, env=environ()).returncode == 0


def test_the_compose_file_s_services_start_and_become_healthy(tmp_path: Path) -> None:
    """Redis with its options, the exporter with its command, and the healthcheck. Only addresses are replaced."""
    program, *options = SERVICES["redis"]["command"]
    assert program == "redis-server"
    port = free_port()
    with RedisServer(tmp_path, *options) as redis:
        command, *words = [
            word.replace("redis:6379", f"127.0.0.1:{redis.port}")
            .replace("0.0.0.0", "127.0.0.1")
            .replace("9464", f"{port}")
            for word in SERVICES["exporter"]["command"]
        ]
        assert command == "chatvitals"
        assert not is_healthy(port)
        process = subprocess.Popen([sys.executable, "-m", command, *words], env=environ(), stdout=subprocess.DEVNULL)
        try:
            until("health", lambda: process.poll() is not None or is_healthy(port))
            assert process.poll() is None
            redis.kill()
            assert not is_healthy(port)
        finally:
            process.terminate()
            process.wait(60)


def test_the_exporter_s_store_may_come_from_a_secret_file(tmp_path: Path) -> None:
    """As Kubernetes and compose mount secrets."""
    (tmp_path / "store").write_text(f"sqlite:///{tmp_path / 'bot.db'}\n")
    port = free_port()
    words = ["-m", "chatvitals", "exporter", "--port", f"{port}"]
    process = subprocess.Popen(
        [sys.executable, *words],
        env=environ(CHATVITALS_STORE_FILE=str(tmp_path / "store")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == f"Metrics: http://127.0.0.1:{port}/metrics\n"
        assert f"there is no store file {tmp_path / 'bot.db'}" in process.stderr.readline()
    finally:
        process.kill()
        process.communicate()


def test_the_collector_s_scrape_config_is_one_of_prometheus(tmp_path: Path) -> None:
    """Its receiver takes the same configuration. Every part of a pipeline is declared."""
    told = yaml.safe_load((FOLDER / "otel-collector.yaml").read_text())
    config = tmp_path / "prometheus.yml"
    config.write_text(yaml.safe_dump(told["receivers"]["prometheus"]["config"]))
    subprocess.run([require("promtool"), "check", "config", str(config)], check=True, capture_output=True)
    for parts in told["service"]["pipelines"].values():
        assert all(set(names) <= set(told[kind]) for kind, names in parts.items())


@pytest.mark.parametrize("family", FAMILIES.values(), ids=lambda family: family.name)
def test_alloy_s_rules_keep_the_pod_of_a_process_s_metrics_alone(family: Any) -> None:
    """And make all others one series."""
    text = (FOLDER / "alloy.config").read_text()
    pod, instance = re.findall(r'regex\s+= "(.+)"', text)
    assert bool(re.fullmatch(pod, f"{family.name};bot-0.bot:8000")) == (family.scope == "process")
    assert re.fullmatch(instance, family.name)
    assert text.count("{") == text.count("}")
