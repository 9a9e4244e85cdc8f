"""The look of the doctor's findings, and the sentences for a missing answer."""

from __future__ import annotations

import io
import itertools
import re
import socket
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import httpx
import pytest

from chatvitals.doctor import http, numbers, store
from chatvitals.doctor.config import Options, setup
from chatvitals.doctor.finding import Finding, attention, ok, skipped
from chatvitals.doctor.report import CHECKS, Report, lines, summary
from chatvitals.simulator import graph_api
from chatvitals.whatsapp import enums

if TYPE_CHECKING:
    from pathlib import Path

LONG = attention(
    "subscription", "no app is subscribed, " * 4, "run `chatvitals doctor --fix`, " * 4, subject="99000111"
)


class Out(io.StringIO):
    """A standard output in an encoding, perhaps of a terminal."""

    def __init__(self, encoding: str = "utf-8", *, terminal: bool = False) -> None:
        super().__init__()
        self._encoding, self._terminal = encoding, terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding."""
        return self._encoding

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._terminal


def printed(monkeypatch: pytest.MonkeyPatch, out: Out, *findings: Finding) -> str:
    """Return the printed report of these findings."""
    monkeypatch.setattr(sys, "stdout", out)
    report = Report()
    for finding in findings:
        report.add(finding)
    report.close()
    return out.getvalue()


def test_a_finding_wraps_under_its_own_words() -> None:
    """The finding stands in its column. The next step begins with an arrow."""
    made = lines(LONG, 80)
    assert made[0].startswith("! attention  subscription        99000111: no app is subscribed, no app")
    arrow = next(number for number, line in enumerate(made) if "→" in line)
    assert all(line.startswith(" " * 33) for line in made[1:arrow])
    assert made[arrow].startswith("             → run `chatvitals doctor --fix`,")
    assert all(line.startswith(" " * 15) for line in made[arrow + 1 :])
    assert max(map(len, made)) <= 80


def test_every_check_has_room_for_its_name() -> None:
    """So that all findings begin in one column."""
    assert {lines(ok(check, "found"), 80)[0].index("found") for check in CHECKS} == {33}


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ([ok("a", "")], "1 check passed."),
        ([ok("a", ""), skipped("b", "")], "1 check passed. 1 skipped."),
        ([ok("a", ""), attention("b", "", "")], "2 checked, 1 needs attention."),
        ([attention("a", "", ""), attention("b", "", ""), skipped("c", "")], "2 checked, 2 need attention. 1 skipped."),
        ([skipped("a", "")], "Nothing was checked. 1 skipped."),
    ],
)
def test_the_closing_line_counts(findings: list[Finding], said: str) -> None:
    """A skipped check does not count as passed."""
    assert summary(findings) == said


def test_a_terminal_without_check_marks_gets_plain_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are the same."""
    text = printed(monkeypatch, Out("ascii"), ok("store", "fine"), LONG)
    assert text.isascii()
    assert text.startswith("+ ok         store")
    assert "             > run" in text


def test_colours_are_for_terminals_and_add_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """With rich. Without the colours, the text is what a file gets."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    findings = [ok("store", "fine"), LONG, skipped("clock", "no answer")]
    plain = printed(monkeypatch, Out(), *findings)
    coloured = printed(monkeypatch, Out(terminal=True), *findings)
    assert "\x1b[" not in plain
    assert coloured.count("\x1b[0m") == 3
    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured) == plain


def test_a_terminal_without_rich_is_no_trouble(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is an extra."""
    monkeypatch.setitem(sys.modules, "rich.console", None)
    assert "\x1b" not in printed(monkeypatch, Out(terminal=True), LONG)


