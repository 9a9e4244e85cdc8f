"""The paths of the webhook and of the metrics, as applications and servers spell them."""

from __future__ import annotations

import re
from typing import Final

_FIXED_PATH: Final = r"/(?!/)[^{}<>?#%]*"  # frameworks match a decoded path without its query


def spellings(name: str, path: str) -> tuple[str, str]:
    """Return `path` without and with a slash at its end.

    Raises:
        ValueError: `path` is not a fixed path that starts with `/`.

    """
    if not isinstance(path, str) or not re.fullmatch(_FIXED_PATH, path) or not path.isprintable():
        example = "/metrics" if name == "metrics_path" else "/webhook"
        raise ValueError(f"{name} must be a fixed path that starts with '/', such as '{example}', not {path!r:.200}")
    bare = path.rstrip("/")
    return bare, f"{bare}/"


def check_paths(webhook_path: str, metrics_path: str | None) -> None:
    """Check the paths of an integration.

    Raises:
        ValueError: a path is not a fixed path that starts with `/`, or both are the same.

    """
    paths = spellings("webhook_path", webhook_path)
    if metrics_path is not None and set(paths) & set(spellings("metrics_path", metrics_path)):
        raise ValueError(f"metrics_path must differ from webhook_path, both are {metrics_path!r}: choose another path")


def matches(paths: tuple[str, str], path: object, root: object) -> bool:
    """Return whether a request's path is the webhook's path.

    Servers and frameworks disagree on whether `path` contains the root path, so both readings are tried. Routers also
    merge slashes, which a callback address often doubles by mistake.
    """
    if path in paths:
        return True
    if not isinstance(path, str):
        return False
    if "//" in path:
        path = _merged(path)
        if path in paths:
            return True
    if not root or not isinstance(root, str):
        return False
    root = root.rstrip("/")
    return path.removeprefix(root) in paths or root + path in paths


def asks_for_metrics(paths: tuple[str, ...], path: object, root: object) -> bool:
    """Return whether a request's path is the path of the metrics, within the application or in full."""
    if path in paths:
        return True
    return bool(paths and root) and isinstance(root, str) and isinstance(path, str) and root.rstrip("/") + path in paths


def _merged(path: str) -> str:
    """Return a path without doubled slashes before names, and without the scheme and host that proxies may add."""
    if not path.startswith("/"):
        path = f"/{path.partition('://')[2].partition('/')[2]}"
    return re.sub("/{2,}(?!$)", "/", path)
