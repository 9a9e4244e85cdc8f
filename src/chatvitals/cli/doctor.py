"""`chatvitals doctor`: check the set-up. The checks need httpx, so they are imported on demand."""

from __future__ import annotations

import argparse
import textwrap

from chatvitals.cli import _common
from chatvitals.settings import SettingsError

_EPILOG = """\
--app takes everything from the bot's code. Run it in the bot's folder, with the
bot's variables. Everything that is not known is skipped, and the report says
how to enable it. The last line names the one next step.
Each option can be set by an environment variable. Prefer variables for secrets.

  --access-token CHATVITALS_ACCESS_TOKEN --store        CHATVITALS_STORE
  --waba         CHATVITALS_WABA_IDS     --url          CHATVITALS_WEBHOOK_URL
  --graph-url    CHATVITALS_GRAPH_URL    --verify-token CHATVITALS_VERIFY_TOKEN
  --app-id       CHATVITALS_APP_ID       --metrics-url  CHATVITALS_METRICS_URL
  --app-secret   CHATVITALS_APP_SECRET   --token        CHATVITALS_METRICS_TOKEN

Examples:
  chatvitals doctor --app bot:app --url https://bot.example/webhook
  chatvitals doctor --waba 990001112223334 --app-id 990007778889990 \\
    --url https://bot.example/webhook --metrics-url https://bot.example/metrics

Exit status: 0 all checks passed or were skipped, 1 something needs attention,
2 invalid arguments.
"""


def configure(doctor: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    doctor.description = textwrap.fill(
        "Check everything that the numbers depend on: the access token, subscriptions and ratings at WhatsApp, the "
        "bot's webhook endpoint, store and metrics. It changes nothing without --fix. The endpoint gets two forged "
        "webhooks without content, which it should refuse.",
        78,
    )
    doctor.epilog = _EPILOG
    doctor.formatter_class = argparse.RawDescriptionHelpFormatter
    whatsapp = doctor.add_argument_group("WhatsApp")
    whatsapp.add_argument("--access-token", metavar="T", help="access token of a system user")
    whatsapp.add_argument("--waba", action="append", metavar="ID", help="WhatsApp Business Account (may be repeated)")
    whatsapp.add_argument("--app-id", metavar="ID", help="id of the app, needed to list its webhook fields")
    whatsapp.add_argument("--app-secret", metavar="S", help="the app's secret")
    whatsapp.add_argument("--graph-url", metavar="URL", help="another address of the Graph API")
    bot = doctor.add_argument_group("the bot")
    bot.add_argument("--app", metavar="M:APP", help="its app, such as bot:app, in place of most other options")
    bot.add_argument("--url", metavar="URL", help="its webhook endpoint")
    bot.add_argument("--verify-token", metavar="T", help="verify token of the webhook endpoint")
    bot.add_argument("--store", metavar="URL", help="its store, such as sqlite:////data/v.db")
    bot.add_argument("--metrics-url", metavar="URL", help="its metrics, or those of the exporter")
    bot.add_argument("--token", metavar="T", help="bearer token of the metrics")
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
        return _common.refused("doctor", str(error))
    return _common.OK if well else _common.FAILED
