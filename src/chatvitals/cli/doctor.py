"""`chatvitals doctor`: check the set-up. The checks need httpx, so they are imported on demand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.cli import _common
from chatvitals.settings import SettingsError

if TYPE_CHECKING:
    import argparse


_SHORTER = {"webhook_url": "url", "waba_ids": "waba", "metrics_token": "token"}
"""Settings whose option has another name."""


def configure(doctor: argparse.ArgumentParser) -> None:
    """Declare the command's arguments. Their help fits a terminal of 24 lines."""
    doctor.usage = "chatvitals doctor [-h] [--app MODULE:APP] [--url URL] [OPTION ...]"
    doctor.description = (
        "Check the set-up at WhatsApp and at the bot, and name the next step. Run it in the bot's folder, with the "
        "bot's variables, which suit secrets best. The endpoint gets two forged webhooks, which it should refuse."
    )
    doctor.epilog = "Exit status: 0 passed or skipped, 1 needs attention, 2 wrong arguments."
    doctor.add_argument("--app", metavar="M:APP", help="the bot's app, such as bot:app, in place of most options")
    doctor.add_argument("--url", metavar="URL", help="its webhook endpoint (CHATVITALS_WEBHOOK_URL)")
    doctor.add_argument("--verify-token", metavar="T", help="verify token of the endpoint (CHATVITALS_VERIFY_TOKEN)")
    doctor.add_argument("--store", metavar="URL", help="its store, such as sqlite:///bot.db (CHATVITALS_STORE)")
    doctor.add_argument("--metrics-url", metavar="URL", help="its metrics or the exporter's (CHATVITALS_METRICS_URL)")
    doctor.add_argument("--token", metavar="T", help="bearer token of the metrics (CHATVITALS_METRICS_TOKEN)")
    doctor.add_argument("--access-token", metavar="T", help="of a system user (CHATVITALS_ACCESS_TOKEN)")
    doctor.add_argument("--waba", action="append", metavar="ID", help="account, may be repeated (CHATVITALS_WABA_IDS)")
    doctor.add_argument("--app-id", metavar="ID", help="id of the app at Meta (CHATVITALS_APP_ID)")
    doctor.add_argument("--app-secret", metavar="S", help="its secret (CHATVITALS_APP_SECRET)")
    doctor.add_argument("--graph-url", metavar="URL", help="address of the Graph API (CHATVITALS_GRAPH_URL)")
    doctor.add_argument("--json", action="store_true", help="print the findings as JSON")
    doctor.add_argument("--fix", action="store_true", help="subscribe accounts that are not subscribed, after asking")
    doctor.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    doctor.set_defaults(run=lambda options: _run(options, doctor))


def _run(options: argparse.Namespace, parser: argparse.ArgumentParser) -> int:
    if options.yes and not options.fix:
        parser.error("--yes needs --fix")
    try:
        from chatvitals.doctor import checkup, config  # noqa: PLC0415 - httpx is an extra
    except ModuleNotFoundError as error:
        if error.name != "httpx":
            raise
        return _common.refused("doctor", "it needs httpx: pip install 'chatvitals[graph]'")
    given = config.Options(**{name: getattr(options, name) for name in config.Options._fields})
    try:
        well = checkup.run(given, fix=options.fix, yes=options.yes, as_json=options.json)
    except SettingsError as error:
        return _common.refused("doctor", _by_option(str(error), options))
    return _common.OK if well else _common.FAILED


def _by_option(sentence: str, options: argparse.Namespace) -> str:
    """Return an error about a setting with the name of the option that gave its value."""
    setting, space, rest = sentence.partition(" ")
    option = _SHORTER.get(setting, setting)
    return f"--{option.replace('_', '-')}{space}{rest}" if getattr(options, option, None) else sentence
