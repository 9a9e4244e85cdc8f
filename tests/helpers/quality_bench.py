"""A `Vitals` with a clock that stands still, to which quality tests post webhooks and polls."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from chatvitals.events import Poll
from chatvitals.exporters.prometheus import render
from chatvitals.settings import Settings
from chatvitals.simulator.payloads import envelope
from chatvitals.stores import open_store
from chatvitals.testing import FakeClock, differences, place
from chatvitals.testing.payloads import EPOCH
from chatvitals.vitals import Vitals
from chatvitals.whatsapp.signatures import sign

if TYPE_CHECKING:
    from chatvitals.stores.base import Store

NOW = EPOCH + 10_000.0  # a while after the times in the payload samples
SECRET = "a made-up app secret"
N1, N2 = place("N1"), place("N2")
W1 = N1.waba


class Bench:
    """One bot's vitals. `restart` gives the same store to a new process's."""

    def __init__(self, store: str = "memory:", **settings: Any) -> None:
        self.clock = FakeClock(NOW)
        self._settings = Settings.load({"store": store, "hooks": False, "app_secret": SECRET, **settings}, environ={})
        self.store: Store = open_store(store)
        self.restart()

    def restart(self) -> None:
        """Forget everything that is not in the store."""
        self.vitals = Vitals(self._settings, store=self.store, clock=self.clock, background=False)

    def post(self, body: dict[str, Any] | bytes, *, secret: str | None = SECRET) -> str:
        """Hand a webhook in, signed unless `secret` is None. Return what became of it."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if secret is None else {"X-Hub-Signature-256": sign(raw, secret)}
        result = self.vitals.observe_webhook(raw, headers).result
        self.vitals.settle()
        return result

    def change(self, field: str, value: dict[str, Any], *, time: Any = int(NOW), entry: str = W1) -> None:
        """Post one change of a field."""
        body = envelope([(entry, field, value)])
        if time is not None:
            body["entry"][0]["time"] = time
        assert self.post(body) == "accepted"

    def poll(self, *numbers: dict[str, Any], **more: Any) -> None:
        """Apply a poll of W1. Rows are given without the keys that every row has."""
        rows = [
            {"id": N1.phone_number_id, "display_phone_number": "+1 555-000-1234", "verified_name": "Example Ltd", **row}
            for row in numbers
        ]
        self.vitals.record_poll(Poll(waba_id=W1, numbers=rows or None, **more))
        self.vitals.settle()

    def exposition(self) -> str:
        """Return `/metrics`."""
        return render(self.vitals.collector)[0].decode()

    def differs(self, expect: dict[str, Any], absent: tuple[str, ...] = ()) -> list[str]:
        """Return what `/metrics` shows otherwise. Names go without their prefix."""
        scenario = {
            "expect": {f"chatvitals_{name}": value for name, value in expect.items()},
            "absent": [f"chatvitals_{name}" for name in absent],
        }
        return differences(scenario, self.exposition())
