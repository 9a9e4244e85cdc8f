"""What `chatvitals doctor` says where WhatsApp's side is wrong: each check with its broken cases, over real HTTP."""

from __future__ import annotations

import itertools
import re
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from chatvitals.doctor import app, http
from chatvitals.simulator import graph_api
from chatvitals.simulator.graph_api import Fault, number_row
from chatvitals.simulator.people import BusinessNumber

if TYPE_CHECKING:
    from tests.helpers.healthy_bot import Patient

OWNER_ONLY = Fault.refusal(400, 100, "You must provide an app access token")


def needs(patient: Patient, check: str) -> dict[str, str]:
    """Run the doctor. This check alone must need attention. Returns its finding."""
    result = patient.doctor("--json")
    assert result.status == 1
    assert result.states("attention") == {check}
    found = next(found for found in result.findings(check) if found["state"] == "attention")
    assert found["next"]
    return found


@pytest.mark.parametrize(
    ("fault", "found", "advice"),
    [
        (graph_api.EXPIRED, "the access token has expired or is not valid: ", "create a token"),
        (graph_api.RATE_LIMITED, "this account has no calls left for now: ", "wait an hour"),
        (graph_api.HTML, "the Graph API answered with status 200 and no JSON object (text/html)", "GRAPH_URL"),
        (
            Fault.refusal(403, 10, "No permission"),
            "the token has no permission for this: ",
            "whatsapp_business_management",
        ),
        (Fault.refusal(400, 33, "No such thing"), "the Graph API answered with status 400, code 33", "list of error"),
        (Fault.refusal(500, 1, "Sorry"), "WhatsApp reports a problem of its own: ", "try again"),
        (Fault.refusal(400, 80_007, "Too many", retry_after="120"), "this account has no calls left", "wait 2 min"),
    ],
    ids=["expired", "rate-limited", "html", "forbidden", "other", "server", "retry-after"],
)
def test_what_the_api_refuses_is_explained(patient: Patient, fault: Fault, found: str, advice: str) -> None:
    """In plain words with the code, and the checks of the bot's side go on."""
    patient.edges.always = fault
    result = patient.doctor("--json")
    token = result.finding("access token")
    assert token["state"] == "attention"
    assert token["found"].startswith(found)
    assert advice in token["next"]
    assert result.finding("store")["state"] == result.finding("handshake")["state"] == "ok"


def test_after_an_expired_token_nothing_is_asked_in_vain(patient: Patient) -> None:
    """One line says it, and the others say that they were not asked."""
    patient.edges.refusals["debug_token"] = graph_api.EXPIRED
    result = patient.doctor("--json")
    assert result.states("attention") == {"access token"}
    skipped = result.finding("subscription")
    assert (skipped["state"], skipped["found"]) == (
        "skipped",
        "not checked: the access token has expired or is not valid",
    )
    assert not [call for call in patient.edges.calls if "subscribed_apps" in call or "phone_numbers" in call]


def test_an_api_that_nobody_serves(patient: Patient) -> None:
    """The connection is refused at once, and only the token's line and the app's say so."""
    patient.environ["CHATVITALS_GRAPH_URL"] = "http://127.0.0.1:9"
    result = patient.doctor("--json")
    assert result.finding("access token")["found"] == (
        "the Graph API cannot be asked: 127.0.0.1:9 refuses the connection"
    )
    assert result.finding("access token")["next"] == "check that a server runs at 127.0.0.1:9, and the port"
    assert result.finding("subscription")["state"] == "skipped"
    assert result.finding("metrics")["state"] == "ok"


def test_an_account_that_does_not_exist(patient: Patient) -> None:
    """The answer has no code of Meta, so the advice is about the id and the address."""
    patient.environ["CHATVITALS_WABA_IDS"] = "990009998887776"
    found = patient.doctor("--json").finding("subscription")
    assert found["state"] == "attention"
    assert found["next"].startswith("check the id, and that CHATVITALS_GRAPH_URL")


def test_a_phone_number_id_of_another_account(patient: Patient) -> None:
    """The setting names a number that the accounts of the token do not have."""
    patient.environ["CHATVITALS_PHONE_NUMBER_ID"] = "990000000000001"
    assert needs(patient, "business number")["found"] == "this phone_number_id is not a number of the accounts"


def test_an_api_whose_name_is_none(patient: Patient) -> None:
    """A label of a host's name has 63 characters at most, and Python raises something else for longer ones."""
    name = f"{'x' * 70}.example"
    patient.environ |= {"CHATVITALS_GRAPH_URL": f"http://{name}", "CHATVITALS_WEBHOOK_URL": f"http://{name}/webhook"}
    result = patient.doctor("--json")
    assert result.finding("access token")["found"].startswith(
        f"the Graph API cannot be asked: {name} cannot be reached"
    )
    assert result.finding("handshake")["found"].startswith(f"{name} cannot be reached")


