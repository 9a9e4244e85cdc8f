"""All checks in turn, each independent of the result of the others, and `--fix`."""

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
from chatvitals.doctor.finding import skipped
from chatvitals.doctor.graph import Graph
from chatvitals.doctor.report import Report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals.doctor.config import Options, Setup


class _Subscribing(NamedTuple):
    """What it takes to subscribe accounts: the API, the app, and the accounts that lack it."""

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
    """Check everything, print what is found and return whether nothing needs attention.

    Args:
        options: the arguments of the command line.
        fix: whether to subscribe accounts that are not subscribed.
        yes: whether to do so without asking.
        as_json: whether to print JSON.
        environ: the variables for all other values, by default the process's.

    Raises:
        SettingsError: an argument or a variable is wrong.

    """
    # httpx tells of every request with its query at this level, and one of WhatsApp's takes the token there
    logging.getLogger("httpx").setLevel(logging.WARNING)
    checked = config.setup(options, os.environ if environ is None else environ)
    report = Report(checked.secrets, as_json=as_json)
    with ExitStack() as stack:
        found = store.store(checked)
        subscribing = _meta(checked, report, stack)
        _rest(checked, report, found, subscribing.callback)
        if fix:
            _fix(report, subscribing, yes=yes)
    report.close()
    return not report.needs_attention


def _meta(checked: Setup, report: Report, stack: ExitStack) -> _Subscribing:
    """Check what the Graph API tells; return what `--fix` needs."""
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
        report.add(skipped("access token", "there is none", "CHATVITALS_ACCESS_TOKEN (--access-token) enables this"))
    if not checked.app_id:  # the token has told it meanwhile
        apps = _apps(checked, app_id, stack)
    subscribed = meta_app.fields(app_id, apps)
    report.add(meta_token.clock(next((g.skew for g in (graph, *apps) if g and g.skew is not None), None)))
    report.add(subscribed.finding)
    callback = subscribed.callback
    unsubscribed: list[str] = []
    if graph is None or not checked.wabas:
        enable = "CHATVITALS_WABA_IDS (--waba) and an access token enable this"
        report.add(skipped(accounts.SUBSCRIPTION, "no account is named", enable))
    else:
        for waba in checked.wabas:
            own = accounts.subscription(graph, waba, app_id)
            findings, rows = numbers.numbers(graph, waba)
            callback = callback or numbers.callback(rows)
            unsubscribed += [waba] if own.missing else []
            for finding in (own.finding, accounts.overrides(waba, own, rows, callback), *findings):
                report.add(finding)
    report.add(meta_app.callback(callback, checked.url))
    return _Subscribing(graph, app_id, unsubscribed, callback)


def _apps(checked: Setup, app_id: str, stack: ExitStack) -> list[Graph]:
    """Return the Graph API as the app sees it, with each of the secrets; nothing without the app's id."""
    apps = [Graph(checked, f"{app_id}|{secret}", of_app=True) for secret in checked.app_secrets if app_id]
    for app in apps:
        stack.callback(app.close)
    return apps


def _rest(checked: Setup, report: Report, found: store.StoreReport, callback: str) -> None:
    """Check what is on the bot's side; the endpoint last, as its forged webhooks might be taken for real ones."""
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
    """Subscribe accounts, after asking, and look again."""
    graph, app_id, wabas, _ = subscribing
    if graph is None or not wabas:
        report.say("\nNothing to fix: no account is known to lack its subscription.")
        return
    for waba in wabas:
        if not yes and not sys.stdin.isatty():
            report.say(f"\nThe account {waba} would be subscribed. Nothing was done: --yes does it without asking.")
            continue
        if not yes and not _agreed(f"\nSubscribe this token's app to the account {waba}? [y/N] "):
            continue
        report.say("")
        failed = accounts.subscribe(graph, waba)
        report.add(failed or accounts.subscription(graph, waba, app_id).finding)


def _agreed(question: str) -> bool:
    """Ask beside the output, which may be a file."""
    sys.stderr.write(question)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}
