"""A plan as text: for people, as a tree, as mermaid, and as the lines that Jenkins reads."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.formatting.numbers import counted
from nbci.formatting.tables import table
from nbci.pipeline.step_kinds import kind_of_notebook

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.errors import NbciError
    from nbci.plan.model import Plan, PlannedCell, PlannedStep, Take

# jenkins-plugin-shim refuses another number: a library and an nbci that do not fit are named.
JENKINS_FORMAT = "nbci-plan 1"
_NO_NEWS = "the imported data is what it was"
_DEFAULT_KERNEL = "python3"
_SEPARATORS = re.compile(r"[\t\r\n]")


def render_plan(plan: Plan, form: str) -> str:
    """The plan in one of the forms `text`, `tree`, `mermaid`, `jenkins`; ends with a newline."""
    forms = {"text": _text, "tree": _tree, "mermaid": _mermaid, "jenkins": _jenkins}
    return "\n".join(forms[form](plan)) + "\n"


def render_nothing(form: str, seen: Mapping[str, str]) -> str:
    """The output when no imported data has changed, so that nothing is planned."""
    if form == "json":
        # Who reads JSON needs a document also where there is no plan.
        return "null\n"
    if form != "jenkins":
        return f"{_NO_NEWS}\n"
    return f"{JENKINS_FORMAT}\n{jenkins_line('nothing', _NO_NEWS)}\n{data_line(seen)}"


def render_error(error: NbciError) -> str:
    """An error in the form `jenkins`: the shared library ends the build with its message."""
    # `jenkins_line` refuses line breaks, and its own error would hide this one.
    message = " ".join(str(error).split())
    return f"{JENKINS_FORMAT}\n{jenkins_line('error', message)}\n"


def data_line(seen: Mapping[str, str]) -> str:
    """A line with what a poll saw of imported data, to be passed to the next poll."""
    # JSON writes tabs and line breaks as escapes, so that any path fits into a field.
    return f"{jenkins_line('data', json.dumps(seen, sort_keys=True))}\n"


def _text(plan: Plan) -> Iterator[str]:
    yield f"{plan.pipeline} ({plan.target}): {counted(len(plan.steps), 'step')}"
    if plan.params:
        yield ""
        yield from _parameters(plan)
    if plan.seeds is not None:
        values = ", ".join(map(str, plan.seeds.values))
        yield f"carried out with {plan.seeds.parameter} {values}"

    passing = _Passing(plan)
    for step in plan.steps:
        yield ""
        yield from _step(step, passing)

    others = list(_other_cells(plan))
    if others:
        yield ""
        yield from others
    for warning in plan.warnings:
        yield ""
        yield f"warning: {warning}"


def _parameters(plan: Plan) -> list[str]:
    rows = [("parameter", "value", "from")]
    for param in plan.params:
        rows.append((param.name, repr(param.value), param.source))
    return table(rows)


class _Passing:
    """Selects the values that are shown of a step.

    Values that every step makes by itself, in functions cells for example, are shown only where
    some step gives them in any case.
    """

    def __init__(self, plan: Plan) -> None:
        self._given: set[str] = set()
        for step in plan.steps:
            self._given.update(step.gives)

    def takes(self, step: PlannedStep) -> list[Take]:
        """The values that the step takes."""
        return [take for take in step.takes if self._is_shown(step, take.name)]

    def optional_gives(self, step: PlannedStep) -> list[str]:
        """The names of values that the step may give."""
        return [name for name in step.optional_gives if self._is_shown(step, name)]

    def _is_shown(self, step: PlannedStep, name: str) -> bool:
        return name in self._given or name not in step.defined_by_reference


def _step(step: PlannedStep, passing: _Passing) -> Iterator[str]:
    yield "  ".join((step.name, *_marks(step)))

    taken = [f"{take.name} (from {' or '.join(take.givers)})" for take in passing.takes(step)]
    perhaps = [f"{name} (perhaps)" for name in passing.optional_gives(step)]
    rows = (
        ("after", ", ".join(step.after)),
        _program(step),
        ("takes", ", ".join(taken)),
        ("gives", ", ".join((*step.gives, *perhaps))),
        ("reads", ", ".join(step.deps)),
        ("writes", ", ".join(step.writes)),
        # Several cells may report the same metric.
        ("metrics", ", ".join(dict.fromkeys(probe.name for probe in step.probes))),
        ("secrets", ", ".join(step.secrets)),
        ("runs in", step.environment or step.container or ""),
    )
    for name, text in rows:
        if text:
            yield f"    {name:8} {text}"


def _marks(step: PlannedStep) -> Iterator[str]:
    """The action for the step, and its agent and kernel where they are not the default."""
    if step.reason:
        yield f"[{step.action}: {step.reason}]"
    else:
        yield f"[{step.action}]"
    if step.agent:
        yield f"agent {step.agent}"
    if step.kernel != _DEFAULT_KERNEL:
        yield f"kernel {step.kernel}"


def _program(step: PlannedStep) -> tuple[str, str]:
    """What the step runs: cells of a notebook, or what nbci itself does."""
    kind = kind_of_notebook(step.notebook)
    if kind is not None:
        return "does", f"nbci {kind.name}"
    return "cells", f"{_cells(step)} of {step.notebook}"


def _cells(step: PlannedStep) -> str:
    numbers = [*map(str, _own_cells(step))]
    if not numbers:
        return "no cell"
    if len(numbers) == 1:
        return f"cell {numbers[0]}"
    return f"cells {', '.join(numbers)}"


def _own_cells(step: PlannedStep) -> list[int | None]:
    """The numbers of the cells that are the step's own, unlike imports and functions cells."""
    return [cell.number for cell in step.cells if cell.role == "step"]


