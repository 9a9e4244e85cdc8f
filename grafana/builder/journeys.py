"""Journeys and experiments: how far customers get, where they leave, and which variant does better."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from builder.board import Board, row
from builder.kit import Column, Query, grid, lines, stat_panel
from builder.promql import FEWEST_RUNS, RANGE, count, of, own, points, ratio, total, where_enough_or_a_day
from chatvitals.analysis.experiment_comparison import FEWEST
from chatvitals.analysis.statistics import ALPHA

if TYPE_CHECKING:
    from builder.kit import Panel

_J = 'journey="$journey"'
_E = 'experiment="$experiment"'
_STEP = "by (step)"
_VARIANT = "by (variant)"
_TUNING: Final = -2 * math.log(ALPHA) + math.log(1 - 2 * math.log(ALPHA))
_CONTACTS = of("experiment_contacts_total", _E)
_DECLARED = own("experiment_weight", f'index="1",{_E}')
_CONTROL = f"max {_VARIANT} (last_over_time({_DECLARED}[{RANGE}]))"
_SIZE = own("experiment_planned_contacts", _E)
_PLANNED = f"scalar(max(last_over_time({_SIZE}[{RANGE}])))"
_COMPLETED = of("journey_runs_total", f'outcome="completed",{_J}')
_STARTED = of("journey_runs_started_total", _J)
_DROPPED = of("journey_step_dropped_total", _J)
_ENDED = of("journey_step_ended_total", _J)
# Runs are abandoned after a day. A drop-off of 0 on the first day would say too much.
_KNOWN = f"and on () (sum(last_over_time({_STARTED}[1d] offset 1d)) >= 0)"
_ORDER = f"topk by (step) (1, max by (step, index) ({own('journey_step_info', _J)}))"  # a deploy may move one


def board() -> Board:
    """Return the dashboard of journeys and experiments."""
    return Board(
        "chatvitals-journeys",
        "WhatsApp journeys",
        "How far customers get in a journey, where they leave, and which variant of an experiment does better.",
        [
            row(4, *_stats()),
            row(9, (9, _funnel()), (15, _steps())),
            row(9, (15, _moves()), (9, _confusion())),
            row(9, (12, _drop_off()), (12, _completion())),
            row(9, (8, _open()), (8, _ends()), (8, _time_in_step())),
            row(5, (24, _variants()), heading="Experiment $experiment"),
            row(7, (12, _outcome_shares()), (12, _variant_waits())),
        ],
        variables=("journey", "experiment"),
    )


def _stats() -> list[tuple[int, Panel]]:
    open_runs = _gauge("journey_runs_open")
    stalled = _gauge("journey_runs_stalled")
    enough = (
        f"{count(_STARTED, '6h', '')} >= {FEWEST_RUNS} and {count(_STARTED, '6h', '', ' offset 1w')} >= {FEWEST_RUNS}"
    )
    return [
        (5, stat_panel("Runs started", "Runs of the journey that began in this time range. Falls: look at the "
                       "messages and links that lead to it.", [Query(count(_STARTED, RANGE, ""))], decimals=0)),
        (5, stat_panel("Completed of started", "Completed runs over started runs of this time range. Runs still "
                       "under way count as started only. Falls: see the funnel.", [Query(ratio(_COMPLETED, _STARTED, RANGE, ""))],
                       unit="percentunit", decimals=1)),
        (5, stat_panel("Against last week", "Completed over started runs of 6 h, minus the same 6 h a week ago, in "
                       "percentage points. Shown where both have 20 runs.",
                       [Query(points(ratio(_COMPLETED, _STARTED, "6h", ""), _last_week("6h"), enough))],
                       unit="suffix: points", decimals=1, limits=((None, "red"), (-5.0, "yellow"), (0.0, "green")),
                       nothing="needs 20 runs, now and a week ago")),
        (5, stat_panel("Runs under way", "Runs that have not ended. A run ends when it is completed, handed over, or "
                       "silent for 24 h.", [Query(f"sum({open_runs})")], decimals=0)),
        (4, stat_panel("Stalled", "Runs that are silent for 30 minutes, as a share of a day's started runs. Most "
                       "will be abandoned. Answer these customers or remind them.",
                       [Query(f"sum({stalled}) / ({count(_STARTED, '1d', '')} > 0)")], unit="percentunit", decimals=0,
                       nothing="no run begun")),
    ]  # fmt: skip


def _gauge(name: str) -> str:
    return total(name, _STEP, _J)


def _last_week(window: str) -> str:
    return ratio(_COMPLETED, _STARTED, window, "", " offset 1w")


def _ordered(expr: str) -> str:
    return f"({expr}) * on (step) group_left (index) {_ORDER}"


def _funnel() -> Panel:
    reached = of("journey_step_reached_total", _J)
    return grid(
        "Funnel", 'Runs that reached each step in this time range, in the declared order. Where a journey branches, '
        'a step may have fewer runs than the next. "Moves between steps" shows the branches.',
        [Column("#", label="index", width=50), Column("Step", label="step", wrapped=True),
         Column("Runs", _ordered(count(reached, RANGE, _STEP)), decimals=0, bar=True, width=170)],
        sort="#",
    )  # fmt: skip


def _steps() -> Panel:
    reached = count(of("journey_step_reached_total", _J), RANGE, _STEP)
    buckets = of("journey_step_seconds_bucket", f'end="advanced",{_J}')
    median = f"histogram_quantile(0.5, sum by (step, le) (rate({buckets}[{RANGE}])))"
    loops = ratio(of("journey_step_loops_total", _J), of("journey_step_reached_total", _J), RANGE, _STEP)
    visits = ratio(of("journey_step_visits_total", _J), of("journey_step_reached_total", _J), RANGE, _STEP)

    return grid(
        "Steps", "Steps in the declared order. High drop-off: customers leave there. Many visits or loops: they do "
        "not understand the question. A long time: the step asks too much. Drop-off is known a day later.",
        [Column("#", label="index", width=50), Column("Step", label="step", wrapped=True), Column("Reached", _ordered(reached), decimals=0, width=85),
         Column("Of started", _ordered(f"{reached} / ignoring (step) group_left () {count(_STARTED, RANGE, '')}"),
                "percentunit", 1, width=95),
         Column("Drop-off", _ordered(f"{ratio(_DROPPED, _ENDED, RANGE, _STEP)} {_KNOWN}"), "percentunit", 1, width=85),
         Column("Median time", _ordered(median), "s", 0, width=110),
         Column("Visits", _ordered(visits), decimals=2, width=75),
         Column("Loops", _ordered(loops), "percentunit", 1, width=75)],
        sort="#",
    )  # fmt: skip


def _moves() -> Panel:
    by = "by (from_step, to_step)"
    moves = count(of("journey_transitions_total", _J), RANGE, by)
    whole = count(of("journey_transitions_total", _J), RANGE, "by (from_step)")

    start = 'label_replace(label_replace(vector(1), "step", "start", "", ""), "index", "0", "", "")'

    def placed(expr: str) -> str:
        """Return moves with the places of both steps in the declared order. An undeclared step has no place."""
        known = f"({expr})"
        for end in ("from", "to"):
            place = f'label_replace({_ORDER} or {start}, "{end}_step", "${{1}}", "step", "(.*)")'
            place = f'label_replace({place}, "{end}_index", "${{1}}", "index", "(.*)")'
            known = f"{known} * on ({end}_step) group_left ({end}_index) max by ({end}_step, {end}_index) ({place})"
        return f"(({known}) or on (from_step, to_step) ({expr})) > 0"

    return grid(
        "Moves between steps", "The next step after each step, with its share of all moves from there. A move to the "
        "same or a smaller number goes back. Many of these: customers go round in circles.",
        [Column("#", label="from_index", width=50), Column("From", label="from_step", wrapped=True),
         Column("To #", label="to_index", width=70), Column("To", label="to_step", wrapped=True),
         Column("Moves", placed(moves), decimals=0, width=80),
         Column("Share", placed(f"{moves} / on (from_step) group_left () ({whole} > 0)"), "percentunit", 1, width=80)],
        sort="#, To #", nothing="no run seen in this time range",
    )  # fmt: skip


def _confusion() -> Panel:
    visits = f"({count(of('journey_step_visits_total', _J), RANGE, _STEP)} > 0)"
    fallbacks = count(of("journey_step_fallbacks_total", _J), RANGE, _STEP)
    messages = count(of("journey_step_messages_total", _J), RANGE, _STEP)
    return grid(
        "Questions that confuse", "Turns that the bot did not understand, and messages, both per visit of a step. "
        "Reword the questions with the highest values.",
        [Column("#", label="index", width=50), Column("Step", label="step", wrapped=True),
         Column("Not understood", _ordered(f"{fallbacks} / {visits}"), "percentunit", 1, width=125),
         Column("Messages a visit", _ordered(f"{messages} / {visits}"), decimals=2, width=135)],
        sort="#",
    )  # fmt: skip


def _drop_off() -> Panel:
    def share(outcome: str) -> str:
        dropped = of("journey_step_dropped_total", f"outcome{outcome},{_J}")
        return f"{ratio(dropped, _ENDED, '1d', _STEP)} {_KNOWN}"

    business = '"abandoned_by_business"'
    return lines(
        "Drop-off, without an answer dashed", "Share of a day's ended runs by step. A run counts 24 h after the last "
        "message. Each step has its own colour. Dashed: the bot did not answer. Repair that first.",
        [Query(share(f"!={business}"), "{{step}}"), Query(share(f"={business}"), "{{step}}")], unit="percentunit",
        second_dashed=True, nothing="known from the second day on",
    )  # fmt: skip


def _completion() -> Panel:
    return lines(
        "Completed of started, last week dashed", "A day's share against that of the same day a week ago. A gap that "
        "opens after a deploy comes from the deploy.",
        [Query(ratio(_COMPLETED, _STARTED, "1d", ""), "now"), Query(_last_week("1d"), "last week")],
        unit="percentunit", dashed="last week", colors={"last week": "#8e8e8e"},
    )  # fmt: skip


def _open() -> Panel:
    return lines(
        "Open runs, stalled ones dashed", "Runs by their current step. Each step has its own colour. Stalled runs show "
        "drop-off a day before it is counted.",
        [Query(_gauge("journey_runs_open"), "{{step}}"), Query(_gauge("journey_runs_stalled"), "{{step}}")],
        second_dashed=True, nothing="no open run seen",
    )  # fmt: skip


def _ends() -> Panel:
    return lines(
        "How runs end, a day", "Ended runs by outcome. More abandoned_by_business: the bot is too slow or silent.",
        [Query(count(of("journey_runs_total", _J), "1d", "by (outcome)"), "{{outcome}}")],
        colors={"completed": "green", "abandoned_by_business": "red", "abandoned_by_user": "orange", "handed_over": "blue",
                "expired": "#8e8e8e"},
    )  # fmt: skip


def _time_in_step() -> Panel:
    buckets = of("journey_step_seconds_bucket", f'end="advanced",{_J}')
    median = where_enough_or_a_day(
        lambda window: f"histogram_quantile(0.5, sum by (step, le) (rate({buckets}[{window}])))",
        of("journey_step_seconds_count", f'end="advanced",{_J}'), _STEP,
    )  # fmt: skip
    return lines(
        "Median time in step", "Time at a step, of customers who went on. It includes the bot's response time and "
        "the customer's own time. Compare with the response times. Windows with under 10 customers are left out. With "
        "few customers a day, each point is the day before it.",
        [Query(median, "{{step}}")], unit="s", by_name=True, nothing="no step with ten customers seen",
    )  # fmt: skip


def _variants() -> Panel:
    contacts = f"({count(_CONTACTS, RANGE, _VARIANT)} > 0)"

    def share(outcome: str) -> str:
        return f"{_reached(outcome)} / {contacts}"

    difference = f"{share('goal')} - {_of_control(share('goal'))}"
    half = _half_width(contacts)
    enough = f"(clamp_max({contacts}, {_of_control(contacts)}) >= bool {FEWEST})"
    direction = f"sgn({difference}) * (abs({difference}) > bool {half}) * {enough}"
    return grid(
        "Variants", "Each contact counts once per outcome. Difference is the goal's share minus that of the first "
        "variant. Its interval may be looked at every day. `chatvitals compare` gives the verdict and checks the "
        "split.",
        [Column("Variant", label="variant"), Column("Contacts", contacts, decimals=0),
         Column("Goal", share("goal"), "percentunit", 1),
         Column("Difference", f"100 * ({difference}) unless on (variant) {_CONTROL}", "suffix: points", 1),
         Column("give or take", f"(100 * {half} unless on (variant) {_CONTROL}) <= 100", "suffix: points", 1),
         Column("Conclusion", f"({direction} unless on (variant) {_CONTROL}) or 2 * {_CONTROL}", rated="conclusion",
                width=190),
         Column("Opt-out", share("opt_out"), "percentunit", 2), Column("Unanswered", share("unanswered"), "percentunit", 1),
         Column("Wait p90", _wait(RANGE), "s", 1)],
        sort="Variant", nothing="no contact of a variant seen",
    )  # fmt: skip


def _reached(outcome: str) -> str:
    """Return the contacts with an outcome, 0 where none had it."""
    found = count(of("experiment_outcomes_total", f'outcome="{outcome}",{_E}'), RANGE, _VARIANT)
    return f"({found} or 0 * {count(_CONTACTS, RANGE, _VARIANT)})"


def _of_control(measure: str) -> str:
    """Return the value of the variant that is declared first."""
    return f"scalar({measure} and on (variant) {_CONTROL})"


def _half_width(contacts: str) -> str:
    """Return half of the difference's interval, which stays valid however often it is looked at.

    It is the interval of `chatvitals compare`: an asymptotic confidence sequence (95 % for all variants together).
    """
    # one success and one failure more, so that 0 of 3 does not count as certain
    share = f"(({_reached('goal')} + 1) / ({contacts} + 2))"
    variance = f"{share} * (1 - {share}) / {contacts}"
    grown = f"(({contacts} + {_of_control(contacts)}) * {_TUNING:.6g} / {_PLANNED})"
    others = f"clamp_min(count(count {_VARIANT} ({_CONTACTS})) - 1, 1)"
    looks = f"2 * ({grown} + 1) / {grown} * ln(sqrt({grown} + 1) * scalar({others}) / {ALPHA:g})"
    return f"sqrt(({variance} + {_of_control(variance)}) * {looks})"


def _wait(window: str) -> str:
    buckets = of("experiment_wait_seconds_bucket", _E)
    return f"histogram_quantile(0.9, sum by (variant, le) (rate({buckets}[{window}])))"


def _outcome_shares() -> Panel:
    goal = of("experiment_outcomes_total", f'outcome="goal",{_E}')
    share = ratio(goal, _CONTACTS, "1d", _VARIANT)
    return lines(
        "Goal reached, by variant", "Share of the contacts that saw a variant in a day. Days with under 10 contacts are "
            "left out. Lines that cross all the time do not differ.",
        [Query(f"clamp_max({share}, 1) and {count(_CONTACTS, '1d', _VARIANT)} >= 10", "{{variant}}")], unit="percentunit",
        nothing="no variant with ten contacts a day seen",
    )  # fmt: skip


def _variant_waits() -> Panel:
    return lines(
        "Wait p90, by variant", "Nine of ten waits were shorter. Where one variant waits longer, that alone may "
            "explain its other numbers.",
        [Query(_wait("1d"), "{{variant}}")], unit="s", nothing="no contact of a variant seen",
    )  # fmt: skip
