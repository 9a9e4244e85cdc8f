"""The faults, each with the tests that must fail with it."""

from __future__ import annotations

from typing import Final, NamedTuple


class Mutant(NamedTuple):
    """One fault."""

    name: str
    file: str  # below src/chatvitals
    right: str  # stands once in the file
    wrong: str
    tests: str  # as for pytest: a file, and a part of names behind `-k`
    named: str


MUTANTS: Final = (
    Mutant(
        "the guard swallows groups of exceptions",
        "runtime/error_guard.py",
        " or isinstance(error, BaseExceptionGroup)",
        "",
        "tests/safety/test_giving_way.py",
        "test_04_a_group_of_exceptions_passes_the_guard",
    ),
    Mutant(
        "ids are remembered for 3 days",
        "conversations/message_log.py",
        "REMEMBER_SECONDS: Final = 7 * 86_400",
        "REMEMBER_SECONDS: Final = 3 * 86_400",
        "tests/safety/test_survivors.py",
        "test_ids_are_remembered_for_seven_days",
    ),
    Mutant(
        "contacts of experiments are forgotten like all others",
        "conversations/settling.py",
        "(FORGET_LATER_AFTER if later else FORGET_AFTER)",
        "FORGET_AFTER",
        "tests/safety/test_survivors.py",
        "test_a_contact_of_an_experiment_is_remembered_for_90_days",
    ),
    Mutant(
        "a lease that was given in the future holds",
        "stores/base.py",
        "not given - LEASE_TOLERANCE <= now < ends",
        "not now < ends",
        "tests/unit/stores/test_conformance_leases.py",
        "test_70_a_lease_of_a_clock_that_was_ahead_counts_for_nothing",
    ),
    Mutant(
        "the key of an account event lacks its field",
        "quality/webhook_events.py",
        'f"{event.field}\\0{event.entry}\\0{event.time}\\0{value}"',
        'f"{event.entry}\\0{event.time}\\0{value}"',
        "tests/safety/test_survivors.py",
        "test_equal_values_of_two_fields_are_two_account_events",
    ),
    Mutant(
        "connections stay open over a fork",
        "stores/sqlite.py",
        "if self._idle.wait_for(lambda: not self._uses, _BUSY_SECONDS + 0.5):\n                self._close_all()",
        "self._idle.wait_for(lambda: not self._uses, _BUSY_SECONDS + 0.5)",
        "tests/safety/test_giving_way.py",
        "test_29_no_connection_stays_open_over_a_fork",
    ),
    Mutant(
        "signatures are compared with ==",
        "whatsapp/signatures.py",
        "hmac.compare_digest(header, sign(body, secret))",
        "(header == sign(body, secret))",
        "tests/safety/test_giving_way.py",
        "test_54_secrets_are_compared_in_constant_time",
    ),
    Mutant(
        "bearer tokens are compared with ==",
        "exporters/prometheus.py",
        'hmac.compare_digest(given[0], f"Bearer {token}".encode())',
        'given[0] == f"Bearer {token}".encode()',
        "tests/safety/test_giving_way.py",
        "test_54_secrets_are_compared_in_constant_time",
    ),
    Mutant(
        "a rejection counts in spite of a secret",
        "integrations/_verdicts.py",
        "status in STATUSES and not settings.app_secret",
        "status in STATUSES",
        "tests/safety/test_survivors.py",
        "test_a_rejection_of_a_signed_webhook_is_the_bots_own_matter",
    ),
    Mutant(
        "the document of account events takes no part in the compare-and-set",
        "stores/redis_scripts.py",
        "~= digest then return 'CONFLICT' end",
        "== 0 then return 'CONFLICT' end",
        "tests/unit/stores/test_conformance_commits.py",
        "test_71_what_was_read_and_has_changed_is_not_overwritten",
    ),
    Mutant(
        "a look-up in the memory store waits for the batch",
        "stores/memory.py",
        'wait for a batch."""\n        return self._load(keys)',
        'wait for a batch."""\n        with self._lock:\n            return self._load(keys)',
        "tests/unit/stores/test_conformance_reads.py",
        "test_rows_do_not_wait_for_a_writer",
    ),
    Mutant(
        "a commit to Redis stops in the middle",
        "stores/redis_codec.py",
        "if not -inf < amount < inf:",
        "if False:",
        "tests/unit/stores/test_conformance_commits.py",
        "test_62_of_a_refused_commit_nothing_takes_effect",
    ),
    Mutant(
        "a file that another worker is creating is a foreign one",
        "stores/sqlite_schema.py",
        "alone = not connection.in_transaction",
        "alone = False",
        "tests/unit/stores/test_sqlite_file.py",
        "test_73_a_file_that_another_worker_is_creating_is_no_other_applications",
    ),
    Mutant(
        "a long page gives way after a hundred label sets",
        "exporters/text_format.py",
        "_GIVE_WAY_AFTER = 10 ",
        "_GIVE_WAY_AFTER = 100 ",
        "tests/safety/test_metrics_endpoint.py",
        "test_51_a_long_page_gives_way_after_each_ten_label_sets",
    ),
)
