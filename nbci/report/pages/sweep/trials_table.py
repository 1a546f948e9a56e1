"""The table of a sweep's trials, the best first."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, number, number_or_blank
from nbci.formatting.text import short_line
from nbci.report.data.sweep_material import name_text, state_of, value_text
from nbci.report.html.markup import element, fold, fragment, item_list, table
from nbci.report.html.page import left_out_note, section, verdict
from nbci.sweeps.saved_time import times_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.report.data.sweep_material import SweepMaterial
    from nbci.report.html.markup import Markup
    from nbci.sweeps.study_record import TrialRecord

_UNFOLDED = 20
_MOST = 5_000
"""With more rows, a browser takes long to show the page."""
_LONGEST_ERROR = 200
_SHOWN_ERRORS = 5
_NUMBER = re.compile(r"\d+(?:\.\d+)?")


def trials_section(material: SweepMaterial) -> Markup | None:
    """All trials with their parameters; those below the first ones folded."""
    if not material.trials:
        return None
    heads = _heads(material)
    rows = list(_rows(material))
    parts: list[Markup | None] = [table("Trials", heads, rows[:_UNFOLDED], class_="trials")]
    # What comes below the table would be far away.
    if len(rows) > _UNFOLDED:
        more = rows[_UNFOLDED:]
        title = counted(len(more), "more trial")
        parts.append(fold(title, table("More trials", heads, more, class_="trials")))
    parts += [_errors(material), left_out_note(len(material.trials), _MOST)]
    return section("Trials", *parts, anchor="trials")


def _errors(material: SweepMaterial) -> Markup | None:
    """The errors with which trials failed, the most frequent first."""
    alike: dict[str, list[TrialRecord]] = {}
    for trial in material.trials:
        if state_of(trial) == "failed" and trial.error is not None:
            # Messages that differ in their numbers mostly tell of one mistake.
            alike.setdefault(_NUMBER.sub("", trial.error), []).append(trial)
    if not alike:
        return None
    lines = []
    for trials in sorted(alike.values(), key=len, reverse=True)[:_SHOWN_ERRORS]:
        first = trials[0]
        error = short_line(first.error or "", _LONGEST_ERROR)
        lines.append(f"{counted(len(trials), 'trial')} failed like trial {first.number}: {error}")
    return element("div", item_list(lines, class_="plain"), class_="matrix")


def _heads(material: SweepMaterial) -> Sequence[str]:
    objectives = [name_text(objective.metric) for objective in material.sweep.objectives]
    names = [name_text(dimension.name) for dimension in material.sweep.space]
    resource = ""
    if material.sweep.fidelity is not None:
        resource = name_text(material.sweep.fidelity.param)
    return (
        "Trial",
        *objectives,
        *names,
        resource,
        "State",
        "Took",
        "Computed",
        "Saved",
        "Run",
        "Why",
    )


def _rows(material: SweepMaterial) -> Iterator[Sequence[str]]:
    times = times_of(material.trials)
    names = [dimension.name for dimension in material.sweep.space]
    front = {trial.number for trial in material.front}
    for trial in material.ranked[:_MOST]:
        time = times[trial.number]
        title: str = str(trial.number)
        if trial.number in front:
            title = fragment(title, " ", element("span", "★", class_="star", aria_label="best"))
        yield (
            title,
            *_values(material, trial),
            *[_param(trial, name) for name in names],
            number_or_blank(trial.resource),
            verdict(state_of(trial)),
            duration(trial.seconds),
            _seconds(time.computed, time.steps[0]),
            _seconds(time.reused + time.equal, time.steps[1] + time.steps[2]),
            _run(material, trial),
            _reason(trial),
        )


def _values(material: SweepMaterial, trial: TrialRecord) -> Sequence[str]:
    count = len(material.sweep.objectives)
    # A pruned trial has values that were seen on the way, and none that counts.
    if trial.state != "complete":
        return [""] * count
    return [element("strong", number(value)) for value in trial.values[:count]]


def _param(trial: TrialRecord, name: str) -> str:
    # A parameter under a condition is not searched everywhere.
    if name not in trial.params:
        return ""
    return value_text(trial.params[name])


def _seconds(seconds: float, steps: int) -> str:
    if not steps:
        return ""
    return duration(seconds)


def _run(material: SweepMaterial, trial: TrialRecord) -> str:
    if trial.run is None:
        return ""
    name = element("code", trial.run, class_="id")
    # A link to a page that nobody has written would be a dead one.
    page = material.pages.get(trial.run)
    if page is None:
        return name
    return element("a", name, href=page)


def _reason(trial: TrialRecord) -> str:
    if trial.same_as is not None:
        return f"equal to trial {trial.same_as}"
    if trial.earlier:
        return "a run from before the sweep"
    # Where it was stopped, and what was seen there.
    if trial.state == "pruned" and trial.curve:
        step, value = trial.curve[-1]
        return f"at step {number(step)}: {number(value)}"
    if trial.error is None:
        return ""
    return element("span", short_line(trial.error, _LONGEST_ERROR), class_="why")