def _other_cells(plan: Plan) -> Iterator[str]:
    """For each notebook the cells that are no step's own, and where they went.

    No cell of a notebook is left out silently: one that is not here belongs to a step.
    """
    own: dict[str, set[int | None]] = {}
    for step in plan.steps:
        own.setdefault(step.notebook, set()).update(_own_cells(step))

    found: dict[str, dict[int, str]] = {}
    for step in plan.steps:
        places = found.setdefault(step.notebook, {})
        for cell in step.cells:
            # Without a number is what nbci puts in: parameters, and probes of metrics.
            if cell.number is not None and cell.number not in own[step.notebook]:
                places.setdefault(cell.number, _place(cell, step))
    for out in plan.left_out:
        found.setdefault(out.notebook, {})[out.cell] = f"not run: {out.reason}"

    for notebook, places in found.items():
        if places and kind_of_notebook(notebook) is None:
            shown = ", ".join(f"{number} ({place})" for number, place in sorted(places.items()))
            yield f"other cells of {notebook}: {shown}"


def _place(cell: PlannedCell, step: PlannedStep) -> str:
    if cell.role == "metrics":
        return f"metrics, at the end of {step.name}"
    return cell.role


def _tree(plan: Plan) -> Iterator[str]:
    """Every step once, below the last of the steps that it comes after; the others are named."""
    parents = _parents(plan)
    children: dict[str, list[PlannedStep]] = {}
    for step in plan.steps:
        children.setdefault(parents[step.name], []).append(step)

    yield plan.pipeline
    # No recursion: a chain may be thousands of steps long.
    stack = _stacked(children.get("", []), "")
    while stack:
        step, indent, is_last = stack.pop()
        branch, space = "├─ ", "│  "
        if is_last:
            branch, space = "└─ ", "   "
        line = f"{indent}{branch}{step.name}"
        if step.action != "run":
            line += f"  [{step.action}]"
        others = [name for name in step.after if name != parents[step.name]]
        if others:
            line += f"  (and after {', '.join(others)})"
        yield line
        stack += _stacked(children.get(step.name, []), indent + space)


def _parents(plan: Plan) -> dict[str, str]:
    """For each step the step that it is drawn below; "" for steps without predecessors."""
    order = _order(plan)
    parents = {}
    for step in plan.steps:
        parents[step.name] = max(step.after, key=order.__getitem__, default="")
    return parents


def _order(plan: Plan) -> dict[str, int]:
    """The place of each step in the plan."""
    return {step.name: at for at, step in enumerate(plan.steps)}


def _stacked(steps: list[PlannedStep], indent: str) -> list[tuple[PlannedStep, str, bool]]:
    """The steps in reverse, for a stack, each with whether it is the last of its siblings."""
    return [(step, indent, at == 0) for at, step in enumerate(reversed(steps))]


def _mermaid(plan: Plan) -> Iterator[str]:
    # Ids of mermaid are plain words, and names of steps may be `end`, which ends a flowchart.
    order = _order(plan)
    yield "flowchart TD"
    for step in plan.steps:
        label = _quote(step.name)
        if step.agent:
            label += f"<br/>{_quote(step.agent)}"
        yield f'  s{order[step.name]}["{label}"]'

    passing = _Passing(plan)
    for step in plan.steps:
        takes = passing.takes(step)
        for before in step.after:
            names = ", ".join(take.name for take in takes if before in take.givers)
            arrow = "-->"
            if names:
                arrow += f"|{_quote(names)}|"
            yield f"  s{order[before]} {arrow} s{order[step.name]}"


def _quote(text: str) -> str:
    """Escape text for a label of mermaid, which is HTML; `|` would end the label of an edge."""
    return (
        text.replace("&", "&amp;")  # first: the others bring this character in
        .replace('"', "&quot;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("|", "&#124;")
    )


def _jenkins(plan: Plan) -> Iterator[str]:
    """What the shared library reads: format, behaviour after a failure, a line for each stage."""
    yield JENKINS_FORMAT
    yield from stage_lines(plan)


def stage_lines(plan: Plan, named: str = "") -> Iterator[str]:
    """The lines behind that of the format; the names of stages begin with `named`.

    Fields are separated by tabs, so that Groovy in Jenkins' sandbox needs no parser.
    """
    from nbci.plan.stages import ATTEMPTS, stages

    after_failure = "fail-fast"
    if plan.keep_going:
        after_failure = "keep-going"
    yield jenkins_line("run", after_failure, _whole_seconds(plan.run_timeout_seconds))
    for stage in stages(plan):
        yield jenkins_line(
            "stage",
            stage.number,
            f"{named}{stage.name}",
            stage.agent,
            _numbers(stage.after),
            _numbers(stage.needs),
            _whole_seconds(stage.timeout_seconds),
            ATTEMPTS,
            ",".join(stage.secrets),
            stage.container,
            " ".join(step.name for step in stage.steps),
        )


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _whole_seconds(seconds: float | None) -> str:
    if seconds is None:
        return ""
    # Rounded up: a limit below a second would become none.
    return str(math.ceil(seconds))


def jenkins_line(*fields: object) -> str:
    """A line of what the shared library reads; UsageError where a field cannot be in one."""
    texts = [*map(str, fields)]
    for text in texts:
        if _SEPARATORS.search(text):
            raise UsageError(
                f"this has a tab or a line break in it, and Jenkins reads lines: {text!r}"
            )
    return "\t".join(texts)
