"""Where the links of alerts lead: the runbook, and the dashboards of a Grafana."""

from __future__ import annotations

from typing import Final, NamedTuple
from urllib.parse import urlsplit

RUNBOOK: Final = "https://github.com/chatvitals/chatvitals/blob/main/grafana/README.md"


class Links(NamedTuple):
    """Addresses that alerts name.

    Args:
        runbook: the page of the runbook. Each alert links to its own heading there.
        grafana: the address of Grafana. It is empty if alerts name the dashboard's uid alone.

    """

    runbook: str = RUNBOOK
    grafana: str = ""

    def of_alert(self, name: str, dashboard: str) -> dict[str, str]:
        """Return the annotations of an alert that link somewhere."""
        found = {"runbook_url": f"{self.runbook}#{name.lower()}", "dashboard_uid": dashboard}
        if self.grafana:
            found["dashboard_url"] = f"{self.grafana.rstrip('/')}/d/{dashboard}"
        return found


def links(runbook: str | None, grafana: str | None) -> Links:
    """Return the links for two options. None stands for the default.

    Raises:
        ValueError: one of them is no address. The message names its option.

    """
    for option, url in (("--runbook-url", runbook), ("--grafana-url", grafana)):
        if url is not None and not _is_address(url):
            raise ValueError(f"{option} must be an address such as https://grafana.example, not {url!r}")
    return Links(runbook or RUNBOOK, grafana or "")


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # half an IPv6 address
        return False
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and url.isprintable() and " " not in url
