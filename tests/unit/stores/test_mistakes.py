"""What no later attempt can mend about a store is refused by `chatvitals.init` (tests/safety/README.md 80)."""

from __future__ import annotations

import errno
import os
import socket
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

import chatvitals
from chatvitals.settings import SettingsError
from chatvitals.stores.base import Changes, StoreMistakeError
from chatvitals.stores.mistakes import refuse_mistakes
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.stores.timeouts import LookupDeadline

if TYPE_CHECKING:
    from pathlib import Path

    from tests.helpers.redis_servers import RedisServer


def refused(url: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told) as caught:
        chatvitals.init(store=url, hooks=False)
    assert "hush" not in str(caught.value)


def test_80_a_folder_that_does_not_exist_is_refused_at_init(tmp_path: Path) -> None:
    """The sentence names the folder. Nothing is created."""
    refused(f"sqlite:///{tmp_path / 'none' / 'c.db'}", "none of the store file does not exist: create it")
    assert not list(tmp_path.iterdir())


def test_80_a_folder_in_the_place_of_the_file_is_refused_at_init(tmp_path: Path) -> None:
    """The sentence shows a right URL."""
    refused(f"sqlite:///{tmp_path}", "is a folder: set `store` to a file in it")


def test_80_a_file_in_the_place_of_the_folder_is_refused_at_init(tmp_path: Path) -> None:
    """A path may be too long by one name."""
    (tmp_path / "file").touch()
    refused(f"sqlite:///{tmp_path / 'file' / 'c.db'}", "is not a folder")


@pytest.mark.parametrize("name", ["x" * 300, f"{'x' * 300}/c.db"])
def test_80_a_name_that_is_too_long_is_refused_at_init(tmp_path: Path, name: str) -> None:
    """Whether it is the file's or the folder's."""
    refused(f"sqlite:///{tmp_path / name}", "is too long")


def test_80_a_device_is_refused_at_init() -> None:
    """SQLite would fail on it at each commit."""
    refused("sqlite:////dev/null", "/dev/null is a device or a socket: set `store` to a file")


