"""The door of pywa's client: whichever server it listens on, the one that it brings or the bot's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.integrations import _http

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations.wsgi import MountableVitals


def instrument(
    vitals: MountableVitals,
    whatsapp: Any,
    webhook_path: str | None,
    metrics_path: str | None,
    instrument_app: Callable[..., Any],
) -> None:
    """Watch the webhook of a `pywa.WhatsApp` (or `pywa_async.WhatsApp`), at the endpoint that it names.

    Args:
        vitals: What `chatvitals.init` returned.
        whatsapp: The client.
        webhook_path: The same as pywa's `webhook_endpoint`, or None.
        metrics_path: Where to serve the metrics; None serves them nowhere.
        instrument_app: Watches the webhook of the server that the client listens on.

    Raises:
        ValueError: `webhook_path` is another one than pywa's, or the client has no server.

    """
    endpoint = "/" + whatsapp._webhook_endpoint.strip("/")  # noqa: SLF001 - pywa shows it nowhere else
    if webhook_path is not None and webhook_path.rstrip("/") != endpoint.rstrip("/"):
        raise ValueError(
            f"pywa listens at {endpoint!r} (its webhook_endpoint), where webhook_path={webhook_path!r} never matches: "
            "leave webhook_path out"
        )
    _http.check_paths(endpoint, metrics_path)
    server = whatsapp._server  # noqa: SLF001 - as above
    if server is not None:
        instrument_app(vitals, server, webhook_path=endpoint, metrics_path=metrics_path)
        return
    bare = getattr(whatsapp, "_setup_and_get_starlette_app", None)
    if bare is None:
        raise ValueError(
            "this version of pywa brings no server: pass one as WhatsApp(server=app), and call instrument_app again"
        )

    def setup() -> Any:
        """Make the server as pywa does, and watch it; `run()` and the command `pywa` call this."""
        app = bare()
        instrument_app(vitals, app, webhook_path=endpoint, metrics_path=metrics_path)
        return app

    setup.__name__ = "_setup_and_get_starlette_app"  # pywa's command looks it up by its name
    whatsapp._setup_and_get_starlette_app = setup  # noqa: SLF001 - pywa has no other place for it
