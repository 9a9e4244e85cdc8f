"""compare, report and now on a simulated month in a real Prometheus, and on days without trouble."""

from __future__ import annotations

import json
import re
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from chatvitals.cli import main, simulate
from chatvitals.simulator.story import DAY, HOUR
from tests.helpers.month import SLOW, Month, backfill
from tests.helpers.prometheus import prometheus
from tests.helpers.services import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Ask = Callable[..., str]

BAD, GOOD = "Corner Bakery +1 555 000-1234", "Corner Bakery Events +1 555 000-1235"


@pytest.fixture
def ask(month: Month, capsys: pytest.CaptureFixture[str]) -> Ask:
    """Run a command on the month. Give what it prints."""

    def run(*words: str, url: str = month.server.url, status: int = 0) -> str:
        assert main.main([*words, "--prometheus", url, "--tz", "UTC", "--timeout", "300"]) == status
        said = capsys.readouterr()
        return said.out if status == 0 else said.err

    return run


def day(month: Month, number: float) -> str:
    """Return the date of a day of the month."""
    return time.strftime("%Y-%m-%d", time.gmtime(month.start + number * DAY))


def plain(text: str) -> str:
    """Return a text without its line breaks and columns."""
    return " ".join(text.split())


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Six days without trouble, in which a variant is 20 points better. The address of their Prometheus."""
    folder = tmp_path_factory.mktemp("calm")
    history = folder / "history.om"
    end = time.time() - 4 * HOUR
    words = {"scenario": "calm", "days": 6.0, "seed": 3, "every": 240.0}
    assert simulate.run(history, effect=0.2, end=end, **words) == 0  # type: ignore[arg-type]
    backfill("--max-block-duration=486h", "openmetrics", str(history), str(folder / "data"))
    history.unlink()
    with prometheus("{}", folder) as server:
        yield server.url


def test_an_experiment_without_a_difference_has_no_conclusion_on_any_day(ask: Ask, month: Month) -> None:
    """A look on each of 29 days never advises to stop for a winner."""
    for number in range(1, 30):
        found = json.loads(ask("compare", "greeting", "--until", day(month, number), "--json"))
        assert found["verdict"] == "no conclusion", (number, found["answer"])
        assert found["goal"] == "order"
        assert found["control"] == "plain"
    text = plain(ask("compare", "greeting", "--until", day(month, 29)))
    assert "greeting → goal: order, 29 days" in text
    assert "none is shown to be worse" in text
    assert "do not stop for a winner now" in text


def test_a_real_difference_is_concluded(ask: Ask, calm: str) -> None:
    """Twenty points, within six days."""
    found = json.loads(ask("compare", "greeting", "--json", url=calm))
    assert found["verdict"] == "better"
    assert found["answer"].startswith("BETTER. emoji reaches the goal more often")
    assert found["against"][0]["goal"]["low"] > 0


def test_the_report_names_what_moved_before_the_fall(ask: Ask) -> None:
    """The deploy and the template before the fall, four drivers, and the other number as control."""
    found = json.loads(ask("report", "--drop", "last", "--json"))
    assert found["number"] == BAD
    fell = found["changes"][0]["at"]
    assert [change["after"] for change in found["changes"]] == ["YELLOW", "RED", "YELLOW", "GREEN"]
    assert any("lunch_deal GREEN → YELLOW" in entry["what"] and entry["at"] < fell for entry in found["meta"])
    assert [entry["what"] for entry in found["timeline"] if entry["kind"] == "deploy"] == ["bot 1.3.2 → 1.4.0"]
    verdicts = {driver["driver"]: driver["verdict"] for driver in found["drivers"]}
    assert len(verdicts) == 8
    assert verdicts["over a minute"] == verdicts["opt-outs per 1,000"] == "moved up"
    assert verdicts["not understood"] == verdicts["campaign volume"] == "did not move"
    assert not any(driver["verdict"].startswith("moved up") for driver in found["controls"][GOOD])
    assert found["cost"]["opt_outs"] > 10 * found["cost"]["usual_opt_outs"]
    assert "order in time and a control, not proof" in found["answer"]
    assert "cause" not in found["answer"]


def test_days_without_a_fall_give_an_honest_empty_list(ask: Ask, calm: str) -> None:
    """Of a calm week, and of the number that nothing happened to."""
    for words in ({"url": calm}, {}):
        number = () if words else ("--number", GOOD.removeprefix("Corner Bakery Events "))
        assert "There is nothing to explain." in plain(ask("report", *number, **words))


def test_two_days_differ_at_one_number_only(ask: Ask, month: Month) -> None:
    text = plain(ask("compare", "--on", day(month, 15), "--against", day(month, 8)))
    assert f"Only {BAD} got slower" in text
    assert f"{GOOD} did not change" in text
    assert "This is no experiment" in text
    assert "usual range" in text


def test_versions_and_numbers_are_compared(ask: Ask) -> None:
    found = json.loads(ask("compare", "--version", "1.4.0", "--against", "1.3.2", "--json"))
    changes = {change["measure"]: change["verdict"] for change in found["numbers"][BAD]["changes"]}
    assert changes["over_minute"] == changes["completed"] == changes["opt_outs"] == "worse"
    text = plain(ask("compare", "--number", "15550001235", "--against", SLOW))
    assert re.search(r"over a minute .* better", text)
    assert "when version 1.4.0 ran" in text
    assert "the two numbers write to different people" in text


def test_the_questions_of_the_guide_are_answered(ask: Ask, month: Month) -> None:
    start, end = day(month, 13), day(month, 20)
    text = plain(ask("report", "journey", "order", "--from", start, "--to", end, "--against", "8d", "--number", SLOW))
    assert re.search(r"menu .* worse", text)
    assert "All steps lose more than before" in text
    assert "left while we owed them an answer" in text
    assert re.search(r"\d+ of [\d,]+ turns had no answer", plain(ask("report", "unanswered")))
    assert re.search(r"lunch_deal \(en\)\W+GREEN \(RED", ask("report", "templates", "--csv"))


def test_now_ranks_what_is_worth_doing(ask: Ask, month: Month) -> None:
    """At most five things while the rating is RED, and Markdown for a chat."""
    found = json.loads(ask("now", "--at", day(month, 17), "--json"))
    assert found["ratings"] == {BAD: "RED", GOOD: "GREEN"}
    assert 3 <= len(found["todos"]) <= 5
    assert any("is rated RED" in todo["what"] for todo in found["todos"])
    assert ask("now", "--at", day(month, 29), "--markdown").startswith("**Now**")
    assert "confirmed 0 minutes ago" not in plain(ask("now"))  # its newest numbers are hours old


def test_the_page_opens_in_a_browser(ask: Ask, tmp_path: Path) -> None:
    """Without network: it loads nothing, and shows its charts and tables."""
    page = tmp_path / "report.html"
    ask("report", "--drop", "last", "--html", str(page))
    html = page.read_text(encoding="utf-8")
    assert not re.search(r"(?:src|href)=[\"'](?!#)", html)
    assert "default-src 'none'" in html
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run",
             f"--user-data-dir={tmp_path / 'profile'}", "--window-size=1000,1400"]  # fmt: skip
    shot, pdf = tmp_path / "page.png", tmp_path / "page.pdf"
    for output in (f"--screenshot={shot}", f"--print-to-pdf={pdf}", "--dump-dom"):
        command = [require("chromium"), *flags, output, page.as_uri()]
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600)
    assert shot.stat().st_size > 20_000
    assert len(re.findall(rb"/Type */Page\b", pdf.read_bytes())) <= 2
    assert html.index("What to do") < html.index("What it cost")
    for words in ("What it cost", "What moved before the fall", "Rating by WhatsApp", "bot 1.3.2 → 1.4.0", GOOD):
        assert words in done.stdout


@pytest.mark.parametrize(
    ("words", "status", "sentence"),
    [
        (("compare", "gretting"), 2, "There are: greeting"),
        (("compare", "--on", "2020-01-01", "--against", "2020-01-02"), 3, "is not known. Prometheus holds"),
        (("compare", "--version", "9.9", "--against", "1.3.2"), 2, "These ran: 1.3.2, 1.4.0, 1.4.1"),
        (("compare", "--number", "1", "--against", "2"), 2, f"There are: {BAD}"),
        (("report", "--drop", "2020-01-01"), 3, "is not known"),
        (("report", "journey", "orders"), 2, "There are: order"),
        (("report", "unanswered", "--from", "2020-01-01"), 3, "is not known"),
        (("report", "--html", "/nowhere/x.html"), 1, "there is no folder"),
    ],
)
def test_each_wrong_wish_is_a_sentence(ask: Ask, words: tuple[str, ...], status: int, sentence: str) -> None:
    assert sentence in plain(ask(*words, status=status))


def test_the_tables_are_csv(ask: Ask) -> None:
    lines = ask("report", "--csv").splitlines()
    assert lines[0] == "Drivers,before the fall,usual,rank,"
    assert len(lines) == 9
