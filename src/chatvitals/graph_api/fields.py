"""The fields to request of the Graph API. Fields that a version or an account lacks are left out.

An API refuses the whole request for one field that it does not know. So a request is repeated without this field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from chatvitals.graph_api.client import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")

_NO_SUCH_FIELD: Final = 100
_MOST_NAMED: Final = 4  # refusals of single fields, after which only the sure fields are requested
_LIMIT: Final = "whatsapp_business_manager_messaging_limit"
_OLD_LIMIT: Final = "messaging_limit_tier"  # its name before version 24 (whatsapp/README.md 6.1)


class Fields(msgspec.Struct, frozen=True):
    """The fields of one edge.

    Args:
        wanted: the fields to request.
        sure: the fields that every version and account has.
        refused: number of refusals of single fields.

    """

    wanted: tuple[str, ...]
    sure: tuple[str, ...]
    refused: int = 0

    @property
    def text(self) -> str:
        """The value of the parameter `fields`."""
        return ",".join(self.wanted)

    def also(self, *names: str) -> Fields:
        """Return these fields together with further fields, which the API may refuse."""
        return Fields((*self.wanted, *names), self.sure)

    def without(self, error: GraphError) -> Fields | None:
        """Return the fields to request after a refusal, or None where no others can help."""
        if error.code != _NO_SUCH_FIELD and error.kind != "unauthorized":
            return None
        name = error.field
        if name in self.wanted and name not in self.sure and self.refused < _MOST_NAMED:
            others = (_OLD_LIMIT,) if name == _LIMIT else ()
            wanted = (*(field for field in self.wanted if field != name), *others)
            return Fields(wanted, self.sure, self.refused + 1)
        return self.only_sure if self.wanted != self.sure else None

    @property
    def only_sure(self) -> Fields:
        """The fields that every version and account has."""
        return Fields(self.sure, self.sure)


NUMBERS: Final = Fields(
    ("id", "display_phone_number", "verified_name", "quality_rating", "status", _LIMIT, "health_status"),
    ("id", "display_phone_number", "verified_name", "quality_rating"),
)
"""The fields of the edge `phone_numbers`."""
ACCOUNT: Final = Fields(("id", "health_status", _LIMIT), ("id", "health_status"))
"""The fields of an account's node."""
TEMPLATES: Final = Fields(("name", "language", "status", "quality_score"), ("name", "language", "status"))
"""The fields of the edge `message_templates`."""


def ask(request: Callable[[str], _T], fields: Fields) -> tuple[_T, Fields]:
    """Request an edge, with fewer fields after each refusal. Return the answer and the fields that were accepted.

    answer, accepted = fields.ask(lambda names: client.get(waba, fields=names), fields.ACCOUNT)

    Args:
        request: the request for a list of fields. It may raise.
        fields: the fields to begin with.

    Raises:
        GraphError: the API refuses the sure fields, too, or there is no answer.

    """
    while True:
        try:
            return request(fields.text), fields
        except GraphError as error:
            fewer = fields.without(error) if error.refused else None
            if fewer is None:
                raise
            fields = fewer