def test_80_a_folder_that_may_not_be_searched_is_refused_at_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may search everywhere, so the answer is made up."""
    looked_at = os.stat
    closed = str(tmp_path / "closed")

    def stat(path: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(closed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return looked_at(path, **options)

    monkeypatch.setattr("os.stat", stat)
    refused(f"sqlite:///{closed}/c.db", "c.db cannot be reached .Permission denied.: give the bot's user that right")


@pytest.mark.parametrize("name", ["c.db", "new.db"])
def test_80_what_may_not_be_written_to_is_refused_at_init(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The file or only its folder may be there. Root may write everywhere, so the answer is made up."""
    (tmp_path / "c.db").touch()
    opened = os.open

    def open_read_only(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if str(path).startswith(str(tmp_path)) and flags & (os.O_RDWR | os.O_WRONLY):
            raise PermissionError(13, "Permission denied")
        return opened(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", open_read_only)
    monkeypatch.setattr(os, "access", lambda *_: False)
    refused(f"sqlite:///{tmp_path / name}", r"cannot be written to \(Permission denied\)")


def test_80_somebody_elses_database_is_refused_at_init(tmp_path: Path) -> None:
    """It stays as it was."""
    path = tmp_path / "shop.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE orders (id)")
    connection.close()
    before = path.read_bytes()
    refused(f"sqlite:///{path}", "is the database of another application")
    assert path.read_bytes() == before


def test_80_a_damaged_file_is_refused_at_init(tmp_path: Path) -> None:
    """Later it would be refused with each commit."""
    (tmp_path / "c.db").write_bytes(b"no database at all" * 100)
    refused(f"sqlite:///{tmp_path / 'c.db'}", "is damaged: move it away")


def test_a_store_that_is_locked_for_now_passes(tmp_path: Path) -> None:
    """Another process may hold it for a moment."""
    path = tmp_path / "c.db"
    SQLiteStore(path).cells()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    refuse_mistakes(f"sqlite:///{path}")
    holder.close()


@pytest.mark.parametrize("url", ["memory:", "sqlite:///{}/new.db"])
def test_a_store_that_can_be_used_passes_and_nothing_is_written(tmp_path: Path, url: str) -> None:
    """The file comes with the first event."""
    refuse_mistakes(url.format(tmp_path))
    assert not list(tmp_path.iterdir())


def test_80_a_missing_redis_library_is_refused_at_init(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentence names the package to install."""
    monkeypatch.delitem(sys.modules, "chatvitals.stores.redis_connection", raising=False)
    monkeypatch.setitem(sys.modules, "redis", None)
    refused("redis://:hush@localhost:1", r"pip install 'chatvitals\[redis\]'")


def test_a_redis_that_is_away_for_now_passes() -> None:
    """The bot starts, and its events wait."""
    refuse_mistakes("redis://127.0.0.1:1")


def test_80_a_wrong_login_is_refused_at_init(redis_url: str) -> None:
    """It shows no password."""
    with pytest.raises(StoreMistakeError, match="refuses the login") as caught:
        refuse_mistakes(redis_url.replace("://", "://nobody:hush@"))
    assert "hush" not in str(caught.value)


def test_80_data_of_a_newer_version_are_refused_at_init(redis_server: RedisServer, redis_url: str) -> None:
    """They stay untouched."""
    prefix = redis_url.partition("prefix=")[2]
    with redis_server.client() as client:
        client.set(f"{{{prefix}}}:format", "999")
    refused(redis_url, "holds data of a newer chatvitals")


def test_80_a_database_that_the_server_lacks_is_refused_at_init(redis_server: RedisServer, redis_url: str) -> None:
    """A server has 16 of them by default."""
    with redis_server.client() as client:
        number = int(client.config_get("databases")["databases"])
    base = redis_url.partition("?")[0].rpartition("/")[0]
    refused(f"{base}/{number}", "has no database of this number: end the store's URL with a smaller one, such as /0")


@pytest.mark.parametrize("option", ["colour=hush", "socket_timeout=hush"])
def test_80_an_option_that_redis_py_does_not_accept_is_refused_at_init(option: str) -> None:
    """Whether a server runs there makes no difference."""
    refused(f"redis://127.0.0.1:1/0?{option}", "redis-py does not accept the options after the [?] of the store's URL")


def test_80_the_check_keeps_the_locks_of_this_process(tmp_path: Path) -> None:
    """Without them, another process that ends would believe to be the last one, and delete the write-ahead log."""
    path = tmp_path / "c.db"
    with closing(SQLiteStore(path)) as store:
        with store.transaction() as transaction:
            transaction.commit(Changes(increments={("chatvitals_webhooks_total", ("accepted",), 0): 3.0}))
        refuse_mistakes(f"sqlite:///{path}")
        other = (
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('SELECT count(*) FROM cells'); c.close()"
        )
        subprocess.run([sys.executable, "-c", other, str(path)], check=True, timeout=120)
        assert path.with_name("c.db-wal").exists()
        assert store.cells()["chatvitals_webhooks_total", ("accepted",), 0] == 3.0


def test_a_redis_that_does_not_answer_is_waited_for_half_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing accepts there, so that its own limit of a second for the connection would hold up the bot's start."""
    asked: list[float] = []
    run = LookupDeadline.run

    def noted(self: LookupDeadline, look_up: Any) -> Any:
        asked.append(self._seconds)
        return run(self, look_up)

    monkeypatch.setattr(LookupDeadline, "run", noted)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as silent:
        refuse_mistakes(f"redis://127.0.0.1:{silent.getsockname()[1]}")
    assert asked == [0.5]
    for thread in threading.enumerate():
        if thread.name == "chatvitals-look-up":
            thread.join(60)
            assert not thread.is_alive()
