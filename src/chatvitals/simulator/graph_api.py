"""The Graph edges of the stand-in: numbers, templates, accounts, subscriptions (whatsapp/README.md 6)."""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from chatvitals.simulator import payloads
from chatvitals.simulator.people import BusinessNumber
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from starlette.requests import Request

    from chatvitals.simulator.payloads import Json

APP_ID = "990007778889990"
TEMPLATE_NAME = "order_update"


class Fault(NamedTuple):
    """An answer that replaces the regular answer."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: tuple[tuple[str, str], ...] = ()

    @classmethod
    def refusal(cls, status: int, code: int, text: str, **headers: str) -> Fault:
        """Return an error in the form of the API."""
        names = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        return cls(status, json.dumps(payloads.error(code, text, trace="A0")), headers=names)


RATE_LIMITED = Fault.refusal(400, 80_007, "There have been too many calls to this WhatsApp Business account.")
EXPIRED = Fault.refusal(401, 190, "Error validating access token: Session has expired.")
HTML = Fault(200, "<html><title>Sorry</title>Something went wrong</html>", "text/html")


def number_row(number: BusinessNumber, rating: str = "GREEN") -> Json:
    """Return a row of the edge `phone_numbers`, with all fields that the stand-in knows."""
    digits = number.display
    return {
        "id": number.phone_number_id,
        "display_phone_number": f"+{digits[0]} {digits[1:4]}-{digits[4:7]}-{digits[7:]}",
        "verified_name": "Example Shop",
        "quality_rating": rating,
        "status": "CONNECTED",
        "name_status": "APPROVED",
        "code_verification_status": "VERIFIED",
        "platform_type": "CLOUD_API",
        "throughput": {"level": "STANDARD"},
        "account_mode": "LIVE",
        "messaging_limit_tier": "TIER_2K",
        "whatsapp_business_manager_messaging_limit": "TIER_2K",
        "health_status": health(number.waba_id, number.phone_number_id),
        "webhook_configuration": {"application": "https://bot.example/webhook"},
    }


def template_row(name: str = TEMPLATE_NAME, score: str = "GREEN", status: str = "APPROVED") -> Json:
    """Return a row of the edge `message_templates`."""
    return {
        "id": str(9_000_000_000_000 + sum(name.encode())),
        "name": name,
        "language": "en_US",
        "status": status,
        "category": "UTILITY",
        "quality_score": {"score": score, "date": 1_795_392_000},
    }


def health(waba: str, number: str | None = None, can_send: str = "AVAILABLE") -> Json:
    """Return the `health_status` of the account, with the number where one is given."""
    entities = [{"entity_type": "WABA", "id": waba, "can_send_message": can_send}]
    if number is not None:
        entities.insert(0, {"entity_type": "PHONE_NUMBER", "id": number, "can_send_message": "AVAILABLE"})
    return {"can_send_message": can_send, "entities": entities}


@dataclass
class GraphEdges:
    """The answers of the edges. Every attribute may be changed while it runs."""

    access_token: str
    waba_id: str = BusinessNumber().waba_id
    app_id: str = APP_ID
    app_secret: str = field(default="a-made-up-app-secret", repr=False)
    numbers: list[Json] = field(default_factory=lambda: [number_row(BusinessNumber())])
    templates: list[Json] = field(default_factory=lambda: [template_row()])
    health: str = "AVAILABLE"
    page_size: int = 100
    """Most rows of a page, whatever limit the request has."""
    subscribed: bool = True
    refuses_subscribing: bool = False
    """Whether the token may read subscriptions but not create them."""
    succeeds: bool = True
    """Whether a subscription request succeeds."""
    subscribed_as: str = ""
    """The subscribed app. The default is `app_id`."""
    override: str = ""
    callback: str = "https://bot.example/webhook"
    active: bool = True
    """Whether webhooks are sent to the callback."""
    fields: list[str] = field(default_factory=lambda: list(enums.WANTED_FIELDS))
    token: Json = field(
        default_factory=lambda: {
            "is_valid": True,
            "app_id": APP_ID,
            "type": "SYSTEM_USER",
            "expires_at": 0,
            "scopes": ["whatsapp_business_management", "whatsapp_business_messaging"],
        }
    )
    usage: Json | None = None
    """One object of X-Business-Use-Case-Usage, such as `{"call_count": 95}`."""
    delay: float = 0.0
    """Seconds before each answer."""
    faults: deque[Fault] = field(default_factory=deque)
    """Answers for the next requests, each used once."""
    always: Fault | None = None
    """Answer for all requests."""
    refusals: dict[str, Fault] = field(default_factory=dict)
    """Answers for all requests to an edge, by the last part of its path, such as `debug_token`."""
    clock: float | None = None
    """Seconds by which the answers' header `Date` is ahead. None leaves the header to the server."""
    forgets_cursors: int = 0
    """How many of the next cursors are rejected as unknown."""
    calls: list[str] = field(default_factory=list)
    """Method and path of each request, without the version."""

    def routes(self) -> list[Route]:
        """Return the routes of these edges."""
        edges: dict[str, Callable[[Request], Response]] = {
            "/debug_token": self._debug_token,
            f"/{self.app_id}/subscriptions": self._subscriptions,
            f"/{self.waba_id}/phone_numbers": self._phone_numbers,
            f"/{self.waba_id}/message_templates": self._message_templates,
            f"/{self.waba_id}": self._account,
        }
        found = [
            Route("/{version}" + path, self._edge(path, answer), methods=["GET"]) for path, answer in edges.items()
        ]
        path = f"/{self.waba_id}/subscribed_apps"
        found.append(Route("/{version}" + path, self._edge(path, self._subscribed_apps), methods=["GET", "POST"]))
        return found

    def _edge(self, path: str, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def edge(request: Request) -> Response:
            self.calls.append(f"{request.method} {path}")
            if self.delay:
                await asyncio.sleep(self.delay)
            response = self._answer(request, path, answer)
            if self.clock is not None:
                response.headers["Date"] = formatdate(time.time() + self.clock, usegmt=True)
            return response

        return edge

    def _answer(self, request: Request, path: str, answer: Callable[[Request], Response]) -> Response:
        fault = self.faults.popleft() if self.faults else self.always or self.refusals.get(path.rpartition("/")[2])
        if fault is not None:
            return Response(fault.body, fault.status, dict(fault.headers), fault.content_type)
        if request.headers.get("authorization") not in self._bearers(path):
            return refusal(401, 190, "Invalid OAuth access token.")
        response = answer(request)
        if self.usage is not None:
            response.headers["X-Business-Use-Case-Usage"] = json.dumps({self.waba_id: [self.usage]})
        return response

    def _bearers(self, path: str) -> set[str]:
        of_app = f"Bearer {self.app_id}|{self.app_secret}"
        of_user = f"Bearer {self.access_token}"
        if path.endswith("/subscriptions"):
            return {of_app}
        return {of_app, of_user} if path == "/debug_token" else {of_user}

    def _phone_numbers(self, request: Request) -> Response:
        return self._page(request, self.numbers, default="id verified_name display_phone_number quality_rating".split())

    def _message_templates(self, request: Request) -> Response:
        return self._page(request, self.templates, default="id name language status category".split())

    def _account(self, request: Request) -> Response:
        node = {
            "id": self.waba_id,
            "name": "Example Shop",
            "whatsapp_business_manager_messaging_limit": "TIER_2K",
            "health_status": health(self.waba_id, can_send=self.health),
        }
        wanted = _wanted(request, ["id", "name"])
        unknown = _unknown(wanted, [node])
        return refusal(400, 100, f"Tried accessing nonexisting field ({unknown})") if unknown else _only(node, wanted)

    def _subscribed_apps(self, request: Request) -> Response:
        if request.method == "POST":
            if self.refuses_subscribing:
                return refusal(403, 200, "Permissions error")
            self.subscribed = self.subscribed or self.succeeds
            return JSONResponse({"success": self.succeeds})
        app: Json = {
            "whatsapp_business_api_data": {
                "id": self.subscribed_as or self.app_id,
                "link": "https://bot.example",
                "name": "Bot",
            }
        }
        if self.override:
            app["override_callback_uri"] = self.override
        return JSONResponse({"data": [app] if self.subscribed else []})

    def _subscriptions(self, _: Request) -> Response:
        fields = [{"name": name, "version": "v26.0"} for name in self.fields]
        about = {"callback_url": self.callback, "active": self.active}
        row = {"object": "whatsapp_business_account", **about, "fields": fields}
        return JSONResponse({"data": [row]})

    def _debug_token(self, request: Request) -> Response:
        if request.query_params.get("input_token") != self.access_token:
            error = {"code": 190, "message": "Invalid OAuth access token - Cannot parse access token"}
            return JSONResponse({"data": {"is_valid": False, "error": error, "scopes": []}})
        return JSONResponse({"data": self.token})

    def _page(self, request: Request, rows: list[Json], default: list[str]) -> Response:
        wanted = _wanted(request, default)
        unknown = _unknown(wanted, rows)
        if unknown:
            return refusal(400, 100, f"Tried accessing nonexisting field ({unknown})")
        start = 0
        after = request.query_params.get("after", "")
        if after:
            if self.forgets_cursors or not after.removeprefix("row").isdecimal():
                self.forgets_cursors = max(self.forgets_cursors - 1, 0)
                return refusal(400, 131_059, "The cursor is not valid any more.")
            start = int(after.removeprefix("row"))
        size = min(int(request.query_params.get("limit", "25")), self.page_size)
        page = rows[start : start + size]
        paging: Json = {"cursors": {"before": f"row{start}", "after": f"row{start + len(page)}"}}
        if start + size < len(rows):
            paging["next"] = "https://graph.example/not-to-be-followed"
        return JSONResponse({"data": [_chosen(row, wanted) for row in page], "paging": paging})


def refusal(status: int, code: int, text: str) -> Response:
    """Return the API's answer to a refused call."""
    return JSONResponse(payloads.error(code, text, trace="A0"), status_code=status)


def _wanted(request: Request, default: list[str]) -> list[str]:
    return ["id", *(name for name in request.query_params.get("fields", ",".join(default)).split(",") if name != "id")]


def _unknown(wanted: list[str], rows: Iterable[Json]) -> str:
    """Return the name of a field that no row has. Without rows, any field is accepted."""
    known = {name for row in rows for name in row}
    return next((name for name in wanted if known and name not in known), "")


def _chosen(row: Json, wanted: list[str]) -> dict[str, Any]:
    return {name: row[name] for name in wanted if name in row}


def _only(node: Json, wanted: list[str]) -> Response:
    return JSONResponse(_chosen(node, wanted))
