"""Journeys and experiments: how far people get, where they leave, and which variant does better."""

from __future__ import annotations

from typing import TYPE_CHECKING

from builder.board import Board, row
from builder.kit import Column, Query, bars, grid, lines, stat_panel
from builder.promql import ONE_TARGET, RANGE, WINDOW, count, of, own, ratio

if TYPE_CHECKING:
    from builder.kit import Panel

_J = 'journey="$journey"'
_E = 'experiment="$experiment"'
_STEP = "by (step)"
_VARIANT = "by (variant)"
_COMPLETED = of("journey_runs_total", f'outcome="completed",{_J}')
_STARTED = of("journey_runs_started_total", _J)
_DROPPED = of("journey_step_dropped_total", _J)
_ENDED = of("journey_step_ended_total", _J)


def board() -> Board:
    """Return the dashboard of journeys and experiments."""
    return Board(
        "chatvitals-journeys",
        "WhatsApp journeys",
        "How far people get in a journey, at which step they leave and who fell silent, and which variant does better.",
        [
            row(4, *_stats()),
            row(9, (8, _funnel()), (16, _steps())),
            row(8, (12, _drop_off()), (12, _completion())),
            row(7, (8, _open()), (8, _ends()), (8, _time_in_step())),
            row(7, (10, _variants()), (7, _outcome_shares()), (7, _variant_waits()), heading="Experiment $experiment"),
        ],
        variables=("journey", "experiment"),
    )


def _stats() -> list[tuple[int, Panel]]:
    open_runs = _gauge("journey_runs_open")
    stalled = _gauge("journey_runs_stalled")
    return [
        (5, stat_panel("Runs started", "How many people entered the journey in this time range. Falls: look at what leads "
                       "there, not at the journey.", [Query(count(_STARTED, RANGE, ""))], decimals=0)),
        (5, stat_panel("Completed of started", "Completed over started runs: the quick measure, right but for runs still "
                       "under way. Falls: see the funnel.", [Query(ratio(_COMPLETED, _STARTED, RANGE, ""))],
                       unit="percentunit", decimals=1)),
        (5, stat_panel("Against last week", "Completed over started in 6 h, against the same 6 h a week ago, in percentage "
                       "points. Empty in the first week.",
                       [Query(f"{ratio(_COMPLETED, _STARTED, '6h', '')} - {_last_week('6h')}")], unit="percentunit",
                       decimals=1, limits=((None, "red"), (-0.05, "yellow"), (0.0, "green")),
                       nothing="no week to compare")),
        (5, stat_panel("Runs under way", "Runs that have not ended. They end when completed, handed over, or after 24 h of "
                       "silence.", [Query(f"sum({open_runs})")], decimals=0)),
        (4, stat_panel("Stalled", "Runs with 30 min of silence, as a share of those begun in a day. Most end abandoned: "
                       "answer them or remind people.",
                       [Query(f"sum({stalled}) / ({count(_STARTED, '1d', '')} > 0)")], unit="percentunit", decimals=0,
                       nothing="no run begun")),
    ]  # fmt: skip


def _gauge(name: str) -> str:
    return f"sum {_STEP} ({ONE_TARGET} ({of(name, _J)}))"


def _last_week(window: str) -> str:
    return ratio(_COMPLETED, _STARTED, window, "", " offset 1w")


def _funnel() -> Panel:
    reached = of("journey_step_reached_total", _J)
    return bars(
        "Funnel", "How many runs reached each step in this time range. The biggest fall from one bar to the next is the "
        "step to work on.", Query(f"sort_desc({count(reached, RANGE, _STEP)})", "{{step}}"),
    )  # fmt: skip


def _steps() -> Panel:
    order = f"topk by (step) (1, max by (step, index) ({own('journey_step_info', _J)}))"  # a deploy may move one
    reached = count(of("journey_step_reached_total", _J), RANGE, _STEP)
    buckets = of("journey_step_seconds_bucket", f'end="advanced",{_J}')
    median = f"histogram_quantile(0.5, sum by (step, le) (rate({buckets}[{RANGE}])))"
    loops = ratio(of("journey_step_loops_total", _J), of("journey_step_reached_total", _J), RANGE, _STEP)
    visits = ratio(of("journey_step_visits_total", _J), of("journey_step_reached_total", _J), RANGE, _STEP)

    def ordered(expr: str) -> str:
        return f"({expr}) * on (step) group_left (index) {order}"

    return grid(
        "Steps", "In the declared order. High drop-off: people leave there; many visits or loops: they do not understand "
        "the question; a long time: the step asks too much.",
        [Column("#", label="index", width=50), Column("Step", label="step"), Column("Reached", ordered(reached), decimals=0),
         Column("Of started", ordered(f"{reached} / ignoring (step) group_left () {count(_STARTED, RANGE, '')}"),
                "percentunit", 1),
         Column("Drop-off", ordered(ratio(_DROPPED, _ENDED, RANGE, _STEP)), "percentunit", 1),
         Column("Median time", ordered(median), "s", 0), Column("Visits per run", ordered(visits), decimals=2),
         Column("Loops", ordered(loops), "percentunit", 1)],
        sort="#",
    )  # fmt: skip


