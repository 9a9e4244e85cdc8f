"""Can the store be reached and written to, and do all workers of the bot share it."""

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
    """What is found about a store, and its samples where they can be read from here."""

    findings: list[Finding]
    samples: list[Sample] | None = None


def store(setup: Setup) -> StoreReport:
    """Look at the store without changing what it holds."""
    url = setup.store
    kind = kind_of(url)
    if kind.shared_by == "process":
        found = "memory: is each process's own and ends with it: several workers share nothing"
        return StoreReport(
            [attention(_CHECK, found, "set CHATVITALS_STORE to a file, sqlite:////PATH, or to redis://…")]
        )
    if kind.shared_by == "hosts":
        return _redis(url)
    path = Path(file_of(url))
    if not setup.store_is_named and not path.is_file():
        return StoreReport([skipped(_CHECK, "no store is named", "--store (CHATVITALS_STORE) enables this")])
    return _sqlite(url, path)


def _sqlite(url: str, path: Path) -> StoreReport:
    try:
        told = scrape.from_store(url)  # first, since it opens nothing that is no store of ours
        with closing(open_store(url, create=False)) as opened:
            size = opened.about().size
            with opened.transaction():  # takes the lock of writers, and leaves everything as it is
                pass
    except (scrape.SourceError, StoreUnavailableError) as error:
        do_next = "give the store that the bot uses, as its own user; the bot creates it when it starts"
        return StoreReport([attention(_CHECK, str(error), do_next, subject=path.name)])
    kind = _file_system(path, _mounts())
    if kind in _NETWORK:
        found = f"it lies on a network disk ({kind}), where SQLite's locks do not hold: numbers get lost"
        return StoreReport([attention(_CHECK, found, _ANOTHER, subject=path.name)], told)
    found = f"can be read and written ({size / 1024:,.0f} KiB); shared by all workers of this host, and no other"
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
        found = f"its maxmemory-policy is {facts.policy}: once memory is full it throws away parts of the store"
        do_next = "redis-cli config set maxmemory-policy noeviction, and in its configuration file as well"
        first = attention(_CHECK, found, do_next, subject=subject)
    elif facts.role == "slave":
        found = "it is a replica and takes no writes"
        first = attention(_CHECK, found, "name the master, or a redis+sentinel:// address", subject=subject)
    elif not facts.policy:
        found = "answers, but tells nothing of its settings; see that its maxmemory-policy is noeviction"
        first = ok(_CHECK, found, subject=subject)
    else:
        first = ok(_CHECK, "answers, with noeviction; shared by all workers that reach it", subject=subject)
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
    """Return what is mounted where, which Linux alone tells."""
    try:
        return _MOUNTS.read_text(errors="replace")
    except OSError:
        return ""


def _file_system(path: Path, mounts: str) -> str:
    """Return the type of the file system that a file lies on, or the empty string."""
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
