"""What customers measure themselves, by the rules of turns."""

from __future__ import annotations

from chatvitals.demo.ground_truth import Truth


def test_a_message_joins_the_open_turn_and_the_first_reply_closes_it() -> None:
    """The clock of a turn runs from the first message of the burst to the first reply."""
    truth = Truth()
    truth.wrote("ada", 10.0)
    truth.wrote("ada", 12.0)
    assert truth.got_reply("ada", 15.0)
    assert (truth.waits, truth.messages, truth.unanswered) == ([5.0], 2, 0)


def test_later_replies_change_nothing() -> None:
    """A reply without an open turn ends no wait."""
    truth = Truth()
    truth.wrote("ada", 10.0)
    truth.got_reply("ada", 11.0)
    assert not truth.got_reply("ada", 14.0)
    assert truth.waits == [1.0]


def test_a_reaction_is_a_message_but_no_turn() -> None:
    """A reaction needs no answer."""
    truth = Truth()
    truth.reacted()
    assert (truth.messages, truth.turns, truth.mean, truth.quantile(0.5)) == (1, [], None, None)


def test_quantiles_are_by_rank() -> None:
    """The quantile is a real waiting time of a customer."""
    truth = Truth()
    for index, wait in enumerate((4.0, 1.0, 3.0, 2.0)):
        truth.wrote(str(index), 0.0)
        truth.got_reply(str(index), wait)
    assert [truth.quantile(q) for q in (0.0, 0.5, 0.51, 0.95)] == [1.0, 2.0, 3.0, 4.0]
