"""The page that alerts link to: how to load everything, and what to do about each alert."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from chatvitals.monitoring.alerts import alerts

if TYPE_CHECKING:
    from chatvitals.monitoring.alerts import Alert
    from chatvitals.monitoring.slo import Objective

_HEAD = """# Dashboards and alerts

Six dashboards, recording and alerting rules with tests, and examples around them, for an objective of {share:g} of the turns answered within {threshold} s. `chatvitals assets --out DIR --slo 0.99 --threshold 300` writes all of it for another one.

| | |
|---|---|
| `dashboards/` | for provisioning; the data source is a variable |
| `grafana.com/` | the same to import by hand or publish; the data source is asked for |
| `rules/` | recording and alerting rules; `rules/tests/` has a firing and a quiet case of every alert |
| `alertmanager.yml` | an example: who hears of what, and which alert makes which other one pointless |
| `provisioning/`, `prometheus.yml`, `compose.yaml` | Prometheus, Grafana, Alertmanager and the demo bot, put together |

## Look at it

`docker compose up` in this folder, then http://127.0.0.1:3000: the demo bot gets slow, and its rating falls.

A month of history, with a deploy that makes one number slow, the fall of its rating and the recovery, for the Prometheus of that compose file:

```sh
chatvitals simulate --openmetrics month.txt
docker compose cp month.txt prometheus:/tmp/month.txt
docker compose exec prometheus promtool tsdb create-blocks-from --max-block-duration=486h openmetrics /tmp/month.txt /prometheus
docker compose restart prometheus
```

## Load it into yours

Prometheus, which should keep 90 days (alerts compare with last week, budgets reach over a month), and scrape one target per store; nothing is counted twice where several are scraped all the same:

```yaml
rule_files:
  - rules/recording.yml
  - rules/alerting.yml
```

`promtool test rules rules/tests/*.yml` takes half a minute. Alertmanager: take routes and inhibitions from `alertmanager.yml`, with receivers of your own; `amtool check-config alertmanager.yml` looks at the result.

Grafana 10.4 and later, by provisioning, read at its next start (`/etc/grafana` is where Linux packages keep it; `provisioning/datasources/` is for a Grafana that has no Prometheus yet):

```sh
sudo cp -r dashboards /etc/grafana/
sudo cp provisioning/dashboards/chatvitals.yaml /etc/grafana/provisioning/dashboards/
sudo systemctl restart grafana-server
```

Or by hand: Dashboards, New, Import, and each file of `grafana.com/`; Grafana asks for the data source.

Rules that compare are silent until there is something to compare with: three days for `WhatsAppJourneyCompletionDropped`, `WhatsAppJourneyStalls` and `WhatsAppOptOutSurge`, a week for `WhatsAppJourneyStepDropOff`, `WhatsAppReadRateDropped` and `WhatsAppWebhookSilent`.

# Runbook

What to do about each alert.
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
    lines = [f"## {name}", ""]
    for alert in same:  # of the budget's burn there are several, each with its windows
        lines += [f"{_SEVERITY[alert.severity]} {_plain(alert.description)}", ""]
        lines += ["```promql", *alert.expr.splitlines(), "```", ""]
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Return a description with a dot for each value that Prometheus fills in."""
    return re.sub(r"{{.*?}}", "…", text)
