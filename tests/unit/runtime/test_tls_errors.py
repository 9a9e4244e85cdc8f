"""TLS errors are found behind the errors of client libraries."""

from __future__ import annotations

import ssl

import pytest

from chatvitals.runtime import tls_errors

pytestmark = pytest.mark.fast


def test_a_refused_certificate_is_found_with_its_reason() -> None:
    """Whether a library names its cause or only raises another error meanwhile."""
    refused = ssl.SSLCertVerificationError(1, "certificate verify failed")
    refused.verify_message = "Hostname mismatch, certificate is not valid for 'bot.example'."
    outer, outermost = ConnectionError(), OSError()
    outer.__context__, outermost.__cause__ = refused, outer
    assert tls_errors.behind(outermost) is refused
    assert tls_errors.reason(refused) == "Hostname mismatch, certificate is not valid for 'bot.example'"


def test_other_errors_are_none() -> None:
    """Also where they are each other's causes."""
    first, second = OSError(), OSError()
    first.__cause__, second.__cause__ = second, first
    assert tls_errors.behind(first) is None


def test_an_error_without_a_reason_has_words() -> None:
    """A sentence stays whole."""
    assert tls_errors.reason(ssl.SSLError("broken")) == "no reason given"
