"""A fork copies nothing half done, and children of every kind hand on what they saw."""

from __future__ import annotations

import multiprocessing
import os
import threading
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from chatvitals import context
from chatvitals.events import Message
from chatvitals.pipeline.worker import Pipeline
from chatvitals.runtime import fork_hooks
from chatvitals.settings import Settings
from chatvitals.stores.base import Changes
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # which is what is tested here
RECEIVED = ("chatvitals_messages_received_total", ("1", "text"), 0)
CELL = ("chatvitals_turns_open", ("1",), 0)


def message(index: int) -> Message:
    return Message(
        phone_number_id="1", wa_id=f"1555{index}", id=f"wamid.{index}", type="text", received=1_700_000_000.0
    )


def make(path: Path) -> Vitals:
    return Vitals(Settings.load({"hooks": False, "settle_after": 0.0, "store": f"sqlite:///{path}"}, {}))


def in_child(work: object) -> int:
    """Run `work` in a forked child and return its exit status."""
    pid = os.fork()
    if pid == 0:  # pragma: no cover - in the child
        status = 1
        try:
            assert callable(work)
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_what_waits_at_a_fork_is_committed_by_the_parent_alone(tmp_path: Path) -> None:
    """A child begins with an empty queue, and counts of its own."""
    vitals = make(tmp_path / "s.db")
    for index in range(10):
        vitals._emit(message(index))
    vitals._guard.report("somewhere")

    def child() -> None:
        assert vitals._pipeline.waiting == 0
        vitals._emit(message(10))
        vitals.settle(60)

    assert in_child(child) == 0
    vitals.settle(60)
    cells = vitals.store.cells()
    assert cells[RECEIVED] == 11
    assert cells["chatvitals_internal_errors_total", ("somewhere",), 0] == 1
    vitals.close()


def test_a_child_has_a_thread_of_its_own_after_its_parents_has_run(tmp_path: Path) -> None:
    """Parent and children go on committing, one after the other and at once."""
    vitals = make(tmp_path / "s.db")
    vitals._emit(message(0))
    vitals.settle(60)
    for index in range(1, 4):

        def child(index: int = index) -> None:
            vitals._emit(message(index))
            vitals.settle(60)

        vitals._emit(message(10 + index))
        assert in_child(child) == 0
    vitals.settle(60)
    assert vitals.store.cells()[RECEIVED] == 7
    vitals.close()


def test_75_a_child_that_ends_by_os_exit_commits_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So end the children of servers that fork for each request. Its status stays, and its own child's, too."""
    monkeypatch.setattr(Pipeline.close, "__defaults__", (60.0,))  # of a busy machine
    vitals = make(tmp_path / "s.db")
    vitals._emit(message(0))
    vitals.settle(60)

    def child() -> None:
        vitals._emit(message(1))
        assert in_child(lambda: vitals._emit(message(2))) == 0
        os._exit(7)

    bare = os._exit
    assert in_child(child) == 7
    assert os._exit is bare
    assert vitals.store.cells()[RECEIVED] == 3
    vitals.close()


def test_a_child_without_events_ends_as_bare(tmp_path: Path) -> None:
    """A child that becomes another program, for example, has no thread and nothing to commit."""
    vitals = make(tmp_path / "s.db")
    vitals._emit(message(0))
    vitals.settle(60)
    bare = os._exit

    def child() -> None:
        assert os._exit is bare

    assert in_child(child) == 0
    vitals.close()


def test_an_error_while_a_child_ends_does_not_keep_it_from_ending() -> None:
    """The status is the bot's, whatever happens to us."""

    def child() -> None:
        fork_hooks.before_exit(fail)
        os._exit(7)

    def fail() -> None:
        raise ValueError

    assert in_child(child) == 7


