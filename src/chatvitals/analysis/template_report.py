"""Report on each template: quality, read share by version of the bot, failures, opt-outs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.analysis.document import Document, Table
from chatvitals.analysis.errors import printable
from chatvitals.analysis.figures import failed_of
from chatvitals.analysis.history import fine_grid
from chatvitals.analysis.rating_changes import RATINGS
from chatvitals.analysis.statistics import Share
from chatvitals.analysis.wording import NOTHING, count, percent
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Sequence

    from chatvitals.analysis.history import Counts
    from chatvitals.analysis.periods import Period
    from chatvitals.analysis.scope import Scope

_MOST_VERSIONS = 4


def document(scope: Scope) -> Document:
    """Return the report."""
    start, end, ids = scope.period.start, scope.period.end, scope.ids
    made = Document(f"Templates, {scope.calendar.write(start)} to {scope.calendar.write(end)}")
    messages = scope.counts("template_messages_total", "phone_number_id template language status")
    if messages is None:
        made.verdict = "No template message was sent through a watched client in this time. Nothing is measured."
        return made
    failures = scope.counts("template_failures_total", "phone_number_id template language code")
    stopped = scope.counts("template_opt_outs_total", "phone_number_id template language")
    versions = scope.versions_in_order()[-_MOST_VERSIONS:]
    qualities = _qualities(scope)
    head = ("template", "quality now", "delivered", *(f"read, {name}" for name, _ in versions), "failed", "opt-outs")
    table = Table(head, title="Templates", text_columns=frozenset({1}))
    names = sorted({labels[1:3] for labels in messages.grown if labels[0] in ids})
    data: dict[str, object] = {}
    for template, language in names:
        where: dict[str, str | Sequence[str]] = {"phone_number_id": ids, "template": template, "language": language}
        delivered, failed, sent = (
            messages.between(start, end, status=status, **where) for status in ("delivered", "failed", "sent")
        )
        reads = [_read(messages, spans, where) for _, spans in versions]
        lost = stopped.between(start, end, **where) if stopped else None
        table.add(
            f"{printable(template)} ({printable(language)})", qualities.get((template, language), "not known"),
            count(delivered), *(percent(read.value) for read in reads),
            f"{count(failed)} ({percent(failed_of(sent, delivered, failed).value)})",
            "not measured" if lost is None else count(lost),
        )  # fmt: skip
        data[f"{template}/{language}"] = {
            "delivered": delivered, "failed": failed, "sent": sent, "opt_outs": lost,
            "read": {name: read.value for (name, _), read in zip(versions, reads, strict=True)},
        }  # fmt: skip
    made.section("", table)
    codes = _codes(scope, failures)
    made.section("Failures by Meta's code", *(codes or ["not measured by template, or none"]))
    opt_outs = scope.history.counts(catalogue.OPT_OUTS, "phone_number_id")
    stops = made.section("Opt-outs")
    for number in scope.numbers:
        by_version = ", ".join(
            f"{count(sum(opt_outs.between(each.start, each.end, phone_number_id=number.id) for each in spans))} "
            f"with version {name}"
            for name, spans in versions
        )
        total = opt_outs.between(start, end, phone_number_id=number.id)
        stops.blocks.append(f"{number}: {count(total)} ({by_version})")
    made.verdict = (
        "A template that is read less in one version of the bot only was not the reason by itself: its text was the "
        "same. Compare the number's waits in that version (chatvitals compare --version)."
    )
    made.data = {"templates": data}
    return made


def _read(messages: Counts, spans: list[Period], where: dict[str, str | Sequence[str]]) -> Share:
    read, delivered = (
        sum(messages.between(each.start, each.end, status=status, **where) for each in spans)
        for status in ("read", "delivered")
    )
    return Share(min(read, delivered), delivered)


def _qualities(scope: Scope) -> dict[tuple[str, str], str]:
    over = fine_grid(scope.period.start, scope.period.end)
    query = f"max by (template, language) ({catalogue.TEMPLATE_QUALITY.name})"
    found = {}
    for series in scope.api.query_range(query, over.start, over.end, over.step):
        worst = min(value for _, value in series.points)
        text = RATINGS[round(series.last)]
        if worst < series.last:
            bad = [at for at, value in series.points if value == worst]
            write = scope.calendar.write_date
            text += f" ({RATINGS[round(worst)]} {write(bad[0])} to {write(bad[-1])})"
        found[series.labels["template"], series.labels.get("language", "")] = text
    return found


def _codes(scope: Scope, failures: Counts | None) -> list[str]:
    if failures is None:
        by_code = scope.history.counts(catalogue.MESSAGE_FAILURES, "phone_number_id code", 'category="marketing"')
        counts = by_code.each(scope.period.start, scope.period.end, "code", phone_number_id=scope.ids)
        return [f"{printable(code)}: {count(lost)} campaign messages" for code, lost in _ranked(counts)]
    said = []
    for template in sorted(failures.values("template")):
        counts = failures.each(
            scope.period.start, scope.period.end, "code", phone_number_id=scope.ids, template=template
        )
        parts = [f"{count(lost)} with {printable(code)}" for code, lost in _ranked(counts)]
        said.append(f"{printable(template)}: {', '.join(parts) or NOTHING}")
    return said


def _ranked(counts: dict[str, float]) -> list[tuple[str, float]]:
    return [(code, lost) for code, lost in sorted(counts.items(), key=lambda item: -item[1]) if lost >= 1][:5]
