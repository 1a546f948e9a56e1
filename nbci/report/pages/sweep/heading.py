"""The beginning of a sweep's page: which trial is best, and what was searched for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, listed, number
from nbci.formatting.text import short_line
from nbci.report.charts.sweeps.worker_times import sittings
from nbci.report.data.sweep_material import name_text, point_text, state_of, value_text, values_text
from nbci.report.html.markup import element, fragment, item_list, optional, table
from nbci.report.html.page import facts, section, time, verdict
from nbci.sweeps.run_command import run_command

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.report.html.markup import Markup
    from nbci.sweeps.study_record import Objective, SweepRecord, TrialRecord

_STATES = ("complete", "earlier", "pruned", "failed", "interrupted", "running")
_SHOWN = 5
_LONGEST_POINT = 300
_WAYS = {"maximize": "as high as can be", "minimize": "as low as can be"}


def header(material: SweepMaterial) -> Markup:
    """The title, the outcome as a sentence, and how many trials there are."""
    sweep = material.sweep
    name = f", {sweep.name}" if sweep.name else ""
    going_on = None
    if material.is_going_on:
        going_on = verdict("running")
    return fragment(
        element("h1", f"Sweep of {sweep.pipeline}{name} ", going_on),
        element("p", outcome(material), class_="outcome"),
        item_list(_facts_line(material), class_="facts-line"),
    )


def outcome(material: SweepMaterial) -> str:
    """What came of it, in a sentence."""
    front, trials = material.front, material.trials
    if not trials:
        return "There is no trial yet."
    if not front:
        return _without_values(trials)
    if len(material.sweep.objectives) > 1:
        numbers = listed([str(trial.number) for trial in front], 10)
        return f"No trial is better in all than one of these: {numbers}."
    best = front[0]
    value = _values(material.sweep, best)
    point = short_line(point_text(best), _LONGEST_POINT)
    return f"Trial {best.number} is the best of {len(trials):,}: {value} with {point}."


def _without_values(trials: Sequence[TrialRecord]) -> str:
    # One error for all is mostly one mistake: it is what the reader came for.
    errors = {trial.error for trial in trials if trial.error}
    text = f"None of {counted(len(trials), 'trial')} has a value."
    if len(errors) == 1:
        return f"{text} All failed with: {short_line(errors.pop(), _LONGEST_POINT)}"
    return text


def _facts_line(material: SweepMaterial) -> Iterator[str]:
    yield time(material.sweep.started_utc)
    yield fragment("sweep ", element("code", material.sweep.sweep, class_="id"))
    counts = []
    # What has not occurred is not worth a word.
    for state in _STATES:
        count = sum(state_of(trial) == state for trial in material.trials)
        if count:
            counts.append(f"{count:,} {state}")
    if counts:
        yield f"{counted(len(material.trials), 'trial')}: {', '.join(counts)}"


def best_section(material: SweepMaterial) -> Markup | None:
    """The best trials with the commands that run them."""
    if not material.front:
        return None
    parts = [_best(material, trial) for trial in material.front[:_SHOWN]]
    hidden = len(material.front) - len(parts)
    note = None
    if hidden > 0:
        note = element("p", f"…and {counted(hidden, 'more trial')} of the front.", class_="note")
    title = "The best"
    if len(material.sweep.objectives) > 1:
        title = "The best trials (Pareto front)"
    return section(title, *parts, note, anchor="best")


def _best(material: SweepMaterial, trial: TrialRecord) -> Markup:
    # A trial that equals another has that one's run.
    run: str | None = trial.run
    if trial.run is not None:
        run = element("code", trial.run, class_="id")
        page = material.pages.get(trial.run)
        if page is not None:
            run = element("a", run, href=page)
    about = facts(
        [
            ("Trial", str(trial.number)),
            ("Values", _values(material.sweep, trial)),
            ("With", short_line(point_text(trial), _LONGEST_POINT)),
            ("Run", run),
        ]
    )
    command = run_command(material.sweep, trial, material.target)
    reused = "This command carries it out, and reuses what the trial computed."
    note = element("p", reused, class_="note")
    return fragment(about, note, element("pre", element("code", command), tabindex=0))


def _values(sweep: SweepRecord, trial: TrialRecord) -> str:
    found = []
    for objective, value in zip(sweep.objectives, trial.values, strict=False):
        found.append(f"{objective.metric} {number(value)}")
    return ", ".join(found)


def search_section(material: SweepMaterial) -> Markup:
    """What was searched, for what, how, and until when."""
    sweep = material.sweep
    about = facts(
        [
            ("Objective", "; ".join(map(_objective, sweep.objectives))),
            ("Method", f"{sweep.method}, seed {sweep.seed}"),
            ("Until", _budget(sweep)),
            ("Stopped early", _pruning(sweep)),
            ("Budget of a trial", _fidelity(sweep)),
            ("At once", counted(sweep.parallel, "trial")),
            ("Took", _span(material)),
            ("nbci", sweep.nbci),
        ]
    )
    # Columns without content, such as conditions, are left out of the table.
    heads = ("Parameter", "Searched", "Only where", "Own value", "In the best")
    space = table("Parameters that were searched", heads, _space_rows(material))
    return section(
        "What was searched", about, optional("div", space, class_="matrix"), anchor="search"
    )


def _space_rows(material: SweepMaterial) -> Iterator[Sequence[str]]:
    own = material.sweep.own_values
    front = material.front
    # Of several best trials none is the one.
    best = front[0].params if len(front) == 1 else {}
    for dimension in material.sweep.space:
        name = dimension.name
        condition: str = ""
        # It is a formula of the pipeline file, and shown as it stands there.
        if dimension.when is not None:
            condition = element("code", short_line(dimension.when, _LONGEST_POINT))
        yield (
            element("code", name_text(name)),
            values_text(dimension),
            condition,
            value_text(own[name]) if name in own else "",
            value_text(best[name]) if name in best else "",
        )


def _objective(objective: Objective) -> str:
    return f"{objective.metric}, {_WAYS[objective.direction]}"


def _budget(sweep: SweepRecord) -> str:
    parts = []
    if sweep.trials is not None:
        parts.append(counted(sweep.trials, "trial"))
    if sweep.minutes is not None:
        parts.append(f"{sweep.minutes:g} min")
    if sweep.no_better_in is not None:
        parts.append(f"none better in {counted(sweep.no_better_in, 'trial')}")
    return " or ".join(parts) or "all points are known"


def _pruning(sweep: SweepRecord) -> str | None:
    if sweep.prune is None:
        return None
    return f"by {sweep.prune.on}, {sweep.prune.by.replace('_', ' ')}"


def _fidelity(sweep: SweepRecord) -> str | None:
    if sweep.fidelity is None:
        return None
    return f"{sweep.fidelity.param} {', '.join(map(number, sweep.fidelity.rungs))}"


def _span(material: SweepMaterial) -> str | None:
    """How long trials went on; the time between sittings does not count."""
    seconds = sum(end - start for start, end in sittings(material.trials))
    return duration(seconds) or None
