"""Requests to WhatsApp's Graph API, with explanations of its errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from chatvitals.doctor import http
from chatvitals.graph_api.client import GraphClient, GraphError
from chatvitals.graph_api.fields import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.doctor.config import Setup
    from chatvitals.graph_api.fields import Fields

Json: TypeAlias = dict[str, Any]
_Answer = TypeVar("_Answer")

_EXPIRED = frozenset({102, 190})
_FORBIDDEN = frozenset({3, 10, *range(200, 300)})
_NOT_FOUND = 100
_OWN_TROUBLE = frozenset({1, 2})


class RefusedError(Exception):
    """The Graph API gave no data. The message holds the reason, and `do_next` the advice."""

    def __init__(self, says: str, do_next: str, *, code: int = 0) -> None:
        super().__init__(says)
        self.do_next = do_next
        self.code = code


class Graph:
    """A client of the Graph API with one token.

    `out_of_reach` is the reason why no more requests are made, because the API did not answer or refused this token.
    It is empty otherwise.
    """

    def __init__(self, setup: Setup, token: str, *, of_app: bool = False) -> None:
        self.out_of_reach: str = ""
        self._host = http.host(setup.graph_url)
        self._proxy = http.proxy_of(setup.graph_url)
        self._of_app = of_app
        self._client = GraphClient(token, url=setup.graph_url, version=setup.api_version, timeout=http.SECONDS)

    @property
    def skew(self) -> float | None:
        """Seconds by which this machine's clock is ahead, or None where no answer contained the time."""
        return self._client.skew

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **params: str) -> Json:
        """Return the object that a node or an edge returns.

        Raises:
            RefusedError: there is no such object.

        """
        return self._ask(lambda: self._client.get(path, **params))

    def rows(self, path: str, fields: Fields | None = None) -> list[Json]:
        """Return all rows of an edge, without fields that the API refuses.

        Raises:
            RefusedError: the rows cannot be read.

        """
        if fields is None:
            return self._ask(lambda: self._client.pages(path, limit=100))
        return self._ask(lambda: ask(lambda names: self._client.pages(path, limit=100, fields=names), fields)[0])

    def post(self, path: str) -> Json:
        """Call an edge that changes something.

        Raises:
            RefusedError: the call was refused.

        """
        return self._ask(lambda: self._client.post(path))

    def _ask(self, call: Callable[[], _Answer]) -> _Answer:
        try:
            return call()
        except GraphError as error:
            says, do_next = self._explained(error)
            if error.kind in {"timeout", "connection", "rate_limited"} or error.code in _EXPIRED:
                self.out_of_reach = says.partition(":")[0]
            raise RefusedError(says, do_next, code=error.code) from None
        except ValueError as error:  # an invalid host name
            says, do_next = http.why(error, self._host, self._proxy, of_bot=False)
            self.out_of_reach = "the Graph API cannot be asked"
            raise RefusedError(f"{self.out_of_reach}: {says}", do_next) from None

    def _explained(self, error: GraphError) -> tuple[str, str]:  # noqa: PLR0911 - one line per kind of trouble
        if error.kind in {"timeout", "connection"}:
            says, do_next = http.why(error, self._host, self._proxy, of_bot=False)
            return f"the Graph API cannot be asked: {says}", do_next
        if error.kind == "malformed":
            return str(error), "check CHATVITALS_GRAPH_URL. A proxy or a sign-in page may answer in the API's place"
        if error.kind == "rate_limited":
            wait = f"{error.wait / 60:.0f} min" if error.wait >= 60 else "an hour"
            do_next = f"wait {wait}, and look for a program that sends too many requests with this token"
            return f"this account has no calls left for now: {error}", do_next
        if error.code in _EXPIRED or error.status == 401:
            if self._of_app:
                do_next = "compare --app-id and CHATVITALS_APP_SECRET with the App Dashboard, Settings, Basic"
                return f"this app id with this app secret is not accepted: {error}", do_next
            do_next = "create a token of a system user, which need not expire, and set CHATVITALS_ACCESS_TOKEN"
            return f"the access token has expired or is not valid: {error}", do_next
        if error.code in _FORBIDDEN or error.status == 403:
            do_next = "give the token whatsapp_business_management, and its system user this account"
            return f"the token has no permission for this: {error}", do_next
        if error.code == _NOT_FOUND:
            do_next = "check the id, and assign this account to the token's system user in Business Settings"
            return f"the token cannot see this object: {error}", do_next
        if error.status >= 500 or error.code in _OWN_TROUBLE:
            return f"WhatsApp reports a problem of its own: {error}", "try again in a few minutes"
        if not error.code:  # Meta's own errors have a code
            return str(error), "check the id, and that CHATVITALS_GRAPH_URL (--graph-url) is the address of Meta's API"
        return str(error), "look the code up in Meta's list of error codes, and try again"
