"""Exceptions with which a bot refuses a webhook, and those that say nothing about it."""

from __future__ import annotations

import urllib.error
from email.message import Message

import aiohttp.web
import django.core.exceptions
import django.http
import fastapi
import httpx
import pytest
import requests
import sanic.exceptions
import werkzeug.exceptions
from tornado.httpclient import HTTPClientError
from tornado.web import HTTPError

from chatvitals.tracking import refusals

pytestmark = pytest.mark.fast


class ForgedError(fastapi.HTTPException):
    """A bot's own exception."""


@pytest.mark.parametrize(
    "error",
    [
        werkzeug.exceptions.Forbidden(),
        werkzeug.exceptions.HTTPException(response=werkzeug.Response(status=401)),
        fastapi.HTTPException(404),
        aiohttp.web.HTTPForbidden(),
        HTTPError(405),
        sanic.exceptions.Unauthorized("no"),
        django.http.Http404(),
        django.core.exceptions.PermissionDenied(),
        ForgedError(401),
    ],
)
def test_what_a_framework_answers_with_a_refusal_is_one(error: Exception) -> None:
    """As its server does."""
    assert refusals.is_one(error)


@pytest.mark.parametrize(
    "error",
    [
        werkzeug.exceptions.InternalServerError(),
        werkzeug.exceptions.HTTPException(response=werkzeug.Response(status=200)),
        fastapi.HTTPException(422),
        aiohttp.web.HTTPOk(),
        LookupError(),
        KeyboardInterrupt(),
    ],
)
def test_other_answers_are_none(error: BaseException) -> None:
    """A server answers them with another status."""
    assert not refusals.is_one(error)


def test_the_refusal_of_a_send_is_none() -> None:
    """An expired token of the bot says nothing about the webhook."""
    refused = requests.Response()
    refused.status_code = 401
    request = httpx.Request("POST", "https://graph.facebook.com")
    for error in (
        requests.HTTPError(response=refused),
        httpx.HTTPStatusError("", request=request, response=httpx.Response(401)),
        urllib.error.HTTPError("https://graph.facebook.com", 403, "", Message(), None),
        HTTPClientError(401),
    ):
        assert not refusals.is_one(error)
