"""`chatvitals store backup`, `restore` and `forget` (tests/safety/README.md 74)."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.cli import main, store_copies, store_forget
from chatvitals.cli import store as store_cli
from chatvitals.conversations import state
from chatvitals.events import Message, Poll
from chatvitals.settings import Settings
from chatvitals.stores.base import StoreUnavailableError
from chatvitals.stores.memory import MemoryStore
from chatvitals.stores.sqlite import SQLiteStore
from chatvitals.vitals import Vitals

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from chatvitals.stores.base import Changes, Store
    from chatvitals.testing import FakeClock

PHONE, OTHER, USER = "4915112345678", "4915112345679", "US.90000000000000000001"


def fill(store: Store, clock: FakeClock) -> Vitals:
    """Let two people write, one of them known by two ids."""
    settings = Settings.load({"hooks": False, "settle_after": 0.0}, {})
    vitals = Vitals(settings, store=store, clock=clock, background=False)
    for number in ("990001", "990002"):
        for phone, user in ((PHONE, USER), (OTHER, "")):
            sent = Message(phone_number_id=number, wa_id=phone, user_id=user, received=clock.now, id=phone, type="text")
            vitals._emit(sent)
    vitals.settle()
    return vitals


def everything(store: Store) -> list[Any]:
    pieces = list(store.dump())
    found: list[dict[Any, Any]] = [{}, {}, {}, {}, {}]
    for piece in pieces:
        parts: tuple[dict[Any, Any], ...] = (
            piece.states,
            piece.links,
            piece.open_since,
            piece.increments,
            piece.documents,
        )
        for whole, part in zip(found, parts, strict=True):
            whole.update(part)
    found[4].pop(store_copies.RESTORING, None)
    found[3] = {cell: value for cell, value in found[3].items() if cell[0] != "chatvitals_store_commit_seconds"}
    return found


@pytest.mark.parametrize("known_as", [PHONE, f"+{PHONE}", "+49 151 12345678", USER])
def test_74_one_person_is_forgotten_on_all_numbers_by_any_id(store: Store, clock: FakeClock, known_as: str) -> None:
    """States, other ids and open turns go. Everybody else stays, and the numbers still add up."""
    fill(store, clock)
    assert store_forget.forget(store, Settings.load({}, {}), known_as, [], clock.now) == 2
    states, links, open_since, cells, _ = everything(store)
    assert len(states) == 2
    assert links == {}
    assert len(open_since) == 2
    open_now = sum(value for (name, _, _), value in cells.items() if name == "chatvitals_turns_open")
    assert open_now == 2.0
    assert store_forget.forget(store, Settings.load({}, {}), known_as, [], clock.now) == 0


def test_74_whoever_was_forgotten_begins_anew(store: Store, clock: FakeClock) -> None:
    """A later message makes a new contact and no error."""
    vitals = fill(store, clock)
    store_forget.forget(store, Settings.load({}, {}), PHONE, ["990001"], clock.now)
    clock.advance(5.0)
    vitals._emit(Message(phone_number_id="990001", wa_id=PHONE, received=clock.now, id="new", type="text"))
    vitals.settle()
    states = everything(store)[0]
    assert len(states) == 4
    assert all(state.decode(row) for row, _ in states.values())


def test_74_an_identity_key_outside_the_store_is_needed_to_forget(clock: FakeClock) -> None:
    """Without the key a hash leads to no contact, and the command says so."""
    with pytest.raises(ValueError, match="CHATVITALS_IDENTITY_KEY"):
        store_forget.forget(MemoryStore(), Settings.load({}, {}), PHONE, [], clock.now)


def test_the_command_forgets(tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """It prints how many contacts there were."""
    path = tmp_path / "store.db"
    fill(SQLiteStore(path), clock).close()
    assert main.main(["store", "forget", f"sqlite:///{path}", "--contact", PHONE]) == 0
    assert capsys.readouterr().out.split() == ["contacts", "removed:", "2"]


def test_a_backup_holds_everything(store: Store, clock: FakeClock, tmp_path: Path) -> None:
    """Of any kind of store, as a file that can be used as a store."""
    fill(store, clock)
    store_copies.backup(store, tmp_path / "copy.db")
    copy = SQLiteStore(tmp_path / "copy.db")
    assert everything(copy) == everything(store)
    copy.close()
    assert [path.name for path in tmp_path.glob("*copy*")] == ["copy.db"]


def test_a_restored_store_is_as_it_was(store: Store, clock: FakeClock) -> None:
    """Of any kind, from any kind."""
    source = MemoryStore()
    fill(source, clock)
    assert store_copies.restore(source, store) == 4
    assert everything(store) == everything(source)


def test_a_restore_that_was_killed_can_be_made_again(store: Store, clock: FakeClock) -> None:
    """Amounts are added once, in the commit that ends it."""
    source = MemoryStore()
    fill(source, clock)

    class Interrupted(MemoryStore):
        def dump(self) -> Iterator[Changes]:
            yield from source.dump()
            raise StoreUnavailableError("killed")

    with pytest.raises(StoreUnavailableError):
        store_copies.restore(Interrupted(), store)
    assert store_copies.restore(source, store) == 4
    assert everything(store) == everything(source)
    with pytest.raises(ValueError, match="not empty"):
        store_copies.restore(source, store)


def test_the_commands_copy_there_and_back(tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]) -> None:
    """A second backup to the same file is refused with a sentence."""
    path, copy, new = (tmp_path / name for name in ("store.db", "copy.db", "new.db"))
    fill(SQLiteStore(path), clock).close()
    assert main.main(["store", "backup", f"sqlite:///{path}", str(copy)]) == 0
    assert main.main(["store", "backup", f"sqlite:///{path}", str(copy)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert main.main(["store", "restore", str(copy), f"sqlite:///{new}"]) == 0
    assert everything(SQLiteStore(new)) == everything(SQLiteStore(path))
    assert main.main(["store", "restore", str(tmp_path / "none.db"), f"sqlite:///{new}"]) == 2


def test_a_copy_keeps_silent_contacts_apart(clock: FakeClock, tmp_path: Path) -> None:
    """A store that does not know them would otherwise fill the small table of open contacts."""
    source = MemoryStore()
    vitals = fill(source, clock)
    clock.now += 2 * state.DAY
    vitals.settle()
    for name, copy in (("migrated", store_cli.migrate), ("restored", store_copies.restore)):
        target = SQLiteStore(tmp_path / f"{name}.db")
        copy(source, target)
        tables = ("open_contacts", "silent_contacts WHERE typeof(row) = 'blob'")
        found = [target._connection().execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
        assert found == [0, 4], name
        target.close()


def test_a_number_to_forget_on_may_be_a_phone_number(
    tmp_path: Path, clock: FakeClock, capsys: pytest.CaptureFixture[str]
) -> None:
    """People know the phone number. A number that is not there is an error, because nothing would be erased."""
    path = tmp_path / "store.db"
    vitals = fill(SQLiteStore(path), clock)
    row: dict[str, object] = {"id": "990001", "display_phone_number": "+1 555-999-0000"}
    vitals.record_poll(Poll(waba_id="990001112223334", numbers=[row]))
    vitals.settle()
    vitals.close()
    forget = ["store", "forget", f"sqlite:///{path}", "--contact", PHONE, "--phone-number-id"]
    assert main.main([*forget, "1 555 999 0001"]) == 2
    said = capsys.readouterr().err
    assert "there is no number 1 555 999 0001. There are: +1 555 999-0000 (990001), 990002" in said
    assert main.main([*forget, "(555) 999-0000"]) == 0
    assert main.main([*forget, "990002"]) == 0
    assert capsys.readouterr().out.split() == ["contacts", "removed:", "1"] * 2


def test_a_source_that_is_refused_leaves_no_file(tmp_path: Path) -> None:
    """Neither a part of a copy, nor an empty store in which somebody would look for the data."""
    foreign = tmp_path / "other.db"
    with closing(sqlite3.connect(foreign)) as connection:
        connection.execute("CREATE TABLE users (name)")
    assert main.main(["store", "backup", f"sqlite:///{foreign}", str(tmp_path / "copy.db")]) == 2
    assert main.main(["store", "restore", str(foreign), f"sqlite:///{tmp_path}/new.db"]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["other.db"]
