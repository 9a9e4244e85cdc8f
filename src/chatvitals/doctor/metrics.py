"""Checks of the metrics: readable for Prometheus, protected from others, and with a recent webhook."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from chatvitals.doctor import http
from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.exporters import scrape
from chatvitals.metrics.catalogue import LAST_WEBHOOK, WEBHOOKS

if TYPE_CHECKING:
    from chatvitals.doctor.config import Setup
    from chatvitals.doctor.finding import Finding
    from chatvitals.exporters.scrape import Sample

_METRICS, _PROTECTED, _WEBHOOK = "metrics", "metrics protected", "last webhook"
_TOKEN = "give --token (CHATVITALS_METRICS_TOKEN), the bot's metrics_token"  # noqa: S105 - a sentence
_LATELY = 3600.0


class MetricsReport(NamedTuple):
    """The findings about the metrics, and their samples if they can be read."""

    findings: list[Finding]
    samples: list[Sample] | None = None


def metrics(setup: Setup) -> MetricsReport:
    """Request the metrics with and without the token."""
    url = setup.metrics_url
    if not url:
        enable = "--metrics-url (CHATVITALS_METRICS_URL) enables this"
        return MetricsReport([skipped(_METRICS, "no address of the bot's metrics is given", enable)])
    bearer = {"Authorization": f"Bearer {setup.metrics_token}"} if setup.metrics_token else {}
    try:
        answer = http.ask(url, headers=bearer)
    except http.NoAnswerError as error:
        return MetricsReport(
            [attention(_METRICS, str(error), error.do_next), _not_known("the metrics were not reached")]
        )
    first, found = _read(url, answer, has_token=bool(bearer))
    return MetricsReport([first, _protected(url, answer.status if not bearer else None)], found)


def last_webhook(found: list[Sample] | None, now: float) -> Finding:
    """Return whether a webhook has come lately, from samples of the metrics or the store. `now` is Unix seconds."""
    if found is None:
        return skipped(_WEBHOOK, "neither metrics nor store can be read", "--metrics-url or --store enables this")
    results = {sample.labels.get("result", ""): sample.value for sample in found if sample.name == WEBHOOKS.name}
    last = max((sample.value for sample in found if sample.name == LAST_WEBHOOK.name), default=0.0)
    refused = results.get("bad_signature", 0.0) + results.get("unsigned", 0.0)
    if not last and refused:
        return attention(
            _WEBHOOK,
            f"no webhook was accepted, and {refused:.0f} had no valid signature",
            "compare the bot's app_secret with the App Dashboard, and check that no proxy rewrites bodies",
        )
    if not last and results.get("unread"):
        return attention(
            _WEBHOOK,
            f"no webhook was accepted, and the bot answered {results['unread']:.0f} without reading the body",
            "read the whole body in the handler of the webhook, or pass it to vitals.observe_webhook()",
        )
    do_next = "send a message to the number. If no webhook arrives, check the subscription and the callback URL"
    if not last:
        return attention(_WEBHOOK, "no webhook has ever come", do_next)
    age = now - last
    if age > _LATELY:
        return attention(
            _WEBHOOK, f"the last one came {_ago(age)} ago", f"this may be a quiet hour. Otherwise {do_next}"
        )
    others = f", and {refused:.0f} in total had no valid signature" if refused else ""
    return ok(_WEBHOOK, f"the last one came {_ago(max(age, 0.0))} ago{others}")


def _read(url: str, answer: http.HttpAnswer, *, has_token: bool) -> tuple[Finding, list[Sample] | None]:
    where = http.shown(url)
    if answer.status in {401, 403}:
        says = "refuses this token" if has_token else "asks for a token"
        return attention(_METRICS, f"{where} {says} (status {answer.status})", _TOKEN), None
    if answer.status != 200:
        says = f"{where} answers with status {answer.status}"
        return attention(_METRICS, says, "give the path at which the bot or the exporter serves its metrics"), None
    found = scrape.from_text(answer.body.decode(errors="replace"))
    if not found:
        says = f"{where} answers, but not with metrics of chatvitals ({answer.kind or 'no content type'})"
        return attention(_METRICS, says, "give the path at which the bot or the exporter serves its metrics"), None
    return ok(_METRICS, f"{where} answers with {len(found):,} samples"), found


def _protected(url: str, status: int | None) -> Finding:
    """Return whether the metrics are refused without the token. `status` is known if such a request was made."""
    try:
        status = http.ask(url).status if status is None else status
    except http.NoAnswerError as error:
        return attention(_PROTECTED, f"without a token: {error}", error.do_next)
    if status in {401, 403}:
        return ok(_PROTECTED, f"without the token the answer is {status}")
    if status != 200:
        return _not_known(f"without the token the answer is {status}")
    if http.is_loopback(url):
        return ok(_PROTECTED, "open, but only this machine can reach the address")
    do_next = "set metrics_token (CHATVITALS_METRICS_TOKEN) in the bot, or let only Prometheus reach them"
    return attention(_PROTECTED, "anybody who reaches the address can read them", do_next)


def _not_known(why: str) -> Finding:
    return skipped(_PROTECTED, f"not known: {why}")


def _ago(seconds: float) -> str:
    for size, unit in ((86_400.0, "days"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
