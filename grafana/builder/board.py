"""Parts that all dashboards share: variables, links, annotations and the places of panels."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from grafana_foundation_sdk.builders import dashboard
from grafana_foundation_sdk.models import dashboard as models

from builder import promql, trust
from builder.kit import SOURCE
from chatvitals.monitoring.dashboards import constants
from chatvitals.monitoring.slo import Objective

if TYPE_CHECKING:
    from builder.kit import Panel

TAG: Final = "chatvitals"
_COLUMNS: Final = 24
_DROP: Final = (
    f"query_result(min(min_over_time(timestamp(({promql.RATING} > 0) < {promql.RATING[:-1]} offset 10m))"
    f"[{promql.RANGE}:5m])) or vector(0))"
)
"""The first fall of the time range. The days before a later fall would include the first fall."""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels side by side, with their widths. A heading stands above them where it is set."""

    height: int
    panels: tuple[tuple[int, Panel], ...]
    heading: str = ""


@dataclass(slots=True)
class Board:
    """One dashboard: its names, rows and variables."""

    uid: str
    title: str
    about: str
    rows: list[Row]
    since: str = "now-24h"
    variables: tuple[str, ...] = ()
    templates: bool = False
    _ids: int = field(default=0)

    def build(self) -> models.Dashboard:
        """Return the dashboard with numbered panels that do not overlap."""
        made = dashboard.Dashboard(self.title).uid(self.uid).description(self.about).tags([TAG]).readonly()
        made.time(self.since, "now").refresh("1m").tooltip(models.DashboardCursorSync.CROSSHAIR).timezone("browser")
        made.variables(
            [
                _source(),
                *_constants(),
                _job(),
                _business(),
                _phone(),
                _hours(),
                _window(),
                *(_VARIABLES[name]() for name in self.variables),
            ]
        )
        made.annotations([_rating_changed(), _deployed(), *([_template_changed()] if self.templates else [])])
        made.link(
            dashboard.DashboardLink("chatvitals").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
            .as_dropdown(as_dropdown=True).include_vars(include_vars=True).keep_time(keep_time=True)
        )  # fmt: skip
        self._place(made)
        return made.build()

    def _place(self, made: dashboard.Dashboard) -> None:
        top = 0
        for row in [Row(3, tuple(trust.panels())), *self.rows]:
            if row.heading:
                place = models.GridPos(h=1, w=_COLUMNS, x=0, y=top)
                made.with_row(dashboard.Row(row.heading).id(self._number()).grid_pos(place))
                top += 1
            left = 0
            for width, panel in row.panels:
                place = models.GridPos(h=row.height, w=width, x=left, y=top)
                made.with_panel(panel.id(self._number()).grid_pos(place))
                left += width
            if left != _COLUMNS:
                raise ValueError(f"a row of {self.title} is {left} wide, not {_COLUMNS}")
            top += row.height

    def _number(self) -> int:
        self._ids += 1
        return self._ids


def row(height: int, *panels: tuple[int, Panel], heading: str = "") -> Row:
    """Return a row of panels with their widths, which sum to 24."""
    return Row(height, panels, heading)


def of_number(uid: str) -> str:
    """Return a data link to another dashboard, for the number of the series that was clicked."""
    return f"/d/{uid}?${{__url_time_range}}&var-phone=${{__field.labels.phone_number_id}}"


def of_row(uid: str) -> str:
    """Return a data link to another dashboard, for the number of the table's row that was clicked."""
    return f"/d/{uid}?${{__url_time_range}}&var-phone=${{__data.fields.Id}}"


def at_same_time(uid: str) -> str:
    """Return a data link to another dashboard at the same time. The dropdown keeps the chosen numbers as well."""
    return f"/d/{uid}?${{__url_time_range}}"


def _source() -> dashboard.DatasourceVariable:
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _constants() -> list[dashboard.ConstantVariable]:
    """Return the objective. `chatvitals assets` writes the values of another objective here."""
    return [dashboard.ConstantVariable(name).value(value) for name, value in constants(Objective()).items()]


def _query(name: str, label: str, query: str) -> dashboard.QueryVariable:
    variable = dashboard.QueryVariable(name).label(label).query({"query": query, "refId": f"variable-{name}"})
    return variable.datasource(SOURCE).refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)


