"""Dashboards: what the build makes, readable by a person, and only of metrics that exist."""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import promql_parser
import pytest
from grafana_foundation_sdk.cog import encoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from chatvitals.metrics import catalogue
from chatvitals.monitoring.alerts import alerts
from chatvitals.monitoring.recording_rules import recordings
from chatvitals.monitoring.slo import Objective
from tests.helpers.grafana import GRAFANA, PAGES, asked, expanded, page, panels, selectors, variables
from tests.helpers.promql import walk
from tests.helpers.services import require

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNITS = {"short", "s", "percentunit", "locale", "suffix:s", "suffix:min", "suffix: points", "string", "dateTimeAsIso"}
MAPPED = {"RED", "YELLOW", "GREEN", "UNKNOWN"}
LEFT_OUT = {
    "chatvitals_number_status": "whether a number can send is shown by health_status; its status goes with FLAGGED",
}
every_page = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)


def all_queries() -> Iterator[tuple[str, str, str]]:
    """Yield where, query and legend of all dashboards."""
    for path in PAGES:
        for query in asked(page(path)):
            yield f"{path.stem}: {query.name}", expanded(query.expr), query.legend
        for selector in selectors(page(path)):
            yield f"{path.stem}: a variable", expanded(selector), ""


def test_the_walk_finds_what_is_wrong() -> None:
    """A misspelt metric, a label of another family, a histogram without its suffix, a label that is summed away."""
    good = 'sum by (outcome) (rate(chatvitals_turns_total{turn="first"}[5m]))'
    assert walk(promql_parser.parse(good)) == ({"outcome"}, [])
    for bad in (
        "rate(chatvitals_turn_total[5m])",
        'chatvitals_turns_open{outcome="answered"}',
        "rate(chatvitals_wait_seconds[5m])",
        "sum by (step) (chatvitals_turns_open)",
        "max by (turn) (sum by (outcome) (chatvitals_turns_total))",
        "chatvitals_turns_open * on (waba_id) group_left () sum by (phone_number_id) (chatvitals_number_info)",
        "chatvitals_turns_open * on (phone_number_id) group_left (step) chatvitals_number_info",
    ):
        assert walk(promql_parser.parse(bad))[1], bad


def test_each_query_names_only_metrics_and_labels_of_the_catalogue() -> None:
    """A misspelt name would draw nothing, for ever. So would a legend by a label that is summed away."""
    for where, expr, legend in all_queries():
        known, wrong = walk(promql_parser.parse(expr))
        assert not wrong, f"{where}: {wrong}"
        assert set(re.findall(r"{{(\w+)}}", legend)) <= known, f"{where}: {legend}"


def test_each_family_is_on_a_dashboard_or_in_a_rule_or_left_out_for_a_reason() -> None:
    """A family that no dashboard, rule or command reads need not be measured."""
    texts = [expr for _, expr, _ in all_queries()]
    texts += [rule.expr for rule in recordings(Objective())] + [alert.expr for alert in alerts(Objective())]
    used = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"chatvitals_\w+", " ".join(texts))}
    missing = {name for name in catalogue.FAMILIES if re.sub(r"_(bucket|sum|count)$", "", name) not in used}
    assert missing == set(LEFT_OUT)


@every_page
def test_a_panel_says_what_it_shows_and_what_to_do(path: Path) -> None:
    """Title, a description in sentences, a unit, a text for no data, and the chosen data source."""
    for panel in panels(page(path)):
        defaults = panel["fieldConfig"]["defaults"]
        assert panel["title"], panel["id"]
        assert len(panel["description"]) > 40, panel["title"]
        assert panel["description"][-1] in ".`", panel["title"]
        assert defaults["noValue"], panel["title"]
        assert defaults["unit"] in UNITS, panel["title"]
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert {source["uid"] for source in sources} == {"${datasource}"}, panel["title"]
        for override in panel["fieldConfig"].get("overrides", []):
            for each in override["properties"]:
                assert each["id"] != "unit" or each["value"] in UNITS, panel["title"]


