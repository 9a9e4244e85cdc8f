"""The fields that are requested of the Graph API after it has refused some of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.graph_api import fields
from chatvitals.graph_api.client import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

LIMIT = "whatsapp_business_manager_messaging_limit"
SURE = "id,display_phone_number,verified_name,quality_rating"


def no_such_field(name: str) -> GraphError:
    """Return the API's refusal of one field."""
    return GraphError("error", "(#100) no such field", code=100, status=400, field=name)


def api(*unknown: str, asked: list[str]) -> Callable[[str], str]:
    """Return an API that refuses the first of these fields in a request."""

    def request(names: str) -> str:
        asked.append(names)
        for name in unknown:
            if name in names.split(","):
                raise no_such_field(name)
        return names

    return request


def test_a_version_without_the_new_limit_is_asked_for_the_old_one() -> None:
    """Before version 24 the limit has another name. Status and health have the same."""
    asked: list[str] = []
    answer, accepted = fields.ask(api(LIMIT, asked=asked), fields.NUMBERS)
    assert answer == f"{SURE},status,health_status,messaging_limit_tier"
    assert accepted.text == answer
    assert len(asked) == 2


def test_each_field_that_is_refused_is_left_out() -> None:
    """The others are still read."""
    answer, _ = fields.ask(api(LIMIT, "messaging_limit_tier", "status", asked=[]), fields.NUMBERS)
    assert answer == f"{SURE},health_status"


def test_after_four_refusals_only_sure_fields_are_requested() -> None:
    """A stranger that refuses everything must not use up the budget."""
    asked: list[str] = []
    further = fields.NUMBERS.also("a", "b", "c", "d", "e")
    answer, _ = fields.ask(api("a", "b", "c", "d", "e", asked=asked), further)
    assert answer == SURE
    assert len(asked) == 6


@pytest.mark.parametrize(
    "error",
    [
        GraphError("error", "(#100) Unsupported get request", code=100, status=400),
        GraphError("unauthorized", "(#200) needs another permission", code=200, status=403),
        GraphError("unauthorized", "(#10) no permission", code=10, status=400),
        no_such_field("quality_rating"),
    ],
    ids=["no name", "permission", "capability", "a sure field"],
)
def test_where_no_field_is_named_the_sure_fields_remain(error: GraphError) -> None:
    """Some permissions concern one field, and the answer does not say which."""

    def request(names: str) -> str:
        if names != SURE:
            raise error
        return names

    assert fields.ask(request, fields.NUMBERS)[0] == SURE


@pytest.mark.parametrize(
    "error",
    [
        GraphError("unauthorized", "the token has expired", code=190, status=401),
        GraphError("rate_limited", "too many calls", code=80_007, status=400),
        GraphError("error", "unknown", code=1, status=500),
        GraphError("timeout", "no answer"),
        GraphError("error", "a bad cursor", code=131_059, status=400),
    ],
    ids=["token", "rate", "trouble", "timeout", "cursor"],
)
def test_an_error_that_has_nothing_to_do_with_fields_ends_the_request(error: GraphError) -> None:
    """Fewer fields would not help."""
    asked: list[str] = []

    def request(names: str) -> Any:
        asked.append(names)
        raise error

    with pytest.raises(GraphError):
        fields.ask(request, fields.TEMPLATES)
    assert len(asked) == 1


def test_an_edge_that_refuses_the_sure_fields_is_refused() -> None:
    """The code also stands for an unknown id."""
    asked: list[str] = []

    def request(names: str) -> Any:
        asked.append(names)
        raise GraphError("error", "(#100) no such object", code=100, status=400)

    with pytest.raises(GraphError):
        fields.ask(request, fields.ACCOUNT)
    assert len(asked) == 2
