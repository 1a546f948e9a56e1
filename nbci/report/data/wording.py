"""What every form of the report says of a run, in words."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted, number
from nbci.formatting.text import as_json
from nbci.pipeline.rules import declared_for
from nbci.plan.compare import MetricChange

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import Verdict
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep


_FROM_OUTSIDE = ("-p", "-f ", "environment ")
"""How the sources of parameters begin that are in no file of the commit."""


def headline(record: RunRecord) -> str:
    """Return the result of the run in one word, its gates included."""
    gates = record.verdict.result if record.verdict else "passed"
    return {"failed": "refused", "warned": "warned", "passed": record.result}[gates]


def outcome(record: RunRecord, steps: Sequence[ShownStep]) -> str:
    """The result in a sentence, such as "The run failed: 1 of 4 steps failed in 12.3 s"."""
    counts: Counter[str] = Counter(step.record.outcome for step in steps)
    took = f" in {duration(record.seconds)}" if record.seconds is not None else ""
    total = counted(len(steps), "step")
    match record.result:
        case "passed":
            refused = record.verdict is not None and record.verdict.refuses
            words = f"{'The steps' if refused else 'The run'} passed: {total}{took}"
        case "failed":
            what = (
                record.failure.message
                if record.failure
                else f"{counts['failed']} of {total} failed"
            )
            words = f"The run failed: {what}{took}"
        case "interrupted":
            words = (
                f"The run was interrupted before its end{took and took.replace(' in ', ' after ')}"
            )
        case _:
            counts = Counter(step.word for step in steps)
            words = f"The run is still going on: {total}"
    others = ("interrupted", "reused", "skipped") if record.result != "running" else tuple(counts)
    extra = [f"{counts[result]} {result}" for result in others if counts[result]]
    return f"{words}; {', '.join(extra)}." if extra else f"{words}."


def said_of_gates(verdict: Verdict | None) -> str:
    """Return the gates' answer in a sentence that follows the run's."""
    if verdict is None:
        return ""
    refused = sum(gate.refuses for gate in verdict.gates)
    total = counted(len(verdict.gates), "gate")
    if refused:
        return f" {refused} of {total} refused it."
    warned = sum(gate.answer in ("warned", "overridden") for gate in verdict.gates)
    return (
        f" {warned} of {total} warned or were overridden." if warned else f" {total} let it pass."
    )


def gate_rows(verdict: Verdict | None) -> list[tuple[str, str, str, str, str, str]]:
    """Gate, what it asked, found, baseline, answer, reason."""
    return [
        (
            gate.title,
            gate.asked,
            "" if gate.found is None else number(gate.found),
            "" if gate.baseline is None else number(gate.baseline),
            gate.answer,
            gate.explanation,
        )
        for gate in (verdict.gates if verdict else ())
    ]


def run_again(record: RunRecord) -> str:
    """Return the commands that repeat the run."""
    command = shlex.join(
        record.command if _can_be_repeated(record.command) else _command_of(record)
    )
    commit = record.git.commit if record.git else None
    return f"git checkout {shlex.quote(commit)}\n{command}" if commit else command


def _can_be_repeated(command: Sequence[str]) -> bool:
    """Not what works on the pieces of a run, which are gone with the build that made them."""
    return bool(command) and "finish" not in command[1:2]


def _command_of(record: RunRecord) -> list[str]:
    """What runs the target with the parameters that were given from outside of it."""
    given = [value for value in record.params if value.source.startswith(_FROM_OUTSIDE)]
    pairs = [f"{value.name}={_argument(value.value)}" for value in given]
    return ["nbci", "run", record.target, *(word for pair in pairs for word in ("-p", pair))]


def _argument(value: object) -> str:
    """The value as `-p` reads it."""
    return value if isinstance(value, str) else as_json(value)


def metric_changes(material: Material) -> tuple[MetricChange, ...]:
    """Every metric of the run beside the baseline's, as far as there is one."""
    if material.baseline is not None:
        is_whole = (
            material.run.record.result == "passed"
        )  # another run has some metrics yet to come
        found = material.baseline.difference.metrics
        return tuple(change for change in found if is_whole or change.after is not None)
    declared = material.run.plan.metrics or {}
    return tuple(
        MetricChange(name=name, before=None, after=value, direction=said.direction, unit=said.unit)
        for name, value in material.run.record.metrics.items()
        for said in (declared_for(name, declared),)
    )


def warnings(record: RunRecord, plan: Plan, steps: Sequence[ShownStep]) -> list[str]:
    """Every warning once: of the plan, of the run, of its steps."""
    of_steps = [f"{step.record.name}: {text}" for step in steps for text in step.record.warnings]
    return list(dict.fromkeys((*plan.warnings, *record.warnings, *of_steps)))


def commit(record: RunRecord) -> str | None:
    """The commit and what the working tree added to it."""
    if record.git is None:
        return None
    branch = f" on {record.git.branch}" if record.git.branch else ""
    dirty = ", with changes that are not committed" if record.git.dirty else ""
    return f"{record.git.commit or 'no commit yet'}{branch}{dirty}"
