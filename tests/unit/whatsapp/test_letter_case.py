"""Words of Meta's lists mean the same in upper and in lower case. Names of keys and of fields are as they are."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.whatsapp import enums, usual_webhooks, webhook_parser
from chatvitals.whatsapp.closing_remarks import BY_DEFAULT
from tests.helpers.json_mutants import PAYLOADS
from tests.helpers.quality_bench import Bench

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS = frozenset(
    "alert_type category current_limit decision event recipient_type reason restriction_type status type value "
    "violation_type waba_ban_state max_daily_conversations_per_business new_quality_score".split()
)
"""Keys whose texts are words of one of Meta's lists."""
POLLED = frozenset("quality_rating status score can_send_message entity_type".split())
CASES = [str.upper, str.lower, str.swapcase, str.title]


def spelled(node: Any, case: Callable[[str], str], keys: frozenset[str] = WORDS) -> Any:
    """Return a document with its words in another case."""
    if isinstance(node, list):
        return [spelled(item, case, keys) for item in node]
    if not isinstance(node, dict):
        return node
    return {
        key: case(value) if key in keys and isinstance(value, str) else spelled(value, case, keys)
        for key, value in node.items()
    }


def counted(document: Any) -> tuple[str, list[str]]:
    """Return the result of a webhook, and the metrics afterwards."""
    bench = Bench()
    result = bench.post(document)
    bench.clock.advance(3600)
    bench.vitals.settle()
    lines = bench.exposition().splitlines()
    return result, [line for line in lines if "store_commit_seconds" not in line]


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_a_sample_counts_the_same_in_any_case(path: Path) -> None:
    """Meta's own pages write the same word both ways."""
    document = json.loads(path.read_bytes())
    as_it_is = counted(document)
    for case in CASES:
        assert counted(spelled(document, case)) == as_it_is, case


@pytest.mark.parametrize("path", PAYLOADS, ids=lambda path: path.stem)
def test_both_ways_of_reading_agree_in_any_case(path: Path) -> None:
    """The quick way takes words in Meta's usual case alone, or reads them alike."""
    for case in CASES:
        body = json.dumps(spelled(json.loads(path.read_bytes()), case)).encode()
        quick = usual_webhooks.read(body, 7.5, BY_DEFAULT)
        assert quick is None or quick == webhook_parser.decode_in_full(body, 7.5)


def test_a_poll_reads_the_same_in_any_case() -> None:
    """The Graph API's words are in upper case, as far as its pages show."""
    health = {"entities": [{"entity_type": "WABA", "can_send_message": "LIMITED"}]}
    row = {"quality_rating": "YELLOW", "status": "FLAGGED", "health_status": health}
    shown = []
    for case in CASES:
        bench = Bench()
        bench.poll(spelled(row, case, POLLED))
        shown.append([line for line in bench.exposition().splitlines() if "store_commit_seconds" not in line])
    assert all(lines == shown[0] for lines in shown)
    assert any(line.startswith("chatvitals_health_status{") and line.endswith(" 1.0") for line in shown[0])


@pytest.mark.parametrize("field", sorted(enums.ACCOUNT_EVENTS))
def test_each_account_event_is_known_in_any_case(field: str) -> None:
    for name in enums.ACCOUNT_EVENTS[field]:
        assert [enums.listed(case(name), enums.ACCOUNT_EVENTS[field]) for case in CASES] == [name] * len(CASES)


@pytest.mark.parametrize("word", [None, 5, ["PIN_CHANGED"], "", "PIN", "PIN_CHANGED" * 1000])
def test_what_is_not_listed_is_other(word: object) -> None:
    assert enums.listed(word, enums.ACCOUNT_EVENTS["security"]) == "other"


def test_a_list_has_one_case() -> None:
    """Else the spelling of the list could not be found from another one."""
    known: list[Any] = [
        *enums.ACCOUNT_EVENTS.values(), enums.RESTRICTIONS, enums.TEMPLATE_REASONS, enums.MESSAGE_TYPES,
        {*enums.TEMPLATE_STATUSES} - {enums.OTHER}, {*enums.NUMBER_STATUSES} - {enums.OTHER}, enums.QUALITY_EVENTS,
        enums.RATINGS, enums.HEALTH, enums.IDENTITY_CHANGES, enums.UNSUPPORTED_ADDS_NO_MESSAGE, enums.CATEGORIES,
    ]  # fmt: skip
    for words in known:
        assert set(words) == {word.upper() for word in words} or set(words) == {word.lower() for word in words}