@every_page
def test_a_graph_of_zeros_has_a_small_axis(path: Path) -> None:
    """Grafana would draw a line of zeros under 100, which is 10,000 % of a share."""
    for panel in panels(page(path)):
        defaults = panel["fieldConfig"]["defaults"]
        if panel["type"] == "timeseries" and defaults["unit"] == "percentunit":
            assert (
                "max" in defaults
                or 0 < defaults["custom"].get("axisSoftMax", 0) <= 0.05
                or any("vector(" in target["expr"] for target in panel["targets"])
            ), panel["title"]


@every_page
def test_an_empty_panel_claims_nothing(path: Path) -> None:
    """Without data nobody knows that there was no error: none was seen."""
    for panel in panels(page(path)):
        nothing = panel["fieldConfig"]["defaults"]["noValue"]
        if nothing.startswith("no ") and panel["type"] != "stat":
            assert re.search(r"\b(seen|yet|fresh)\b", nothing), panel["title"]


def test_long_names_of_steps_are_wrapped() -> None:
    """A name that is cut off is that of another step as well."""
    found = 0
    for panel in panels(page(GRAFANA / "dashboards" / "chatvitals-journeys.json")):
        for override in panel["fieldConfig"].get("overrides", []):
            if override["matcher"]["options"] in {"Step", "From", "To"}:
                assert {"id": "custom.wrapText", "value": True} in override["properties"], panel["title"]
                found += 1
    assert found == 5


def test_bands_of_ten_numbers_can_be_read() -> None:
    """Names of twenty bands lie over each other. So a panel asks for those that were lowest."""
    found = 0
    for path in PAGES:
        for panel in panels(page(path)):
            text = json.dumps(panel["targets"])
            if panel["type"] in {"stat", "state-timeline"} and re.search(r"chatvitals_(quality_rating|health)", text):
                assert "bottomk(" in text, panel["title"]
                found += 1
    assert found == 5


def test_a_step_has_one_colour_on_all_panels() -> None:
    """By its name, and not by its place in the answer."""
    found = 0
    for panel in panels(page(GRAFANA / "dashboards" / "chatvitals-journeys.json")):
        if panel["type"] == "timeseries" and panel["targets"][0]["legendFormat"] == "{{step}}":
            assert panel["fieldConfig"]["defaults"]["color"]["mode"] == "palette-classic-by-name", panel["title"]
            found += 1
    assert found == 3


SMALL_SHOP = """
evaluation_interval: 10m
tests:
  - interval: 10m
    input_series:
      - {series: 'chatvitals_turns_opened_total{phone_number_id="1",job="b",in_hours="n"}', values: '0+0.2x200'}
      - {series: 'chatvitals_turns_overdue_total{phone_number_id="1",job="b",in_hours="n"}', values: '0+0.02x200'}
      - {series: 'chatvitals_turns_opened_total{phone_number_id="2",job="b",in_hours="n"}', values: '0+5x150 750x50'}
      - {series: 'chatvitals_turns_overdue_total{phone_number_id="2",job="b",in_hours="n"}', values: '0+1x150 150x50'}
    promql_expr_test:
      - expr: 'round(100 * QUERY)'
        eval_time: 1440m
        exp_samples: [{labels: '{phone_number_id="1"}', value: 10}, {labels: '{phone_number_id="2"}', value: 20}]
      - expr: 'round(100 * QUERY)'
        eval_time: 1700m
        exp_samples: [{labels: '{phone_number_id="1"}', value: 10}]
"""


