"""A client without a network, and a check that no hook stays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from tests.helpers.hooked_client import accept, leaving_no_hook

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Fail a test that leaves a hook behind."""
    with leaving_no_hook():
        yield


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client whose requests are all accepted, without a network."""
    with httpx.Client(transport=httpx.MockTransport(accept)) as client:
        yield client
