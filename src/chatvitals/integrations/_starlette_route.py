"""The route of the metrics in applications of Starlette. It is imported only where there is Starlette."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.routing import Match, Route

from chatvitals.integrations._paths import asks_for_metrics

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from starlette.routing import BaseRoute
    from starlette.types import Scope


class MetricsRoute(Route):
    """A route whose path may be given within the application or in full, where the application is mounted.

    Args:
        path: the path of the metrics.
        endpoint: the ASGI application that serves them.
        routes: all routes of the application. In full, the path only counts where none of them answers.

    """

    def __init__(self, path: str, endpoint: Callable[..., Any], routes: Sequence[BaseRoute]) -> None:
        super().__init__(path, endpoint, methods=["GET", "HEAD"], name="chatvitals_metrics", include_in_schema=False)
        self._routes = routes

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request asks for the metrics. It is the first route, so all others pass quickly."""
        if not scope["path"].endswith(self.path):
            return Match.NONE, {}
        found, child = super().matches(scope)
        if found is not Match.NONE or not scope.get("root_path") or not self._is_ours(scope):
            return found, child
        return Match.FULL, {"endpoint": self.endpoint, "path_params": dict(scope.get("path_params", {}))}

    def _is_ours(self, scope: Scope) -> bool:
        if scope["type"] != "http" or scope["method"] not in {"GET", "HEAD"}:
            return False
        if not asks_for_metrics((self.path,), scope["path"], scope["root_path"]):
            return False
        return all(route is self or route.matches(scope)[0] is not Match.FULL for route in self._routes)
