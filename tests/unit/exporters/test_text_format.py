"""The writer of both text formats: what did not change is not written anew, and what did is."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from chatvitals.exporters.snapshot import Snapshot, Values
from chatvitals.exporters.text_format import TextFormat
from chatvitals.metrics import catalogue
from chatvitals.runtime import pacing
from chatvitals.stores.birth import StoreBirth

if TYPE_CHECKING:
    from collections.abc import Callable

TURNS = catalogue.TURNS_OPEN.name
WAIT = catalogue.WAIT_SECONDS.name


def snapshot(birth: StoreBirth | None = None, **values: Values) -> Snapshot:
    return Snapshot({f"chatvitals_{name}": found for name, found in values.items()}, birth, {})


def values_of(value: float) -> Values:
    return {(str(index),): {0: value} for index in range(1000)}


def on_a_thread(call: Callable[[], bytes]) -> bytes:
    found: list[bytes] = []
    thread = threading.Thread(target=lambda: found.append(call()))
    thread.start()
    thread.join(60)
    return found[0]


def test_a_family_without_a_change_is_not_written_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two scrapes of a quiet night cost one."""
    text = TextFormat(openmetrics=False)
    first = text.render(snapshot(turns_open={("11",): {0: 2.0}}))
    monkeypatch.setattr("chatvitals.exporters.text_format._series", None)
    assert text.render(snapshot(turns_open={("11",): {0: 2.0}})) == first


def test_one_changed_series_does_not_keep_the_others_from_being_reused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new value shows, and only its own lines are written."""
    text = TextFormat(openmetrics=False)
    text.render(snapshot(turns_open={("11",): {0: 2.0}, ("22",): {0: 3.0}}))
    written = []
    original = __import__("chatvitals.exporters.text_format", fromlist=["_series"])._series

    def noting(*args: object) -> str:
        written.append(args[1])
        return str(original(*args))

    monkeypatch.setattr("chatvitals.exporters.text_format._series", noting)
    second = text.render(snapshot(turns_open={("11",): {0: 2.0}, ("22",): {0: 4.0}})).decode()
    assert written == [("22",)]
    assert 'chatvitals_turns_open{phone_number_id="11"} 2.0\nchatvitals_turns_open{phone_number_id="22"} 4.0' in second


def test_only_blocks_with_a_change_are_new() -> None:
    """What is the same object was compressed by an earlier scrape already."""
    text = TextFormat(openmetrics=True)
    numbers: Values = {(f"{index:03}",): {0: 1.0} for index in range(250)}
    before = text.blocks(snapshot(turns_open=dict(numbers), fallbacks_total={("1",): {0: 1.0}}))
    after = text.blocks(snapshot(turns_open=numbers | {("120",): {0: 2.0}}, fallbacks_total={("1",): {0: 1.0}}))
    assert [one is other for one, other in zip(before, after, strict=True)] == [True, False, True, True, True]
    assert after[1].text == before[1].text.replace(b'"120"} 1.0', b'"120"} 2.0')


def test_a_large_family_is_compared_and_freed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """One comparison of a hundred numbers would hold up the event loop for milliseconds, and so would freeing them."""
    text = TextFormat(openmetrics=False)
    before: Values = {(str(index),): {0: 1.0} for index in range(1000)}
    first = text.render(snapshot(turns_open=before))
    calls: list[int] = []
    monkeypatch.setattr(pacing, "give_way", lambda: calls.append(1))
    same: Values = {(str(index),): {0: 1.0} for index in range(1000)}
    assert text.render(snapshot(turns_open=same)) == first
    assert same == {}
    assert len(calls) >= 1000 // 100 + 1000 // 500
    changed: Values = {(str(index),): {0: 2.0} for index in range(1000)}
    assert text.render(snapshot(turns_open=changed)).count(b" 2.0\n") == 1000
    assert text.render(snapshot(turns_open=changed)).count(b" 2.0\n") == 1000  # what it keeps stays
    assert len(before) == 1000  # a scrape on another thread may still read them


@pytest.mark.parametrize("openmetrics", [False, True])
def test_a_scrape_on_another_thread_in_the_middle_of_one_disturbs_neither(
    monkeypatch: pytest.MonkeyPatch, *, openmetrics: bool
) -> None:
    """A thread that gives way in the middle of a family finds the last text as it was, whatever others write."""
    text = TextFormat(openmetrics=openmetrics)
    expected = [TextFormat(openmetrics=openmetrics).render(snapshot(turns_open=values_of(value))) for value in range(4)]
    text.render(snapshot(turns_open=values_of(0)))
    between: list[bytes] = []

    def give_way() -> None:
        if len(between) < 3 and threading.current_thread() is threading.main_thread():
            value = len(between) % 2 + 1
            between.append(on_a_thread(lambda: text.render(snapshot(turns_open=values_of(value)))))

    monkeypatch.setattr(pacing, "give_way", give_way)
    assert text.render(snapshot(turns_open=values_of(3))) == expected[3]
    assert between == [expected[1], expected[2], expected[1]]
    assert text.render(snapshot(turns_open=values_of(0))) == expected[0]


def test_a_render_that_fails_half_way_leaves_the_next_one_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of one scrape is the error of that scrape alone."""
    text = TextFormat(openmetrics=False)
    text.render(snapshot(turns_open=values_of(0)))
    with monkeypatch.context() as patch:
        patch.setattr("chatvitals.exporters.text_format._series", None)
        with pytest.raises(TypeError):
            text.render(snapshot(turns_open=values_of(0) | {("500",): {0: 1.0}}))
    for value in (0, 0, 1):
        expected = TextFormat(openmetrics=False).render(snapshot(turns_open=values_of(value)))
        assert text.render(snapshot(turns_open=values_of(value))) == expected


