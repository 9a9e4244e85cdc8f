"""A Prometheus with an OTLP receiver finds the series of `/metrics` under their own names."""

from __future__ import annotations

import subprocess
import time
from typing import TYPE_CHECKING

import pytest
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

from tests.helpers.prometheus import prometheus
from tests.helpers.services import require
from tests.helpers.single_worker import NUMBER
from tests.integration.test_otlp import busy, pusher, shown

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.vitals import Vitals

AVERAGE = "sum(chatvitals_response_seconds_sum) / sum(chatvitals_response_seconds_count)"


def receiver_flag() -> str:
    """Return the flag that starts the receiver. Skip where this Prometheus has none."""
    told = subprocess.run([require("prometheus"), "--help"], capture_output=True, text=True, check=True)
    known = told.stdout + told.stderr
    if "--web.enable-otlp-receiver" in known:
        return "--web.enable-otlp-receiver"
    if "otlp-write-receiver" in known:
        return "--enable-feature=otlp-write-receiver"
    pytest.skip("this Prometheus has no OTLP receiver: it came with 2.47, and Debian builds every version without it")


def test_pushed_series_have_the_names_of_the_page(start: Callable[..., Vitals], tmp_path: Path) -> None:
    """So dashboards and rules work there as they are."""
    flag = receiver_flag()
    vitals = start(phone_number_id=NUMBER)
    vitals.clock.now = time.time() - 60.0  # type: ignore[attr-defined]
    busy(vitals)
    with prometheus("global: {scrape_interval: 1m}", tmp_path, flag) as server:
        assert pusher(vitals, OTLPMetricExporter(f"{server.url}/api/v1/otlp/v1/metrics")).push()
        query = f'chatvitals_messages_received_total{{phone_number_id="{NUMBER}",type="text"}}'
        server.wait_for(query, 1.0)
        assert server.value(AVERAGE) == 3.0
        found = {name for name in server.get("label/__name__/values") if name.startswith("chatvitals_")}
        assert found == {name for name, _ in shown(vitals)}
