"""Reading of a store, for analyses that need no history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chatvitals.analysis.errors import SourceUnavailableError, TooLittleDataError, WrongNameError
from chatvitals.exporters.prometheus import VitalsCollector
from chatvitals.exporters.scrape import Sample
from chatvitals.metrics import catalogue
from chatvitals.quality import state as quality_state
from chatvitals.quality.gauges import gauges
from chatvitals.runtime.error_guard import ErrorGuard
from chatvitals.settings import Settings, SettingsError
from chatvitals.stores import kind_of, open_store
from chatvitals.stores.base import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from chatvitals.stores.base import Store


def store_samples(url: str | None, environ: Mapping[str, str] | None = None) -> list[Sample]:
    """Return the samples of a store, without a change to it.

    Args:
        url: the store's URL. None takes the setting `store`.
        environ: environment variables with other settings. The default is those of the process.

    Raises:
        SourceUnavailableError: the store cannot be read.
        TooLittleDataError: the store lives in memory and ends with its process.
        WrongNameError: the URL is not allowed.

    """
    try:
        settings = Settings.load({"hooks": False} if url is None else {"hooks": False, "store": url}, environ)
    except SettingsError as error:
        raise WrongNameError(str(error)) from None
    if kind_of(settings.store).shared_by == "process":
        raise TooLittleDataError("A store in memory ends with its process. Give --prometheus, or the bot's --store.")
    opened = open_store(settings.store, create=False)
    try:
        opened.cells()  # raises with the reason where the store cannot be read; the collector would only show less
        collector = VitalsCollector(settings, opened, None, ErrorGuard(), {})
        return [
            Sample(sample.name, dict(sample.labels), sample.value)
            for family in collector.collect()
            for sample in family.samples
        ]
    except StoreUnavailableError as error:
        hint = "" if url else ". Give --prometheus, or the bot's --store"
        raise SourceUnavailableError(f"{error}{hint}.") from None
    finally:
        opened.close()


def number_names(store: Store) -> list[Sample]:
    """Return a sample with the phone number and the name of each business number that a store knows by name.

    Raises:
        StoreUnavailableError: the store cannot be read.

    """
    known = quality_state.decode(store.document(quality_state.DOCUMENT))
    return [
        Sample(family.name, dict(zip(family.labels, values, strict=True)), value)
        for family, values, value in gauges(known, 0.0)
        if family is catalogue.NUMBER_INFO
    ]
