"""Each sentence of the Protocols of `stores/base.py` is a promise, and each promise has a test."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Final

import pytest

from chatvitals.stores import base

pytestmark = pytest.mark.fast

HERE = Path(__file__).parent

PROMISES: Final[dict[str, dict[str, str]]] = {
    "Transaction.remote": {
        "Whether each call is a round trip, so that one large call is better than several small calls.":
            "test_a_transaction_is_as_remote_as_its_store",
    },
    "Transaction.load": {
        "Return the rows of the keys that have one.":
            "test_only_rows_that_exist_are_loaded test_a_thousand_keys_are_loaded_at_once",
        "keys: keys of contacts, as signed numbers of 64 bits.": "test_a_thousand_keys_are_loaded_at_once",
    },
    "Transaction.due": {
        "Return states whose due time is at or before `now`, at most `limit`, the earliest first.":
            "test_only_what_is_due_is_found_the_earliest_first test_a_due_time_can_move_and_go_with_its_contact",
        "Silent states come last, and may come a day late.":
            "test_a_silent_state_is_due_within_a_day",
        "now: Unix seconds.": "test_only_what_is_due_is_found_the_earliest_first",
        "limit: the largest number of states.": "test_only_what_is_due_is_found_the_earliest_first",
    },
    "Transaction.document": {
        "Return a document, or None where it does not exist yet.": "test_a_document_is_replaced_with_a_commit",
        "name: name of the document.": "test_a_document_is_replaced_with_a_commit",
    },
    "Transaction.commit": {
        "Apply `changes`, at most once per transaction.":
            "test_a_commit_moves_states_marks_and_cells_together test_an_empty_commit_changes_nothing",
        "changes: the whole commit.": "test_a_commit_moves_states_marks_and_cells_together",
        "ConflictError: loaded data has changed meanwhile.":
            "test_71_what_was_read_and_has_changed_is_not_overwritten test_two_writers_of_one_contact_lose_nothing",
        "RefusedDataError: the store refuses a value, and nothing took effect.":
            "test_62_of_a_refused_commit_nothing_takes_effect",
        "UncertainError: it is not known whether the commit took effect.":
            "test_a_commit_of_which_nothing_is_heard_can_be_asked_for_later",
        "StoreUnavailableError: nothing took effect.":
            "test_a_store_that_comes_back_is_used_without_a_new_start "
            "test_a_full_redis_is_told_and_nothing_takes_effect",
    },
    "Store.remote": {
        "Whether the store is reached over a network.": "test_a_transaction_is_as_remote_as_its_store",
        "The bot must not wait for such a store.": "test_rows_of_a_slow_redis_are_given_up_after_a_moment",
    },
    "Store.unreadable": {
        "Number of rows that the latest `cells` left out because this version cannot read them.":
            "test_nothing_is_unreadable_in_a_store_of_this_version "
            "test_a_label_that_would_break_the_page_is_left_out_and_counted",
    },
    "Store.transaction": {
        "Return a transaction for a `with` block.": "test_only_rows_that_exist_are_loaded",
        "A block without a commit undoes it.":
            "test_a_transaction_that_is_left_without_a_commit_changes_nothing",
        "StoreUnavailableError: the store cannot be used now.":
            "test_every_use_of_a_store_that_is_away_is_told_as_that",
    },
    "Store.rows": {
        "Return the rows of the keys that have one, without waiting for a writer.":
            "test_rows_outside_a_transaction_are_the_same test_rows_do_not_wait_for_a_writer",
        "keys: keys of contacts, as signed numbers of 64 bits.": "test_rows_outside_a_transaction_are_the_same",
        "StoreUnavailableError: the rows cannot be read at once.":
            "test_every_use_of_a_store_that_is_away_is_told_as_that "
            "test_no_call_on_the_bots_path_waits_for_a_locked_file",
    },
    "Store.cells": {
        "Return all metric cells, as one consistent snapshot.":
            "test_all_cells_are_read_as_of_one_time test_a_store_of_nothing_is_empty "
            "test_a_store_of_many_numbers_shows_all_cells",
        "The caller may change it.": "test_a_store_of_many_numbers_shows_all_cells",
    },
    "Store.oldest_open": {
        "Return the earliest mark of each (kind, business number).":
            "test_the_earliest_mark_of_each_number_is_shown_until_it_is_removed",
    },
    "Store.document": {
        "Return a document, or None where it does not exist yet.":
            "test_a_document_is_replaced_with_a_commit test_an_empty_document_exists",
        "name: name of the document.": "test_a_document_is_replaced_with_a_commit",
    },
    "Store.set_if_absent": {
        "Store a value if nothing is stored under its name yet.": "test_the_first_value_is_kept",
        "Return the stored value.": "test_workers_that_start_at_once_agree_on_one_value",
        "name: name of a document.": "test_the_first_value_is_kept",
        "value: its content.": "test_the_first_value_is_kept",
        "StoreUnavailableError: the store cannot be used now.":
            "test_every_use_of_a_store_that_is_away_is_told_as_that",
    },
    "Store.lease": {
        "Give or renew a lease to `holder`.": "test_70_a_lease_has_one_holder_who_may_renew_it",
        "Return False while another holder has it.": "test_70_of_many_who_ask_at_once_one_gets_the_lease",
        "name: name of the lease.": "test_70_a_lease_has_one_holder_who_may_renew_it",
        "holder: id of the caller, unique among all processes.": "test_70_only_the_holder_gives_a_lease_back",
        "seconds: duration from `now` on.": "test_70_a_lease_ends",
        "0 gives the lease back.": "test_70_a_lease_of_no_time_is_given_back",
        "now: Unix seconds.": "test_70_clocks_may_differ_a_little",
        "A lease that was given after `now` is ignored, because the clock has been set back.":
            "test_70_a_lease_of_a_clock_that_was_ahead_counts_for_nothing",
        "StoreUnavailableError: the store cannot be used now.":
            "test_every_use_of_a_store_that_is_away_is_told_as_that",
    },
    "Store.advice": {
        "Return a sentence on a risk to the working store, or the empty string.":
            "test_a_store_that_nothing_endangers_gives_no_advice test_72_advice_is_logged_and_counted",
        "It never raises.": "test_advice_compact_and_close_bear_a_store_that_is_away",
    },
    "Store.about": {
        "Return facts about this store, such as its size.": "test_facts_name_the_kind_the_format_and_the_size",
    },
    "Store.dump": {
        "Yield everything except leases in pieces.": "test_a_dump_holds_everything_but_leases",
        "A local store yields it as of one time.": "test_a_dump_shows_a_local_store_as_of_one_time",
        "A commit of all pieces makes a copy.": "test_a_dump_holds_everything_but_leases",
    },
    "Store.compact": {
        "Free unused space.": "test_to_compact_changes_nothing_that_is_read",
        "It may take long and delay writers.": "test_to_compact_changes_nothing_that_is_read",
    },
    "Store.close": {
        "Release open resources.": "test_advice_compact_and_close_bear_a_store_that_is_away",
        "The store opens them again on its next use.": "test_a_store_that_was_closed_opens_again",
    },
    "Changes.states": {"": "test_only_what_is_due_is_found_the_earliest_first"},
    "Changes.silent": {"": "test_a_silent_state_is_due_within_a_day test_a_state_may_turn_silent_and_back"},
    "Changes.links": {"": "test_a_link_and_a_state_replace_each_other"},
    "Changes.removed": {"": "test_what_is_removed_is_gone"},
    "Changes.open_since": {"": "test_the_earliest_mark_of_each_number_is_shown_until_it_is_removed"},
    "Changes.increments": {"": "test_amounts_add_up_and_the_latest_point_in_time_stays"},
    "Changes.maxima": {
        "":
            "test_amounts_add_up_and_the_latest_point_in_time_stays "
            "test_36_a_point_in_time_of_a_clock_that_was_ahead_gives_way",
    },
    "Changes.dropped": {"": "test_a_dropped_cell_is_gone_and_may_begin_anew"},
    "Changes.documents": {"": "test_a_document_is_replaced_with_a_commit"},
    "Changes.latest": {"": "test_36_a_point_in_time_that_waited_in_a_queue_proves_no_wrong_clock"},
    "Changes.ttls": {
        "": "test_a_time_to_keep_changes_nothing_that_is_read test_everything_has_one_hash_tag_and_contacts_expire"
    },
}  # fmt: skip


def _sentences(text: str) -> set[str]:
    """Return the sentences of a docstring, those on arguments and errors included."""
    lines = [line.strip() for line in text.splitlines()]
    joined = " ".join(line for line in lines if line not in {"", "Args:", "Raises:"})
    return set(re.split(r"(?<=\.)\s+", joined))


def _members(body: list[ast.stmt]) -> dict[str, set[str]]:
    """Return the methods and attributes of a class with the sentences of their docstrings."""
    found: dict[str, set[str]] = {}
    for node, after in zip(body, [*body[1:], ast.Pass()], strict=True):
        if isinstance(node, ast.FunctionDef):
            found[node.name] = _sentences(ast.get_docstring(node) or "")
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            text = after.value.value if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) else ""
            found[node.target.id] = _sentences(str(text))
    return found


def promised() -> dict[str, set[str]]:
    """Return the promises of both Protocols, and the fields of a commit."""
    tree = ast.parse(Path(base.__file__).read_text(encoding="utf-8"))
    classes = {node.name: _members(node.body) for node in tree.body if isinstance(node, ast.ClassDef)}
    return {
        f"{name}.{member}": {""} if name == "Changes" else sentences
        for name in ("Transaction", "Store", "Changes")
        for member, sentences in classes[name].items()
    }


def _tests(files: list[Path]) -> set[str]:
    names = (re.findall(r"^def (test_\w+)", file.read_text(encoding="utf-8"), re.MULTILINE) for file in files)
    return {name for found in names for name in found}


def named() -> set[str]:
    return {name for sentences in PROMISES.values() for names in sentences.values() for name in names.split()}


def test_every_promise_of_a_store_has_a_test() -> None:
    """A new method, error or sentence of the Protocol names its test here."""
    assert {member: set(sentences) for member, sentences in PROMISES.items()} == promised()
    assert all(names for sentences in PROMISES.values() for names in sentences.values())


def test_the_tests_of_promises_exist() -> None:
    """Those that need a server of their own stand elsewhere."""
    assert named() - _tests(list(HERE.parents[1].rglob("test_*.py"))) == set()


def test_each_test_of_the_suite_shows_a_promise() -> None:
    """A test of one store alone belongs to the tests of that store."""
    assert _tests(list(HERE.glob("test_conformance_*.py"))) - named() == set()
