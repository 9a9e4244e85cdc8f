"""Where the numbers of an analysis are: a store, for what needs no history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.analysis.errors import SourceUnavailableError, TooLittleDataError, WrongNameError
from chatvitals.exporters import scrape
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import open_store
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from chatvitals.exporters.scrape import Sample


def store_samples(url: str | None) -> list[Sample]:
    """Return what a store holds now, without changing it.

    Args:
        url: the store's URL; None takes the setting `store`.

    Raises:
        SourceUnavailableError: the store cannot be read.
        TooLittleDataError: it holds nothing, or ends with its process.
        WrongNameError: the URL is not allowed.

    """
    try:
        found = Settings.load({} if url is None else {"store": url}).store
    except SettingsError as error:
        raise WrongNameError(str(error)) from None
    if found == "memory:":
        raise TooLittleDataError("A store in memory ends with its process. Give --prometheus, or the bot's --store.")
    try:
        if found.startswith("sqlite:"):
            return scrape.from_store(found)
        store = open_store(found, create=False)
        try:
            return scrape.from_cells(store.cells())
        finally:
            store.close()
    except (scrape.SourceError, StoreUnavailableError) as error:
        raise SourceUnavailableError(str(error)) from None
