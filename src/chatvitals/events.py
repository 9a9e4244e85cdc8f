"""The events that integrations, hooks and calls hand to the pipeline.

Every event has the time of its arrival (`received`, seconds of the local clock). Person ids are raw here and exist in
memory only. The pipeline hashes them before anything is stored (conversations/README.md 1).
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

SendKind: TypeAlias = Literal["reply", "campaign", "notice", "other"]
CallName: TypeAlias = Literal["handover", "fallback", "dismiss", "resolve"]
RunOutcome: TypeAlias = Literal["completed", "handed_over", "restarted"]
WebhookResult: TypeAlias = Literal[
    "accepted", "foreign", "unsigned", "bad_signature", "undecodable", "oversize", "rejected", "unread"
]
Actor: TypeAlias = Literal["bot", "human", "unknown"]


class _PersonEvent(msgspec.Struct, gc=False, kw_only=True):
    """An event about one person on one business number. An unknown id is the empty string."""

    phone_number_id: str
    wa_id: str = ""
    user_id: str = ""
    received: float = 0.0


class Message(_PersonEvent):
    """An inbound message, which is one item of `value.messages[]`."""

    id: str
    type: str
    timestamp: int | None = None  # whole seconds on Meta's clock; None where missing or not a number
    of: str = ""  # the message that a reaction, an edit or a deletion is about
    group: bool = False
    only_errors: bool = False  # the item has no content, only errors
    closing: bool = False  # the text could be a closing remark such as "ok thanks"; the text itself is not kept
    own_number: bool = False  # one of the business's own numbers wrote it
    adds_nothing: bool = False  # the type adds no message, such as an edit, a reaction or a vote
    trace: bytes = b""  # the context of the webhook's span, from `spans.packed`


class IdentityChange(_PersonEvent):
    """Another phone or business-scoped id of a person. It comes beside the `Message` that shows it.

    It comes from a `system` message, or from a sender and an only contact with different ids.
    """

    new_wa_id: str = ""
    new_user_id: str = ""


class Status(_PersonEvent):
    """One status of an outbound message."""

    id: str
    status: str
    timestamp: int | None = None
    category: str = ""
    code: str = ""
    group: bool = False


class Echo(_PersonEvent):
    """A message that a person typed in the WhatsApp Business app, or that another responder of the thread sent.

    `actor` is `unknown` for another responder.
    """

    id: str
    type: str
    timestamp: int | None = None
    adds_nothing: bool = False  # the type adds no message, such as an edit or a reaction
    actor: Actor = "human"


class Preference(_PersonEvent):
    """A person's choice about a category of messages."""

    category: str
    value: str
    timestamp: int | None = None


class Send(_PersonEvent):
    """A call of the bot's HTTP client that sends, marks or reacts. `received` is the time of the API's answer.

    `id` is empty where the API gave none. `tagged` is true where the code itself named the kind. `seconds` is the
    duration of the call. `code` is Meta's error code or the HTTP status of a rejected call, or the name of a transport
    error.
    `handled` names the contacts (business number, phone, user id) whose messages were handled. It is set where none of
    them has the ids of the recipient and this decides the kind: the store may know that one is the same person.
    """

    kind: SendKind
    accepted: bool
    id: str = ""
    code: str = ""
    seconds: float | None = None
    actor: Actor = "bot"
    template: str = ""
    language: str = ""
    tagged: bool = False
    trace: bytes = b""  # the context of its span
    handled: tuple[tuple[str, str, str], ...] = ()


class Reply(_PersonEvent):
    """A reply that the bot's code reports. `id` is the message id where it is known."""

    id: str = ""
    actor: Actor = "bot"


class Call(_PersonEvent):
    """A call of one of the library's functions about the contact's turn or conversation."""

    name: CallName


class Step(_PersonEvent):
    """A contact reached a step of a journey. The times are the journey's settings, in seconds."""

    journey: str
    step: str
    completes: bool
    stalled_after: float
    abandoned_after: float
    expires_after: float


class RunEnd(_PersonEvent):
    """The bot's code ended the contact's open run of a journey."""

    journey: str
    outcome: RunOutcome


class Exposed(_PersonEvent):
    """The contact got a variant of an experiment. `goal` is the journey that is the goal, or empty."""

    experiment: str
    variant: str
    goal: str


class Handled(msgspec.Struct, gc=False, kw_only=True):
    """A handler of the bot ran. `phone_number_id` is empty where the handled message is not known."""

    phone_number_id: str
    handler: str
    seconds: float
    result: Literal["ok", "error", "cancelled"]
    trace: bytes = b""  # the context of its span


class AccountEvent(msgspec.Struct, gc=False, kw_only=True):
    """A change about a number, a template or an account, as Meta sent it. `time` is `entry.time` in seconds."""

    field: str
    entry: str
    time: int | None
    value: dict[str, object]
    received: float = 0.0


class Poll(msgspec.Struct, gc=False, kw_only=True):
    """The result of one poll of the Graph API for one WABA. Lists and the node hold the fields as Meta sent them.

        Poll(waba_id="102290129340398", numbers=[{"id": "106540352242922", "quality_rating": "GREEN"}])

    Args:
        waba_id: id of the WhatsApp Business Account.
        received: Unix seconds of the answer. 0 means now.
        numbers: rows of the edge `phone_numbers`, with the fields id, display_phone_number, verified_name,
            quality_rating, status, whatsapp_business_manager_messaging_limit, messaging_limit_tier, throughput,
            health_status and so on. None means that this poll did not request it.
        templates: the complete list of `message_templates` (name, language, status, quality_score), or None.
        account: the WABA's node (id, health_status), or None.

    """

    waba_id: str
    received: float = 0.0
    numbers: list[dict[str, object]] | None = None
    templates: list[dict[str, object]] | None = None
    account: dict[str, object] | None = None


class GraphCall(msgspec.Struct, gc=False, kw_only=True):
    """One request of the poller to the Graph API. `result` is one of `enums.GRAPH_RESULTS`."""

    waba_id: str
    result: str


class PollerState(msgspec.Struct, gc=False, kw_only=True):
    """The poller's configuration: seconds between two polls. `last_success` is the time of a poll without rows."""

    interval: float
    last_success: float = 0.0
    received: float = 0.0


class Webhook(msgspec.Struct, gc=False, kw_only=True):
    """One POST on the webhook path with its result. `foreign` is a webhook of another product of Meta.

    `fields` counts its changes by (field, known). `malformed` counts items that could not be read. `numbers` gives the
    display number (digits) of each `phone_number_id` in the body.
    """

    result: WebhookResult
    received: float = 0.0
    events: list[Event] = []
    fields: dict[tuple[str, bool], int] = {}
    numbers: dict[str, str] = {}
    malformed: int = 0
    trace: bytes = b""  # the context of its span
    is_part: bool = False  # whether the POST is counted with another part, because it was split


PersonEvent: TypeAlias = (
    Message | IdentityChange | Status | Echo | Preference | Send | Reply | Call | Step | RunEnd | Exposed
)
Event: TypeAlias = PersonEvent | AccountEvent
BusinessEvent: TypeAlias = AccountEvent | Poll | PollerState
