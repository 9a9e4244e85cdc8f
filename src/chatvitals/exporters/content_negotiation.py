"""Choice of format and compression from a scrape's headers."""

from __future__ import annotations

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"


def wants_openmetrics(accept: str) -> bool:
    """Return whether an `Accept` header prefers OpenMetrics to the text format.

    Args:
        accept: the header's value. Several headers are joined with commas.

    """
    weights = _weights(accept)
    openmetrics = weights.get("application/openmetrics-text", 0.0)
    return openmetrics > 0 and openmetrics >= weights.get("text/plain", 0.0)


def wants_gzip(accept_encoding: str) -> bool:
    """Return whether an `Accept-Encoding` header allows gzip."""
    weights = _weights(accept_encoding)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weights(header: str) -> dict[str, float]:
    """Return the highest weight of each accepted value. An invalid weight counts as 1."""
    weights: dict[str, float] = {}
    for item in header.split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = 1.0
        for parameter in parameters:
            key, _, value = parameter.partition("=")
            if key.strip() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 1.0
        if name:
            weights[name] = max(weight, weights.get(name, 0.0))
    return weights
