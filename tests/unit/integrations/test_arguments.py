"""Each integration refuses a wrong `vitals` with the same sentence, and each path shows an example of its kind."""

from __future__ import annotations

import functools
import types
from typing import TYPE_CHECKING, Any

import pytest
from asgiref.wsgi import WsgiToAsgi
from fastapi import APIRouter, FastAPI
from flask import Blueprint, Flask
from starlette.routing import Mount
from werkzeug.wrappers import Request, Response

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
    [
        (FastAPI, "not the class 'FastAPI': create"),
        ("bot:app", "not its name 'bot:app': import"),
        (types.ModuleType("bot"), "not the module 'bot'"),
        (Flask("bot").wsgi_app, "takes the 'Flask' itself, not its 'wsgi_app'"),
        (Blueprint("bot", "bot"), "not its part 'Blueprint': .* and the full path as webhook_path"),
        (APIRouter(), "not its part 'APIRouter'"),
        (Mount("/bot", FastAPI()), "not its part 'Mount'"),
        (
            WsgiToAsgi(Flask("bot")),  # type: ignore[no-untyped-call]  # asgiref has no types
            "not the adapter 'WsgiToAsgi' around it",
        ),
        (lambda request: request, r"not the function '<lambda>': call it first .* vitals.observe_webhook\(body"),
        (lambda event, _: event, "as in AWS Lambda: use vitals.lambda_handler"),
    ],
)
def test_what_stands_for_an_application_is_refused(door: type[DoorVitals], app: object, says: str) -> None:
    """Each sentence names the next step."""
    with pytest.raises(TypeError, match=says):
        _frameworks.instrument_app(door(), app)


def create_app() -> Flask:
    """Create a bot."""
    return Flask("bot")


async def view(request: object) -> object:
    """Handle a request, as in many frameworks and on Google Cloud Functions."""
    return request


class Resolver:
    """An application of AWS Lambda, as Chalice and Powertools have them."""

    def __call__(self, event: dict[str, Any], context: object) -> dict[str, Any]:
        """Handle an event."""
        return self.resolve(event, context)

    def resolve(self, event: dict[str, Any], context: object) -> dict[str, Any]:
        """Handle an event in another way."""
        return event


@pytest.mark.parametrize("middleware", [ChatVitalsMiddleware, ChatVitalsWSGIMiddleware])
@pytest.mark.parametrize(
    ("app", "says"),
    [
        (create_app, "takes an application, not the function 'create_app': call it first"),
        (view, "not the function 'view': .* call vitals.observe_webhook"),
        (FastAPI, "not the class 'FastAPI': call it first"),
        (lambda event, context: event, "use vitals.lambda_handler"),
        (Resolver(), "'Resolver' is called with an event and its context, as in AWS Lambda"),
        (Resolver().resolve, "'resolve' is called with an event"),
    ],
)
def test_59_what_no_server_could_call_is_refused(
    door: type[DoorVitals], middleware: Callable[..., object], app: object, says: str
) -> None:
    """Else it fails with the first request, or counts nothing without a word."""
    with pytest.raises(TypeError, match=says):
        middleware(app, door())


@pytest.mark.parametrize("app", [Flask("bot"), Flask("bot").wsgi_app, FastAPI(), lambda environ, start: []])
def test_a_web_application_is_no_lambda_function(door: type[DoorVitals], app: Any) -> None:
    """It needs an adapter, with or without chatvitals."""
    vitals: Any = door()
    with pytest.raises(TypeError, match=r"not the web application '.*': use vitals.instrument_app\(app\), and give"):
        aws_lambda.lambda_handler(vitals, app)


def test_an_application_counts_by_its_own_arguments(door: type[DoorVitals]) -> None:
    """A decorator may give it the name and the signature of the function below."""

    @Request.application
    def wsgi(request: Request) -> Response:
        return Response(request.path)

    @functools.wraps(lambda event, context: None)
    async def asgi(*_: Any) -> None:
        """Do nothing."""

    assert ChatVitalsWSGIMiddleware(wsgi, door()).app is wsgi
    assert ChatVitalsMiddleware(asgi, door()).app is asgi
