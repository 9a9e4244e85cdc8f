"""The state of one contact: what the store keeps between two events, about 100 bytes for most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

DAY = 86_400.0
NEW_AFTER = 8 * DAY  # conversations/README.md 4: `origin` is new when nothing came from the contact for 8 days
FORGET_AFTER = 8 * DAY
FORGET_EXPOSED_AFTER = 90 * DAY  # an exposure counts once per contact, and an experiment outlives a week


class Kind:
    """What a pending item is; at one point in time, lower ones are applied first.

    Whole numbers, since looking up an enum's member takes four times as long, and every event does so ten times.
    """

    MESSAGE: Final = 0
    REVOKE: Final = 1
    EXPOSURE: Final = 2
    STEP: Final = 3
    RUN_END: Final = 4
    FALLBACK: Final = 5
    HANDOVER: Final = 6
    DISMISS: Final = 7
    RESOLVE: Final = 8
    REPLY: Final = 9
    STATUS: Final = 10
    OPT_OUT: Final = 11
    SEND_FAILED: Final = 12


class Evidence:
    """How a reply became known, from the poorest to the richest (conversations/README.md 2)."""

    STATUS: Final = 0
    ECHO: Final = 1
    CODE: Final = 2
    API: Final = 3


EVIDENCE_LABELS = ("status", "echo", "code", "api")
ACTOR_LABELS = ("bot", "human", "unknown")
OUTCOME_LABELS = ("", "answered", "dismissed", "failed", "unanswered")
OPEN, ANSWERED, DISMISSED, FAILED, UNANSWERED = range(5)
TURN_LABELS = ("first", "next")
HOURS_LABELS = ("", "yes", "no")


class Item(msgspec.Struct, array_like=True, gc=False):
    """Something received and not yet applied: it waits for its settling window (conversations/README.md 4)."""

    kind: int
    received: float
    at: float
    key: int = 0  # hash of the message id that it is about
    second: int = 0  # WhatsApp's whole second
    evidence: int = 0
    actor: int = 0
    status: int = 0
    code: str = ""  # of a failure; the variant of an exposure
    name: str = ""  # of a step, an experiment, or the outcome that ends a run
    journey: str = ""  # of a step or a run; the goal of an experiment
    completes: bool = False  # reaching this step completes the run
    spans: tuple[float, ...] = ()  # of a step: after which a run stalls, is abandoned, expires


class Turn(msgspec.Struct, array_like=True, gc=False):
    """A burst of inbound messages up to the first real reply."""

    start: float  # of its first message
    second: int  # of its first message, on WhatsApp's clock
    last: float  # of its last message
    label: int  # index into TURN_LABELS, fixed when it opens
    hours: int  # index into HOURS_LABELS, fixed when it opens
    outcome: int = OPEN
    overdue: int = 0  # how many thresholds its age has crossed
    failed: bool = False  # a reply to it failed within its window
    fallback: bool = False
    messages: list[int] = []  # ids, for deletions; see MESSAGES_KEPT
    more: bool = False  # it had more messages than are kept


class Run(msgspec.Struct, array_like=True, gc=False):
    """One pass of the contact through a journey.

    It carries the journey's times, so that a process that has not declared the journey can still end it.
    """

    journey: str
    step: str  # the current one
    started: float
    entered: float  # the current step
    active: float  # last step or message
    stalled_after: float
    abandoned_after: float
    expires_after: float
    stalled: bool = False
    visits: dict[str, int] = {}


class Exposure(msgspec.Struct, array_like=True, gc=False):
    """A variant that the contact has seen."""

    experiment: str
    variant: str
    goal: str
    outcomes: list[str] = []


MESSAGES_KEPT = 16
_TEMPLATES_KEPT = 250  # a record numbers its template in one byte


class ContactState(msgspec.Struct, array_like=True):
    """One person on one business number."""

    phone_number_id: str  # label value of the business number
    last_received_at: float = 0.0  # when something was last received
    last_message_at: float = 0.0  # `at` of the latest message that opened or joined a turn; 0: none yet
    answered_until: float = (
        0.0  # up to here messages are answered or done with: last reply, or end of a turn without one
    )
    resolved: bool = False  # the conversation was resolved
    handed_over: bool = False  # the conversation was handed over (counted once)
    handovers: list[float] = []  # handed over and no person has replied yet
    turns: list[Turn] = []  # the latest, and before it any other that is open
    pending: list[Item] = []
    seen: bytes = b""  # inbound messages and echoes
    records: bytes = b""  # outbound messages
    templates: list[tuple[str, str]] = []
    aliases: list[int] = []  # other keys that lead here
    runs: list[Run] = []  # open ones
    exposures: list[Exposure] = []
    due: float = 0.0  # as it is kept: when something is to be applied next, in Unix seconds

    def oldest_open_turn(self) -> float | None:
        """Return when the oldest turn that waits for a reply began, or None."""
        oldest: float | None = None
        for turn in self.turns:
            if turn.outcome == OPEN and (oldest is None or turn.start < oldest):
                oldest = turn.start
        return oldest

    def oldest_open_handover(self) -> float | None:
        """Return when the oldest handover that waits for a person was made, or None."""
        return min(self.handovers) if self.handovers else None

    def template_index(self, template: tuple[str, str]) -> int:
        """Return the number under which records name a template; 0 where there is none or no room for more."""
        if not template[0]:
            return 0
        if template not in self.templates:
            if len(self.templates) >= _TEMPLATES_KEPT:
                return 0
            self.templates.append(template)
        return 1 + self.templates.index(template)


@dataclass(frozen=True, slots=True)
class Rules:
    """The settings that the reducer follows, in seconds."""

    settle_after: float = 10.0
    unanswered_after: float = DAY
    overdue_after: tuple[float, ...] = (10.0, 60.0, 300.0, 3600.0)
    in_hours: Callable[[float], bool] | None = None

    def threshold_label(self, index: int) -> str:
        """Return an overdue threshold as a label value."""
        return f"{self.overdue_after[index]:.15g}"


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(ContactState).decode


def to_builtins(contact: ContactState) -> dict[str, object]:
    """Return a contact as plain values by name, with bytes in base64; for people, not for reading back."""
    values: list[object] = msgspec.to_builtins(contact)
    return dict(zip(contact.__struct_fields__, values, strict=True))
