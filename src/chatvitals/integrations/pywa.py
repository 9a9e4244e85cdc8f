"""Integration of pywa's client, with its own server or the bot's server."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from chatvitals.integrations import _paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.integrations.wsgi import MountableVitals

__all__ = ["instrument"]


def instrument(
    vitals: MountableVitals,
    whatsapp: Any,
    webhook_path: str | None,
    metrics_path: str | None,
    instrument_app: Callable[..., Any],
) -> None:
    """Watch the webhook of a `pywa.WhatsApp` (or `pywa_async.WhatsApp`), at its own endpoint.

    Args:
        vitals: the result of `chatvitals.init`.
        whatsapp: the client.
        webhook_path: the same as pywa's `webhook_endpoint`, or None.
        metrics_path: the path of the metrics. None serves no metrics.
        instrument_app: function that watches the webhook of the server that the client listens on.

    Raises:
        ValueError: `webhook_path` differs from pywa's, or the client has no server.

    """
    endpoint = "/" + whatsapp._webhook_endpoint.strip("/")  # noqa: SLF001 - pywa has no public attribute for it
    if webhook_path is not None and webhook_path.rstrip("/") != endpoint.rstrip("/"):
        raise ValueError(
            f"pywa listens at {endpoint!r} (its webhook_endpoint), where webhook_path={webhook_path!r} never matches: "
            "leave webhook_path out"
        )
    _paths.check_paths(endpoint, metrics_path)
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
        """Create the server like pywa, and watch it. `run()` and the command `pywa` call this."""
        app = bare()
        instrument_app(vitals, app, webhook_path=endpoint, metrics_path=metrics_path)
        return app

    setup.__name__ = "_setup_and_get_starlette_app"  # pywa's command finds it by its name
    whatsapp._setup_and_get_starlette_app = setup  # noqa: SLF001 - pywa has no public hook for it
