"""The state of one contact in the store, about 100 bytes for most contacts."""

from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Final

import msgspec

DAY = 86_400.0
NEW_AFTER = 8 * DAY  # conversations/README.md 4: `origin` is new when nothing came from the contact for 8 days
FORGET_AFTER = 8 * DAY
FORGET_LATER_AFTER = 90 * DAY  # an exposure counts once per contact, and a person is awaited until one replies


class Kind:
    """The kind of a pending item. At one point in time, lower kinds are applied first.

    The values are whole numbers, since access to an enum's member takes four times as long, ten times per event.
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
    PREFERENCE: Final = 11
    SEND_FAILED: Final = 12
    FAILED_ATTEMPT: Final = 13


class Evidence:
    """The source of a reply's evidence, from the poorest to the richest (conversations/README.md 2)."""

    STATUS: Final = 0
    ECHO: Final = 1
    CODE: Final = 2
    API: Final = 3


EVIDENCE_LABELS = ("status", "echo", "code", "api")
ACTOR_LABELS = ("bot", "human", "unknown")
OUTCOME_LABELS = ("", "answered", "dismissed", "failed", "unanswered")
OPEN, ANSWERED, DISMISSED, FAILED, UNANSWERED = range(5)
TURN_LABELS = ("first", "next")
FIRST, NEXT = range(2)
HOURS_LABELS = ("", "yes", "no")
ORIGIN_LABELS = ("", "new", "returning")


class Item(msgspec.Struct, array_like=True, gc=False):
    """A received item that waits for its settling window (conversations/README.md 4)."""

    kind: int
    received: float
    at: float
    key: int = 0  # hash of the message id
    second: int = 0  # WhatsApp's whole second
    evidence: int = 0
    actor: int = 0
    status: int = 0
    code: str = ""  # code of a failure, variant of an exposure, or category of a preference
    name: str = ""  # name of a step or an experiment, or the outcome that ends a run
    journey: str = ""  # journey of a step or a run, or the goal of an experiment
    completes: bool = False  # this step completes the run
    spans: tuple[float, ...] = ()  # of a step: seconds until a run stalls, is abandoned, expires
    closing: bool = False  # the text of this message could be a closing remark


class TurnMessage(msgspec.Struct, array_like=True, gc=False):
    """One message of an open turn. Late evidence may split the burst at any message."""

    key: int  # hash of its id
    at: float
    second: int  # on WhatsApp's clock
    closing: bool  # whether it was a closing remark