def test_an_api_that_does_not_answer(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is given up after a few seconds."""
    monkeypatch.setattr(http, "SECONDS", 0.2)
    patient.edges.delay = 1.0
    result = patient.doctor("--json")
    assert "did not answer within 0.2 s" in result.finding("access token")["found"]


def test_a_token_that_whatsapp_calls_invalid(patient: Patient) -> None:
    """Its reason is given, though never the token."""
    patient.edges.token = {"is_valid": False, "error": {"code": 190, "message": "The session was invalidated."}}
    found = needs(patient, "access token")
    assert found["found"] == "WhatsApp reports that it is not valid: The session was invalidated."


def test_a_token_that_expires_soon(patient: Patient) -> None:
    """A week before, it is time. Longer before, the date is enough."""
    patient.edges.token["expires_at"] = int(time.time() + 3 * 86_400 + 60)
    assert needs(patient, "access token")["found"].endswith(", in 3 days")
    patient.edges.token["expires_at"] = int(time.time() + 30 * 86_400)
    assert patient.doctor("--json").finding("access token")["found"].startswith("valid until 20")


def test_a_token_of_another_app(patient: Patient) -> None:
    """It would subscribe the wrong one."""
    patient.edges.token["app_id"] = "1234"
    assert "belongs to the app 1234" in needs(patient, "access token")["found"]


def test_a_scope_that_is_missing(patient: Patient) -> None:
    """Without management nothing can be read. Without messaging only sending fails, and that is not ours."""
    patient.edges.token["scopes"] = ["whatsapp_business_messaging"]
    assert needs(patient, "token scopes")["found"].startswith("whatsapp_business_management is missing")
    patient.edges.token["scopes"] = ["whatsapp_business_management"]
    assert "cannot send" in patient.doctor("--json").finding("token scopes")["found"]


def test_a_token_that_may_not_look_at_itself(patient: Patient) -> None:
    """The app is asked then. Without its secret the check is skipped and says what it needs."""
    patient.edges.refusals["debug_token"] = OWNER_ONLY
    secret, app_id = patient.environ.pop("CHATVITALS_APP_SECRET"), patient.environ.pop("CHATVITALS_APP_ID")
    result = patient.doctor("--json")
    assert (result.status, result.finding("access token")["state"]) == (0, "skipped")
    assert result.finding("subscription")["found"].endswith(f"which one is yours: Bot ({app_id})")
    assert "CHATVITALS_APP_SECRET" in result.finding("access token")["next"]
    patient.edges.refusals.clear()
    patient.edges.faults.append(OWNER_ONLY)
    patient.environ["CHATVITALS_APP_SECRET"] = f"another-secret,{secret}"
    patient.environ["CHATVITALS_APP_ID"] = app_id
    result = patient.doctor("--json")
    assert (result.status, result.finding("access token")["state"]) == (0, "ok")


def test_the_token_tells_the_app_where_nobody_names_it(patient: Patient) -> None:
    """Then the app secret alone is enough to list the fields."""
    del patient.environ["CHATVITALS_APP_ID"]
    assert patient.doctor("--json").finding("webhook fields")["state"] == "ok"


def test_a_clock_that_is_wrong(patient: Patient) -> None:
    """Measured by the API's, as far as its answers prove it."""
    for wrong, where in ((40_000.0, "behind"), (-30_000.0, "ahead of")):
        patient.edges.clock = wrong
        began = time.time()
        told = re.match(rf"(\d+) s {where} WhatsApp's", needs(patient, "clock")["found"])
        assert told is not None
        least = abs(wrong) - (time.time() - began) - 1.5  # a second of the header's, and what is rounded
        assert least <= int(told[1]) <= abs(wrong)


def test_a_slow_answer_is_no_wrong_clock(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local clock goes on while an answer is awaited."""
    late = itertools.cycle([0.0, 9.0])  # at the request and after its answer
    slow = SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + next(late))
    monkeypatch.setattr("chatvitals.graph_api.client.time", slow)
    assert patient.doctor("--json").finding("clock")["state"] == "ok"


def test_an_account_without_subscription(patient: Patient) -> None:
    """No webhook comes, and `--fix` can mend it."""
    patient.edges.subscribed = False
    found = needs(patient, "subscription")
    assert (found["subject"], found["found"]) == (patient.edges.waba_id, "no app is subscribed, so no webhook comes")
    assert "--fix" in found["next"]


def test_an_account_to_which_only_another_app_is_subscribed(patient: Patient) -> None:
    """A partner's, perhaps."""
    patient.edges.subscribed_as = "777"
    assert needs(patient, "subscription")["found"].endswith("is not subscribed, only Bot (777)")


def test_an_override_that_parts_messages_from_quality(patient: Patient) -> None:
    """Webhooks about quality never follow it, so the app's own address must lead to the bot as well."""
    patient.edges.override = "https://elsewhere.example/hook?token=a-verify-token-of-theirs"
    found = needs(patient, "callback override")
    assert "messages of the account go to https://elsewhere.example/hook. Webhooks" in found["found"]
    assert "(https://bot.example/webhook)" in found["found"]


def test_an_override_of_one_number(patient: Patient) -> None:
    """The number's own `webhook_configuration` wins over everything."""
    patient.edges.numbers[0]["webhook_configuration"]["phone_number"] = "https://elsewhere.example/hook"
    assert (
        f"messages of the number {BusinessNumber().phone_number_id} go to"
        in needs(patient, "callback override")["found"]
    )


def test_an_override_to_the_app_s_own_address_is_none(patient: Patient) -> None:
    """Nothing is parted then."""
    patient.edges.override = f"{patient.edges.callback}/"
    assert patient.doctor("--json").status == 0


@pytest.mark.parametrize("missing", [["phone_number_quality_update"], ["security", "account_update"]])
def test_fields_that_are_not_ticked(patient: Patient, missing: list[str]) -> None:
    """Each is named."""
    for name in missing:
        patient.edges.fields.remove(name)
    found = needs(patient, "webhook fields")
    assert all(name in found["found"] for name in missing)
    assert "App Dashboard" in found["next"]


def test_a_wrong_app_secret(patient: Patient) -> None:
    """The token's own checks go on."""
    patient.edges.app_secret = "another-one"
    assert needs(patient, "webhook fields")["found"].startswith("this app id with this app secret is not accepted")


def test_a_subscription_that_is_off_or_of_something_else(patient: Patient) -> None:
    """Both mean that no webhook comes."""
    patient.edges.active = False
    assert "switched off" in needs(patient, "webhook fields")["found"]
    patient.edges.refusals["subscriptions"] = Fault(200, '{"data": [{"object": "page", "fields": ["feed"]}]}')
    assert "has no subscription for WhatsApp" in needs(patient, "webhook fields")["found"]


def test_a_callback_address_that_is_another_one(patient: Patient) -> None:
    """As known from the app, or without its secret from the numbers."""
    patient.environ["CHATVITALS_WEBHOOK_URL"] = "http://bot.invalid/webhook"
    found = patient.doctor("--json").finding("callback address")
    assert found["found"] == "webhooks go to https://bot.example/webhook, not to http://bot.invalid/webhook"
    del patient.environ["CHATVITALS_APP_SECRET"]
    assert patient.doctor("--json").finding("callback address")["state"] == "attention"


def test_a_callback_address_is_told_where_there_is_nothing_to_compare(patient: Patient) -> None:
    """It is skipped then. Where no number and no app tells it, it is not known."""
    patient.environ.pop("CHATVITALS_WEBHOOK_URL")
    found = patient.doctor("--json").finding("callback address")
    assert (found["state"], found["found"]) == ("skipped", "webhooks go to https://bot.example/webhook")
    assert app.callback("https://BOT.example/webhook", "https://bot.example/webhook/").state == "ok"


def test_an_account_without_numbers(patient: Patient) -> None:
    """Or with none that the token may see."""
    patient.edges.numbers.clear()
    assert needs(patient, "business number")["found"] == "the account has no number that the token can see"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"quality_rating": "RED"}, "rated RED, CONNECTED"),
        ({"status": "FLAGGED"}, "rated GREEN, FLAGGED"),
        ({"status": "RESTRICTED"}, "rated GREEN, RESTRICTED"),
        ({"status": "BANNED", "quality_rating": "NA"}, "no rating yet, BANNED"),
    ],
)
def test_a_number_in_trouble(patient: Patient, change: dict[str, Any], found: str) -> None:
    """Each number has its line, under the number that people see. The others are well."""
    other = number_row(BusinessNumber("990005556667779", display="15559990001"), "YELLOW")
    patient.edges.numbers.append(other)
    patient.edges.numbers[0] |= change
    finding = needs(patient, "business number")
    assert (finding["subject"], finding["found"]) == ("+1 555-999-0000", found)
    well = patient.doctor("--json").findings("business number")[1]
    assert (well["subject"], well["state"], well["found"]) == ("+1 555-999-0001", "ok", "rated YELLOW, CONNECTED")


