"""The stand-in for the API, and a check that no hook stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers import asgi_server
from tests.helpers.hooked_api import Api
from tests.helpers.hooked_client import leaving_no_hook

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Fail a test that leaves a hook behind."""
    with leaving_no_hook():
        yield


@pytest.fixture(scope="module")
def listening() -> Iterator[Api]:
    """The stand-in on loopback, one for all tests: starting and stopping it takes longer than most of them."""
    with asgi_server.listening(Api()) as api:
        yield api


@pytest.fixture
def api(listening: Api) -> Iterator[Api]:
    """The stand-in, as if it were new."""
    listening.renew()
    yield listening
    listening.go.set()
