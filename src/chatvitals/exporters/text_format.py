"""Snapshots as text in Prometheus's format and OpenMetrics. Unchanged parts are not written again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from prometheus_client.utils import floatToGoString

from chatvitals.exporters import text_blocks
from chatvitals.exporters.text_blocks import TextBlock
from chatvitals.metrics import catalogue
from chatvitals.metrics.measurements import SUM
from chatvitals.runtime import pacing, spans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from chatvitals.exporters.snapshot import Exemplars, Snapshot, Values
    from chatvitals.metrics.catalogue import Family
    from chatvitals.metrics.measurements import Exemplar

_GIVE_WAY_AFTER = 10  # label sets; one of a histogram has about a dozen lines
_COMPARED_AT_ONCE = 100  # label sets
_BLOCK = 100  # label sets; a change of one of them has the whole block compressed again
_HISTOGRAM_BLOCK = 10  # label sets
_END = TextBlock(b"# EOF\n")


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
        return text_blocks.plain(self.blocks(snapshot))

    def blocks(self, snapshot: Snapshot) -> list[TextBlock]:
        """Return the text of a snapshot in blocks. A block is the same object as before while its text is the same.

        The values of the snapshot belong to this writer from now on. Those of unchanged families are empty afterwards.
        """
        born = "" if snapshot.birth is None or not self._openmetrics else number_text(snapshot.birth.at)
        blocks: list[TextBlock] = []
        for family in catalogue.FAMILIES.values():
            values = snapshot.values.get(family.name)
            if values:
                exemplars = snapshot.exemplars.get(family.name, {}) if self._openmetrics else {}
                blocks += self._family(family, values, born, exemplars)
                pacing.give_way()
        if self._openmetrics:
            blocks.append(_END)
        return blocks

    def _family(self, family: Family, values: Values, born: str, exemplars: Exemplars) -> list[TextBlock]:
        before = self._written.get(family.name)
        if before is None or before.born != born:
            before = _Written(born, {}, {}, {}, [])
        elif before.exemplars == exemplars and _same(before.values, values):
            if values is not before.values:
                pacing.empty(values)
            return before.blocks
        at_most = _HISTOGRAM_BLOCK if family.kind == "histogram" else _BLOCK
        series: dict[tuple[str, ...], str] = {}
        pieces = [self._head(family)]
        blocks: list[TextBlock] = []
        for count, labels in enumerate(before.order(values), 1):
            marked, fields = exemplars.get(labels), values[labels]
            text = before.series.get(labels)
            if text is None or before.values[labels] != fields or before.exemplars.get(labels) != marked:
                text = _series(family, labels, fields, born, marked)
            series[labels] = text
            pieces.append(text)
            if not count % at_most:
                blocks.append(before.block(len(blocks), pieces))
                pieces = []
            if not count % _GIVE_WAY_AFTER:
                pacing.give_way()
        if pieces:
            blocks.append(before.block(len(blocks), pieces))
        self._written[family.name] = _Written(born, values, exemplars, series, blocks)
        return blocks

    def _head(self, family: Family) -> str:
        name = family.name.removesuffix("_total") if self._openmetrics else family.name
        help_text = escaped(family.help) if self._openmetrics else family.help.replace("\\", "\\\\")
        unit = f"# UNIT {name} {family.suffix}\n" if self._openmetrics and family.suffix else ""
        return f"# HELP {name} {help_text}\n# TYPE {name} {family.kind}\n{unit}"


class _Written(msgspec.Struct, frozen=True):
    """The last text of a family, with the data that it shows."""

    born: str
    values: Values
    exemplars: Exemplars
    series: dict[tuple[str, ...], str]
    """Lines by label values, in the order of the text."""
    blocks: list[TextBlock]

    def order(self, values: Values) -> Iterable[tuple[str, ...]]:
        """Return the label values in the order of the text."""
        return self.series if values.keys() == self.series.keys() else sorted(values)

    def block(self, index: int, pieces: list[str]) -> TextBlock:
        """Return the block at this place. A changed text has a new block."""
        text = "".join(pieces).encode()
        if index < len(self.blocks) and self.blocks[index].text == text:
            return self.blocks[index]
        return TextBlock(text)


def _same(before: Values, values: Values) -> bool:
    """Return whether a family has not changed. It compares in pieces, and one comparison would take milliseconds."""
    if len(before) != len(values):
        return False
    for count, (labels, fields) in enumerate(values.items(), 1):
        if before.get(labels) != fields:
            return False
        if not count % _COMPARED_AT_ONCE:
            pacing.give_way()
    return True


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
