"""The stand-in for the API, and an observer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chatvitals import http_hooks
from tests.helpers.answering_api import Api
from tests.helpers.asgi_server import serving
from tests.helpers.ear import Ear

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """The stand-in on loopback."""
    api = Api()
    with serving(lifespan="off") as start:
        api.port = start(api)
        yield api


@pytest.fixture
def ear(clock: Any) -> Iterator[Ear]:
    """An observer, not yet installed."""
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)
