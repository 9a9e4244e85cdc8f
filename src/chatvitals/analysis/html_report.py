"""The report on a fall as one HTML file: no network access, dark and light, two pages of A4."""

from __future__ import annotations

import importlib.util
import math
import os
from importlib import resources
from typing import TYPE_CHECKING

from chatvitals._version import __version__
from chatvitals.analysis.document import Table
from chatvitals.analysis.drop_document import driver_table
from chatvitals.analysis.errors import AnalysisError, WrongNameError
from chatvitals.analysis.wording import NOTHING, count

if TYPE_CHECKING:
    from pathlib import Path

    from chatvitals.analysis.charts import Daily
    from chatvitals.analysis.document import Document, Section
    from chatvitals.analysis.periods import Calendar
    from chatvitals.analysis.prometheus_api import PrometheusApi
    from chatvitals.analysis.rating_drop import DropReport


def check(target: Path) -> None:
    """Refuse a file that cannot be written, before Prometheus is queried for minutes.

    Raises:
        AnalysisError: the file cannot be written.
        WrongNameError: the extra `report` is not installed.

    """
    for needed in ("jinja2", "markupsafe", "matplotlib"):
        if importlib.util.find_spec(needed) is None:
            raise _missing(needed)
    if target.is_dir():
        raise AnalysisError(f"--html: {target} is a folder. Give the name of a file in it.")
    if not target.parent.is_dir():
        raise AnalysisError(f"--html: {target} cannot be written (there is no folder {target.parent})")
    if not os.access(target if target.exists() else target.parent, os.W_OK):
        raise AnalysisError(f"--html: {target} cannot be written (permission denied)")


def write(target: Path, report: DropReport, document: Document, calendar: Calendar, api: PrometheusApi) -> None:
    """Write the file.

    Args:
        target: path of the file. An older file is replaced.
        report: the report to write.
        document: the same report in sentences.
        calendar: the time zone.
        api: the Prometheus that holds the ratings.

    Raises:
        AnalysisError: the file cannot be written.
        WrongNameError: the extra `report` is not installed.

    """
    page = render(report, document, calendar, api)
    try:
        target.write_text(page, encoding="utf-8")
    except OSError as error:
        raise AnalysisError(f"--html: {target} cannot be written ({error.strerror})") from None


def _missing(name: str | None) -> WrongNameError:
    return WrongNameError(f"--html needs {name}: pip install 'chatvitals[report]'")


def render(report: DropReport, document: Document, calendar: Calendar, api: PrometheusApi) -> str:
    """Return the page.

    Raises:
        WrongNameError: the extra `report` is not installed.

    """
    try:
        import jinja2  # noqa: PLC0415 - an extra
        import markupsafe  # noqa: PLC0415

        from chatvitals.analysis import charts  # noqa: PLC0415
    except ImportError as error:
        raise _missing(error.name) from None
    measures = charts.daily_measures(report, calendar)
    sections = {section.title.partition(" ")[0]: section for section in document.sections}
    source = resources.files("chatvitals.analysis").joinpath("report.html.j2").read_text(encoding="utf-8")
    template = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(source)
    clearly = [each for each in report.drivers if each.verdict in {"moved up", "moved down"}]
    others = [each for each in report.drivers if each not in clearly]
    return template.render(
        title=f"{report.episode.number}: what moved before WhatsApp lowered the rating",
        when=_when(report, calendar),
        verdict=document.verdict,
        # the SVG is made here, only from numbers and escaped names
        chart=markupsafe.Markup(charts.draw(report, measures, calendar, api)),  # noqa: S704
        cost=_lines(sections["What"]),
        moved=driver_table(clearly, "What moved before the fall"),
        still=driver_table(others, "What did not"),
        advice=_advice(report, calendar),
        lists=[
            ("The control: other numbers at the same time", _lines(sections["5"])),
            ("Named by WhatsApp in the 14 days before", _lines(sections["1"])),
            ("Your own experiments", _lines(sections["2"])),
            ("Timeline of the 14 days before", _lines(sections["3"])),
            ("How sure is this?", _certainty(report)),
        ],
        measures=measures,
        days=_days(measures, calendar),
        version=__version__,
        source=api.url,
        made=calendar.write(calendar.now),
        zone=calendar.zone,
        queries=api.asked,
    )


def _when(report: DropReport, calendar: Calendar) -> str:
    path = ", ".join(f"{c.before} to {c.after} on {calendar.write(c.at)}" for c in report.episode.changes)
    return f"{calendar.write_date(report.known.start)} to {calendar.write_date(report.known.end)}. {path}."


def _lines(section: Section) -> list[str]:
    return [block for block in section.blocks if not isinstance(block, Table)]


def _days(measures: list[Daily], calendar: Calendar) -> list[list[str]]:
    rows = []
    for index, (start, _) in enumerate(measures[0].values):
        values = [measure.values[index][1] for measure in measures]
        rows.append(
            [calendar.write_day(start), *(NOTHING if math.isnan(value) else f"{value:,.1f}" for value in values)]
        )
    return rows


def _advice(report: DropReport, calendar: Calendar) -> list[str]:
    names = {each.driver for each in report.drivers if each.verdict == "moved up"}
    said = []
    deploys = [entry for entry in report.timeline if entry.kind == "deploy"]
    if deploys:
        said.append(
            f"Look at what {deploys[-1].what} changed ({calendar.write(deploys[-1].at)}), and test answer times before "
            "the next deploy."
        )
    if "over a minute" in names:
        said.append(
            "Let the alert WhatsAppSlowAnswersBudgetBurn page somebody: it fires within hours, before a rating falls."
        )
    templates = [entry for entry in report.meta if entry.kind == "template"]
    if templates:
        said.append("Stop a template's campaigns when its quality falls to YELLOW, before the number's rating follows.")
    if report.cost.no_answer >= 1:
        said.append(
            f"Write to the {count(report.cost.no_answer)} customers without an answer. After 24 hours WhatsApp allows "
            "templates only."
        )
    return said or ["These numbers suggest no action. Look at the text of recent messages and templates."]


def _certainty(report: DropReport) -> list[str]:
    windows = max(each.windows for each in report.drivers)
    return [
        "The evidence is order in time and a control number, not an experiment. Something unmeasured may have changed.",
        "WhatsApp does not report which customers blocked or reported a number.",
        f"The usual range comes from {windows - 1} earlier windows of the same number. Rank 1 is the most unusual one.",
    ]
