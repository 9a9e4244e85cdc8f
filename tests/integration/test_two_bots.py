"""One Prometheus with two bots: each has its own numbers, and an alert says whose it is."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

import yaml

from chatvitals.monitoring.bundle import rendered
from chatvitals.monitoring.slo import Objective
from chatvitals.settings import Settings
from chatvitals.vitals import Vitals
from tests.helpers.services import free_port, require, running
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.integrations.asgi import ASGIApp

NUMBERS = {"pizza-bot": "990001", "pasta-bot": "990002"}


def ask(port: int, query: str) -> list[dict[str, str]]:
    """Return the labels of each series of a query, with its value as `value`."""
    url = f"http://127.0.0.1:{port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
            found = json.load(answer)["data"]["result"]
    except urllib.error.HTTPError:  # it is not ready yet
        return []
    return [{**series["metric"], "value": series["value"][1]} for series in found]


def configured(folder: Path, ports: dict[str, int]) -> Path:
    """Write a Prometheus configuration with the shipped rules, and return its path."""
    for name, text in rendered(Objective()).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("interval: 1m", "interval: 1s"))
    told = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules/recording.yml", "rules/alerting.yml"],
        "scrape_configs": [
            {
                "job_name": job,
                "authorization": {"credentials": f"token-of-{job}"},
                "static_configs": [{"targets": [f"127.0.0.1:{port}"]}],
            }
            for job, port in ports.items()
        ],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(told))
    return folder / "prometheus.yml"


def test_two_bots_on_one_prometheus_stay_apart(serve: Callable[[ASGIApp], int], tmp_path: Path) -> None:
    """By `job`, with a token each. The alert that one of them has no store names the one."""
    bots: dict[str, Any] = {}
    for job, number in NUMBERS.items():
        given = {"store": f"sqlite:///{tmp_path / job}.db", "hooks": False, "phone_number_id": [number]}
        bots[job] = Vitals(Settings.load({**given, "metrics_token": f"token-of-{job}"}, environ={}))
    ports = {job: serve(bot.metrics_app()) for job, bot in bots.items()}
    port = free_port()
    command = [
        require("prometheus"),
        f"--config.file={configured(tmp_path, ports)}",
        f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with running(command, tmp_path / "log", port):
        until("both stores", lambda: len(ask(port, "chatvitals_store_up == 1")) == 2)
        shown = ask(port, "count by (job, phone_number_id) (max_over_time(chatvitals_turns_opened_total[5m]))")
        assert {(each["job"], each["phone_number_id"]) for each in shown} == set(NUMBERS.items())
        bots["pasta-bot"].close()
        (tmp_path / "pasta-bot.db").write_bytes(b"no store any more" * 100)
        alerts = until("the alert", lambda: ask(port, 'ALERTS{alertname="WhatsAppStoreDown"}'))
        assert {each["job"] for each in alerts} == {"pasta-bot"}
    bots["pizza-bot"].close()
