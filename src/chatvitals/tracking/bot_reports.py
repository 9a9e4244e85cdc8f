"""Reports of a bot's code about replies and conversations: what hooks and webhooks cannot show."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal

from chatvitals import context
from chatvitals.context import Tag
from chatvitals.events import Call, Poll, Reply
from chatvitals.settings.declaration import did_you_mean
from chatvitals.whatsapp.schema import text

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager

    from chatvitals.events import CallName
    from chatvitals.pipeline.queue_items import Queued
    from chatvitals.runtime.error_guard import ErrorGuard
    from chatvitals.tracking.contact_lookup import ContactResolver
    from chatvitals.tracking.ordered_clock import MonotonicClock

KINDS: Final = ("reply", "campaign", "notice")
ACTORS: Final = ("bot", "human")


class BotReports:
    """The part of `Vitals` with the reporting methods. `Vitals` sets the attributes. No method raises or waits."""

    clock: Callable[[], float]
    _emit: Callable[[Queued], None]
    _moment: MonotonicClock
    _whose: ContactResolver
    _guard: ErrorGuard

    def sending(
        self, kind: Literal["reply", "campaign", "notice"] | None = None, actor: Literal["bot", "human"] | None = None
    ) -> AbstractContextManager[None]:
        """Declare the sends of a `with` block as replies, campaigns or notices, by the bot or by a person.

            with vitals.sending("notice"):
                send(wa_id, "One moment, please.")

        Args:
            kind: `reply` answers the customer. A `campaign` is no answer. A `notice` is no answer either: the customer
                still waits. The default leaves the decision to the rules, which look at the send.
            actor: `bot` or `human`. The default is the bot. A person's reply also ends the wait for a hand-over.

        Returns:
            A context manager for `with`. An unknown word has no effect, and the log explains it once.

        """
        known = partial(self._known, "sending")
        return context.tagged(Tag(known("kind", kind, KINDS), known("actor", actor, ACTORS)))

    def record_reply(
        self,
        *,
        contact: str = "",
        phone_number_id: str = "",
        message_id: str = "",
        actor: Literal["bot", "human"] = "bot",
    ) -> None:
        """Report a reply that no hook can see, sent now.

            vitals.record_reply(contact="4915112345678", message_id="wamid.HBgN", actor="human")

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.
            message_id: the message's id where it is known. It connects the message with its statuses.
            actor: `bot` or `human`. An unknown word counts as `bot`, and the log explains it once.

        """
        with self._guard("record_reply"):
            person = self._whose.named("record_reply()", contact, phone_number_id)
            if person is not None:
                number, phone, user = person
                self._emit(
                    Reply(
                        phone_number_id=number,
                        wa_id=phone,
                        user_id=user,
                        received=self._moment(),
                        id=text(message_id),
                        actor=self._known("record_reply", "actor", actor, ACTORS) or "bot",
                    )
                )

    def handover(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that a person takes over. The clock for the first human reply starts.

        Open runs of journeys end as `handed_over`. While a person is awaited, another call counts nothing.

            vitals.handover()                          # the contact whose message is being handled
            vitals.handover(contact="4915112345678")   # elsewhere, such as in a job

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        self._call("handover", contact, phone_number_id)

    def fallback(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the bot did not understand the latest turn. It counts once per turn.

        It also counts at the current step of each open run, so dashboards show which question confuses people.

            vitals.fallback()
            send(wa_id, "Sorry, I did not understand that.")

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        self._call("fallback", contact, phone_number_id)

    def dismiss(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the open turn needs no reply, such as after "thanks". It ends as `dismissed`.

            if message["type"] == "sticker":
                vitals.dismiss()

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        self._call("dismiss", contact, phone_number_id)

    def resolve(self, *, contact: str = "", phone_number_id: str = "") -> None:
        """Report that the conversation is over. An open turn is dismissed, and the next message starts another.

            vitals.resolve(contact=ticket.wa_id)   # when the help desk closes the ticket

        Args:
            contact: phone or business-scoped user id. The default is the contact whose message is being handled.
            phone_number_id: the business number. The default comes from the context, then from the settings.

        """
        self._call("resolve", contact, phone_number_id)

    def record_poll(self, poll: Poll) -> None:
        """Report the result of a poll of the Graph API, for bots that poll themselves.

            vitals.record_poll(Poll(waba_id="102290129340398", numbers=answer["data"]))

        Args:
            poll: the rows as Meta sent them. Without `received`, the poll was made now.

        """
        with self._guard("record_poll"):
            if not isinstance(poll, Poll):
                self._guard.mistake(
                    "record_poll", f"record_poll() takes a chatvitals.Poll, not {type(poll).__name__!r}."
                )
                return
            if not poll.received:
                poll.received = self.clock()
            self._emit(poll)

    def _call(self, name: CallName, contact: str, phone_number_id: str) -> None:
        with self._guard(name):
            person = self._whose.named(f"{name}()", contact, phone_number_id)
            if person is not None:
                number, phone, user = person
                self._emit(Call(phone_number_id=number, wa_id=phone, user_id=user, received=self._moment(), name=name))

    def _known(self, call: str, what: str, word: Any, known: tuple[str, ...]) -> Any:
        if word is None or word in known:
            return word
        close = did_you_mean(word, known) if isinstance(word, str) else ""
        self._guard.mistake(
            call,
            f"{call}() got the unknown {what} {word!r:.80}, which has no effect.{close} It takes {', '.join(known)}.",
        )
        return None
