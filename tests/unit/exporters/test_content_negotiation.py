"""The format and encoding that the headers of a scrape ask for."""

from __future__ import annotations

import pytest

from chatvitals.exporters.content_negotiation import wants_openmetrics

PROMETHEUS_2 = (
    "application/openmetrics-text;version=1.0.0,"
    "application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
)
PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,*/*;q=0.1"
)


@pytest.mark.parametrize(
    ("accept", "openmetrics"),
    [
        (PROMETHEUS_2, True),
        (PROMETHEUS_3, True),
        ("application/openmetrics-text", True),
        ("Application/OpenMetrics-Text; Q=0.3", True),
        ("text/plain, application/openmetrics-text;q=0.5", False),
        ("text/plain;q=0.2, application/openmetrics-text;q=0.5", True),
        ("application/openmetrics-text;q=0", False),
        ("application/openmetrics-text;q=much", True),
        ("", False),
        ("*/*", False),
        ("text/html", False),
        (";;;,,,", False),
    ],
)
def test_openmetrics_comes_where_it_is_preferred(accept: str, openmetrics: bool) -> None:  # noqa: FBT001
    """Weights decide. Of equal ones OpenMetrics is the richer."""
    assert wants_openmetrics(accept) == openmetrics
