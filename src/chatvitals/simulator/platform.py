"""WhatsApp in a simulated month: ratings from customers that block, and the events that the bot receives.

Meta does not document how it rates. Here the rating follows the share of customers that blocked the number within
seven days, weighted towards the recent past.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from chatvitals.events import AccountEvent, GraphCall, Poll, PollerState, Webhook
from chatvitals.simulator.story import DAY, HOUR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from chatvitals.events import BusinessEvent
    from chatvitals.simulator.story import Story

OFFER: Final = "lunch_deal"
"""The template of campaigns to customers of the troubled number."""
NEWS: Final = "pickup"
"""The template of campaigns to all other customers."""
POLL_SECONDS: Final = 300.0
_WEEK: Final = 7 * DAY
_FEWEST: Final = 150.0  # conversations; with fewer, a single block would weigh too much
_CLEARLY: Final = 0.7  # a score improves once the share is this far below its limit, so that it does not flutter


@dataclass(slots=True)
class Score:
    """A score of GREEN, YELLOW or RED, by the share of customers that blocked."""

    yellow: float
    red: float
    now: str = "GREEN"

    def review(self, share: float) -> None:
        """Update the score."""
        limits = {"GREEN": 0.0, "YELLOW": self.yellow, "RED": self.red}
        fits = max((name for name in limits if share >= limits[name]), key=limits.__getitem__)
        if limits[fits] > limits[self.now] or share < _CLEARLY * limits[self.now]:
            self.now = fits


@dataclass(slots=True)
class Feedback:
    """Blocks and conversations of a number's customers in the last seven days."""

    contacts: deque[float] = field(default_factory=deque)
    blocks: deque[float] = field(default_factory=deque)

    def met(self, at: float) -> None:
        """Record a conversation."""
        self.contacts.append(at)

    def blocked(self, at: float) -> None:
        """Record that a customer blocked the number."""
        self.blocks.append(at)

    def share(self, at: float) -> float:
        """Return the weighted share of blocks among conversations."""
        for times in (self.contacts, self.blocks):
            while times and times[0] < at - _WEEK:
                times.popleft()
        return _weight(self.blocks, at) / max(_weight(self.contacts, at), _FEWEST)


class Platform:
    """Rating of the story's numbers and of the troubled number's template. The template falls first."""

    def __init__(self, story: Story, start: float) -> None:
        self.feedback: dict[str, Feedback] = {line.number: Feedback() for line in story.lines}
        """Feedback of each number's customers."""
        self._story = story
        self._start = start
        self._ratings = {line.number: Score(yellow=0.04, red=0.1) for line in story.lines}
        self._offer = Score(yellow=0.03, red=0.08)
        self._troubled = next(line.number for line in story.lines if line.troubled)

    def rating(self, number: str) -> str:
        """Return the rating of a number."""
        return self._ratings[number].now

    def heard(self, now: float) -> Iterator[BusinessEvent | Webhook | GraphCall]:
        """Yield the events of a bot that polls every five minutes, and every hour for templates."""
        for number, score in self._ratings.items():
            score.review(self.feedback[number].share(now))
        hourly = (now - self._start) % HOUR < POLL_SECONDS
        if hourly:
            yield from self._judge_template(now)
        templates = self._template_rows() if hourly else None
        yield Poll(waba_id=self._story.waba, received=now, numbers=self._number_rows(), templates=templates)
        yield GraphCall(waba_id=self._story.waba, result="ok")
        yield PollerState(interval=POLL_SECONDS, last_success=now, received=now)

    def _judge_template(self, now: float) -> Iterator[Webhook]:
        """Yield webhooks about the template's changes. At RED the template is paused, and later it comes back."""
        before = self._offer.now
        self._offer.review(self.feedback[self._troubled].share(now))
        after = self._offer.now
        name = {"message_template_name": OFFER, "message_template_language": "en", "message_template_id": 1}
        if after != before:
            scores = {"previous_quality_score": before, "new_quality_score": after}
            yield self._webhook("message_template_quality_update", name | scores, now)
        if "RED" in {before, after} and after != before:
            event = {"event": "PAUSED" if after == "RED" else "APPROVED", "reason": "NONE"}
            yield self._webhook("message_template_status_update", name | event, now)

    def _webhook(self, about: str, value: dict[str, object], now: float) -> Webhook:
        event = AccountEvent(field=about, entry=self._story.waba, time=int(now), value=value, received=now)
        return Webhook(result="accepted", received=now, events=[event], fields={(about, True): 1})

    def _number_rows(self) -> list[dict[str, object]]:
        waba = self._story.waba
        return [
            {
                "id": line.number,
                "display_phone_number": f"+{line.display}",
                "verified_name": line.name,
                "quality_rating": self.rating(line.number),
                "status": "CONNECTED",
                "whatsapp_business_manager_messaging_limit": "TIER_10K",
                "health_status": {
                    "can_send_message": "AVAILABLE",
                    "entities": [
                        {"entity_type": "PHONE_NUMBER", "id": line.number, "can_send_message": "AVAILABLE"},
                        {"entity_type": "WABA", "id": waba, "can_send_message": "AVAILABLE"},
                    ],
                },
            }
            for line in self._story.lines
        ]

    def _template_rows(self) -> list[dict[str, object]]:
        scores = {OFFER: self._offer.now, NEWS: "GREEN"}
        return [
            {
                "name": name,
                "language": "en",
                "status": "PAUSED" if score == "RED" else "APPROVED",
                "quality_score": {"score": score},
            }
            for name, score in scores.items()
        ]


def _weight(times: deque[float], at: float) -> float:
    return sum(math.exp((time - at) / (3 * DAY)) for time in times)