def _all(variable: dashboard.QueryVariable, text: str) -> dashboard.QueryVariable:
    current = models.VariableOption(selected=True, text=["All"], value=["$__all"])
    variable.multi(multi=True).include_all(include_all=True).current(current)
    return variable.all_value(text) if text else variable


def _job() -> dashboard.QueryVariable:
    # imported history has no job, so the default also chooses series without a job
    return _all(_query("job", "Job", "label_values(chatvitals_build_info, job)"), ".*")


def _business() -> dashboard.QueryVariable:
    # an account has the name of one of its numbers, where a poll has found that name
    named = _known("waba_id, verified_name", 'verified_name!="",job=~"$job"')
    plain = _known("waba_id", 'verified_name="",job=~"$job"')
    query = f'query_result({named} or label_replace({plain}, "verified_name", "${{1}}", "waba_id", "(.*)"))'
    regex = '/verified_name="(?<text>[^"]+)".*waba_id="(?<value>[^"]+)"/'
    return _all(_query("business", "Business", query).regex(regex).sort(models.VariableSort.ALPHABETICAL_ASC), ".*")


def _phone() -> dashboard.QueryVariable:
    query = f"query_result({_known('phone_number_id, display_phone_number', promql.BUSINESS)})"
    regex = '/display_phone_number="(?<text>[^"]+)".*phone_number_id="(?<value>[^"]+)"/'
    # All stands for the numbers of the chosen business, so it has no pattern of its own
    return _all(_query("phone", "Number", query).regex(regex).sort(models.VariableSort.ALPHABETICAL_ASC), "")


def _known(labels: str, matchers: str) -> str:
    """Return the numbers that were known at any time of the range: a bot that is down now has a history."""
    return f"max by ({labels}) (last_over_time(chatvitals_number_info{{{matchers}}}[{promql.RANGE}]))"


def _hours() -> dashboard.QueryVariable:
    # without opening hours no series has the label, and All chooses every series
    return _all(_query("in_hours", "In hours", "label_values(chatvitals_turns_opened_total, in_hours)"), ".*")


def _window() -> dashboard.IntervalVariable:
    auto = models.VariableOption(selected=True, text="auto", value="$__auto_interval_window")
    variable = dashboard.IntervalVariable("window").label("Averaged over").values("5m,15m,30m,1h,3h,6h,12h,1d")
    return variable.auto(auto=True).step_count(48).min_interval("5m").current(auto)


def _journey() -> dashboard.QueryVariable:
    return _query("journey", "Journey", "label_values(chatvitals_journey_step_info, journey)")


def _experiment() -> dashboard.QueryVariable:
    return _query("experiment", "Experiment", "label_values(chatvitals_experiment_contacts_total, experiment)")


def _drop() -> dashboard.QueryVariable:
    # `@` takes a literal only. Without a fall the value is the epoch, which has no data
    return _query("drop", "First fall", _DROP).regex("/} ([0-9.e+]+) /").hide(models.VariableHide.HIDE_VARIABLE)


_VARIABLES: Final = {"journey": _journey, "experiment": _experiment, "drop": _drop}


def _annotation(name: str, color: str, expr: str, title: str, text: str) -> dashboard.AnnotationQuery:
    made = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(enable=True).icon_color(color).expr(expr)
    return made.title_format(title).text_format(text).placement("inControlsMenu")


def _rating_changed() -> dashboard.AnnotationQuery:
    at = f"max by (phone_number_id) (chatvitals_quality_changed_timestamp_seconds{{{promql.NUMBER}}}) * 1000"
    made = _annotation("rating changed", "red", at, "Rating changed", "number {{phone_number_id}}")
    return made.use_value_for_time(use_value_for_time=True)


def _deployed() -> dashboard.AnnotationQuery:
    version = 'max by (app_version) (chatvitals_build_info{job=~"$job"})'
    before = f"{version[:-1]} offset $__interval)"
    expr = f"({version} unless {before}) and on () count({before})"
    return _annotation("deployed", "blue", expr, "Deployed", "version {{app_version}}")


def _template_changed() -> dashboard.AnnotationQuery:
    by = "max by (waba_id, template, language, status)"
    series = f"chatvitals_template_status{{{promql.BUSINESS}}}"
    before = f"{by} ({series} offset $__interval)"
    expr = f"({by} ({series}) == 1) unless ({before} == 1) and on () count({before})"
    return _annotation("template status", "orange", expr, "Template status", "{{template}} is {{status}}")
