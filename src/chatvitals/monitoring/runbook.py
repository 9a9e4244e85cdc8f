"""The runbook that alerts link to: loading of the files, and advice for each alert."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from chatvitals.monitoring.alerts import alerts

if TYPE_CHECKING:
    from chatvitals.monitoring.alerts import Alert
    from chatvitals.monitoring.slo import Objective

_HEAD = """# Dashboards and alerts

Six dashboards, recording and alerting rules with tests, and examples around them. The objective is a share of {share:g} of the turns, answered within {threshold} s. `chatvitals assets --out DIR --slo 0.99 --threshold 300` writes all files for another objective.

| | |
|---|---|
| `dashboards/` | dashboards to provision, with the data source as a variable |
| `grafana.com/` | the same dashboards to import by hand, which `chatvitals assets` writes. Grafana asks for the data source |
| `rules/` | generated recording and alerting rules. `rules/tests/` has a firing and a quiet case of every alert |
| `alertmanager.yml` | an example of routes and inhibitions |
| `provisioning/`, `prometheus.yml`, `compose.yaml` | Prometheus, Grafana, Alertmanager and the demo bot together |

## What they show

All pictures show the same simulated month.

| dashboard | question |
|---|---|
| [overview](https://github.com/chatvitals/chatvitals/blob/main/grafana/screenshots/overview.png) | Is anything wrong now, and with which number? |
| [quality and response](https://github.com/chatvitals/chatvitals/blob/main/grafana/screenshots/quality.png) | What moved before WhatsApp's rating fell? |
| [response times](https://github.com/chatvitals/chatvitals/blob/main/grafana/screenshots/response.png) | How long do customers wait, and where does the time go? |
| [journeys](https://github.com/chatvitals/chatvitals/blob/main/grafana/screenshots/journeys.png) | Where do customers leave or get confused? Which variant is better? |
| [templates and sends](https://github.com/chatvitals/chatvitals/blob/main/grafana/screenshots/templates.png) | Which template is read, refused or followed by opt-outs? |
| [instrumentation](https://github.com/chatvitals/chatvitals/blob/main/grafana/screenshots/instrumentation.png) | Are the numbers complete and fresh? |

## Look at it

Run `docker compose up` in this folder, then open http://127.0.0.1:3000. The demo bot gets slow, and its rating falls.

The next commands load a month of history into the Prometheus of that compose file. A deploy makes one number slow, its rating falls, and it recovers.

```sh
chatvitals simulate --openmetrics month.txt
docker compose cp month.txt prometheus:/tmp/month.txt
docker compose exec prometheus promtool tsdb create-blocks-from --max-block-duration=486h openmetrics /tmp/month.txt /prometheus
docker compose restart prometheus
```

## Load it into yours

Prometheus should keep 90 days, because alerts compare with last week and budgets reach over a month. Scrape one target per store. Several targets of one store are not counted twice either.

```yaml
rule_files:
  - rules/recording.yml
  - rules/alerting.yml
```

The rules use PromQL of Prometheus 2.42 and later, and no group has more than 20 rules. So they load in Mimir, Grafana Cloud and vmalert as well. vmalert needs `-remoteWrite.url` and `-remoteRead.url`, else alerts lose their state on a restart.

In Prometheus 3, ranges leave out a sample exactly at their beginning. So no rule reads a range of two samples or less, where the scrape interval is at most 150 s.

Where Grafana imports the rules as its own, import `recording.yml` as well: many alerts read recorded series. There is no series `ALERTS` then, so the panel "Firing alerts" shows none of them. No rule needs that series.

Where people answer, set the opening hours of the bot (`in_hours`). Else `WhatsAppCustomersIgnored` may page at night, and on the first weekend.

`promtool test rules rules/tests/*.yml` takes some minutes. Take routes and inhibitions for Alertmanager from `alertmanager.yml`, with your own receivers. `amtool check-config alertmanager.yml` checks the result.

Several bots, or several businesses, can share one Prometheus. Scrape each bot as a job of its own, with its own `metrics_token`. Each dashboard has the variables Job, Business and Number, and numbers follow the chosen business. Each alert names its job, and `alertmanager.yml` mutes effects within one job only.

Grafana 10.4 and later reads provisioned dashboards when it starts. Linux packages keep them in `/etc/grafana`. Use `provisioning/datasources/` only for a Grafana without a Prometheus.

```sh
sudo cp -r dashboards /etc/grafana/
sudo cp provisioning/dashboards/chatvitals.yaml /etc/grafana/provisioning/dashboards/
sudo systemctl restart grafana-server
```

Or import by hand: Dashboards, New, Import, and each file of `grafana.com/`.

Rules that compare with the past are silent until there is a past:

| after | alerts |
|---|---|
| three days | `WhatsAppJourneyCompletionDropped`, `WhatsAppJourneyStalls`, `WhatsAppOptOutSurge` |
| a week | `WhatsAppReadRateDropped`, `WhatsAppWebhookSilent` |
| ten days of a step | `WhatsAppJourneyStepDropOff` |

## How good the alerts are

`python -m tests.months` simulates eighteen months of eleven days and evaluates all rules over them on a real Prometheus. The tables hold the months of its last run. An alert counts as right when it begins between an incident and 36 hours after its end. Alertmanager's inhibitions are not applied. Precision is the share of right alerts. Alerts of severity info notify nobody and are left out.

{months}
# Runbook

Each alert has its condition and three steps: look, mend, verify. Turns outside of opening hours do not count.
"""
_SEVERITY: Final = {
    "critical": "Pages. Act now.",
    "warning": "Act today.",
    "info": "Goes into the daily digest.",
}
_SHORT: Final = 240
"""Characters of a query that a person can still read."""


def page(objective: Objective, months: str) -> str:
    """Return the page. Each alert has one heading, which its `runbook_url` links to.

    Args:
        objective: the objective of the rules.
        months: the tables of `python -m tests.months`.

    """
    by_name: dict[str, list[Alert]] = {}
    for alert in alerts(objective):
        by_name.setdefault(alert.name, []).append(alert)
    sections = [_section(name, same) for name, same in by_name.items()]
    head = _HEAD.format(share=objective.share, threshold=objective.threshold, months=months)
    return head + "\n" + "\n".join(sections)


def _section(name: str, same: list[Alert]) -> str:
    """Return the section of an alert. The budget's burn has several rules, each with its windows."""
    lines = [f"## {name}", ""]
    for alert in same:
        lines += [f"{_SEVERITY[alert.severity]} {_plain(alert.description)}\n", f"Fires: {_condition(alert)}\n"]
    lines += [f"1. Look: {same[0].look}", f"2. Mend: {same[0].mend}", f"3. Verify: {same[0].verify}", ""]
    if len(same) == 1 and len(same[0].expr) <= _SHORT:
        lines += ["```promql", *same[0].expr.splitlines(), "```", ""]
    return "\n".join(lines)


def _condition(alert: Alert) -> str:
    """Return the condition in words, with how long it must hold and how long the alert outlives it."""
    held = f" It must hold for {alert.hold}." if alert.hold else ""
    return f"{alert.when}{held}{f' The alert outlives it by {alert.keep}.' if alert.keep else ''}"


def _plain(text: str) -> str:
    """Return a description with a dot for each value that Prometheus fills in."""
    return re.sub(r"{{.*?}}", "…", text)
