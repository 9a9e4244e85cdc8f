"""Templates and sends: the rating of each template, and the fate of the messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder import promql
from builder.board import Board, row
from builder.kit import Column, Query, grid, lines, stat_panel, states
from builder.promql import RANGE, count, counted, fresh, of, own, rate, ratio, seen

if TYPE_CHECKING:
    from builder.kit import Panel

_BY = "by (waba_id, template, language)"
_QUALITY = f"max {_BY} (chatvitals_template_quality{{{promql.BUSINESS}}})"
_STATUS = f"max by (waba_id, template, language, status) (chatvitals_template_status{{{promql.BUSINESS}}})"
_MINE = f"and on (waba_id) {promql.ACCOUNTS}"


def board() -> Board:
    """Return the dashboard of templates and sends."""
    return Board(
        "chatvitals-templates",
        "WhatsApp templates and sends",
        "WhatsApp's rating of each template, whether customers read it, and the fate of the messages.",
        [
            row(4, *_stats()),
            row(6, (24, _table())),
            row(5, (24, _timeline())),
            row(8, (12, _sends()), (12, _statuses())),
            row(8, (8, _failures()), (8, _rejections()), (8, _read())),
            row(7, (8, _preferences()), (8, _template_failures()), (8, _changes())),
        ],
        since="now-7d",
        variables=(),
        templates=True,
    )


def _stats() -> list[tuple[int, Panel]]:
    delivered = of("message_statuses_total", 'status="delivered"')
    failed, ended = (of("message_statuses_total", f'status=~"{status}"') for status in ("failed", "failed|delivered"))
    status = f'chatvitals_template_status{{{promql.BUSINESS},status!="APPROVED"}}'
    stopped = f"(max {_BY} ({status} == 1)) {_MINE}"
    bad = f"({_QUALITY} < 3 > 0) {_MINE}"
    whole = rate(ended, RANGE, "")
    read = ratio(of("message_statuses_total", 'status="read"'), delivered, RANGE, "")
    return [
        (5, stat_panel("Not approved", "Templates that are paused, rejected, disabled or in review now. Edit them, "
                       "or send another template. The first two pauses end by themselves.", [Query(fresh(f"count({stopped})", _QUALITY))],
                       mapping="none", nothing="no template polled yet", limits=((None, "red"),))),
        (5, stat_panel("YELLOW or RED", "Reword these templates and send them to fewer customers, before WhatsApp "
                       "pauses them.", [Query(fresh(f"count({bad})", _QUALITY))], mapping="none",
                       nothing="no template polled yet", limits=((None, "yellow"),))),
        (5, stat_panel("Delivered", "Delivered messages of all categories in this time range. With few messages the "
                       "ratios mean little: wait for more before you act.",
                       [Query(count(delivered, RANGE, ""))], decimals=0)),
        (5, stat_panel("Read", "Share of the delivered messages that were read. Low: the wrong customers, time or "
            "text.", [Query(f"clamp_max({read}, 1)")],
                       unit="percentunit", decimals=1)),
        (4, stat_panel("Failed", "Share of failed messages among delivered and failed messages. See the codes, and "
            "stop the cause.",
                       [Query(f"({rate(failed, RANGE, '')} or 0 * {whole}) / ({whole} > 0)")],
                       unit="percentunit", decimals=1)),
    ]  # fmt: skip


def _table() -> Panel:
    accounts = f"max by (phone_number_id, waba_id) ({of('number_info')})"

    def messages(status: str, family: str = "template_messages_total") -> str:
        """Return messages by account: two may have templates of one name.

        A template's first campaign is often over before the first scrape that shows it.
        """
        counts = counted(of(family, status), RANGE, "by (phone_number_id, template, language)")
        return f"sum {_BY} ({counts} * on (phone_number_id) group_left (waba_id) {accounts})"

    def share(part: str, whole: str) -> str:
        part, whole = (messages(f'status=~"{status}"') for status in (part, whole))
        return f"{part} / ({whole} > 0)"

    opt_outs, delivered = messages("", "template_opt_outs_total"), messages('status="delivered"')
    return grid(
        "Templates", "Each template of the chosen numbers' accounts. The template with the lowest read ratio is the "
        "most likely to fall next.",
        [Column("Template", label="template"), Column("Language", label="language"), Column("Account", label="waba_id"),
         Column("Status", label="status", rated="status"), Column("Is", f"({_STATUS} == 1) {_MINE}", hidden=True),
         Column("Quality", f"{_QUALITY} {_MINE}", rated="rating"),
         Column("Sent", messages('status="sent"'), decimals=0),
         Column("Read of delivered", share("read", "delivered"), "percentunit", 1),
         Column("Failed", share("failed", "failed|delivered"), "percentunit", 1),
         Column("Opt-outs/1k", f"1000 * {opt_outs} / ({delivered} > 0)", decimals=1)],
        sort="Template", nothing="no template polled yet",
    )  # fmt: skip


def _timeline() -> Panel:
    return states(
        "Quality of templates over time", "Orange marks are changes of status. A template falls before its number does.",
        Query(f"{_QUALITY} {_MINE}", "{{template}} {{language}}"), mapping="rating", nothing="no template polled yet",
    )  # fmt: skip


def _sends() -> Panel:
    accepted = of("sends_total", 'result="accepted"')
    return lines(
        "Sends an hour, by kind", "campaign: templates to many customers. reply: an answer, so it follows the day's "
        "traffic.", [Query(count(accepted, "1h", "by (kind)"), "{{kind}}")], bars=True,
        nothing="no send of a watched client seen",
    )  # fmt: skip


def _rejections() -> Panel:
    rejected, by = of("sends_total", 'result="rejected"'), "by (code)"
    return lines(
        "Sends refused a day, by code", "Sends that the API refused. 131056: too many to one customer. 131048, 368: "
        "quality. 130429: too fast. timeout, connection: the network.",
        [Query(seen(counted(rejected, "1d", by), rejected, by), "{{code}}")], nothing="no refused send seen",
    )  # fmt: skip


def _statuses() -> Panel:
    return lines(
        "Delivered an hour, by category", "Customers stop and report marketing messages most. service messages are "
            "free and answer customers.",
        [Query(count(of("message_statuses_total", 'status="delivered"'), "1h", "by (category)"), "{{category}}")],
        bars=True,
    )  # fmt: skip


def _failures() -> Panel:
    failures, by = of("message_failures_total"), "by (code)"
    return lines(
        "Failed after sending, a day", "131049: WhatsApp holds back marketing to that customer. 131026: it cannot be "
        "delivered. 131048: the number is limited. late: the message had counted as an answer.",
        [Query(seen(counted(failures, "1d", by), failures, by), "{{code}}"),
         Query(count(of("late_failures_total"), "1d", ""), "late")], nothing="no failure seen",
    )  # fmt: skip


def _read() -> Panel:
    by = "by (category)"
    read, delivered = (of("message_statuses_total", f'status="{status}"') for status in ("read", "delivered"))
    return lines(
        "Read ratio of a day, by category", "Falls for marketing only: the campaign annoys. Falls for all: the "
            "number annoys.",
        [Query(f"clamp_max({ratio(read, delivered, '1d', by)}, 1)", "{{category}}")], unit="percentunit", soft=0.4,
    )  # fmt: skip


def _preferences() -> Panel:
    return lines(
        "Opt-outs and opt-ins, a day", "By category. A peak follows the campaign that caused it. Do not repeat that "
            "campaign.",
        [Query(count(of("opt_outs_total"), "1d", "by (category)"), "out of {{category}}"),
         Query(count(of("opt_ins_total"), "1d", "by (category)"), "into {{category}}")],
    )  # fmt: skip


def _template_failures() -> Panel:
    failures, by = of("template_failures_total"), "by (template, code)"
    return lines(
        "Failed a day, by template", "By template and error code. 132015, 132016: the template is paused or "
        "disabled. 131049: WhatsApp holds back marketing to that customer.",
        [Query(seen(counted(failures, "1d", by), failures, by), "{{template}} {{code}}")], nothing="no failure seen",
    )  # fmt: skip


def _changes() -> Panel:
    changes = counted(
        own("template_status_changes_total", 'waba_id=~"$business"'), RANGE, "by (template, language, status, reason)"
    )
    return grid(
        "Status changes that WhatsApp announced", "WhatsApp's reason for each change of status in this time range. "
            "Reword the template for that reason, or appeal.",
        [Column("Template", label="template"), Column("Language", label="language"), Column("Status", label="status"),
         Column("Reason", label="reason"), Column("Times", f"{changes} > 0", decimals=0)],
        nothing="no webhook about a template seen",
    )  # fmt: skip
