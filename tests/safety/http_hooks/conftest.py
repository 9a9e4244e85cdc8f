"""The stand-in for the API, and an observer that leaves nothing patched."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
import httpx2
import pytest
import requests

from chatvitals import http_hooks
from tests.helpers.asgi_server import serving
from tests.helpers.ear import Ear
from tests.helpers.hooked_api import Api

if TYPE_CHECKING:
    from collections.abc import Iterator

    Clock = Any  # the fake clock of conftest


@pytest.fixture(scope="module")
def listening() -> Iterator[Api]:
    """The stand-in on loopback, one for all tests: starting and stopping it takes longer than most of them."""
    api = Api()
    with serving(lifespan="off") as start:
        api.port = start(api)
        yield api


@pytest.fixture
def api(listening: Api) -> Iterator[Api]:
    """The stand-in, as if it were new."""
    listening.seen = []
    listening.reached = threading.Event()
    listening.go = threading.Event()
    yield listening
    listening.go.set()


@pytest.fixture
def ear(clock: Clock) -> Iterator[Ear]:
    """An observer, not yet installed. Whatever a test does, it leaves nothing patched."""
    hooked = [
        (owner, name, vars(owner)[name])
        for owner, name in (
            *((module.Client, "send") for module in (httpx, httpx2)),
            *((module.AsyncClient, "send") for module in (httpx, httpx2)),
            (requests.Session, "send"),
            (aiohttp.ClientSession, "_request"),
        )
    ]
    ear = Ear(clock)
    yield ear
    http_hooks.remove(ear)
    assert all(vars(owner)[name] is bare for owner, name, bare in hooked)