def test_a_later_finding_replaces_an_earlier_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A corrected fault needs no attention any more."""
    text = printed(monkeypatch, Out(), LONG, ok("subscription", "subscribed", subject="99000111"))
    assert text.endswith("\n1 check passed.\nNext step: none, because all checks passed.\n")


def test_secrets_are_blotted_out_the_longest_first() -> None:
    """One may be a part of another. Very short ones would only spoil words."""
    shown = ok("store", "secret-and-more, secret, token").without(["secret", "secret-and-more", "o", ""])
    assert shown.found == "…, …, token"


def caused(*chain: BaseException) -> BaseException:
    """Return the first of these errors, each caused by the next one."""
    for error, cause in itertools.pairwise(chain):
        error.__cause__ = cause
    return chain[0]


@pytest.mark.parametrize(
    ("cause", "says", "advice"),
    [
        (socket.gaierror(-2, "Name or service not known"), "the name bot.example is not known", "spelling"),
        (ssl.SSLCertVerificationError(1, "expired"), "the TLS certificate of bot.example is not valid for it", "renew"),
        (ssl.SSLError(1, "WRONG_VERSION_NUMBER"), "bot.example does not use TLS", "http://"),
        (ConnectionRefusedError(111, "refused"), "bot.example refuses the connection", "port"),
        (TimeoutError(), "bot.example did not answer within 5 s", "firewall"),
        (OSError(113, "No route to host"), "bot.example cannot be reached (ConnectError)", "network"),
    ],
)
def test_why_nobody_answered_is_said_in_plain_words(cause: OSError, says: str, advice: str) -> None:
    """By the error's own type, however deep a library has wrapped it."""
    error = caused(httpx.ConnectError("https://bot.example/?hub.verify_token=secret"), RuntimeError(), cause)
    found, do_next = http.why(error, "bot.example")
    assert found == says
    assert advice in do_next


def refused_certificate(code: int) -> ssl.SSLCertVerificationError:
    """Return the error of a certificate that OpenSSL refused with this code."""
    error = ssl.SSLCertVerificationError(1, "CERTIFICATE_VERIFY_FAILED")
    error.verify_code = code
    return error


@pytest.mark.parametrize(
    ("cause", "of_bot", "says", "advice"),
    [
        (refused_certificate(10), True, "the TLS certificate of meta.example has expired", "renew"),
        (
            refused_certificate(10),
            False,
            "the TLS certificate of meta.example has expired",
            "the clock of this machine",
        ),
        (refused_certificate(62), True, "the TLS certificate of meta.example is for another name", "renew"),
        (refused_certificate(62), False, "the TLS certificate of meta.example is for another name", "address"),
        (refused_certificate(19), True, "the TLS certificate of meta.example has no trusted issuer", "missing chain"),
        (refused_certificate(19), False, "this machine does not trust the TLS certificate", "SSL_CERT_FILE"),
        (ssl.SSLError(1, "[SSL: TLSV1_ALERT_PROTOCOL_VERSION]"), True, "meta.example ends the TLS handshake", "1.2"),
    ],
)
def test_tls_that_fails_is_explained(cause: ssl.SSLError, of_bot: bool, says: str, advice: str) -> None:  # noqa: FBT001 - a parameter
    """The owner of the bot renews its certificate. Nobody but Meta renews Meta's."""
    found, do_next = http.why(caused(httpx.ConnectError("no"), cause), "meta.example", of_bot=of_bot)
    assert found.startswith(says)
    assert advice in do_next


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ConnectionRefusedError(111, "refused"), "the proxy proxy.example:3128 refuses the connection"),
        (socket.gaierror(-2, "unknown"), "the name of the proxy proxy.example:3128 is not known"),
        (
            httpx.ProxyError("407 Proxy Authentication Required"),
            "the proxy proxy.example:3128 does not let the request to meta.example pass",
        ),
    ],
)
def test_a_proxy_that_fails_is_named(error: Exception, says: str) -> None:
    """The connection goes to the proxy alone, so the address behind it is not the cause."""
    found, do_next = http.why(caused(httpx.ConnectError("no"), error), "meta.example", "proxy.example:3128")
    assert found == says
    assert "HTTPS_PROXY" in do_next


