"""Empty stores: one of each kind for the promises of all stores, and one in SQLite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from chatvitals.stores import open_store
from chatvitals.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.stores.base import Store


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test of the promises on each kind of store."""
    if "store" in metafunc.fixturenames:
        metafunc.parametrize("store_url", ["memory", "sqlite", "redis"], indirect=True)


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    """An empty store of each kind."""
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def other(store: Store, store_url: str) -> Iterator[Store]:
    """The same store, as another process or thread has it open."""
    if store_url == "memory:":
        yield store
        return
    opened = open_store(store_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[SQLiteStore]:
    """An empty SQLite store."""
    opened = SQLiteStore(tmp_path / "store.db")
    yield opened
    opened.close()
