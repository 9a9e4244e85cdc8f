"""A path is known in every spelling of servers and routers, and in no other."""

from __future__ import annotations

import pytest

from chatvitals.integrations import _paths

WEBHOOK = ("/webhook", "/webhook/")
METRICS = ("/metrics", "/metrics/")


@pytest.mark.parametrize("path", ["/webhook", "/webhook/", "/webhook//"])
def test_a_path_is_spelled_without_and_with_a_slash(path: str) -> None:
    """Settings may give either."""
    assert _paths.spellings("webhook_path", path) == WEBHOOK


def test_the_root_is_spelled_without_and_with_a_slash() -> None:
    """A bot of a webhook alone may answer at its root."""
    assert _paths.spellings("webhook_path", "/") == ("", "/")


@pytest.mark.parametrize("path", ["/web\nhook", "/web\x00hook", "/a%20b", "/hooks/<name>", "metrics", 7])
def test_a_path_that_no_request_has_is_refused(path: str) -> None:
    """The sentence shows an example of the path's kind."""
    with pytest.raises(ValueError, match=r"metrics_path must be a fixed path .*, such as '/metrics', not "):
        _paths.spellings("metrics_path", path)


def test_a_long_path_is_shown_in_part() -> None:
    """A whole document, given by mistake, does not fill the log."""
    with pytest.raises(ValueError, match="fixed path") as refused:
        _paths.spellings("webhook_path", "x" * 10_000)
    assert len(str(refused.value)) < 400


@pytest.mark.parametrize("metrics_path", ["/webhook", "/webhook/"])
def test_one_path_cannot_be_both(metrics_path: str) -> None:
    """The spelling makes no difference."""
    with pytest.raises(ValueError, match="metrics_path must differ from webhook_path"):
        _paths.check_paths("/webhook", metrics_path)


@pytest.mark.parametrize(
    ("path", "root"),
    [
        ("/webhook", ""),
        ("/webhook/", None),
        ("//webhook", ""),
        ("https://bot.example//webhook", ""),
        ("/api/webhook", "/api"),
        ("/api/webhook", "/api/"),
        ("/webhook", "/api"),
    ],
)
def test_a_webhook_is_known_by_its_path(path: str, root: object) -> None:
    """Within the application or in full, with doubled slashes, and with the host that a proxy adds."""
    assert _paths.matches(WEBHOOK, path, root)


def test_a_full_path_names_a_webhook_within_a_mounted_application() -> None:
    """A framework that strips the root leaves the rest in `path`."""
    assert _paths.matches(("/api/webhook", "/api/webhook/"), "/webhook", "/api")


@pytest.mark.parametrize(
    ("path", "root"),
    [("/webhook2", ""), ("/api/webhook", ""), ("/webhook//", ""), ("/x", 7), (None, "/api"), (b"/webhook", "")],
)
def test_other_paths_are_no_webhook(path: object, root: object) -> None:
    """An unusual value of a server matches nothing, and raises nothing."""
    assert not _paths.matches(WEBHOOK, path, root)


@pytest.mark.parametrize(("path", "root"), [("/metrics", ""), ("/metrics/", None), ("/metrics", "/api")])
def test_the_metrics_are_asked_for_within_the_application(path: str, root: object) -> None:
    """The root of a mounted application changes nothing."""
    assert _paths.asks_for_metrics(METRICS, path, root)


@pytest.mark.parametrize("root", ["/api", "/api/"])
def test_the_metrics_are_asked_for_in_full(root: str) -> None:
    """`metrics_path` may be the address that Prometheus scrapes."""
    assert _paths.asks_for_metrics(("/api/metrics", "/api/metrics/"), "/metrics", root)


@pytest.mark.parametrize(
    ("paths", "path", "root"),
    [((), "/metrics", "/api"), (METRICS, "/metrics2", "/api"), (METRICS, None, "/api"), (METRICS, "/x", 7)],
)
def test_other_paths_ask_for_no_metrics(paths: tuple[str, ...], path: object, root: object) -> None:
    """Neither does any path where no metrics are served."""
    assert not _paths.asks_for_metrics(paths, path, root)
