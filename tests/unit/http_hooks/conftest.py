"""A client without a network, an observer, and a check that no hook stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from chatvitals import http_hooks
from tests.helpers.ear import Ear
from tests.helpers.hooked_client import HOOKED, accept

if TYPE_CHECKING:
    from collections.abc import Iterator

    Clock = Any  # the fake clock of conftest


@pytest.fixture(autouse=True)
def nothing_stays() -> Iterator[None]:
    """Fail a test that leaves a hook behind."""
    before = [vars(owner)[name] for owner, name in HOOKED]
    yield
    assert [vars(owner)[name] for owner, name in HOOKED] == before


@pytest.fixture
def ear(clock: Clock) -> Iterator[Ear]:
    """An observer that is removed at the end."""
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    """A client whose requests are all accepted, without a network."""
    with httpx.Client(transport=httpx.MockTransport(accept)) as client:
        yield client
