"""The stand-in for the API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.helpers.answering_api import Api
from tests.helpers.asgi_server import listening

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """The stand-in on loopback."""
    with listening(Api()) as api:
        yield api
