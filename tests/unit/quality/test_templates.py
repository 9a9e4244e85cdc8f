"""The gauges of templates follow webhooks and complete polls."""

from __future__ import annotations

from tests.helpers.quality_bench import N2, NOW, Bench
from tests.helpers.quality_values import CONNECTED, RATING, template_value


def test_a_reinstated_template_is_approved() -> None:
    """The case in which Meta writes a value does not matter (conversations/README.md 9)."""
    bench = Bench()
    bench.change("message_template_status_update", template_value(event="paused"), time=int(NOW) - 5)
    bench.change("message_template_status_update", template_value(event="REINSTATED"))
    assert bench.differs({'template_status{status="APPROVED"}': 1, "template_status": 1}) == []
    assert bench.differs({'template_status_changes_total{status="APPROVED",reason="NONE"}': 1}) == []


def test_a_template_shows_its_status_and_whether_it_is_approved() -> None:
    """The twelve statuses that it has not are absent, because an account may have thousands of templates."""
    bench = Bench()
    bench.change("message_template_status_update", template_value(event="PAUSED"), time=int(NOW))
    lines = [line for line in bench.exposition().splitlines() if "template_status{" in line]
    assert len(lines) == 2
    assert bench.differs({'template_status{status="APPROVED"}': 0, 'template_status{status="PAUSED"}': 1}) == []


def test_the_list_of_templates_is_complete() -> None:
    """What it lacks is gone, unless something newer was heard of it."""
    bench = Bench()
    rows: list[dict[str, object]] = [
        {"name": name, "language": "en", "status": "APPROVED", "quality_score": {"score": "GREEN", "date": 1}}
        for name in ("offer", "other_offer", "third")
    ]
    bench.poll(templates=rows)
    bench.clock.advance(3600)
    bench.change("message_template_status_update", template_value(event="PAUSED"), time=int(NOW) + 3600)
    bench.poll(templates=rows[2:], received=NOW + 3599)
    gone = ('template_quality{template="other_offer"}', 'template_status{template="other_offer"}')
    expected = {'template_quality{template="offer"}': 3, 'template_status{template="offer",status="PAUSED"}': 1}
    assert bench.differs({**expected, 'template_quality{template="third"}': 3}, gone) == []
    bench.poll(received=NOW + 3599)  # no list was asked for: nothing is gone
    assert bench.differs(expected) == []


def test_a_number_that_is_listed_no_more_is_forgotten() -> None:
    """A week later, so that a page that failed once hides nothing."""
    bench = Bench()
    bench.poll(CONNECTED, {"id": N2.phone_number_id, "display_phone_number": N2.display, **CONNECTED})
    gone = f'quality_rating{{phone_number_id="{N2.phone_number_id}"}}'
    bench.clock.advance(6 * 86_400)
    bench.poll(CONNECTED)
    assert bench.differs({gone: 3}) == []
    bench.clock.advance(3 * 86_400)
    bench.poll(CONNECTED)
    assert bench.differs({RATING: 3}, (gone,)) == []
