"""What `chatvitals doctor` says where the bot's side is wrong: endpoint, metrics, store. Each broken for real."""

from __future__ import annotations

import itertools
import sqlite3
import time
from contextlib import closing
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from chatvitals.doctor import http, metrics
from chatvitals.doctor import store as storing
from chatvitals.exporters import scrape
from chatvitals.metrics import catalogue
from chatvitals.settings import Settings
from chatvitals.stores import open_store
from chatvitals.stores.base import Changes
from chatvitals.vitals import Vitals
from tests.helpers import services
from tests.helpers.healthy_bot import APP_SECRET, METRICS_TOKEN, STORE_PASSWORD
from tests.helpers.redis_servers import RedisServer
from tests.helpers.waiting import until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from starlette.requests import Request

    from chatvitals.metrics.measurements import Cell
    from tests.helpers.healthy_bot import Patient


def needs(patient: Patient, *checks: str) -> list[dict[str, str]]:
    """Run the doctor. These checks alone must need attention. Returns their findings."""
    result = patient.doctor("--json")
    assert result.status == 1
    assert result.states("attention") == set(checks)
    found = [found for check in checks for found in result.findings(check) if found["state"] == "attention"]
    assert all(finding["next"] for finding in found)
    return found


def test_a_forged_webhook_that_is_accepted(patient: Patient) -> None:
    """The library blocks nothing, so the bot must: with a wrong signature as well as without one."""
    patient.bot.checks_signature = False
    bad, none = needs(patient, "bad signature", "no signature")
    assert bad["found"] == none["found"] == "a forged webhook is accepted (200)"
    assert [bool(signature) for signature in patient.bot.posts] == [True, False]


def test_a_bot_that_fails_at_a_forged_webhook(patient: Patient) -> None:
    """That is no refusal."""
    patient.bot.fails = True
    assert needs(patient, "bad signature", "no signature")[0]["found"] == "a forged webhook makes the bot fail (500)"


@pytest.mark.parametrize(
    ("handshake", "found"),
    [("json", "the challenge comes back in quotes"), ("not at all", "the answer is not the challenge (text/plain)")],
)
def test_a_handshake_that_whatsapp_would_not_take(patient: Patient, handshake: str, found: str) -> None:
    """The challenge must come back as it is."""
    patient.bot.handshake = handshake
    assert needs(patient, "handshake")[0]["found"] == found


def test_a_bot_that_fails_at_handshakes(patient: Patient) -> None:
    """Its own log says why."""
    patient.bot.fails_at_handshakes = True
    right, wrong = needs(patient, "handshake", "wrong verify token")
    assert right["found"] == "the bot answers the correct verify token with status 500"
    assert "the bot's log" in right["next"]
    assert wrong["found"] == "the bot answers a wrong token with status 500"


def test_a_verify_token_that_is_not_the_bot_s(patient: Patient) -> None:
    """One of both is wrong, and neither is printed."""
    patient.environ["CHATVITALS_VERIFY_TOKEN"] = "a-store-password-of-theirs"
    assert needs(patient, "handshake")[0]["found"] == "the bot answers the correct verify token with status 403"


def test_an_endpoint_that_takes_any_verify_token(patient: Patient) -> None:
    """Any account could register it."""
    patient.bot.checks_verify_token = False
    assert "with any token" in needs(patient, "wrong verify token")[0]["found"]


def test_a_path_that_is_not_the_endpoint_s(patient: Patient) -> None:
    """404 is no refusal of a forged webhook."""
    patient.environ["CHATVITALS_WEBHOOK_URL"] = f"{patient.bot_url}/hook"
    found = needs(patient, "handshake", "wrong verify token", "bad signature", "no signature")
    assert all("status 404" in finding["found"] and "check the path" in finding["next"] for finding in found)


def test_an_endpoint_that_redirects(patient: Patient, serve: Callable[[Any], int]) -> None:
    """WhatsApp follows none. What it leads to is shown without its query."""

    async def elsewhere(request: Request) -> Response:
        return RedirectResponse(f"https://bot.example/webhook/?{request.url.query}")

    app = Starlette(routes=[Route("/webhook", elsewhere, methods=["GET", "POST"])])
    patient.environ["CHATVITALS_WEBHOOK_URL"] = f"http://127.0.0.1:{serve(app)}/webhook"
    found = needs(patient, "handshake", "wrong verify token", "bad signature", "no signature")
    assert all("307, to https://bot.example/webhook/" in finding["found"] for finding in found)


