from __future__ import annotations

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chatvitals.whatsapp import signatures

BODY = b'{"entry": []}'
GOOD = "sha256=" + hmac.new(b"secret", BODY, hashlib.sha256).hexdigest()


def test_a_signature_is_meta_s() -> None:
    """It is the HMAC-SHA256 of the raw bytes, keyed with the app secret, in lower-case hex (whatsapp/README.md 1.3)."""
    assert signatures.sign(BODY, "secret") == GOOD
    assert signatures.check(BODY, GOOD, ["secret"])


def test_any_of_several_secrets_will_do() -> None:
    """Several apps may send to one address, each with its own secret."""
    assert signatures.check(BODY, GOOD, ("other", "secret", "third"))
    assert not signatures.check(BODY, GOOD, ("other", "third"))


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "sha256=",
        GOOD[:-1],
        GOOD[:39],
        GOOD + "0",
        GOOD.removeprefix("sha256="),
        GOOD.upper(),
        "SHA256=" + GOOD.removeprefix("sha256="),
        "sha256=" + GOOD.removeprefix("sha256=").upper(),
        "sha1=" + GOOD.removeprefix("sha256="),
        f"{GOOD}, {GOOD}",
        f"{GOOD},{GOOD}",
        f"{GOOD} ",
        f" {GOOD}",
        f"{GOOD}\n",
        "sha256=" + "0" * 64,
        "sha256=" + "\u0660" * 64,
        "sha256=" + "\ud83d" * 64,
        "sha256=" + "\xff" * 64,
    ],
)
def test_anything_but_exactly_one_signature_is_refused(header: str | None) -> None:
    """Missing, truncated, upper-case, doubled, padded or foreign headers prove nothing (tests/safety/README.md 54)."""
    assert not signatures.check(BODY, header, ["secret"])


def test_without_secrets_nothing_matches() -> None:
    """With an empty secret every sender could sign."""
    assert not signatures.check(BODY, GOOD, [])
    assert not signatures.check(BODY, signatures.sign(BODY, ""), ["", "secret"])


def test_a_secret_may_hold_any_text() -> None:
    """Letters outside ASCII, and what the environment gives for a byte that is not UTF-8."""
    for secret in ("p\u00e4ss\u2713", "\udcff"):
        assert signatures.check(BODY, signatures.sign(BODY, secret), [secret])


@given(st.binary(min_size=1), st.integers(0), st.integers(1, 255))
def test_one_altered_byte_is_noticed(body: bytes, place: int, mask: int) -> None:
    """The body is proved byte for byte."""
    altered = bytearray(body)
    altered[place % len(body)] ^= mask
    signature = signatures.sign(body, "secret")
    assert signatures.check(body, signature, ["secret"])
    assert not signatures.check(bytes(altered), signature, ["secret"])
