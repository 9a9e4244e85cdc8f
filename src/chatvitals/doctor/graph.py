"""What WhatsApp's Graph API answers, and what it means when it does not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from chatvitals.doctor import http
from chatvitals.graph_api.client import GraphClient, GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    from chatvitals.doctor.config import Setup

Json: TypeAlias = dict[str, Any]
_Answer = TypeVar("_Answer")

_EXPIRED = frozenset({102, 190})
_FORBIDDEN = frozenset({3, 10, *range(200, 300)})
_NOT_FOUND = 100
_OWN_TROUBLE = frozenset({1, 2})


class RefusedError(Exception):
    """The Graph API told nothing: the message says why, `do_next` what to do."""

    def __init__(self, says: str, do_next: str, *, code: int = 0) -> None:
        super().__init__(says)
        self.do_next = do_next
        self.code = code


class Graph:
    """The Graph API as one token sees it.

    `out_of_reach` says why nothing more is asked once it did not answer, or would not answer this token; it is empty
    while all is well.
    """

    def __init__(self, setup: Setup, token: str, *, of_app: bool = False) -> None:
        self.out_of_reach = ""
        self._host = http.host(setup.graph_url)
        self._of_app = of_app
        self._client = GraphClient(token, url=setup.graph_url, version=setup.api_version, timeout=http.SECONDS)

    @property
    def skew(self) -> float | None:
        """Seconds by which this machine's clock is ahead, where an answer has told."""
        return self._client.skew

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def get(self, path: str, **params: str) -> Json:
        """Return what a node or an edge answers with.

        Raises:
            RefusedError: there is nothing.

        """
        return self._ask(lambda: self._client.get(path, **params))

    def rows(self, path: str, fields: str = "") -> list[Json]:
        """Return all rows of an edge.

        Raises:
            RefusedError: there are none to be had.

        """
        chosen = {"fields": fields} if fields else {}
        return self._ask(lambda: self._client.pages(path, limit=100, **chosen))

    def post(self, path: str) -> Json:
        """Call an edge that changes something.

        Raises:
            RefusedError: it was refused.

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
        except ValueError as error:  # a host's name that is none
            says, do_next = http.why(error, self._host)
            self.out_of_reach = "the Graph API cannot be asked"
            raise RefusedError(f"{self.out_of_reach}: {says}", do_next) from None

    def _explained(self, error: GraphError) -> tuple[str, str]:  # noqa: PLR0911 - one line per kind of trouble
        if error.kind in {"timeout", "connection"}:
            says, do_next = http.why(error, self._host)
            return f"the Graph API cannot be asked: {says}", do_next
        if error.kind == "malformed":
            return str(error), "check CHATVITALS_GRAPH_URL; a proxy or a sign-in page may answer in the API's place"
        if error.kind == "rate_limited":
            wait = f"{error.wait / 60:.0f} min" if error.wait >= 60 else "an hour"
            do_next = f"wait {wait}, and look for a program that asks too often with this token"
            return f"this account's calls are used up for now: {error}", do_next
        if error.code in _EXPIRED or error.status == 401:
            if self._of_app:
                do_next = "compare --app-id and CHATVITALS_APP_SECRET with the App Dashboard, Settings, Basic"
                return f"app id and app secret are not accepted together: {error}", do_next
            do_next = "make a new one, best of a system user, as that need not expire; set CHATVITALS_ACCESS_TOKEN"
            return f"the access token has expired or is not valid: {error}", do_next
        if error.code in _FORBIDDEN or error.status == 403:
            do_next = "give the token whatsapp_business_management, and its system user this account"
            return f"the token may not see this: {error}", do_next
        if error.code == _NOT_FOUND:
            do_next = "check the id; the token's system user must have been given this account in Business Settings"
            return f"there is nothing that this token could see: {error}", do_next
        if error.status >= 500 or error.code in _OWN_TROUBLE:
            return f"WhatsApp has trouble itself: {error}", "try again in a few minutes"
        return str(error), "look the code up in Meta's list of error codes, and try again"
