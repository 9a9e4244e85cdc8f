"""The table of stores: each URL is checked, opened and read by its kind."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import chatvitals
from chatvitals.stores import kind_of
from chatvitals.stores.kinds import KINDS, file_of

pytestmark = pytest.mark.fast

SOURCES = Path(chatvitals.__file__).parent


@pytest.mark.parametrize(
    ("url", "name", "shared_by"),
    [
        ("memory:", "memory", "process"),
        ("sqlite:////data/v.db", "file", "host"),
        ("redis://localhost/0", "redis", "hosts"),
        ("REDISS://localhost/0", "redis", "hosts"),
        ("unix:///run/redis.sock", "redis", "hosts"),
        ("redis+cluster://a:1,b:2", "redis", "hosts"),
    ],
)
def test_a_url_names_its_kind(url: str, name: str, shared_by: str) -> None:
    kind = kind_of(url)
    assert (kind.name, kind.shared_by) == (name, shared_by)


@pytest.mark.parametrize(
    "url",
    ["", "memory", "memory:x", "sqlite:", "sqlite:///", "sqlite://v.db", "redis:", "redis:x:hush", "mysql://u:hush@h"],
)
def test_any_other_url_is_refused_without_its_secrets(url: str) -> None:
    with pytest.raises(ValueError, match="redis") as caught:
        kind_of(url)
    assert "hush" not in str(caught.value)


def test_a_path_with_too_many_slashes_is_absolute() -> None:
    """As in `sqlite:////$DIR/v.db`. SQLite takes two slashes at the start for the name of a host."""
    assert file_of("sqlite://///data/v.db") == file_of("sqlite:////data/v.db") == "/data/v.db"


def test_no_scheme_belongs_to_two_kinds() -> None:
    schemes = [scheme for kind in KINDS for scheme in kind.schemes]
    assert len(schemes) == len(set(schemes))


def test_no_other_module_takes_a_store_url_apart() -> None:
    """Another module would have to learn each new store as well."""
    taken = re.compile(
        r"""(startswith|removeprefix|partition)\(["'](sqlite|redis|memory|unix)|[!=]= ["'](memory:|sqlite:)"""
    )
    found = [
        f"{path.relative_to(SOURCES)}: {line.strip()}"
        for path in SOURCES.rglob("*.py")
        if path.name not in {"kinds.py", "redis_url.py", "redis_connection.py"}  # the last two know Redis' own schemes
        for line in path.read_text().splitlines()
        if taken.search(line)
    ]
    assert found == []
