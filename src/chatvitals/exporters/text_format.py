"""Snapshots as text in Prometheus's format and OpenMetrics. Unchanged parts are not written again."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from prometheus_client.utils import floatToGoString

from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.runtime import spans
from chatvitals.runtime.pacing import Pace

if TYPE_CHECKING:
    from chatvitals.exporters.snapshot import Exemplars, Snapshot, Values
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Exemplar

_GIVE_WAY_AFTER = 10  # label sets; one of a histogram has about a dozen lines

give_way = Pace().give_way
"""Yield the interpreter lock after each half millisecond, so that the bot's event loop does not wait for a scrape."""


class TextFormat:
    """A writer of one text format, which reuses unchanged parts.

    Args:
        openmetrics: whether to write OpenMetrics, which also has units and start times of counters.

    """

    def __init__(self, *, openmetrics: bool) -> None:
        self._openmetrics = openmetrics
        self._written: dict[str, _Written] = {}

    def render(self, snapshot: Snapshot) -> bytes:
        """Return the text of a snapshot."""
        born = "" if snapshot.birth is None or not self._openmetrics else number_text(snapshot.birth.at)
        pieces = []
        for family in catalogue.FAMILIES.values():
            values = snapshot.values.get(family.name)
            if values:
                exemplars = snapshot.exemplars.get(family.name, {}) if self._openmetrics else {}
                pieces.append(self._family(family, values, born, exemplars))
                give_way()
        if self._openmetrics:
            pieces.append("# EOF\n")
        return "".join(pieces).encode()

    def _family(self, family: Family, values: Values, born: str, exemplars: Exemplars) -> str:
        before = self._written.get(family.name)
        if before is not None and before.born == born and before.exemplars == exemplars and before.values == values:
            return before.text
        known = before.series if before is not None and before.born == born else {}
        old = before.values if before is not None else {}
        marked = before.exemplars if before is not None else {}
        series: dict[tuple[str, ...], str] = {}
        for count, labels in enumerate(sorted(values), 1):
            text = known.get(labels)
            if text is None or old[labels] != values[labels] or marked.get(labels) != exemplars.get(labels):
                text = _series(family, labels, values[labels], born, exemplars.get(labels))
            series[labels] = text
            if not count % _GIVE_WAY_AFTER:
                give_way()
        text = self._head(family) + "".join(series.values())
        self._written[family.name] = _Written(born, values, exemplars, series, text)
        return text

    def _head(self, family: Family) -> str:
        name = family.name.removesuffix("_total") if self._openmetrics else family.name
        help_text = escaped(family.help) if self._openmetrics else family.help.replace("\\", "\\\\")
        unit = f"# UNIT {name} {family.suffix}\n" if self._openmetrics and family.suffix else ""
        return f"# HELP {name} {help_text}\n# TYPE {name} {family.kind}\n{unit}"


class _Written(NamedTuple):
    """The last text of a family, with the data that it shows."""

    born: str
    values: Values
    exemplars: Exemplars
    series: dict[tuple[str, ...], str]
    text: str


def escaped(value: str) -> str:
    """Return a label value escaped for both formats."""
    return value.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def number_text(value: float) -> str:
    """Return a number in Prometheus's format."""
    return repr(value) if -1e6 < value < 1e6 else str(floatToGoString(value))  # type: ignore[no-untyped-call]


def _series(
    family: Family, values: tuple[str, ...], fields: dict[int, float], born: str, exemplars: dict[int, Exemplar] | None
) -> str:
    """Return the lines of one label set. A label without a value is left out."""
    pairs = [f'{name}="{escaped(value)}"' for name, value in zip(family.all_labels, values, strict=False) if value]
    inner = ",".join(sorted(pairs))
    labels = f"{{{inner}}}" if inner else ""
    if family.kind == "gauge":
        return f"{family.name}{labels} {number_text(fields.get(0, 0.0))}\n"
    if family.kind == "counter":
        line = f"{family.name}{labels} {number_text(fields.get(0, 0.0))}\n"
        return f"{line}{family.name.removesuffix('_total')}_created{labels} {born}\n" if born else line
    lines = []
    total = 0.0
    before = inner + "," if inner else ""
    for index, bound in enumerate((*family.buckets, "+Inf")):
        total += fields.get(index, 0.0)
        marked = _exemplar_text(exemplars[index]) if exemplars and index in exemplars else ""
        lines.append(f'{family.name}_bucket{{{before}le="{bound}"}} {number_text(total)}{marked}\n')
    count = number_text(total)
    lines.append(f"{family.name}_count{labels} {count}\n")
    lines.append(f"{family.name}_sum{labels} {number_text(fields.get(SUM, 0.0))}\n")
    if born:
        lines.append(f"{family.name}_created{labels} {born}\n")
    return "".join(lines)


def _exemplar_text(exemplar: Exemplar) -> str:
    """Return an exemplar in the form that follows a bucket's value."""
    trace, span = spans.trace_id(exemplar.trace), spans.span_id(exemplar.trace)
    value = number_text(exemplar.value)
    return f' # {{trace_id="{trace}",span_id="{span}"}} {value} {exemplar.at:.3f}'
