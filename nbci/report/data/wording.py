"""What every form of the report says of a run, in words."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.text import as_json
from nbci.pipeline.rules import declared_for
from nbci.plan.compare import MetricChange

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.records.verdict import Verdict
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep

_FROM_OUTSIDE = ("-p", "-f ", "environment ")
"""How the sources of parameters begin that are in no file of the commit."""
_DIRECTIONS = {"up": "higher is better", "down": "lower is better"}


def headline(record: RunRecord) -> str:
    """Return the result of the run in one word, its gates included."""
    gates = "passed"
    if record.verdict:
        gates = record.verdict.result
    return {"failed": "refused", "warned": "warned", "passed": record.result}[gates]


def subject(material: Material) -> str:
    """Return what the report is about: the pipeline, and in a comparison its two runs."""
    record, baseline = material.run.record, material.baseline
    if baseline is None or not material.is_comparison:
        return record.pipeline
    return f"{record.pipeline}: run {record.run} compared with run {baseline.run.record.run}"


def outcome_sentence(record: RunRecord, steps: Sequence[ShownStep]) -> str:
    """The result in a sentence, such as "The run failed: 1 of 4 steps failed in 12.3 s"."""
    # Of a run that goes on, a step without result waits; its record would call it skipped.
    if record.result == "running":
        counts = Counter(step.word for step in steps)
        listed = tuple(counts)
    else:
        counts = Counter(step.record.outcome for step in steps)
        listed = ("interrupted", "reused", "skipped")

    words = _result_words(record, len(steps), counts)
    extra: list[str] = []
    for result in listed:
        if counts[result]:
            extra.append(f"{counts[result]} {result}")
    if extra:
        words = f"{words}; {', '.join(extra)}"
    return f"{words}."


def _result_words(record: RunRecord, number_of_steps: int, counts: Mapping[str, int]) -> str:
    total = counted(number_of_steps, "step")
    took, after = "", ""
    if record.seconds is not None:
        took = f" in {duration(record.seconds)}"
        after = f" after {duration(record.seconds)}"

    match record.result:
        case "passed":
            # "The run passed" beside gates that refused it would contradict the headline.
            subject = "The run"
            if record.verdict is not None and record.verdict.refuses:
                subject = "The steps"
            return f"{subject} passed: {total}{took}"
        case "failed":
            reason = f"{counts['failed']} of {total} failed"
            if record.failure:
                reason = record.failure.message
            return f"The run failed: {reason}{took}"
        case "interrupted":
            return f"The run was interrupted before its end{after}"
        case _:
            return f"The run is still going on: {total}"


def gates_sentence(verdict: Verdict | None) -> str:
    """Return the gates' answer in a sentence that follows the run's."""
    if verdict is None:
        return ""
    total = counted(len(verdict.gates), "gate")

    answers = Counter(gate.answer for gate in verdict.gates)
    if answers["failed"]:
        return f" {answers['failed']} of {total} refused it."
    # An override lets the run pass, as a warning does: both are worth a look, and counted together.
    warned = answers["warned"] + answers["overridden"]
    if warned:
        return f" {warned} of {total} warned or were overridden."
    return f" {total} let it pass."


def full_outcome(record: RunRecord, steps: Sequence[ShownStep]) -> str:
    """The result in a sentence, and in another what the gates said against it."""
    sentence = outcome_sentence(record, steps)
    # That the gates let the run pass is what its result says already.
    if record.verdict is not None and record.verdict.result != "passed":
        sentence += gates_sentence(record.verdict)
    return sentence


def gate_descriptions(plan: Plan) -> dict[str, str]:
    """What the pipeline file says of its gates, by their names."""
    described = {}
    for gate in plan.gates:
        if gate.description:
            described[gate.name] = gate.description
    return described


def run_again(record: RunRecord) -> str:
    """Return the commands that repeat the run."""
    command: Sequence[str] = record.command
    if not _can_be_repeated(command):
        command = _command_of_target(record)

    lines = [shlex.join(command)]
    if record.git and record.git.commit:
        lines.insert(0, f"git checkout {shlex.quote(record.git.commit)}")
    return "\n".join(lines)


def _can_be_repeated(command: Sequence[str]) -> bool:
    """Not what works on the pieces of a run, which are gone with the build that made them."""
    return bool(command) and "finish" not in command[1:2]


def _command_of_target(record: RunRecord) -> list[str]:
    """What runs the target with the parameters that were given from outside of it."""
    command = ["nbci", "run", record.target]
    for value in record.params:
        # Defaults and the project's own files come with the commit: to repeat them is noise.
        if value.source.startswith(_FROM_OUTSIDE):
            command += ["-p", f"{value.name}={_argument(value.value)}"]
    return command


def _argument(value: object) -> str:
    """The value as `-p` reads it."""
    if isinstance(value, str):
        return value
    return as_json(value)


def describe_metric(change: MetricChange, plan: Plan) -> str:
    """What the pipeline file says of the metric, and which way is better; empty where neither."""
    description = declared_for(change.name, plan.metrics or {}).description
    direction = _DIRECTIONS.get(change.direction or "")
    return "; ".join(filter(None, (description, direction)))


def metric_changes(material: Material) -> tuple[MetricChange, ...]:
    """Every metric of the run beside the baseline's, as far as there is one."""
    if material.baseline is None:
        return tuple(_new_metrics(material))

    changes = material.baseline.difference.metrics
    if material.run.record.result == "passed":
        return changes
    # A run that has not passed may lack a metric because it did not get there: "gone" is untrue.
    return tuple(change for change in changes if change.after is not None)


def _new_metrics(material: Material) -> Iterator[MetricChange]:
    declarations = material.run.plan.metrics or {}
    for name, value in material.run.record.metrics.items():
        declared = declared_for(name, declarations)
        yield MetricChange(
            name=name, before=None, after=value, direction=declared.direction, unit=declared.unit
        )


def warnings(record: RunRecord, plan: Plan, steps: Sequence[ShownStep]) -> list[str]:
    """Every warning once: of the plan, of the run, of its steps."""
    texts = [*plan.warnings, *record.warnings]
    for step in steps:
        for text in step.record.warnings:
            texts.append(f"{step.record.name}: {text}")
    return list(dict.fromkeys(texts))


def commit_text(record: RunRecord, *, length: int | None = None) -> str | None:
    """The commit, of which `length` digits are shown, and what the working tree added to it."""
    if record.git is None:
        return None
    text = "no commit yet"
    if record.git.commit:
        text = record.git.commit[:length]
    if record.git.branch:
        text += f" on {record.git.branch}"
    if record.git.dirty:
        text += ", with changes that are not committed"
    return text


def judged_metrics(record: RunRecord) -> set[str]:
    """The full names of the metrics that gates looked at."""
    judged: set[str] = set()
    if record.verdict is not None:
        for gate in record.verdict.gates:
            judged.update(gate.values or ())
            if gate.metric is not None:
                judged.add(gate.metric)
    return judged


def judged_first(record: RunRecord, changes: Sequence[MetricChange]) -> list[MetricChange]:
    """First the metrics that gates judged, then those that got worse."""
    judged = judged_metrics(record)
    return sorted(
        changes, key=lambda change: (change.name not in judged, change.better is not False)
    )