@pytest.mark.slow
def test_a_small_shop_sees_its_day_and_a_busy_one_its_hour(tmp_path: Path) -> None:
    """29 turns a day are never ten an hour. A busy bot has no line at night."""
    sys.path.insert(0, str(GRAFANA))
    from builder import promql  # noqa: PLC0415 - the folder of the build is on no path by default

    query = promql.where_enough_or_a_day(lambda window: promql.ratio(promql.OVERDUE, promql.OPENED, window))
    values = {"$phone": ".+", "$job": "b", "$in_hours": ".*", "$window": "1h", 'threshold="$threshold",': ""}
    for name, value in values.items():
        query = query.replace(name, value)
    file = tmp_path / "small.yml"
    file.write_text(SMALL_SHOP.replace("QUERY", query))
    done = subprocess.run([require("promtool"), "test", "rules", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@every_page
def test_panels_have_ids_of_their_own_and_do_not_overlap(path: Path) -> None:
    """Links and annotations need stable ids. Each cell of the grid belongs to one panel."""
    content = page(path)
    ids = [panel["id"] for panel in content["panels"]]
    assert sorted(set(ids)) == ids
    assert min(ids) > 0
    taken: set[tuple[int, int]] = set()
    for panel in content["panels"]:
        at = panel["gridPos"]
        cells = set(itertools.product(range(at["x"], at["x"] + at["w"]), range(at["y"], at["y"] + at["h"])))
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


@every_page
def test_windows_follow_the_step_or_are_fixed_on_purpose(path: Path) -> None:
    """Nothing is shorter than half an hour: a step of a week's graph is ten minutes."""
    for query in asked(page(path)):
        for window in re.findall(r"(?:rate|increase)\([^\[]*\[([^\]:]+)\]", query.expr):
            allowed = {
                "$__rate_interval",
                "$window",
                "$__range",
                "30m",
                "1h",
                "3h",
                "6h",
                "24h",
                "1d",
                "3d",
                "4d",
                "7d",
            }
            assert window in allowed, query.name
            assert not (window == "$__rate_interval" and query.instant), query.name


@every_page
def test_a_dashboard_is_loaded_as_it_should_be(path: Path) -> None:
    """Its uid is its file's name, people cannot edit it away, variables follow the time range."""
    content = page(path)
    assert content["uid"] == path.stem
    assert content["editable"] is False
    assert content["graphTooltip"] == 1
    assert content["refresh"] == "1m"
    assert "chatvitals" in content["tags"]
    assert {variable["refresh"] for variable in variables(content)} == {2}
    assert content["links"][0]["includeVars"]
    assert content["links"][0]["keepTime"]


def test_a_rating_shows_as_text_and_colour() -> None:
    """A red-green colour blind person can read them as well."""
    found = 0
    for path in PAGES:
        for panel in panels(page(path)):
            shows = panel["type"] in {"stat", "state-timeline"} and panel["fieldConfig"]["defaults"]["unit"] == "short"
            if shows and "quality_rating" in json.dumps(panel["targets"]):
                options = panel["fieldConfig"]["defaults"]["mappings"][0]["options"]
                assert {option["text"] for option in options.values()} == MAPPED
                found += 1
    assert found >= 3


def test_links_lead_to_dashboards_that_exist() -> None:
    """Of data links and of the alerts' annotations."""
    text = "".join(path.read_text() for path in PAGES)
    linked = {*re.findall(r"/d/([\w-]+)\?", text), *(alert.dashboard for alert in alerts(Objective()))}
    assert len(linked) >= 3
    assert linked <= {path.stem for path in PAGES}


@every_page
def test_the_sdk_reads_back_what_it_wrote(path: Path) -> None:
    """A key that is not Grafana's would get lost on the way."""
    register_default_plugins()
    content = page(path)
    again = json.loads(json.dumps(Dashboard.from_json(content), cls=encoder.JSONEncoder))
    assert again == content


def test_the_build_says_which_file_was_edited_by_hand(tmp_path: Path) -> None:
    """`--check` changes nothing and fails."""
    sys.path.insert(0, str(GRAFANA))
    from builder.build import main  # noqa: PLC0415 - the folder of the build is on no path by default

    assert main(tmp_path, []) == 0
    assert main(tmp_path, ["--check"]) == 0
    edited = tmp_path / "dashboards" / PAGES[0].name
    edited.write_text(edited.read_text().replace("1m", "5m", 1))
    before = edited.read_text()
    assert main(tmp_path, ["--check"]) == 1
    assert edited.read_text() == before


def test_no_dashboard_holds_the_objective_but_in_its_constants() -> None:
    """A number in a query or a title would stay when somebody chooses another objective."""
    for path in PAGES:
        content = page(path)
        constants = {each["name"] for each in content["templating"]["list"] if each["type"] == "constant"}
        assert constants == {"slo", "threshold"}
        text = json.dumps([content["panels"], content["description"]])
        assert not re.search(r'threshold=\\"\d|\b0\.95\b|\b95(\.0)? ?%| 60 s|1 - 0\.', text), path.stem


COUNTED = """
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'chatvitals_clock_skews_total{job="b",instance="one"}', values: '_x30 3x20 4x60'}
      - {series: 'chatvitals_clock_skews_total{job="b",instance="two"}', values: '_x30 3x20 4x60'}
      - {series: 'chatvitals_build_info{job="b",instance="one"}', values: '1x200'}
      - {series: 'chatvitals_build_info{job="b",instance="two"}', values: '1x200'}
    promql_expr_test:
      - {expr: 'QUERY', eval_time: 60m, exp_samples: [{labels: '{job="b"}', value: 4}]}
      - {expr: 'QUERY', eval_time: 100m, exp_samples: [{labels: '{job="b"}', value: 0}]}
  - interval: 1m  # the range is longer than the history
    input_series:
      - {series: 'chatvitals_clock_skews_total{job="b",instance="one"}', values: '_x20 1x10'}
      - {series: 'chatvitals_build_info{job="b",instance="one"}', values: '1x30'}
    promql_expr_test:
      - {expr: 'QUERY', eval_time: 30m, exp_samples: [{labels: '{job="b"}', value: 1}]}
  - interval: 1m  # the store is away for a while, and its target is not
    input_series:
      - {series: 'chatvitals_clock_skews_total{job="b",instance="one"}', values: '500x10 _x10 500x10'}
      - {series: 'chatvitals_webhooks_total{job="b",instance="one",result="accepted"}', values: '5x10 _x10 5x10'}
      - {series: 'chatvitals_build_info{job="b",instance="one"}', values: '1x30'}
    promql_expr_test:
      - {expr: 'QUERY', eval_time: 30m, exp_samples: [{labels: '{job="b"}', value: 0}]}
  - interval: 1m
    input_series:
      - {series: 'chatvitals_clock_skews_total{job="b"}', values: '500x40 _x15 500x60'}
      - {series: 'chatvitals_build_info{job="b"}', values: '1x40 _x15 1x60'}
    promql_expr_test:
      - {expr: 'QUERY', eval_time: 75m, exp_samples: [{labels: '{job="b"}', value: 0}]}
      - {expr: 'QUERY', eval_time: 95m, exp_samples: [{labels: '{job="b"}', value: 0}]}
  - interval: 1m
    input_series:
      - {series: 'chatvitals_clock_skews_total{job="b"}', values: '0+1x40 0+1x60'}
      - {series: 'chatvitals_build_info{job="b"}', values: '1x200'}
    promql_expr_test:
      - {expr: 'QUERY > bool 38', eval_time: 60m, exp_samples: [{labels: '{job="b"}', value: 1}]}
"""


@pytest.mark.slow
def test_rare_events_are_counted_from_the_first_and_not_again_after_a_gap_or_a_restart(tmp_path: Path) -> None:
    """A series begins at 3 on two targets of a store. Later it is away for a while, then a memory store resets it."""
    sys.path.insert(0, str(GRAFANA))
    from builder import promql  # noqa: PLC0415 - the folder of the build is on no path by default

    query = promql.counted("chatvitals_clock_skews_total", "40m", "by (job)").replace("$job", "b")
    file = tmp_path / "counted.yml"
    file.write_text(COUNTED.replace("QUERY", query))
    done = subprocess.run([require("promtool"), "test", "rules", file], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
