"""The run of all checks, each independent of the others' results, and `--fix`."""

from __future__ import annotations

import logging
import os
import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from chatvitals.doctor import (
    accounts,
    bot,
    config,
    endpoint,
    numbers,
    store,
    traffic,
)
from chatvitals.doctor import (
    app as meta_app,
)
from chatvitals.doctor import (
    metrics as measuring,
)
from chatvitals.doctor import (
    token as meta_token,
)
from chatvitals.doctor.finding import attention, skipped
from chatvitals.doctor.graph import Graph
from chatvitals.doctor.report import Report
from chatvitals.settings.misspelt import misspelt

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals.doctor.config import Options, Setup
    from chatvitals.doctor.graph import Json


class _Subscribing(NamedTuple):
    """The data for subscribing accounts: the API, the app, and the accounts without a subscription."""

    graph: Graph | None
    app_id: str
    wabas: list[str]
    callback: str = ""
    """Where webhooks go, as far as the Graph API tells."""


def run(
    options: Options,
    *,
    fix: bool = False,
    yes: bool = False,
    as_json: bool = False,
    environ: Mapping[str, str] | None = None,
) -> bool:
    """Run all checks and print their findings. Return whether nothing needs attention.

    Args:
        options: the arguments of the command line.
        fix: whether to subscribe accounts that are not subscribed.
        yes: whether to subscribe without a question.
        as_json: whether to print JSON.
        environ: environment variables with all other values. The default is the process's environment.

    Raises:
        SettingsError: an argument or a variable is invalid.

    """
    # httpx logs every request with its query at this level, and one query to WhatsApp contains the token
    logging.getLogger("httpx").setLevel(logging.WARNING)
    environ = os.environ if environ is None else environ
    checked = config.setup(options, environ)
    report = Report(checked.secrets, as_json=as_json)
    for variable, meant in misspelt(environ):
        wrong = f"this variable is ignored, because its name must be {meant}"
        report.add(attention("variables", wrong, f"rename it to {meant}, or remove it", subject=variable))
    with ExitStack() as stack:
        found = store.store(checked)
        subscribing = _meta(checked, report, stack)
        _rest(checked, report, found, subscribing.callback)
        if fix:
            _fix(report, subscribing, yes=yes)
    report.close()
    return not report.needs_attention


def _meta(checked: Setup, report: Report, stack: ExitStack) -> _Subscribing:
    """Run the checks at the Graph API. Return the data for `--fix`."""
    app_id, graph = checked.app_id, None
    apps = _apps(checked, app_id, stack)
    if checked.access_token:
        graph = Graph(checked, checked.access_token)
        stack.callback(graph.close)
        token = meta_token.Token(graph, checked.app_id, apps)
        for finding in token.check(checked.access_token, time.time()):
            report.add(finding)
        app_id = token.app_id
    else:
        report.add(skipped("access token", "none is given", "CHATVITALS_ACCESS_TOKEN (--access-token) enables this"))
    if not checked.app_id:  # the token's check has found it meanwhile
        apps = _apps(checked, app_id, stack)
    subscribed = meta_app.fields(app_id, apps)
    report.add(meta_token.clock(next((g.skew for g in (graph, *apps) if g and g.skew is not None), None)))
    report.add(subscribed.finding)
    callback = subscribed.callback
    unsubscribed: list[str] = []
    known: list[list[Json]] = []
    if graph is None or not checked.wabas:
        enable = "CHATVITALS_WABA_IDS (--waba) and an access token enable this"
        report.add(skipped(accounts.SUBSCRIPTION, "no account is given", enable))
    else:
        for waba in checked.wabas:
            own = accounts.subscription(graph, waba, app_id)
            findings, rows = numbers.numbers(graph, waba)
            callback = callback or numbers.callback(rows)
            unsubscribed += [waba] if own.missing else []
            known.append(rows)
            for finding in (own.finding, accounts.overrides(waba, own, rows, callback), *findings):
                report.add(finding)
    if known and all(known):  # an account that could not be read may have the number
        for finding in numbers.unknown(checked.phone_number_ids, [row for rows in known for row in rows]):
            report.add(finding)
    report.add(meta_app.callback(callback, checked.url))
    return _Subscribing(graph, app_id, unsubscribed, callback)


def _apps(checked: Setup, app_id: str, stack: ExitStack) -> list[Graph]:
    """Return a client of the Graph API for each app secret. Without the app's id there is none."""
    apps = [Graph(checked, f"{app_id}|{secret}", of_app=True) for secret in checked.app_secrets if app_id]
    for app in apps:
        stack.callback(app.close)
    return apps


def _rest(checked: Setup, report: Report, found: store.StoreReport, callback: str) -> None:
    """Run the checks of the bot's side. The endpoint is last, because its forged webhooks could look real."""
    metrics = measuring.metrics(checked)
    told = metrics.samples if metrics.samples is not None else found.samples
    counted = traffic.of(told or ())
    where = urlsplit(callback or checked.url).path
    path = bot.webhook_path(checked.bot, where, counted.lost, counted.accepted)
    now = time.time()
    last = measuring.last_webhook(told, now)
    for finding in (*found.findings, *metrics.findings, path, last, traffic.traffic(told, now)):
        report.add(finding)
    for finding in endpoint.endpoint(checked):
        report.add(finding)


def _fix(report: Report, subscribing: _Subscribing, *, yes: bool) -> None:
    """Subscribe accounts after a question, and check them again."""
    graph, app_id, wabas, _ = subscribing
    if graph is None or not wabas:
        report.say("\nNothing to fix: no account is known to need a subscription.")
        return
    for waba in wabas:
        if not yes and not sys.stdin.isatty():
            report.say(f"\nThe account {waba} would be subscribed. Nothing was changed. --yes subscribes it at once.")
            continue
        if not yes and not _agreed(f"\nSubscribe this token's app to the account {waba}? [y/N] "):
            continue
        report.say("")
        failed = accounts.subscribe(graph, waba)
        report.add(failed or accounts.subscription(graph, waba, app_id).finding)


def _agreed(question: str) -> bool:
    """Ask on standard error, because the output may be a file."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
