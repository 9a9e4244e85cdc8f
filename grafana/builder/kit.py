"""Panels as this project draws them: each has a unit, a text for no data, and says what to do."""

from __future__ import annotations

from dataclasses import dataclass
from string import ascii_uppercase
from typing import TYPE_CHECKING, Final, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import statetimeline as timeline
from grafana_foundation_sdk.models import common as kinds
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import heatmap as heatmap_kinds
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from builder import promql

if TYPE_CHECKING:
    from collections.abc import Sequence

Panel = stat.Panel | timeseries.Panel | table.Panel | timeline.Panel | bargauge.Panel | heatmap.Panel
AnyPanel = TypeVar("AnyPanel", stat.Panel, timeseries.Panel, table.Panel, timeline.Panel, bargauge.Panel, heatmap.Panel)

Limits = tuple[tuple[float | None, str], ...]

SOURCE: Final = kinds.DataSourceRef(type_val="prometheus", uid="${datasource}")
GREY: Final = "#8e8e8e"
BLUE: Final = "blue"
_HOUR: Final = 3_600_000.0  # milliseconds. A longer gap is not drawn as a line
_QUANTILES: Final = {"p50.*": "blue", "p90.*": "orange", "p99.*": "purple"}
_OF_NUMBERS: Final = (
    "#3274d9", "#ff9830", "#a352cc", "#1fa7a9", "#5794f2", "#e0752d", "#c15c9f", "#7a7fd6", "#4a90a4", "#b5763a"
)  # fmt: skip
"""Colours of business numbers by their last digit. They are the same on every panel, and no rating has them."""
CODES: Final = {
    "100": "100 wrong parameter", "190": "190 expired token", "368": "368 blocked for policy",
    "130429": "130429 too fast", "131026": "131026 cannot be delivered", "131031": "131031 account locked",
    "131047": "131047 after 24 h", "131048": "131048 too many blocks", "131049": "131049 held back by WhatsApp",
    "131056": "131056 too many to one person", "132015": "132015 template paused",
    "132016": "132016 template disabled",
}  # fmt: skip
"""Meanings of the most important error codes."""
_DASHES: Final = [
    models.DynamicConfigValue(id_val="custom.lineStyle", value={"fill": "dash", "dash": [8, 8]}),
    models.DynamicConfigValue(id_val="custom.fillOpacity", value=0),
]
_SMALLEST_SCALE: Final = {"short": 5.0, "percentunit": 0.05}
"""The top of the axis while all values are small. Without it, a line of zeros stands under 10,000 %."""
QUIET: Final = "nothing in this time range"


@dataclass(frozen=True, slots=True)
class Query:
    """A query and the name of its series."""

    expr: str
    legend: str = ""


@dataclass(frozen=True, slots=True)
class Column:
    """A table's column: its query or label, and the form of its values."""

    name: str
    expr: str = ""
    unit: str = "short"
    decimals: int | None = None
    label: str = ""
    rated: str = ""  # the name of a mapping
    link: str = ""
    width: int | None = None
    hidden: bool = False
    bar: bool = False
    wrapped: bool = False


def texts(values: dict[str, tuple[str, str]], missing: str = "") -> list[models.ValueMapping]:
    """Return a mapping from values to text and colour."""
    results = {
        value: models.ValueMappingResult(text=text, color=color, index=index)
        for index, (value, (text, color)) in enumerate(values.items())
    }
    mappings: list[models.ValueMapping] = [models.ValueMap(options=results)]
    if missing:
        result = models.ValueMappingResult(text=missing, color=GREY, index=len(results))
        match = models.SpecialValueMatch.NULL_AND_NAN
        mappings.append(
            models.SpecialValueMap(options=models.DashboardSpecialValueMapOptions(match=match, result=result))
        )
    return mappings


def above(limit: float, text: str) -> list[models.ValueMapping]:
    """Return a mapping of everything above a limit, infinity too, to a text."""
    result = models.ValueMappingResult(text=text, color="green", index=0)
    return [models.RangeMap(options=models.DashboardRangeMapOptions(from_val=limit, result=result))]