def test_a_series_that_went_is_not_shown_again() -> None:
    """What was written before is no promise."""
    text = TextFormat(openmetrics=False)
    text.render(snapshot(turns_open={("11",): {0: 2.0}, ("22",): {0: 3.0}}))
    assert '"22"' not in text.render(snapshot(turns_open={("11",): {0: 2.0}})).decode()
    assert text.render(snapshot()) == b""
    assert '"22"' in text.render(snapshot(turns_open={("11",): {0: 2.0}, ("22",): {0: 3.0}})).decode()


def test_a_birth_that_becomes_known_later_shows_in_all_series() -> None:
    """The store may have been away at the first scrape."""
    text = TextFormat(openmetrics=True)
    values: Values = {("11", "first", ""): {0: 1.0, -1: 0.25}}
    assert b"_created" not in text.render(snapshot(wait_seconds=values))
    later = text.render(snapshot(StoreBirth(1.7e9, "x"), wait_seconds=values)).decode()
    assert f'{WAIT}_created{{phone_number_id="11",turn="first"}} 1.7e+09' in later
    assert later.endswith("# EOF\n")


def test_a_histogram_counts_up() -> None:
    """Buckets are cumulative in the text and alone in the store."""
    values: Values = {("11", "first", ""): {0: 1.0, 2: 2.0, 14: 1.0, -1: 5.5}}
    lines = TextFormat(openmetrics=False).render(snapshot(wait_seconds=values)).decode().splitlines()
    head = f'{WAIT}_bucket{{phone_number_id="11",turn="first",le='
    assert [line.removeprefix(head) for line in lines if line.startswith(head)] == [
        '"0.5"} 1.0', '"1.0"} 1.0',
        *(f'"{bound:.1f}"}} 3.0' for bound in (2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 14400)),
        '"+Inf"} 4.0',
    ]  # fmt: skip
    assert lines[-2:] == [
        f'{WAIT}_count{{phone_number_id="11",turn="first"}} 4.0',
        f'{WAIT}_sum{{phone_number_id="11",turn="first"}} 5.5',
    ]
