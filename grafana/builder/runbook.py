"""The page that alerts link to: how to load the rules, and what to do about each alert."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatvitals.assets.rules import alerts

if TYPE_CHECKING:
    from chatvitals.assets.objective import Objective
    from chatvitals.assets.rules import Alert

_HEAD = """# Alert rules

Made by `grafana/build`, for an objective of {share:g} of the turns answered within {threshold} s. Load both files in Prometheus:

```yaml
rule_files:
  - recording.yml
  - alerting.yml
```

`promtool test rules tests/quick.yml tests/slow.yml` runs a firing and a quiet case of every alert. Scrape one target per store; the rules count nothing twice where several are scraped all the same.

Rules that compare with last week or the last seven days (`WhatsAppJourneyCompletionDropped`, `WhatsAppWebhookSilent`, `WhatsAppReadRateDropped`, `WhatsAppOptOutSurge`) are silent until there is such a history. `chatvitals simulate --openmetrics month.txt` makes one to try them on.

# Runbook
"""
_SEVERITY = {"critical": "Act now.", "warning": "Act today.", "info": "For the record."}


def page(objective: Objective) -> str:
    """Return the page; each alert has one heading, which its `runbook_url` names."""
    by_name: dict[str, list[Alert]] = {}
    for alert in alerts(objective):
        by_name.setdefault(alert.name, []).append(alert)
    sections = [_section(name, same) for name, same in by_name.items()]
    return _HEAD.format(share=objective.share, threshold=objective.threshold) + "\n" + "\n".join(sections)


def _section(name: str, same: list[Alert]) -> str:
    severities = sorted({alert.severity for alert in same})
    urgency = " ".join(_SEVERITY[severity] for severity in severities)
    lines = [f"## {name}", "", f"{urgency} {_plain(same[0].description)}", ""]
    lines += ["```promql", *same[0].expr.splitlines(), "```", ""]
    if len(same) > 1:
        windows = ", ".join(f"{alert.labels['short']} and {alert.labels['long']} ({alert.severity})" for alert in same)
        lines += [f"Windows: {windows}.", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a description with a dot for each value that Prometheus fills in."""
    return re.sub(r"{{.*?}}", "…", text)
