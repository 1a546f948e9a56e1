"""A plan as text: for people, as a tree, as mermaid, and as the lines that Jenkins reads."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.formatting.numbers import counted
from nbci.formatting.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from nbci.errors import NbciError
    from nbci.plan.model import Plan, PlannedCell, PlannedStep

# jenkins-plugin-shim refuses another number: a library and an nbci that do not fit are named.
_JENKINS_FORMAT = "nbci-plan 1"
_NO_NEWS = "the imported data is what it was"
_DEFAULT_KERNEL = "python3"


def render_plan(plan: Plan, form: str) -> str:
    """The plan in one of the forms `text`, `tree`, `mermaid`, `jenkins`; ends with a newline."""
    forms = {"text": _text, "tree": _tree, "mermaid": _mermaid, "jenkins": _jenkins}
    return "\n".join(forms[form](plan)) + "\n"


def render_nothing(form: str, seen: Mapping[str, str]) -> str:
    """That a timer's build has nothing to do."""
    if form == "json":
        # Who reads JSON needs a document also where there is no plan.
        return "null\n"
    if form != "jenkins":
        return f"{_NO_NEWS}\n"
    return f"{_JENKINS_FORMAT}\n{_fields('nothing', _NO_NEWS)}\n{data_line(seen)}"


def render_error(error: NbciError) -> str:
    """That nothing could be planned, in the form `jenkins`; its library ends the build with it."""
    # `_fields` refuses line breaks, and its own error would hide this one.
    message = " ".join(str(error).split())
    return f"{_JENKINS_FORMAT}\n{_fields('error', message)}\n"


def data_line(seen: Mapping[str, str]) -> str:
    """What a poll saw of imported data, for the next one."""
    # JSON writes tabs and line breaks as escapes, so that any path fits into a field.
    return f"{_fields('data', json.dumps(seen, sort_keys=True))}\n"


def _text(plan: Plan) -> Iterator[str]:
    yield f"{plan.pipeline} ({plan.target}): {counted(len(plan.steps), 'step')}"
    if plan.params:
        rows = [("parameter", "value", "from")]
        rows += [(param.name, repr(param.value), param.source) for param in plan.params]
        yield ""
        yield from table(rows)

    certain = _certain_values(plan)
    for step in plan.steps:
        yield ""
        yield from _step(step, certain)

    others = list(_other_cells(plan))
    if others:
        yield ""
        yield from others
    for warning in plan.warnings:
        yield ""
        yield f"warning: {warning}"


def _certain_values(plan: Plan) -> frozenset[str]:
    """The values that some step gives in any case."""
    return frozenset(name for step in plan.steps for name in step.gives)


def _passes(step: PlannedStep, name: str, certain: frozenset[str]) -> bool:
    """Whether to say that a value passes: what cells of all steps make mostly stays as it is."""
    return name in certain or name not in step.defined_by_reference


def _step(step: PlannedStep, certain: frozenset[str]) -> Iterator[str]:
    yield "  ".join((step.name, *_marks(step)))

    takes = [take for take in step.takes if _passes(step, take.name, certain)]
    perhaps = [name for name in step.optional_gives if _passes(step, name, certain)]
    taken = [f"{take.name} (from {' or '.join(take.givers)})" for take in takes]
    given = [*step.gives, *(f"{name} (perhaps)" for name in perhaps)]
    rows = (
        ("after", ", ".join(step.after)),
        ("cells", f"{_cells(step)} of {step.notebook}"),
        ("takes", ", ".join(taken)),
        ("gives", ", ".join(given)),
        ("reads", ", ".join(step.deps)),
        ("writes", ", ".join((*step.outs, *step.metrics))),
        # Several cells may report the same metric.
        ("metrics", ", ".join(dict.fromkeys(probe.name for probe in step.probes))),
        ("secrets", ", ".join(step.secrets)),
        ("runs in", step.environment or step.container or ""),
    )
    for name, text in rows:
        if text:
            yield f"    {name:8} {text}"


def _marks(step: PlannedStep) -> Iterator[str]:
    """What becomes of the step, and where if that is not just here."""
    yield f"[{step.action}: {step.reason}]" if step.reason else f"[{step.action}]"
    if step.agent:
        yield f"agent {step.agent}"
    if step.kernel != _DEFAULT_KERNEL:
        yield f"kernel {step.kernel}"


