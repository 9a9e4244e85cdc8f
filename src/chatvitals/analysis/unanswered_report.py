"""Report on unanswered turns: their number, time and step, and the customers that wait now."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.analysis.document import Document, Table
from chatvitals.analysis.errors import printable
from chatvitals.analysis.figures import NO_ANSWER
from chatvitals.analysis.history import DAY
from chatvitals.analysis.statistics import Share
from chatvitals.analysis.wording import count, counted, percent, seconds
from chatvitals.metrics import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.analysis.periods import Period
    from chatvitals.analysis.scope import Scope


def document(scope: Scope) -> Document:
    """Return the report."""
    start, end = scope.period.start, scope.period.end
    turns = scope.history.counts(catalogue.TURNS, "phone_number_id turn outcome")
    dropped = scope.history.counts(catalogue.JOURNEY_STEP_DROPPED, "phone_number_id journey step outcome")
    overdue = scope.history.counts(catalogue.TURNS_OVERDUE, "phone_number_id threshold")
    ids = scope.ids

    def ended(period: Period, **where: str | tuple[str, ...]) -> float:
        return turns.between(period.start, period.end, **{"phone_number_id": ids, **where})

    missing = Share(ended(scope.period, outcome=NO_ANSWER), ended(scope.period))
    made = Document(f"No answer, {scope.calendar.write(start)} to {scope.calendar.write(end)}")
    by_number = Table(("number", "no answer", "of turns", "share"), title="By number")
    for number in scope.numbers:
        lost, all_turns = (
            ended(scope.period, phone_number_id=number.id, outcome=NO_ANSWER),
            ended(scope.period, phone_number_id=number.id),
        )
        by_number.add(str(number), count(lost), count(all_turns), percent(Share(lost, all_turns).value))
    made.section("By number", by_number)
    made.section(
        "By version of the bot. An unanswered turn counts a day after its last message", _by_version(scope, ended)
    )
    kinds = [
        counted(ended(scope.period, outcome=NO_ANSWER, turn="first"), "first message"),
        f"{count(ended(scope.period, outcome=NO_ANSWER, turn='next'))} later",
        f"of all these, {count(ended(scope.period, outcome='failed'))} had a reply that WhatsApp could not deliver",
    ]
    made.section("By kind", ", ".join(kinds))
    where = Table(("journey / step", "left while we owed an answer"), title="Where")
    owed = {
        labels[1:3]: dropped.between(
            start, end, phone_number_id=ids, journey=labels[1], step=labels[2], outcome="abandoned_by_business"
        )
        for labels in dropped.grown
    }
    for (journey, step), lost in sorted(owed.items(), key=lambda item: -item[1]):
        if lost:
            where.add(f"{printable(journey)} / {printable(step)}", count(lost))
    if where.rows:
        made.section("Where", where)
    late = {
        float(threshold): overdue.between(start, end, phone_number_id=ids, threshold=threshold)
        for threshold in overdue.values("threshold")
    }
    slow = ", ".join(f"{count(late[after])} over {seconds(after)}" for after in sorted(late, reverse=True))
    made.section("Answered late or not at all", slow or "not measured")
    waiting = waiting_now(scope)
    made.section("Now", waiting)
    made.verdict = (
        f"{count(missing.count)} of {count(missing.total)} turns had no answer ({percent(missing.value)}). "
        f"They are at most {counted(missing.count, 'customer')}: chatvitals counts turns here, not people."
    )
    made.data = {
        "no_answer": missing.count,
        "turns": missing.total,
        "owed": {f"{journey}/{step}": lost for (journey, step), lost in owed.items()},
        "late": {f"{after:g}": lost for after, lost in late.items()},
    }
    return made


def waiting_now(scope: Scope) -> str:
    """Return the number of customers that wait at the end of the period, and the longest wait."""
    at = scope.period.end
    ids = "|".join(scope.ids)
    matching = f'{{phone_number_id=~"{ids}"}}'
    labels = ", ".join((*catalogue.TURNS_OPEN.all_labels, "job"))
    open_now = scope.api.query(f"sum (max by ({labels}) ({catalogue.TURNS_OPEN.name}{matching}))", at)
    oldest = scope.api.query(f"min ({catalogue.OLDEST_OPEN_TURN.name}{matching})", at)
    if not open_now:
        return "not measured"
    if not open_now[0].last:
        return "nobody waits"
    since = f", the longest for {seconds(max(at - oldest[0].last, 0.0))}" if oldest else ""
    return f"{counted(open_now[0].last, 'customer waits', 'customers wait')}{since}"


def _by_version(scope: Scope, ended: Callable[..., float]) -> Table:
    table = Table(("version", "no answer", "a day", "one in"), title="By version")
    for version, spans in scope.versions_in_order():
        lost = sum(ended(each, outcome=NO_ANSWER) for each in spans)
        turns = sum(ended(each) for each in spans)
        days = sum(each.end - each.start for each in spans) / DAY
        rare = f"{count(turns / lost)} turns" if lost else "none"
        table.add(version, count(lost), f"{lost / days:.1f}" if days else "", rare)
    return table