def test_an_endpoint_that_nobody_serves(patient: Patient) -> None:
    """One line says it for all four."""
    patient.environ["CHATVITALS_WEBHOOK_URL"] = "http://127.0.0.1:9/webhook"
    assert needs(patient, "handshake")[0]["found"] == "127.0.0.1:9 refuses the connection"


def test_an_endpoint_that_speaks_no_tls(patient: Patient) -> None:
    """As one finds behind a proxy that does."""
    patient.environ["CHATVITALS_WEBHOOK_URL"] = f"{patient.bot_url}/webhook".replace("http:", "https:")
    assert needs(patient, "handshake")[0]["found"].endswith("does not use TLS")


def test_an_endpoint_that_is_too_slow(
    patient: Patient, serve: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also one that never ends its answer."""
    monkeypatch.setattr(http, "_MOST_BYTES", 10)

    async def long(_: Request) -> Response:
        return PlainTextResponse("x" * 100)

    app = Starlette(routes=[Route("/webhook", long, methods=["GET", "POST"])])
    patient.environ["CHATVITALS_WEBHOOK_URL"] = f"http://127.0.0.1:{serve(app)}/webhook"
    patient.environ.pop("CHATVITALS_METRICS_URL")
    assert "did not answer within 600 s" in needs(patient, "handshake")[0]["found"]


def test_without_the_verify_token_the_rest_is_checked(patient: Patient) -> None:
    """The checks with forged requests need no token."""
    del patient.environ["CHATVITALS_VERIFY_TOKEN"]
    result = patient.doctor("--json")
    assert (result.status, result.states("skipped")) == (0, {"handshake"})
    assert {"wrong verify token", "bad signature", "no signature"} <= result.states("ok")


@pytest.mark.parametrize(
    ("token", "found"), [(None, "asks for a token (status 401)"), ("another", "refuses this token (status 401)")]
)
def test_metrics_that_ask_for_another_token(patient: Patient, token: str | None, found: str) -> None:
    """Prometheus would not get them either."""
    if token is None:
        del patient.environ["CHATVITALS_METRICS_TOKEN"]
    else:
        patient.environ["CHATVITALS_METRICS_TOKEN"] = token
    assert needs(patient, "metrics")[0]["found"].endswith(found)


@pytest.mark.parametrize(
    ("path", "found"), [("/nothing", "answers with status 404"), ("/page", "not with metrics of chatvitals")]
)
def test_metrics_that_are_none(patient: Patient, serve: Callable[[Any], int], path: str, found: str) -> None:
    """A path of something else."""

    async def page(_: Request) -> Response:
        return PlainTextResponse("<html>hello</html>")

    patient.environ["CHATVITALS_METRICS_URL"] = (
        f"http://127.0.0.1:{serve(Starlette(routes=[Route('/page', page)]))}{path}"
    )
    assert found in needs(patient, "metrics")[0]["found"]


def test_metrics_that_nobody_serves(patient: Patient) -> None:
    """The check then reads the last webhook from the store."""
    patient.environ["CHATVITALS_METRICS_URL"] = "http://127.0.0.1:9/metrics"
    assert needs(patient, "metrics")[0]["found"] == "127.0.0.1:9 refuses the connection"
    assert patient.doctor("--json").finding("last webhook")["state"] == "ok"


def test_metrics_that_everybody_can_read(
    patient: Patient, serve: Callable[[Any], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On loopback that is no matter. Elsewhere it is."""
    with closing(Vitals(Settings.load({"store": patient.store, "hooks": False}, environ={}))) as careless:
        app = Starlette(routes=[Route("/metrics", careless.metrics_app())])
        patient.environ["CHATVITALS_METRICS_URL"] = f"http://127.0.0.1:{serve(app)}/metrics"
        assert "only this machine" in patient.doctor("--json").finding("metrics protected")["found"]
        monkeypatch.setattr(http, "is_loopback", lambda url: not url.endswith("/metrics"))
        assert "anybody" in needs(patient, "metrics protected")[0]["found"]
        del patient.environ["CHATVITALS_METRICS_TOKEN"]
        assert "anybody" in needs(patient, "metrics protected")[0]["found"]


def test_metrics_that_answer_once(patient: Patient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second request finds nobody."""
    ask = http.ask

    def once(url: str, **more: Any) -> http.HttpAnswer:
        if url.endswith("/metrics") and not more.get("headers"):
            raise http.NoAnswerError("it is gone", "look for it")
        return ask(url, **more)

    monkeypatch.setattr(http, "ask", once)
    assert needs(patient, "metrics protected")[0]["found"] == "without a token: it is gone"


def seen(at: float | None, **results: float) -> dict[str, str]:
    """Return what is found about the last webhook where the metrics say this."""
    cells: dict[Cell, float] = {(catalogue.WEBHOOKS.name, (result,), 0): value for result, value in results.items()}
    if at is not None:
        cells[catalogue.LAST_WEBHOOK.name, (), 0] = at
    found = metrics.last_webhook(scrape.from_cells(cells), 10_000.0)
    return {"state": found.state, "found": found.found, "next": found.next}


def test_webhooks_that_stay_away(patient: Patient) -> None:
    """An hour without any is worth a look, and that none has a valid signature has its own reason."""
    assert seen(9_000.0)["state"] == "ok"
    assert seen(9_000.0)["found"] == "the last one came 17 min ago"
    assert seen(10_002.0)["found"] == "the last one came 0 s ago"
    assert seen(10_002.0, unsigned=3.0)["found"] == "the last one came 0 s ago, and 3 in total had no valid signature"
    assert seen(2_000.0)["state"] == "attention"
    assert seen(2_000.0)["found"] == "the last one came 2 h ago"
    assert seen(None)["found"] == "no webhook has ever come"
    assert (
        seen(None, bad_signature=3.0, unsigned=1.0)["found"] == "no webhook was accepted, and 4 had no valid signature"
    )


def test_a_store_without_webhooks(patient: Patient, tmp_path: Path) -> None:
    """Read from the store where no metrics are named."""
    del patient.environ["CHATVITALS_METRICS_URL"]
    patient.environ["CHATVITALS_STORE"] = url = f"sqlite:///{tmp_path / 'new.db'}"
    with closing(open_store(url)) as store, store.transaction() as transaction:
        transaction.commit(Changes(maxima={(catalogue.LAST_WEBHOOK.name, (), 0): time.time() - 3 * 3600}))
    assert needs(patient, "last webhook")[0]["found"] == "the last one came 3 h ago"


def test_a_store_in_memory(patient: Patient) -> None:
    """Each worker would have its own."""
    patient.environ["CHATVITALS_STORE"] = "memory:"
    assert "share nothing" in needs(patient, "store")[0]["found"]


def test_a_store_that_is_not_there(patient: Patient, tmp_path: Path) -> None:
    """It is not made."""
    patient.environ["CHATVITALS_STORE"] = f"sqlite:///{tmp_path / 'nothing.db'}"
    assert "there is no store file" in needs(patient, "store")[0]["found"]
    assert not (tmp_path / "nothing.db").exists()


def test_a_file_that_is_no_store(patient: Patient, tmp_path: Path) -> None:
    """The database of another program stays as it is."""
    path = tmp_path / "theirs.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE orders (id)")
    before = path.read_bytes()
    patient.environ["CHATVITALS_STORE"] = f"sqlite:///{path}"
    assert "is the database of another application" in needs(patient, "store")[0]["found"]
    assert path.read_bytes() == before


def test_a_store_that_is_locked(patient: Patient, tmp_path: Path) -> None:
    """A lock of some seconds delays the bot's numbers as well."""
    with closing(sqlite3.connect(tmp_path / "bot.db", isolation_level=None)) as locking:
        locking.execute("BEGIN EXCLUSIVE")
        assert "is locked by another process" in needs(patient, "store")[0]["found"]


def test_a_store_on_a_network_disk(patient: Patient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite's locks do not hold there. The innermost mount counts, its spaces written as Linux does."""
    disk = tmp_path / "a disk"
    disk.mkdir()
    monkeypatch.setattr(storing, "_MOUNTS", tmp_path / "mounts")
    (tmp_path / "mounts").write_text(
        f"dev / ext4 rw 0 0\nhost:/x {tmp_path}/a\\040disk nfs4 rw 0 0\ndev /unrelated cifs rw 0 0\n"
    )
    with closing(open_store(f"sqlite:///{disk / 's.db'}")) as store:
        store.cells()
    assert patient.doctor("--json").finding("store")["state"] == "ok"
    patient.environ["CHATVITALS_STORE"] = f"sqlite:///{disk / 's.db'}"
    assert "network disk (nfs4)" in needs(patient, "store")[0]["found"]


def test_looking_changes_nothing_in_the_store(patient: Patient) -> None:
    """Not even a lease."""
    with closing(sqlite3.connect(patient.store.removeprefix("sqlite:///"))) as connection:
        before = list(connection.iterdump())
        patient.doctor()
        after = list(connection.iterdump())
    changed = [line for line in set(before) ^ set(after) if catalogue.WEBHOOKS.name not in line]
    assert [line for line in changed if "STORE_COMMIT" not in line and "store_commit" not in line] == []


def test_a_redis_that_is_well(patient: Patient, redis_url: str) -> None:
    """Its own clock is compared, too."""
    patient.environ["CHATVITALS_STORE"] = redis_url
    result = patient.doctor("--json")
    assert result.status == 0
    assert result.finding("store")["found"].startswith("it answers, and its maxmemory-policy is noeviction")
    assert [found["state"] for found in result.findings("clock")] == ["ok", "ok"]


def test_a_slow_redis_is_no_wrong_clock(patient: Patient, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The local clock goes on while an answer is awaited."""
    patient.environ["CHATVITALS_STORE"] = redis_url
    late = itertools.cycle([0.0, 9.0])  # at the request and after its answer
    slow = SimpleNamespace(time=lambda: time.time() + next(late))
    monkeypatch.setattr("chatvitals.stores.redis_connection.time", slow)
    assert [found["state"] for found in patient.doctor("--json").findings("clock")] == ["ok", "ok"]


def test_a_redis_that_throws_things_away(patient: Patient, tmp_path: Path) -> None:
    """Once its memory is full, parts of the store would go."""
    options = ("--maxmemory", "50mb", "--maxmemory-policy", "allkeys-lru", "--requirepass", STORE_PASSWORD)
    with RedisServer(tmp_path, *options) as server:
        patient.environ["CHATVITALS_STORE"] = server.url.replace("//", f"//:{STORE_PASSWORD}@")
        found = needs(patient, "store")[0]
        assert found["subject"] == f"Redis at 127.0.0.1:{server.port}"
        assert "maxmemory-policy is allkeys-lru" in found["found"]
        patient.environ["CHATVITALS_STORE"] = server.url.replace("//", f"//:{STORE_PASSWORD}-wrong@")
        assert "refuses the login" in needs(patient, "store")[0]["found"]
    patient.environ["CHATVITALS_STORE"] = server.url.replace("//", f"//:{STORE_PASSWORD}@")
    assert "cannot be reached" in needs(patient, "store")[0]["found"]


def test_a_redis_that_is_a_replica(patient: Patient, redis_server: RedisServer, tmp_path: Path) -> None:
    """It takes no writes."""
    with RedisServer(tmp_path, "--replicaof", "127.0.0.1", str(redis_server.port)) as replica:
        patient.environ["CHATVITALS_STORE"] = replica.url
        assert "it is a replica" in needs(patient, "store")[0]["found"]


def test_a_cluster_is_asked_where_the_store_is(patient: Patient, tmp_path: Path) -> None:
    """One node that has all slots is a cluster as well."""
    with RedisServer(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(services.free_port())) as node:
        with node.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", "0", "16383")
            until("a whole cluster", lambda: client.execute_command("CLUSTER INFO")["cluster_state"] == "ok")
        patient.environ["CHATVITALS_STORE"] = node.url.replace("redis://", "redis+cluster://").removesuffix("/0")
        assert (
            patient.doctor("--json")
            .finding("store")["found"]
            .startswith("it answers, and its maxmemory-policy is noeviction")
        )


def test_a_redis_that_tells_nothing_of_itself(patient: Patient, tmp_path: Path) -> None:
    """A managed one may forbid it. Then a person must look."""
    rules = f"user default on >{STORE_PASSWORD} ~* +@all -info"
    (tmp_path / "users.acl").write_text(rules + "\n")
    with RedisServer(tmp_path, "--aclfile", str(tmp_path / "users.acl")) as server:
        patient.environ["CHATVITALS_STORE"] = server.url.replace("//", f"//:{STORE_PASSWORD}@")
        found = patient.doctor("--json").finding("store")
    assert found["state"] == "ok"
    assert "does not show its settings" in found["found"]


def test_no_option_of_the_command_line_is_printed_either(patient: Patient) -> None:
    """Secrets may come as options, though variables are the better place."""
    words = ["--app-secret", APP_SECRET, "--token", METRICS_TOKEN, "--verify-token", "a-verify-token-of-theirs"]
    assert patient.doctor(*words).status == 0