@pytest.mark.parametrize(
    ("variables", "proxy"),
    [
        ({}, ""),
        ({"HTTPS_PROXY": "http://name:secret@proxy.example:3128"}, "proxy.example:3128"),
        ({"ALL_PROXY": "proxy.example:3128"}, "proxy.example:3128"),
        ({"HTTP_PROXY": "http://proxy.example:3128"}, ""),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "meta.example"}, ""),
    ],
)
def test_the_proxy_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], proxy: str
) -> None:
    """It never contains the login."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert http.proxy_of("https://meta.example/v26.0/me") == proxy


def test_a_phone_number_in_place_of_its_id_is_found() -> None:
    rows = [{"id": "990005556667778", "display_phone_number": "+1 555-000-1234"}]
    found = list(numbers.unknown(["990005556667778", "15550001234", "990000000000001"], rows))
    assert [(each.state, each.subject, each.found) for each in found] == [
        ("attention", "15550001234", "this phone_number_id is the phone number itself"),
        ("attention", "990000000000001", "this phone_number_id is not a number of the accounts"),
    ]
    assert [each.next for each in found] == [
        "set it to the id 990005556667778",
        "set it to one of 990005556667778, or add its account to waba_ids",
    ]


@pytest.mark.parametrize(
    ("url", "who"),
    [
        ("http://127.0.0.1:8000/metrics", "this machine"),
        ("http://localhost/metrics", "this machine"),
        ("http://[::1]:9464/metrics", "this machine"),
        ("http://10.0.0.5/metrics", "others"),
        ("https://bot.example/metrics", "others"),
    ],
)
def test_who_can_reach_an_address(url: str, who: str) -> None:
    """On loopback only this machine can."""
    assert http.is_loopback(url) is (who == "this machine")


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    """Login, query and fragment are hidden."""
    assert http.shown("https://me:secret@bot.example:8443/hook?token=secret#x") == "https://bot.example:8443/hook"
    assert http.shown("https://[half") == "an address that cannot be read"


def test_the_stand_ins_healthy_app_has_all_fields_that_are_wanted() -> None:
    """Else the doctor would find something to mend there."""
    assert graph_api.GraphEdges(access_token="made-up").fields == list(enums.WANTED_FIELDS)


def test_secrets_in_addresses_are_known_as_secrets() -> None:
    """As they are written and as they are meant."""
    environ = {
        "CHATVITALS_STORE": "redis://user:p%40ss@h/0?sentinel_password=other",
        "CHATVITALS_METRICS_URL": "https://me:third@bot.example/metrics?token=fourth&page=1",
    }
    checked = setup(Options(access_token="fifth"), environ)
    assert checked.secrets == {"p%40ss", "p@ss", "other", "third", "fourth", "fifth"}
    assert not [secret for secret in checked.secrets if secret in repr(checked)]
    assert "fifth" not in repr(Options(access_token="fifth"))


def test_a_file_system_is_not_known_where_nobody_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Linux alone has such a list. A line of it that makes no sense is passed over."""
    monkeypatch.setattr(store, "_MOUNTS", tmp_path / "nothing")
    assert store._mounts() == ""
    assert store._file_system(tmp_path / "s.db", "\nx /\n") == ""


@pytest.mark.parametrize(("skew", "said"), [(30.2, "30 s ahead"), (-8.0, "8 s behind")])
def test_a_redis_whose_clock_differs_needs_attention(skew: float, said: str) -> None:
    """Leases allow for a few seconds only."""
    found = store._clock(skew, "Redis at h:1")
    assert (found.state, found.found) == ("attention", f"this machine is {said}")


def test_asking_for_help_imports_no_check() -> None:
    """They need httpx, which takes a while to import and may be missing."""
    code = "import sys, chatvitals.cli.main as c\ntry: c.main(['doctor', '--help'])\nexcept SystemExit: pass\n"
    code += "print('httpx' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert "Exit status:" in found.stdout
    assert found.stdout.splitlines()[-1] == "False"
    assert max(map(len, found.stdout.splitlines())) <= 80
    assert len(found.stdout.splitlines()) - 1 <= 24, "it fits a screen"