def test_a_blocked_account_comes_with_whatsapp_s_own_proposal(patient: Patient) -> None:
    """It stands in the health status, and nowhere in a webhook."""
    entities = patient.edges.numbers[0]["health_status"]["entities"]
    entities[0] |= {"can_send_message": "LIMITED", "additional_info": ["The display name is under review."]}
    assert "limited by the phone number: The display name is" in needs(patient, "business number")["found"]
    error = {"error_code": 141_006, "error_description": "No payment.", "possible_solution": "Add a card."}
    entities[1] |= {"can_send_message": "BLOCKED", "errors": [error]}
    found = needs(patient, "business number")
    assert found["found"].endswith("sending is blocked by the waba: No payment.")
    assert found["next"] == "Add a card."


@pytest.mark.parametrize(
    ("health", "found"),
    [
        ("BLOCKED", "sending is blocked"),
        ({"can_send_message": "BLOCKED"}, "sending is blocked"),
        ({"can_send_message": "LIMITED", "entities": []}, "sending is limited"),
        ({"entities": {"entity_type": "WABA", "can_send_message": "BLOCKED"}}, "sending is blocked by the waba"),
        (
            {"can_send_message": "BLOCKED", "entities": [{"entity_type": "WABA", "can_send_message": "LIMITED"}]},
            "sending is blocked",
        ),
        (
            {"entities": {"entity_type": "APP", "can_send_message": "BLOCKED", "errors": {"error_description": "No."}}},
            "sending is blocked by the app: No.",
        ),
    ],
)
def test_health_in_another_shape(patient: Patient, health: object, found: str) -> None:
    """One object in place of a list, no list at all, or the chain's own word alone."""
    patient.edges.numbers[0]["health_status"] = health
    assert needs(patient, "business number")["found"] == f"rated GREEN, CONNECTED, {found}"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"name_status": "DECLINED"}, "rated GREEN, CONNECTED, its display name is DECLINED"),
        ({"name_status": "EXPIRED"}, "rated GREEN, CONNECTED, its display name is EXPIRED"),
        (
            {"status": "PENDING", "code_verification_status": "NOT_VERIFIED"},
            "rated GREEN, PENDING, its code is not verified",
        ),
    ],
)
def test_a_set_up_that_is_not_complete(patient: Patient, change: dict[str, Any], found: str) -> None:
    """WhatsApp refuses messages of a number whose display name was declined."""
    patient.edges.numbers[0] |= change
    assert needs(patient, "business number")["found"] == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"throughput": {"level": "HIGH"}}, "rated GREEN, CONNECTED, HIGH throughput"),
        ({"throughput": "HIGH"}, "rated GREEN, CONNECTED, HIGH throughput"),
        ({"throughput": {"level": None}}, "rated GREEN, CONNECTED"),
        ({"code_verification_status": "EXPIRED"}, "rated GREEN, CONNECTED"),
        ({"quality_rating": {"score": "YELLOW"}}, "rated YELLOW, CONNECTED"),
        ({"quality_rating": ["GREEN"], "status": {"value": "CONNECTED"}}, "no rating yet"),
        ({"health_status": ["BLOCKED"], "name_status": 1, "throughput": []}, "rated GREEN, CONNECTED"),
    ],
)
def test_a_row_in_another_shape_is_well(patient: Patient, change: dict[str, Any], found: str) -> None:
    """What cannot be read is left out."""
    patient.edges.numbers[0] |= change
    finding = patient.doctor("--json").finding("business number")
    assert (finding["state"], finding["found"]) == ("ok", found)


def test_fields_that_the_api_s_version_does_not_know_are_done_without(patient: Patient) -> None:
    """Rating and name are always there."""
    for name in ("webhook_configuration", "health_status", "status"):
        del patient.edges.numbers[0][name]
    assert patient.doctor("--json").finding("business number")["found"] == "rated GREEN"


def test_names_from_outside_move_no_cursor(patient: Patient) -> None:
    """A number's name is whatever the API says."""
    patient.edges.numbers[0]["display_phone_number"] = "\x1b[2J+1"
    assert patient.doctor("--json").finding("business number")["subject"] == "[2J+1"
    assert "\x1b" not in patient.doctor().out


def test_a_secret_that_the_api_quotes_is_blotted_out(patient: Patient) -> None:
    """Meta quotes tokens that are malformed, and might quote a secret."""
    text = f"Bad token {patient.edges.access_token} and {patient.edges.app_secret}"
    patient.edges.always = Fault.refusal(401, 190, text)
    assert "Bad token … and …" in patient.doctor("--json").finding("access token")["found"]