def _drop_off() -> Panel:
    dropped = f"sum by (step, outcome) (rate({_DROPPED}[1d]))"
    whole = f"(sum {_STEP} (rate({_ENDED}[1d])) > 0)"
    return lines(
        "Drop-off by step and who fell silent", "Over ended runs of a day; known 24 h after the silence began. "
        "abandoned_by_business: the customer waited for an answer that never came; mend that first.",
        [Query(f"{dropped} / on (step) group_left () {whole}", "{{step}}, {{outcome}}")], unit="percentunit",
    )  # fmt: skip


def _completion() -> Panel:
    return lines(
        "Completed of started, last week dashed", "Day against the same day a week ago. A gap that opens after a deploy "
        "is the deploy's.",
        [Query(ratio(_COMPLETED, _STARTED, "1d", ""), "now"), Query(_last_week("1d"), "last week")],
        unit="percentunit", dashed="last week", colors={"last week": "#8e8e8e"},
    )  # fmt: skip


def _open() -> Panel:
    return lines(
        "Open and stalled runs", "By step. Stalled is a live sign of drop-off, a day before it is counted.",
        [Query(_gauge("journey_runs_open"), "open at {{step}}"), Query(_gauge("journey_runs_stalled"), "stalled at {{step}}")],
        dashed="stalled.*", nothing="no run is open",
    )  # fmt: skip


def _ends() -> Panel:
    return lines(
        "How runs end", "In a day, by outcome. Growing abandoned_by_business: the bot is too slow or silent.",
        [Query(count(of("journey_runs_total", _J), "1d", "by (outcome)"), "{{outcome}}")],
    )  # fmt: skip


def _time_in_step() -> Panel:
    buckets = of("journey_step_seconds_bucket", f'end="advanced",{_J}')
    return lines(
        "Median time in step", "Of people who went on. It holds the bot's wait and the person's thinking; compare with "
        "response times to tell them apart.",
        [Query(f"histogram_quantile(0.5, sum by (step, le) (rate({buckets}[{WINDOW}])))", "{{step}}")], unit="suffix:s",
    )  # fmt: skip


def _variants() -> Panel:
    contacts = of("experiment_contacts_total", _E)

    def share(outcome: str) -> str:
        found = ratio(of("experiment_outcomes_total", f'outcome="{outcome}",{_E}'), contacts, RANGE, _VARIANT)
        return f"({found}) or 0 * {count(contacts, RANGE, _VARIANT)}"

    return grid(
        "Variants", "Per contact, each outcome once. Do not decide by looking here day by day, which finds differences "
        "that are chance: settle on the number of contacts first, and look once.",
        [Column("Variant", label="variant"), Column("Contacts", count(contacts, RANGE, _VARIANT), decimals=0),
         Column("Goal", share("goal"), "percentunit", 1), Column("Opt-out", share("opt_out"), "percentunit", 2),
         Column("Unanswered", share("unanswered"), "percentunit", 1),
         Column("Wait p90", _wait(RANGE), "s", 1)],
        sort="Variant", nothing="no contact has seen a variant",
    )  # fmt: skip


def _wait(window: str) -> str:
    buckets = of("experiment_wait_seconds_bucket", _E)
    return f"histogram_quantile(0.9, sum by (variant, le) (rate({buckets}[{window}])))"


def _outcome_shares() -> Panel:
    goal = of("experiment_outcomes_total", f'outcome="goal",{_E}')
    return lines(
        "Goal reached, by variant", "Of the contacts who saw it in a day. Lines that cross all the time do not differ.",
        [Query(ratio(goal, of("experiment_contacts_total", _E), "1d", _VARIANT), "{{variant}}")], unit="percentunit",
        nothing="no contact has seen a variant",
    )  # fmt: skip


def _variant_waits() -> Panel:
    return lines(
        "Wait p90, by variant", "If one variant waits longer, its other numbers suffer from that, not from its text.",
        [Query(_wait("1d"), "{{variant}}")], unit="suffix:s", nothing="no contact has seen a variant",
    )  # fmt: skip
