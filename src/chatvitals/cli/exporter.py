"""`chatvitals exporter`: serve the metrics of a store over HTTP."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

from chatvitals.cli import _common
from chatvitals.exporters.http_server import Handler, Server
from chatvitals.exporters.otlp_push import OtlpPush
from chatvitals.exporters.prometheus import VitalsCollector
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import kind_of, open_store
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    parser.description = (
        "Serve the metrics of a store over HTTP: one target for Prometheus, whatever the number of workers and hosts. "
        "Use the same CHATVITALS_* variables as the bot."
    )
    parser.add_argument(
        "--store", metavar="URL", help="the bot's store, such as sqlite:////data/v.db (default: CHATVITALS_STORE)"
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=_common.port, default=9464, metavar="N", help="port (default: %(default)s)")
    parser.add_argument(
        "--token", metavar="T", help="bearer token that scrapes must send (default: CHATVITALS_METRICS_TOKEN)"
    )
    parser.add_argument(
        "--otlp", action="store_true", help="push to OTEL_EXPORTER_OTLP_ENDPOINT as well (default: CHATVITALS_OTLP)"
    )
    parser.set_defaults(
        run=lambda options: run(options.store, options.host, options.port, options.token, otlp=options.otlp)
    )


def run(
    store: str | None,
    host: str,
    port: int,
    token: str | None,
    environ: Mapping[str, str] | None = None,
    *,
    otlp: bool = False,
) -> int:
    """Serve `/metrics` until Ctrl-C or SIGTERM, and return the exit status: 0, or 2 if it did not start.

    The bot's workers settle due contacts, because only they know the bot's settings.

    Args:
        store: the store's URL. None takes the URL from the environment. A missing file is not created.
        host: the address to listen on.
        port: the port to listen on. 0 takes a free port.
        token: the required bearer token. None takes the token from the environment.
        environ: environment variables with the other settings. The default is the process's environment.
        otlp: whether to push the numbers to an OTLP endpoint as well.

    """
    try:
        settings = _settings(store, token, environ)
        server = Server((host, port), Handler)
    except SettingsError as error:
        return _common.refused("exporter", str(error))
    except (OSError, OverflowError) as error:
        return _common.refused(
            "exporter", f"{host}:{port} cannot be used ({error}): choose another address with --host and --port"
        )
    opened = open_store(settings.store, create=False)
    try:
        opened.about()
    except StoreUnavailableError as error:
        _common.refused("exporter", f"{error}. chatvitals_store_up is 0 and /-/ready answers 503 until this is fixed.")
    server.guard = ErrorGuard()
    server.collector = VitalsCollector(settings, opened, None, server.guard, {})
    server.token = settings.metrics_token
    push = None
    try:
        if otlp or settings.otlp:
            push = OtlpPush(server.collector.reader, opened, server.guard, time.time)
            push.ensure()
    except ModuleNotFoundError as error:
        server.server_close()
        return _common.refused("exporter", str(error))
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        print(f"Metrics: http://{host}:{server.server_address[1]}/metrics", flush=True)  # noqa: T201 - a command's voice
        server.serve_forever()
    except KeyboardInterrupt:
        return _common.OK
    finally:
        signal.signal(signal.SIGTERM, before)
        server.server_close()
        if push is not None:
            push.close()
        opened.close()
    return _common.OK


def _settings(store: str | None, token: str | None, environ: Mapping[str, str] | None) -> Settings:
    """Return the settings of an exporter.

    Raises:
        SettingsError: a setting is not allowed, or no other process can read the store.

    """
    given = {"hooks": False, "store": store, "metrics_token": token}
    settings = Settings.load({name: value for name, value in given.items() if value is not None}, environ)
    if kind_of(settings.store).shared_by == "process":
        raise SettingsError("a store in memory belongs to its process: give a file or a server")
    return settings
