"""Mistakes in the choice of a store, which are refused at the start: no later attempt could succeed."""

from __future__ import annotations

import errno
import os
import tempfile
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Final

from chatvitals.stores.base import StoreMistakeError, StoreUnavailableError
from chatvitals.stores.kinds import file_of, kind_of
from chatvitals.stores.timeouts import LookupDeadline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from chatvitals.stores.base import Store

_PERMANENT: Final = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EACCES,
        errno.EPERM,
        errno.EROFS,
        errno.EISDIR,
        errno.ENAMETOOLONG,
        errno.EINVAL,
    }
)
_PROBE: Final = "chatvitals"
_PATIENCE: Final = 0.5  # seconds; a mistake that takes longer to find is logged later


def refuse_mistakes(url: str, check: Callable[[Store], object] | None = None) -> None:
    """Check a store where the bot starts. A store that is only away for now passes.

    It reads an existing store, and writes nothing. A store on another host is waited for half a second at most.

    Args:
        url: the checked setting `store`.
        check: a further check of an existing store. It raises what this function raises.

    Raises:
        StoreMistakeError: a folder or file that cannot be used, a foreign database, a missing library, a refused login
            or certificate, data of a newer version.

    """
    kind = kind_of(url)
    if kind.shared_by == "process":
        return
    if kind.name == "file":
        from pathlib import Path  # noqa: PLC0415 - other stores have no path

        path = Path(file_of(url))
        if not _is_there(path):
            return
    store = kind.open(url, False)
    look_up = partial(_look_up, store, check)
    try:
        if store.remote:
            LookupDeadline(_PATIENCE).run(look_up)
        else:
            look_up()
    except StoreMistakeError:
        raise
    except StoreUnavailableError:  # it may be there in a minute
        return


def _look_up(store: Store, check: Callable[[Store], object] | None) -> None:
    with closing(store):
        store.document(_PROBE)
        if check is not None:
            check(store)


def _is_there(path: Path) -> bool:
    """Return whether the file exists. Check the right to write it, or try to create any file in its folder.

    An existing file is not opened. To close it would release the locks that this process holds on it, with which
    SQLite protects the connections of another `Vitals`.
    """
    try:
        return _was_found_usable(path)
    except OSError as error:
        if error.errno in _PERMANENT:
            raise StoreMistakeError(_advice(path, error.errno)) from None
        return os.path.lexists(path)


def _was_found_usable(path: Path) -> bool:
    if not path.exists():
        tempfile.TemporaryFile(dir=path.parent).close()
        return False
    if path.is_dir():
        raise OSError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not path.is_file():
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    if not os.access(path, os.R_OK | os.W_OK):
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))
    return True


def _advice(path: Path, number: int) -> str:
    if number == errno.ENAMETOOLONG:
        return "the name of the store file is too long: set `store` to a shorter one"
    if number == errno.EINVAL:
        return f"{path} is a device or a socket: set `store` to a file"
    if number == errno.EISDIR:
        return f"{path} is a folder: set `store` to a file in it, such as sqlite:///{path}/chatvitals.db"
    try:
        return _advice_on_folder(path, path.absolute().parent, number)
    except PermissionError:  # a folder above may not be searched
        return f"the store file {path} cannot be reached ({os.strerror(number)}): give the bot's user that right"


def _advice_on_folder(path: Path, folder: Path, number: int) -> str:
    if not folder.exists():
        return f"the folder {folder} of the store file does not exist: create it, or set `store` to another file"
    if not folder.is_dir():
        return f"{folder} is not a folder: set `store` to a file in a folder"
    what = f"the store file {path}" if path.exists() else f"the folder {folder} of the store file"
    return f"{what} cannot be written to ({os.strerror(number)}): give the bot's user that right"