def test_a_fork_waits_for_a_transaction_and_closes_all_connections(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A child that inherited a transaction would believe the write lock to be its own, for ever."""
    monkeypatch.setattr("chatvitals.stores.sqlite._BUSY_SECONDS", 60.0)
    store = SQLiteStore(tmp_path / "s.db")
    begun, go_on = threading.Event(), threading.Event()

    def write() -> None:
        with store.transaction() as transaction:
            begun.set()
            go_on.wait(60)
            transaction.commit(Changes(increments={CELL: 1.0}))

    writer = threading.Thread(target=write)
    writer.start()
    assert begun.wait(60)
    threading.Timer(0.1, go_on.set).start()

    def child() -> None:
        with store.transaction() as transaction:
            transaction.commit(Changes(increments={CELL: 1.0}))

    assert in_child(child) == 0
    writer.join(60)
    assert store.cells() == {CELL: 2.0}
    store.close()


def test_a_child_that_inherited_a_stuck_transaction_leaves_it_alone(tmp_path: Path) -> None:
    """A fork does not wait for ever. The copy of a connection is never closed, which would break its owner's locks."""
    store = SQLiteStore(tmp_path / "s.db")
    with store.transaction() as transaction:  # this very thread forks: nobody can wait for it

        def child() -> None:
            from chatvitals.stores import sqlite  # noqa: PLC0415 - as the child sees it

            assert len(sqlite._copied) == 1

        assert in_child(child) == 0
        transaction.commit(Changes(increments={CELL: 1.0}))
    assert store.cells() == {CELL: 1.0}
    store.close()


def test_a_closed_connection_is_opened_again_in_the_parent(tmp_path: Path) -> None:
    """A fork costs the parent a reconnection and nothing else, in whichever thread."""
    store = SQLiteStore(tmp_path / "s.db")
    with store.transaction() as transaction:
        transaction.commit(Changes(increments={CELL: 1.0}))
    assert in_child(lambda: None) == 0
    assert store.cells() == {CELL: 1.0}
    store.close()


def _work(path: Path, index: int) -> None:
    make(path)._emit(message(index))  # and nothing else: the process ends at once


def test_processes_of_multiprocessing_commit_before_they_end(tmp_path: Path) -> None:
    """They end by `os._exit`, past `atexit`."""
    path = tmp_path / "s.db"
    kinds = (multiprocessing.get_context("fork").Process, multiprocessing.get_context("spawn").Process)
    for index, kind in enumerate(kinds):
        process = kind(target=_work, args=(path, index))
        process.start()
        process.join(60)
        assert process.exitcode == 0
    store = SQLiteStore(path)
    assert store.cells()[RECEIVED] == 2
    store.close()


def test_75_workers_of_a_pool_commit_before_they_hand_in_a_result(tmp_path: Path) -> None:
    """The pool kills them as soon as it has the last one."""
    path = tmp_path / "s.db"
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.starmap(_work, [(path, index) for index in range(4)], chunksize=1)
    store = SQLiteStore(path)
    assert store.cells()[RECEIVED] == 4
    store.close()


@contextmanager
def _handling(wa_id: str) -> Iterator[None]:
    with context.bound(context.Handling((context.ContactIds("1001", wa_id, ""),))):
        yield


def _handled(*_: object) -> str:
    return "".join(contact.wa_id for contact in context.handled())


def test_79_workers_of_a_process_pool_are_not_the_first_customers() -> None:
    """They are forked while the webhook of one customer is handled, and serve all others, too."""
    fork = multiprocessing.get_context("fork")
    with _handling("393331234567"), fork.Pool(1) as pool, ProcessPoolExecutor(1, fork) as executor:
        assert executor.submit(_handled).result(60) == ""
        with _handling("393331234568"):
            assert executor.submit(_handled).result(60) == ""
            assert pool.apply(_handled) == ""
        assert _handled() == "393331234567"


def test_79_a_process_that_a_webhook_starts_keeps_its_contact() -> None:
    """It works for this customer alone."""
    fork = multiprocessing.get_context("fork")
    answers = fork.SimpleQueue()
    with _handling("393331234567"):
        process = fork.Process(target=lambda: answers.put(_handled()))
        process.start()
    process.join(60)
    assert answers.get() == "393331234567"
