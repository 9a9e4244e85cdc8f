"""Alerts on messages that WhatsApp refuses, and that customers do not want."""

from __future__ import annotations

from functools import partial
from typing import Final

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.expressions import NUMBER, counted, increase, one, usual
from chatvitals.whatsapp import enums

_IT: Final = "{{ $labels.phone_number_id }}"
_REFUSALS: Final = "|".join(enums.QUALITY_REFUSALS)
_CODE: Final = "by (job, phone_number_id, code)"
_READ: Final = "phone_number_id:chatvitals_messages_read:ratio_increase6h"
_DELIVERED: Final = "phone_number_id:chatvitals_messages_delivered:increase6h"
_OPT_OUTS: Final = "phone_number_id:chatvitals_opt_outs:ratio_increase6h"
_HOW_MANY: Final = "phone_number_id:chatvitals_opt_outs:increase6h"
_alert = partial(Alert, component="delivery", dashboard="chatvitals-templates")


def alerts() -> list[Alert]:
    """Return the alerts on sends, reads and opt-outs."""
    refused, sends = (
        counted('chatvitals_sends_total{result="rejected"}', "30m"),
        counted("chatvitals_sends_total", "30m"),
    )
    # The retries of one send are one customer. Where no customer waits, as for notices, they are over at once.
    waiting = f"sum {NUMBER} ({one('chatvitals_turns_open')})"
    again = f"""count_over_time(({increase('chatvitals_sends_total{result="rejected"}', "10m")} > 0)[30m:10m])"""
    several = f"({waiting} >= 2 or {refused} >= 20 or {again} >= 2)"
    failed = counted(f'chatvitals_message_failures_total{{code=~"{_REFUSALS}"}}', "30m", _CODE)
    for_quality = counted(f'chatvitals_sends_total{{result="rejected",code=~"{_REFUSALS}"}}', "30m", _CODE)
    # Customers read a campaign within hours, and fewer read it than an answer. A first campaign lowers every ratio.
    as_ever = f"({_DELIVERED} < 2 * ({_DELIVERED} offset 1w) or {_DELIVERED} < 2 * {usual(_DELIVERED, '6h')})"
    return [
        _alert(
            name="WhatsAppSendsFailing", expr=f"({refused} >= 3)\n/ {sends} > 0.5\nand {several}", severity="critical",
            hold="5m", keep="30m",
            summary=f"WhatsApp refuses {{{{ $value | humanizePercentage }}}} of the sends of {_IT}",
            description="Most answers and campaigns of the last half hour did not go out. Customers get nothing.",
            when="Within 30m, at least 3 sends were refused, which is over 50 % of all. Two customers wait, or at "
            "least 20 sends were refused, or some in two different spans of 10m.",
            look='"Sends refused a day, by code" on the templates dashboard. 190 and 401: the token. 131000: WhatsApp. '
            "132001: no such template. timeout and connection: the network.",
            mend="Code 190 or 401: renew the access token. Code timeout or connection: repair the network. For "
            "WhatsApp's own faults see its status page.",
            verify='"Sends refused a day, by code" falls.',
        ),
        _alert(
            name="WhatsAppSendsRefusedForQuality", expr=f"{failed} > 0\nor\n{for_quality} > 0", severity="critical",
            keep="30m", summary=f"WhatsApp refuses sends of {_IT} for quality (code {{{{ $labels.code }}}})",
            description="{{ $value | humanize }} within half an hour. 131048, 131064: the number is limited. 132015, "
            "132016: the template is paused or disabled. 131031, 368: the account is locked or blocked.",
            when="Within 30m, a send or a message failed with one of the codes 131048, 131064, 132015, 132016, 131031 "
            "and 368.",
            look="The templates dashboard: which template or campaign is refused?",
            mend="Stop the campaign that is refused, before the number is restricted.",
            verify="No send fails with this code any more.",
        ),
        _alert(
            name="WhatsAppReadRateDropped",
            expr=f"{_READ} < 0.8 * {usual(_READ, '6h')}\nand {_READ} < 0.8 * ({_READ} offset 1w)\n"
            f"and {_DELIVERED} >= 100\nand {as_ever}",
            severity="warning", hold="1h", keep="1h", summary=f"Customers of {_IT} read less",
            description="{{ $value | humanizePercentage }} of the messages delivered in six hours were read. This is a "
            "fifth below the week before. A low read rate lowers template quality.",
            when="Of at least 100 messages delivered within 6h, less than 80 % of the usual share were read: of the "
            "week before, and of that time a week ago. And fewer than 2 times as many as usual were delivered.",
            look='"Read ratio of a day, by category" on the templates dashboard: only marketing, or all?',
            mend="Send fewer campaigns, to customers who want them.",
            verify="The read ratio is back at the week's share.",
        ),
        _alert(
            name="WhatsAppOptOutSurge",
            expr=f"{_OPT_OUTS} > 0.01\nand {_OPT_OUTS} > 3 * {usual(_OPT_OUTS, '6h')}\nand {_HOW_MANY} >= 5\n"
            f"and {_HOW_MANY} > 0.01 * ({_DELIVERED} offset 6h)",  # the last ones after a campaign
            severity="warning", hold="10m", keep="1h", summary=f"Customers of {_IT} opt out",
            description="{{ $value | humanizePercentage }} of the customers reached in six hours stopped messages, "
            "three times the usual share.",
            when="Within 6h, at least 5 customers opted out. They are over 1 % of the delivered messages, and of "
            "those of the 6h before, and this is over 3 times the share of the week before.",
            look="The templates dashboard: which campaign ran before?",
            mend="Stop the campaign of the last hours.",
            verify='"Opt-outs and opt-ins, a day" is back at its usual height.',
        ),
    ]  # fmt: skip
