"""A plan as text: for people, as a tree, as a mermaid diagram, and as the lines that Jenkins reads."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING

from nbci.errors import UsageError
from nbci.formatting.numbers import counted
from nbci.formatting.tables import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.errors import NbciError
    from nbci.plan.model import Plan, PlannedStep

_JENKINS_FORMAT = "nbci-plan 1"
_NO_NEWS = "the imported data is what it was"


def render_plan(plan: Plan, form: str) -> str:
    """The plan in one of the forms `text`, `tree`, `mermaid`, `jenkins`; ends with a newline."""
    render = {"text": _text, "tree": _tree, "mermaid": _mermaid, "jenkins": _jenkins}[form]
    return "\n".join(render(plan)) + "\n"


def render_nothing(form: str, seen: Mapping[str, str]) -> str:
    """That a timer's build has nothing to do."""
    if form == "json":
        return "null\n"
    if form != "jenkins":
        return f"{_NO_NEWS}\n"
    return f"{_JENKINS_FORMAT}\n{_fields('nothing', _NO_NEWS)}\n{data_line(seen)}"


def render_error(error: NbciError) -> str:
    """That nothing could be planned, in the form `jenkins`: the library ends its build with this."""
    said = " ".join(f"{error}".split())
    return f"{_JENKINS_FORMAT}\n{_fields('error', said)}\n"


def data_line(seen: Mapping[str, str]) -> str:
    """What a poll saw of imported data, for the next one."""
    return f"{_fields('data', json.dumps(seen, sort_keys=True))}\n"


def _text(plan: Plan) -> Iterator[str]:
    yield f"{plan.pipeline} ({plan.target}): {counted(len(plan.steps), 'step')}"
    if plan.params:
        yield ""
        yield from table(
            [
                ("parameter", "value", "from"),
                *((p.name, repr(p.value), p.source) for p in plan.params),
            ]
        )
    given = _surely_given(plan)
    for step in plan.steps:
        yield ""
        yield from _step(step, given)
    others = list(_other_cells(plan))
    if others:
        yield ""
        yield from others
    for warning in plan.warnings:
        yield ""
        yield f"warning: {warning}"


def _surely_given(plan: Plan) -> frozenset[str]:
    return frozenset(name for step in plan.steps for name in step.gives)


def _passes(step: PlannedStep, name: str, given: frozenset[str]) -> bool:
    """Whether to say that a value passes: what cells of all steps make mostly stays as it is."""
    return name in given or name not in step.defined_by_reference


def _step(step: PlannedStep, given: frozenset[str]) -> Iterator[str]:
    place = f"agent {step.agent}" if step.agent else ""
    kind = "" if step.kernel == "python3" else f"kernel {step.kernel}"
    action = step.action + (f": {step.reason}" if step.reason else "")
    yield f"{step.name}  {'  '.join(part for part in (f'[{action}]', place, kind) if part)}"
    takes = [take for take in step.takes if _passes(step, take.name, given)]
    perhaps = [name for name in step.optional_gives if _passes(step, name, given)]
    rows = (
        ("after", ", ".join(step.after)),
        ("cells", f"{_cells(step)} of {step.notebook}"),
        ("takes", ", ".join(f"{take.name} (from {' or '.join(take.givers)})" for take in takes)),
        ("gives", ", ".join((*step.gives, *(f"{name} (perhaps)" for name in perhaps)))),
        ("reads", ", ".join(step.deps)),
        ("writes", ", ".join((*step.outs, *step.metrics))),
        ("metrics", ", ".join(dict.fromkeys(probe.name for probe in step.probes))),
        ("secrets", ", ".join(step.secrets)),
        ("runs in", step.environment or step.container or ""),
    )
    yield from (f"    {name:8} {text}" for name, text in rows if text)


def _cells(step: PlannedStep) -> str:
    numbers = [str(cell.number) for cell in step.cells if cell.role == "step"]
    return (
        f"cell {numbers[0]}"
        if len(numbers) == 1
        else f"cells {', '.join(numbers)}"
        if numbers
        else "no cell"
    )


