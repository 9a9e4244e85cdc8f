"""Each integration refuses a wrong `vitals` with the same sentence, and each path shows an example of its kind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fastapi import FastAPI

from chatvitals import ChatVitalsMiddleware, ChatVitalsWSGIMiddleware
from chatvitals.integrations import _frameworks, aiohttp, asgi, aws_lambda, celery, dramatiq, rq

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import DoorVitals

INTEGRATIONS: dict[str, Callable[[Any], object]] = {
    "ASGI": lambda vitals: ChatVitalsMiddleware(FastAPI(), vitals),
    "WSGI": lambda vitals: ChatVitalsWSGIMiddleware(lambda environ, start: [], vitals),
    "an application": lambda vitals: _frameworks.instrument_app(vitals, FastAPI()),
    "Starlette": lambda vitals: asgi.instrument_app(vitals, FastAPI()),
    "aiohttp": aiohttp.middleware,
    "AWS Lambda": lambda vitals: aws_lambda.lambda_handler(vitals, lambda event, _: event),
    "Celery": celery.instrument,
    "RQ": rq.instrument,
    "Dramatiq": dramatiq.instrument,
}


@pytest.mark.parametrize("name", INTEGRATIONS)
def test_what_is_no_vitals_is_refused(name: str) -> None:
    """Such as the result of a start-up function that returns nothing."""
    with pytest.raises(TypeError, match=r"vitals must be the result of chatvitals.init\(\), not 'NoneType'"):
        INTEGRATIONS[name](None)


def test_the_example_is_of_the_path_s_kind(door: type[DoorVitals]) -> None:
    """A webhook's path would be no help for the metrics."""
    with pytest.raises(ValueError, match=r"metrics_path must be .* such as '/metrics', not 'metrics'"):
        _frameworks.instrument_app(door(), FastAPI(), metrics_path="metrics")


@pytest.mark.parametrize(
    ("app", "says"),
    [(FastAPI, "not the class 'FastAPI': create"), ("bot:app", "not its name 'bot:app': import")],
)
def test_what_stands_for_an_application_is_refused(door: type[DoorVitals], app: object, says: str) -> None:
    with pytest.raises(TypeError, match=says):
        _frameworks.instrument_app(door(), app)