class Turn(msgspec.Struct, array_like=True, gc=False):
    """A burst of inbound messages up to the first real reply."""

    start: float  # time of its first message that is not a closing remark, or of its first message where all are
    second: int  # the same on WhatsApp's clock
    last: float  # time of its last message
    label: int  # index into TURN_LABELS, fixed when it opens
    hours: int  # index into HOURS_LABELS, fixed when it opens
    outcome: int = OPEN
    overdue: int = 0  # number of thresholds that its age has crossed
    failed: bool = False  # an attempt to reply failed
    fallback: bool = False
    old_messages: tuple[int, ...] = ()  # used by stores from before `burst`
    more: bool = False  # it had more messages than are kept
    burst: list[TurnMessage] = []  # messages while it is open, see bursts.MESSAGES_KEPT
    closing: bool = False  # it has only closing remarks so far, needs no reply, and is counted when it ends
    origin: int = 0  # index into ORIGIN_LABELS, of the conversation that closing remarks begin
    failed_at: float = 0.0  # time of the latest failed attempt
    ended: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether the contact waits for a reply."""
        return self.outcome == OPEN and not self.closing


class Run(msgspec.Struct, array_like=True, gc=False):
    """One pass of the contact through a journey.

    It carries the journey's times, so that a process that has not declared the journey can still end it.
    """

    journey: str
    step: str  # the current step
    started: float
    entered: float  # time at which the current step was entered
    active: float  # time of the last step or message
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
    outcomes: tuple[str, ...] = ()


_TEMPLATES_KEPT = 250  # a record stores the number of its template in one byte


class ContactState(msgspec.Struct, array_like=True, gc=False):
    """One person on one business number.

    What is empty for most contacts is a tuple. An empty tuple costs no object, and the thread that decodes many states
    then starts the bot's garbage collector less often.
    """

    phone_number_id: str  # label value of the business number
    last_received_at: float = 0.0  # arrival of the latest event
    last_message_at: float = 0.0  # `at` of the latest message of any turn, or 0
    last_reply_at: float = 0.0  # messages up to here are silent
    resolved: bool = False  # the conversation was resolved
    was_handed_over: bool = False  # used by stores from before `handover_hours`
    handovers: tuple[float, ...] = ()  # times of open handovers; there are several only after a merge
    turns: list[Turn] = []  # the latest turn, and before it all others that are open
    pending: list[Item] = []
    seen: bytes = b""  # inbound messages and echoes
    records: bytes = b""  # outbound messages
    templates: tuple[tuple[str, str], ...] = ()
    aliases: list[int] = []  # other keys of this contact
    runs: tuple[Run, ...] = ()  # open runs
    exposures: tuple[Exposure, ...] = ()
    due: float = 0.0  # time of the next work as stored, in Unix seconds
    resolved_at: float = 0.0  # time of the latest resolve()
    handover_hours: tuple[int, ...] = ()  # index into HOURS_LABELS for each of `handovers`
    preferences: dict[str, int] = {}  # WhatsApp's second of the latest choice, by category
    traces: dict[int, bytes] = {}  # contexts of spans, by message, of what is open or waits; see conversations.traces

    def oldest_open_turns(self) -> dict[tuple[str, str], float]:
        """Return the start of the oldest turn that waits for a reply, by the labels `turn` and `in_hours`."""
        oldest: dict[tuple[str, str], float] = {}
        for turn in self.turns:
            if turn.waits:
                labels = (TURN_LABELS[turn.label], HOURS_LABELS[turn.hours])
                oldest[labels] = min(turn.start, oldest.get(labels, turn.start))
        return oldest

    def oldest_open_handovers(self) -> dict[tuple[str], float]:
        """Return the time of the oldest handover that waits for a person, by the label `in_hours`."""
        oldest: dict[tuple[str], float] = {}
        if not self.handovers:  # as almost always, and this is hot
            return oldest
        for since, hours in self.open_handovers():
            labels = (HOURS_LABELS[hours],)
            oldest[labels] = min(since, oldest.get(labels, since))
        return oldest

    def open_handovers(self) -> list[tuple[float, int]]:
        """Return the time of each open handover, and its index into HOURS_LABELS."""
        return list(zip_longest(self.handovers, self.handover_hours[: len(self.handovers)], fillvalue=0))

    def set_handovers(self, handovers: Sequence[tuple[float, int]]) -> None:
        """Replace the open handovers."""
        self.handovers = tuple(since for since, _ in handovers)
        self.handover_hours = tuple(hours for _, hours in handovers)

    def template_index(self, template: tuple[str, str]) -> int:
        """Return the number of a template in records, or 0 where there is no template or no room for more."""
        if not template[0]:
            return 0
        if template not in self.templates:
            if len(self.templates) >= _TEMPLATES_KEPT:
                return 0
            self.templates += (template,)
        return 1 + self.templates.index(template)


class Rules(msgspec.Struct, frozen=True):
    """The settings of the rules, in seconds."""

    settle_after: float = 10.0
    unanswered_after: float = DAY
    overdue_after: tuple[float, ...] = (10.0, 60.0, 300.0, 3600.0)
    in_hours: Callable[[float], bool] | None = None

    def hours_index(self, at: float) -> int:
        """Return the index into HOURS_LABELS of a point in time."""
        return 0 if self.in_hours is None else 1 if self.in_hours(at) else 2

    def threshold_label(self, index: int) -> str:
        """Return an overdue threshold as a label value."""
        return f"{self.overdue_after[index]:.15g}"


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(ContactState).decode


def to_builtins(contact: ContactState) -> dict[str, object]:
    """Return a contact as plain values by name, with bytes in base64. It is for people and cannot be read back."""
    values: list[object] = msgspec.to_builtins(contact)
    return dict(zip(contact.__struct_fields__, values, strict=True))