MAPPINGS: Final = {
    "rating": texts({"3": ("GREEN", "green"), "2": ("YELLOW", "yellow"), "1": ("RED", "red"), "0": ("UNKNOWN", GREY)}),
    "health": texts({"2": ("AVAILABLE", "green"), "1": ("LIMITED", "yellow"), "0": ("BLOCKED", "red")}),
    "up": texts({"1": ("UP", "green"), "0": ("DOWN", "red")}),
    "status": texts({
        "APPROVED": ("APPROVED", "green"), "PENDING": ("PENDING", GREY), "PAUSED": ("PAUSED", "red"),
        "REJECTED": ("REJECTED", "red"), "DISABLED": ("DISABLED", "red"), "FLAGGED": ("FLAGGED", "yellow"),
    }),
    "none": texts({"0": ("none", "green")}),
    "nobody": texts({"0": ("nobody", "green")}),
    "loaded": texts({"1": ("LOADED", "green")}),
    "limit": above(1e9, "unlimited"),
    "conclusion": texts({
        "0": ("no conclusion yet", GREY), "1": ("better: see compare", "green"), "-1": ("worse: see compare", "red"),
        "2": ("compared with", "transparent"),
    }),
}  # fmt: skip


def steps(*pairs: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Return colours from values upwards. The first value is None."""
    found = [models.Threshold(value=value, color=color) for value, color in pairs]
    return dashboard.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(found)


def stat_panel(  # noqa: PLR0913 - what a number on a wall may need
    title: str,
    about: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    decimals: int | None = None,
    mapping: str = "",
    limits: Limits = ((None, BLUE),),
    nothing: str = QUIET,
    link: str = "",
    units: dict[str, str] | None = None,
) -> stat.Panel:
    """Return one number, or a number for each series. `units` are those of series that differ."""
    panel = _common(stat.Panel(), title, about, _whole(unit, decimals), nothing)
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(_target(query, letter).instant())
    panel.thresholds(steps(*limits)).mappings(MAPPINGS.get(mapping, []))
    panel.color_mode(kinds.BigValueColorMode.BACKGROUND_SOLID if mapping == "rating" else kinds.BigValueColorMode.VALUE)
    panel.graph_mode(kinds.BigValueGraphMode.NONE).reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    several = len(queries) > 1 or "{{" in queries[0].legend
    panel.text_mode(kinds.BigValueTextMode.VALUE_AND_NAME if several else kinds.BigValueTextMode.VALUE)
    if several:
        panel.text(common.VizTextDisplayOptions().title_size(16.0).value_size(30.0))
    for name, other in (units or {}).items():
        panel.override_by_name(name, [models.DynamicConfigValue(id_val="unit", value=other)])
    if link:
        panel.data_links([dashboard.DashboardLink("Open the dashboard").url(link)])
    return panel if decimals is None else panel.decimals(decimals)


def lines(  # noqa: PLR0913 - what a graph may need
    title: str,
    about: str,
    queries: Sequence[Query],
    *,
    unit: str = "short",
    top: float | None = None,
    log: bool = False,
    bars: bool = False,
    objective: str = "",
    dashed: str = "",
    colors: dict[str, str] | None = None,
    nothing: str = QUIET,
    axis: float | None = None,
    soft: float | None = None,
    second_dashed: bool = False,
    by_name: bool = False,
) -> timeseries.Panel:
    """Return a graph over time.

    `objective` is the height of a dashed line, as PromQL. `dashed` is a pattern of the series to draw dashed. `soft`
    is where the axis begins while no value is lower. With `second_dashed` a number or a step has one
    colour: the second query's series are dashed and stand in no legend. With `by_name` a name has the same colour on
    all such panels.
    """
    if objective:  # a series, because a threshold of a panel cannot be a variable
        queries = [*queries, Query(f"vector({objective}) and on () count({promql.OPENED})", "objective")]
        colors = {**(colors or {}), "objective": GREY}
        dashed = dashed or "objective"
    panel = _common(timeseries.Panel(), title, about, unit, nothing).fill_opacity(80 if bars else 4).line_width(2)
    for letter, query in zip(ascii_uppercase, queries, strict=False):
        panel.with_target(_target(query, letter).range())
    panel.tooltip(common.VizTooltipOptions().mode(kinds.TooltipDisplayMode.MULTI).sort(kinds.SortOrder.DESCENDING))
    panel.legend(_legend()).show_points(kinds.VisibilityMode.NEVER).span_nulls(2 * _HOUR).insert_nulls(2 * _HOUR)
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC))
    if any(query.legend == "{{display_phone_number}}" for query in queries):
        colors = {**{rf"\d*{digit}": color for digit, color in enumerate(_OF_NUMBERS)}, **(colors or {})}
    if unit in _SMALLEST_SCALE and not objective and top is None:
        panel.axis_soft_max(_SMALLEST_SCALE[unit])
    _scale(panel, log=log, soft=soft, top=top, width=axis)
    if bars:
        panel.draw_style(kinds.GraphDrawStyle.BARS).line_width(0)
        panel.stacking(common.StackingConfig().mode(kinds.StackingMode.NORMAL))
    _colour(panel, colors or {}, codes=any("{{code}}" in query.legend for query in queries))
    if second_dashed or by_name:
        panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if second_dashed:
        _dash_query(panel, ascii_uppercase[1])
    if dashed:
        panel.override_by_regexp(dashed, _DASHES)
    return panel


def _scale(panel: timeseries.Panel, *, log: bool, soft: float | None, top: float | None, width: float | None) -> None:
    if log:
        panel.scale_distribution(common.ScaleDistributionConfig().type(kinds.ScaleDistribution.LOG).log(2.0))
        panel.fill_opacity(0)
    elif soft is None:
        panel.min(0.0)
    else:
        panel.axis_soft_min(soft)
    if top is not None:
        panel.max(top)
    if width is not None:
        panel.axis_width(width)


def _colour(panel: timeseries.Panel, colors: dict[str, str], *, codes: bool) -> None:
    for pattern, color in {**_QUANTILES, **colors}.items():
        fixed = {"mode": "shades", "fixedColor": color}
        panel.override_by_regexp(pattern, [models.DynamicConfigValue(id_val="color", value=fixed)])
    for code, text in CODES.items() if codes else ():
        panel.override_by_name(code, [models.DynamicConfigValue(id_val="displayName", value=text)])


def _dash_query(panel: timeseries.Panel, letter: str) -> None:
    """Draw the series of a query dashed. The legend shows the solid series of the same names."""
    hidden = {"legend": True, "tooltip": False, "viz": False}
    panel.override_by_query(letter, [*_DASHES, models.DynamicConfigValue(id_val="custom.hideFrom", value=hidden)])


def states(  # noqa: PLR0913 - what bands may need
    title: str,
    about: str,
    query: Query,
    *,
    mapping: str,
    nothing: str = QUIET,
    axis: float | None = None,
    link: str = "",
) -> timeline.Panel:
    """Return bands of states over time."""
    panel = _common(timeline.Panel(), title, about, "short", nothing).mappings(MAPPINGS[mapping])
    panel.with_target(_target(query, "A").range()).merge_values(merge_values=True).row_height(0.8)
    panel.show_value(kinds.VisibilityMode.AUTO).fill_opacity(80).line_width(0)
    panel.thresholds(steps((None, GREY)))
    if axis is not None:
        panel.axis_width(axis)
    if link:
        panel.data_links([dashboard.DashboardLink("Open the dashboard").url(link)])
    panel.color_scheme(dashboard.FieldColor().mode(models.FieldColorModeId.THRESHOLDS))
    return panel.legend(common.VizLegendOptions().show_legend(show_legend=False).display_mode(
        kinds.LegendDisplayMode.LIST).placement(kinds.LegendPlacement.BOTTOM))  # fmt: skip


def buckets(title: str, about: str, expr: str, *, nothing: str = QUIET) -> heatmap.Panel:
    """Return a heatmap of a histogram of seconds, with the exemplars that lead to a trace."""
    panel = _common(heatmap.Panel(), title, about, "short", nothing)
    target = _target(Query(expr, "{{le}}"), "A").range().format(PromQueryFormat.HEATMAP).exemplar(exemplar=True)
    panel.with_target(target)
    panel.color(heatmap.HeatmapColorOptions().mode(heatmap_kinds.HeatmapColorMode.SCHEME).scheme("Oranges").steps(32)
                .exponent(0.4).fill("dark-orange").reverse(reverse=False))  # fmt: skip
    panel.y_axis(heatmap.YAxisConfig().unit("s").axis_placement(kinds.AxisPlacement.LEFT).reverse(reverse=False))
    panel.filter_values(heatmap.FilterValueRange().le(0.001)).cell_gap(1)
    return panel.cell_values(heatmap.CellValues().unit("short").decimals(0)).show_legend()


def grid(title: str, about: str, columns: Sequence[Column], *, nothing: str = QUIET, sort: str = "") -> table.Panel:
    """Return a table with queries merged by their labels. `sort` names columns, the most important first."""
    panel = _common(table.Panel(), title, about, "short", nothing).thresholds(steps((None, BLUE)))
    order: dict[str, int] = {}
    names: dict[str, str] = {}
    hidden = {"Time": True}
    asked = [column for column in columns if column.expr]
    for place, column in enumerate(columns):
        field = column.label
        if column.expr:
            letter = ascii_uppercase[asked.index(column)]
            panel.with_target(_target(Query(column.expr), letter).instant().format(PromQueryFormat.TABLE))
            field = "Value" if len(asked) == 1 else f"Value #{letter}"
        if column.hidden:
            hidden[field] = True
            continue
        order[field] = place
        names[field] = column.name
        panel.override_by_name(column.name, _cells(column))
    options = {"excludeByName": hidden, "includeByName": {}, "indexByName": order, "renameByName": names}
    panel.with_transformation(models.DataTransformerConfig(id_val="merge", options={}))
    panel.with_transformation(models.DataTransformerConfig(id_val="organize", options=options))
    if sort:
        panel.sort_by([common.TableSortByFieldState().display_name(name).desc(desc=False) for name in sort.split(", ")])
    return panel.show_header(show_header=True).cell_height(kinds.TableCellHeight.SM).min_width(90.0)


def _cells(column: Column) -> list[models.DynamicConfigValue]:
    unit = _whole(column.unit, column.decimals) if column.expr else "string"
    found = {"unit": unit, "noValue": "-"}  # digits of a label are no number
    values: dict[str, object] = {**found, "decimals": column.decimals, "custom.width": column.width}
    if column.rated:
        values["mappings"] = MAPPINGS[column.rated]
        values["custom.cellOptions"] = {"type": "color-background", "mode": "basic"}
        values["custom.align"] = "center"
    if column.bar:
        values["custom.cellOptions"] = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
        values["min"] = 0
    if column.wrapped:
        values["custom.cellOptions"] = {"type": "auto", "wrapText": True}  # up to Grafana 12.1
        values["custom.wrapText"] = True
    if column.link:
        values["links"] = [{"title": "Open the dashboard", "url": column.link}]
    return [models.DynamicConfigValue(id_val=name, value=value) for name, value in values.items() if value is not None]


def _common(panel: AnyPanel, title: str, about: str, unit: str, nothing: str) -> AnyPanel:
    return panel.title(title).description(about).unit(unit).no_value(nothing).datasource(SOURCE)


def _whole(unit: str, decimals: int | None) -> str:
    """Return the unit that shows whole counts in full: 13,204 and not 13 K."""
    return "locale" if unit == "short" and decimals == 0 else unit


def _legend() -> common.VizLegendOptions:
    legend = common.VizLegendOptions().display_mode(kinds.LegendDisplayMode.LIST)
    return legend.placement(kinds.LegendPlacement.BOTTOM).show_legend(show_legend=True)


def _target(query: Query, letter: str) -> prometheus.Dataquery:
    target = prometheus.Dataquery().expr(query.expr).ref_id(letter).datasource(SOURCE)
    return target.legend_format(query.legend) if query.legend else target