def _cells(step: PlannedStep) -> str:
    numbers = [str(cell.number) for cell in step.cells if cell.role == "step"]
    if not numbers:
        return "no cell"
    if len(numbers) == 1:
        return f"cell {numbers[0]}"
    return f"cells {', '.join(numbers)}"


def _other_cells(plan: Plan) -> Iterator[str]:
    """For each notebook where its cells went that are no step's own.

    Nothing of a notebook is left out silently: a cell without a place here belongs to a step.
    """
    own = _own_cells(plan)
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
        if places:
            shown = ", ".join(f"{number} ({places[number]})" for number in sorted(places))
            yield f"other cells of {notebook}: {shown}"


def _own_cells(plan: Plan) -> dict[str, set[int | None]]:
    """For each notebook the numbers of cells that are a step's own."""
    own: dict[str, set[int | None]] = {}
    for step in plan.steps:
        numbers = own.setdefault(step.notebook, set())
        numbers.update(cell.number for cell in step.cells if cell.role == "step")
    return own


def _place(cell: PlannedCell, step: PlannedStep) -> str:
    if cell.role == "metrics":
        return f"metrics, at the end of {step.name}"
    return cell.role


def _tree(plan: Plan) -> Iterator[str]:
    """Every step once, under the last of those it comes after; the others are named beside it."""
    parents = _parents(plan)
    children: dict[str, list[PlannedStep]] = {}
    for step in plan.steps:
        children.setdefault(parents[step.name], []).append(step)

    yield plan.pipeline
    # No recursion: a chain may be thousands of steps long.
    stack = _stacked(children.get("", []), "")
    while stack:
        step, indent, is_last = stack.pop()
        line = f"{indent}{'└─ ' if is_last else '├─ '}{step.name}"
        if step.action != "run":
            line += f"  [{step.action}]"
        others = [name for name in step.after if name != parents[step.name]]
        if others:
            line += f"  (and after {', '.join(others)})"
        yield line
        below = indent + ("   " if is_last else "│  ")
        stack += _stacked(children.get(step.name, []), below)


def _parents(plan: Plan) -> dict[str, str]:
    """For each step the one that it is drawn under; "" for those that come after none."""
    order = {step.name: at for at, step in enumerate(plan.steps)}
    parents = {}
    for step in plan.steps:
        parents[step.name] = max(step.after, key=order.__getitem__, default="")
    return parents


def _stacked(steps: list[PlannedStep], indent: str) -> list[tuple[PlannedStep, str, bool]]:
    """The steps so that the first is popped first, with whether each is the last of its kind."""
    return [(step, indent, at == 0) for at, step in enumerate(reversed(steps))]


def _mermaid(plan: Plan) -> Iterator[str]:
    # Ids of mermaid are plain words, and names of steps may be `end`, which ends a flowchart.
    ids = {step.name: f"s{at}" for at, step in enumerate(plan.steps)}
    yield "flowchart TD"
    for step in plan.steps:
        agent = f"<br/>{_quote(step.agent)}" if step.agent else ""
        yield f'  {ids[step.name]}["{_quote(step.name)}{agent}"]'

    certain = _certain_values(plan)
    for step in plan.steps:
        takes = [take for take in step.takes if _passes(step, take.name, certain)]
        for before in step.after:
            names = ", ".join(take.name for take in takes if before in take.givers)
            label = f"|{_quote(names)}|" if names else ""
            yield f"  {ids[before]} -->{label} {ids[step.name]}"


def _quote(text: str) -> str:
    """The text as mermaid takes it in a label: HTML without the mark that ends an edge's."""
    return (
        text.replace("&", "&amp;")  # first: the others bring this character in
        .replace('"', "&quot;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("|", "&#124;")
    )


def _jenkins(plan: Plan) -> Iterator[str]:
    """What the shared library reads: the format, how to carry on, then a line for each stage.

    Fields are separated by tabs, so that Groovy in Jenkins' sandbox needs no parser.
    """
    from nbci.plan.stages import ATTEMPTS, stages

    yield _JENKINS_FORMAT
    going = "keep-going" if plan.keep_going else "fail-fast"
    yield _fields("run", going, _whole_seconds(plan.run_timeout_seconds))
    for stage in stages(plan):
        yield _fields(
            "stage",
            stage.number,
            stage.name,
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


def _fields(*fields: object) -> str:
    texts = [str(field) for field in fields]
    for text in texts:
        if any(character in text for character in "\t\r\n"):
            raise UsageError(
                f"this has a tab or a line break in it, and Jenkins reads lines: {text!r}"
            )
    return "\t".join(texts)