def _other_cells(plan: Plan) -> Iterator[str]:
    """For each notebook where its cells went that are no step's own."""
    found: dict[str, dict[int, str]] = {}
    own: dict[str, set[int | None]] = {}
    for step in plan.steps:
        own.setdefault(step.notebook, set()).update(
            cell.number for cell in step.cells if cell.role == "step"
        )
    for step in plan.steps:
        for cell in step.cells:
            if (
                cell.number is not None
                and cell.role != "step"
                and cell.number not in own[step.notebook]
            ):
                place = (
                    f"metrics, at the end of {step.name}" if cell.role == "metrics" else cell.role
                )
                found.setdefault(step.notebook, {}).setdefault(cell.number, place)
    for out in plan.left_out:
        found.setdefault(out.notebook, {})[out.cell] = f"not run: {out.reason}"
    for notebook, places in found.items():
        shown = ", ".join(f"{number} ({places[number]})" for number in sorted(places))
        yield f"other cells of {notebook}: {shown}"


def _tree(plan: Plan) -> Iterator[str]:
    """Every step once, under the last of those it comes after; the others are named beside it."""
    parents = {step.name: step.after[-1] if step.after else "" for step in plan.steps}
    order = {step.name: at for at, step in enumerate(plan.steps)}
    for step in plan.steps:
        if step.after:
            parents[step.name] = max(step.after, key=order.__getitem__)
    children: dict[str, list[PlannedStep]] = {}
    for step in plan.steps:
        children.setdefault(parents[step.name], []).append(step)
    yield plan.pipeline
    stack = [(step, "", at == 0) for at, step in enumerate(reversed(children.get("", [])))]
    while stack:  # no recursion: a chain may be thousands of steps long
        step, indent, last = stack.pop()
        others = [name for name in step.after if name != parents[step.name]]
        also = f"  (and after {', '.join(others)})" if others else ""
        mark = "" if step.action == "run" else f"  [{step.action}]"
        yield f"{indent}{'└─ ' if last else '├─ '}{step.name}{mark}{also}"
        below = indent + ("   " if last else "│  ")
        stack += [
            (child, below, at == 0)
            for at, child in enumerate(reversed(children.get(step.name, [])))
        ]


def _mermaid(plan: Plan) -> Iterator[str]:
    ids = {step.name: f"s{at}" for at, step in enumerate(plan.steps)}
    yield "flowchart TD"
    for step in plan.steps:
        agent = f"<br/>{_quoted(step.agent)}" if step.agent else ""
        yield f'  {ids[step.name]}["{_quoted(step.name)}{agent}"]'
    given = _surely_given(plan)
    for step in plan.steps:
        for before in step.after:
            takes = [take for take in step.takes if _passes(step, take.name, given)]
            names = [take.name for take in takes if before in take.givers]
            label = f"|{_quoted(', '.join(names))}|" if names else ""
            yield f"  {ids[before]} -->{label} {ids[step.name]}"


def _quoted(text: str) -> str:
    return (
        text.replace("&", "&amp;")
        .replace('"', "&quot;")
        .replace("<", "&lt;")
        .replace(">", "&gt;")
        .replace("|", "&#124;")
    )


def _jenkins(plan: Plan) -> Iterator[str]:
    """What the shared library reads: the format's version, how to carry on, then a line for each
    stage.
    """
    from nbci.plan.stages import ATTEMPTS, stages

    yield _JENKINS_FORMAT
    yield _fields(
        "run", "keep-going" if plan.keep_going else "fail-fast", _whole(plan.run_timeout_seconds)
    )
    for stage in stages(plan):
        yield _fields(
            "stage",
            stage.number,
            stage.name,
            stage.agent,
            ",".join(map(str, stage.after)),
            ",".join(map(str, stage.needs)),
            _whole(stage.timeout_seconds),
            ATTEMPTS,
            ",".join(stage.secrets),
            stage.container,
            " ".join(step.name for step in stage.steps),
        )


def _whole(seconds: float | None) -> str:
    return "" if seconds is None else str(math.ceil(seconds))


def _fields(*fields: object) -> str:
    texts = [str(field) for field in fields]
    for text in texts:
        if any(character in text for character in "\t\r\n"):
            raise UsageError(
                f"this has a tab or a line break in it, and Jenkins reads lines: {text!r}"
            )
    return "\t".join(texts)
