"""Checks that the store is readable and writable, and that all workers of the bot share it."""

from __future__ import annotations

import re
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from chatvitals.doctor.finding import attention, ok, skipped
from chatvitals.exporters import scrape
from chatvitals.stores import kind_of, open_store
from chatvitals.stores.base import LEASE_TOLERANCE, StoreUnavailableError
from chatvitals.stores.kinds import file_of

if TYPE_CHECKING:
    from chatvitals.doctor.config import Setup
    from chatvitals.doctor.finding import Finding
    from chatvitals.exporters.scrape import Sample

_CHECK, _CLOCK = "store", "clock"
_ANOTHER = "use a file on a local disk, or redis:// where several hosts share the store"
_NETWORK = frozenset(
    "nfs nfs4 cifs smb3 smbfs 9p ceph glusterfs lustre afs fuse.sshfs fuse.glusterfs fuse.s3fs".split()
)
_MOUNTS = Path("/proc/self/mounts")


class StoreReport(NamedTuple):
    """The findings about a store, and its samples if they can be read here."""

    findings: list[Finding]
    samples: list[Sample] | None = None


def store(setup: Setup) -> StoreReport:
    """Check the store without changing its content."""
    url = setup.store
    kind = kind_of(url)
    if kind.shared_by == "process":
        found = "a memory: store belongs to one process and ends with it, so several workers share nothing"
        return StoreReport(
            [attention(_CHECK, found, "set CHATVITALS_STORE to a file, sqlite:////PATH, or to redis://…")]
        )
    if kind.shared_by == "hosts":
        return _redis(url)
    path = Path(file_of(url))
    if not setup.store_is_named and not path.is_file():
        return StoreReport([skipped(_CHECK, "no store is given", "--store (CHATVITALS_STORE) enables this")])
    return _sqlite(url, path)


def _sqlite(url: str, path: Path) -> StoreReport:
    try:
        told = scrape.from_store(url)  # first, because it opens only stores of chatvitals
        with closing(open_store(url, create=False)) as opened:
            size = opened.about().size
            with opened.transaction():  # takes the writers' lock and changes nothing
                pass
    except (scrape.SourceError, StoreUnavailableError) as error:
        do_next = "give the bot's store and run as the bot's user. The bot creates the store when it starts"
        return StoreReport([attention(_CHECK, str(error), do_next, subject=path.name)])
    kind = _file_system(path, _mounts())
    if kind in _NETWORK:
        found = f"it is on a network disk ({kind}), where SQLite's locks do not work, so numbers get lost"
        return StoreReport([attention(_CHECK, found, _ANOTHER, subject=path.name)], told)
    found = f"is readable and writable ({size / 1024:,.0f} KiB), and shared by all workers of this host only"
    return StoreReport([ok(_CHECK, found, subject=path.name)], told)


def _redis(url: str) -> StoreReport:
    try:
        from chatvitals.stores.redis_connection import look  # noqa: PLC0415 - as above

        facts = look(url)
        with closing(open_store(url, create=False)) as opened:
            told = scrape.from_cells(opened.cells())
    except ImportError:
        found = "a Redis store needs redis-py, which is not installed"
        return StoreReport([attention(_CHECK, found, "pip install 'chatvitals[redis]'")])
    except StoreUnavailableError as error:
        return StoreReport(
            [attention(_CHECK, str(error), "set CHATVITALS_STORE to the store of the bot, once it runs")]
        )
    subject = f"Redis at {facts.shown}"
    if facts.policy not in {"", "noeviction"}:
        found = f"its maxmemory-policy is {facts.policy}, which deletes parts of the store once memory is full"
        do_next = "redis-cli config set maxmemory-policy noeviction, and in its configuration file as well"
        first = attention(_CHECK, found, do_next, subject=subject)
    elif facts.role == "slave":
        found = "it is a replica and accepts no writes"
        first = attention(_CHECK, found, "use the address of the master, or redis+sentinel://", subject=subject)
    elif not facts.policy:
        found = "it answers, but does not show its settings. Make sure that its maxmemory-policy is noeviction"
        first = ok(_CHECK, found, subject=subject)
    else:
        first = ok(
            _CHECK, "it answers, and its maxmemory-policy is noeviction. All its workers share it", subject=subject
        )
    findings = [first]
    if facts.skew is not None:
        findings.append(_clock(facts.skew, subject))
    return StoreReport(findings, told)


def _clock(skew: float, subject: str) -> Finding:
    if abs(skew) <= LEASE_TOLERANCE:
        return ok(_CLOCK, f"agrees within {LEASE_TOLERANCE:g} s", subject=subject)
    found = f"this machine is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
    return attention(_CLOCK, found, "let NTP set the clocks of both machines", subject=subject)


def _mounts() -> str:
    """Return the list of mounts, which only Linux provides."""
    try:
        return _MOUNTS.read_text(errors="replace")
    except OSError:
        return ""


def _file_system(path: Path, mounts: str) -> str:
    """Return the type of a file's file system, or the empty string."""
    parents = {str(parent) for parent in path.absolute().parents}
    found, longest = "", 0
    for line in mounts.splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        where = re.sub(r"\\(\d{3})", lambda match: chr(int(match[1], 8)), words[1])  # spaces are written \040
        if where in parents and len(where) >= longest:
            found, longest = words[2], len(where)
    return found
