"""Alerts on the status and the quality of templates."""

from __future__ import annotations

from functools import partial
from typing import Final

from chatvitals.monitoring.alert import Alert
from chatvitals.monitoring.alerts_quality import RATINGS
from chatvitals.monitoring.expressions import held_rating, held_while_blind

_BY: Final = "by (job, waba_id, template, language)"
_NAME: Final = "{{ $labels.template }} ({{ $labels.language }})"
_alert = partial(Alert, component="template", dashboard="chatvitals-templates")


def alerts() -> list[Alert]:
    """Return the alerts on templates."""
    quality = held_rating("chatvitals_template_quality", _BY)
    best = f"max {_BY} (max_over_time(chatvitals_template_quality[1d]))"
    return [
        _alert(
            name="WhatsAppTemplateDisabled", expr=_is('="DISABLED"'), severity="critical", keep="10m",
            summary=f"Template {_NAME} is disabled",
            description="WhatsApp disabled it for good after repeated low quality. Every send of it fails.",
            when="The status is DISABLED.",
            look="The templates dashboard: who got it, and how many opted out?",
            mend="Send another template. Delete this one, or silence the alert.",
            verify="Nothing sends it any more, and no send fails with 132016.",
        ),
        _alert(
            name="WhatsAppTemplatePaused", expr=_is('=~"PAUSED|FLAGGED|LIMIT_EXCEEDED|LOCKED"'), severity="warning",
            keep="10m", summary=f"Template {_NAME} is {{{{ $labels.status }}}}",
            description="Sends of it fail, or will soon. The next pause lasts longer, and the third one disables it.",
            when="The status is PAUSED, FLAGGED, LIMIT_EXCEEDED or LOCKED.",
            look="The templates dashboard: which campaign lowered its quality?",
            mend="Stop the campaign that sends it. Later send the template to fewer and better chosen customers.",
            verify="Its status is APPROVED.",
        ),
        _alert(
            name="WhatsAppTemplateRejected", expr=_is('="REJECTED"'), severity="info", keep="10m",
            summary=f"Template {_NAME} was rejected",
            description="WhatsApp does not let the template be sent.",
            when="The status is REJECTED.",
            look='"Status changes that WhatsApp announced" on the templates dashboard shows the reason.',
            mend="Change the text for WhatsApp's reason and submit it again, or delete it.",
            verify="Its status is APPROVED, or it is gone.",
        ),
        _alert(
            name="WhatsAppTemplateQualityDropped", expr=f"({quality} > 0)\n< {best}", severity="warning", hold="5m",
            keep="15m", summary=f"The quality of template {_NAME} fell",
            description=f"It is {{{{ $value }}}} now ({RATINGS}). Customers block or ignore it. At RED it is paused.",
            when="The quality is known, and lower than its best of the last day.",
            look="The templates dashboard: its read ratio and opt-outs by campaign.",
            mend="Send it to fewer customers, or change its text.",
            verify="Its quality is as before. WhatsAppTemplateQualityLow reports it as long as it is not.",
        ),
        _alert(
            name="WhatsAppTemplateQualityLow", expr=f"({quality} > 0) <= 2", severity="warning", hold="1d",
            summary=f"The quality of template {_NAME} has been low for a day or more",
            description=f"It is {{{{ $value }}}} ({RATINGS}). A template falls before its number does.",
            when="The quality is YELLOW or RED.",
            look="The templates dashboard: is it still sent?",
            mend="Stop sending it, or send it only to customers who asked for it.",
            verify="Its quality is GREEN.",
        ),
    ]  # fmt: skip


def _is(pattern: str) -> str:
    """Return the condition that a template has such a status. The series of a status ends with the status."""
    return f"{held_while_blind(f'chatvitals_template_status{{status{pattern}}}', f'{_BY[:-1]}, status)')} == 1"
