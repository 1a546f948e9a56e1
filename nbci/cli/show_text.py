"""`nbci show`: a record as plain text and as the documented JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nbci.cli.live.gates import gates_word, verdict_lines
from nbci.cli.live.summary import (
    failure_headline,
    failure_lines,
    metric_lines,
    run_failure_lines,
    traceback_lines,
)
from nbci.cli.runs_text import short_metrics
from nbci.dot_nbci import RUNS_FOLDER
from nbci.formatting.durations import duration, moment
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line
from nbci.records.codec import plain
from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import RunRecord, StepRecord

_CUT = ("failed", "interrupted")
_CUT_SHORT = Failure(kind="interrupted", message="the run ended before the step did")


def _joined(lines: Sequence[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def render_show(record: RunRecord) -> str:
    """One run: what it was, its steps, parameters, metrics, warnings and failures."""
    blocks = [
        table(_facts(record)),
        _step_lines(record),
        _parameter_lines(record),
        metric_lines(record.metrics),
        verdict_lines(record.verdict),
        [f"warning: {one_line(text)}" for text in _warnings(record)],
        *(
            _failure_block(_ended(record, step))
            for step in record.steps
            if _result(record, step) in _CUT
        ),
        run_failure_lines(record.failure) if record.failure else [],
    ]
    return "\n".join(_joined(block) for block in blocks if block)


def _facts(record: RunRecord) -> list[tuple[str, str]]:
    took = "" if record.seconds is None else f", took {duration(record.seconds)}"
    where = ", ".join(
        part for part in (record.by or record.user, record.host, record.platform) if part
    )
    git = record.git
    changes = ", with uncommitted changes" if git and git.dirty else ""
    facts = [
        ("run", record.run),
        ("pipeline", record.pipeline),
        ("target", record.target),
        ("result", f"{record.outcome}{gates_word(record.verdict)}"),
        ("started", f"{moment(record.started_utc)}{took}" if record.started_utc else ""),
        ("on", where),
        ("python", record.python or ""),
        (
            "commit",
            f"{git.commit or 'none yet'} on {git.branch or 'no branch'}{changes}" if git else "",
        ),
        ("command", " ".join(record.command)),
        ("nbci", record.nbci),
    ]
    return [(name, one_line(value)) for name, value in facts if value]


def _step_lines(record: RunRecord) -> list[str]:
    if not record.steps:
        return []
    rows = [
        (
            step.name,
            _word(record, step),
            duration(step.seconds),
            str(len(step.attempts) or ""),
            _remark(_ended(record, step)),
        )
        for step in record.steps
    ]
    return table([("step", "result", "took", "attempts", ""), *rows], right=frozenset({2, 3}))


def _word(record: RunRecord, step: StepRecord) -> str:
    not_yet = record.result == "running" and step.result == "skipped" and step.reason is None
    return "waiting" if not_yet else _result(record, step)


def _remark(step: StepRecord) -> str:
    if step.failure is not None:
        return failure_headline(step.failure)
    if step.result == "reused" and step.run:
        return f"from run {step.run}"
    return one_line(step.reason or "")


def _parameter_lines(record: RunRecord) -> list[str]:
    if not record.params:
        return []
    rows = [
        (param.name, one_line(repr(param.value)), one_line(param.source)) for param in record.params
    ]
    return table([("parameter", "value", "from"), *rows])


def _failure_block(step: StepRecord) -> list[str]:
    traceback = traceback_lines(step.failure) if step.failure else []
    return [*failure_lines(step), *(f"    {line}" for line in traceback)]


def _warnings(record: RunRecord) -> list[str]:
    return [
        *record.warnings,
        *(f"{step.name}: {text}" for step in record.steps for text in step.warnings),
    ]


def _result(record: RunRecord, step: StepRecord) -> str:
    """What became of the step; nothing runs any more in a run that has ended."""
    return (
        "interrupted" if step.result == "running" and record.result != "running" else step.outcome
    )


def _ended(record: RunRecord, step: StepRecord) -> StepRecord:
    """The step as `_result` has it, with the failure that goes with it."""
    if step.outcome == _result(record, step):
        return step
    from msgspec.structs import replace

    from nbci.records.run_record import Attempt

    cut = Attempt(number=1, result="failed", started_utc=step.started_utc or "", seconds=0.0)
    before, last = step.attempts[:-1], step.attempts[-1] if step.attempts else cut
    return replace(
        step, result="failed", attempts=(*before, replace(last, failure=last.failure or _CUT_SHORT))
    )


def show_document(record: RunRecord, *, runs_folder: str = RUNS_FOLDER) -> dict[str, Any]:
    """The JSON of `nbci show RUN --json`, as `schemas/show.schema.json` describes it."""
    folder = f"{runs_folder}/{record.run}"
    failure = {"failure": plain(record.failure)} if record.failure else {}
    verdict = {"verdict": plain(record.verdict)} if record.verdict else {}
    return (
        failure
        | verdict
        | {
            "run": record.run,
            "pipeline": record.pipeline,
            "target": record.target,
            "result": record.outcome,
            "nbci": record.nbci,
            "command": list(record.command),
            "started_utc": record.started_utc,
            "ended_utc": record.ended_utc,
            "seconds": record.seconds,
            "host": record.host,
            "user": record.user,
            "by": record.by,
            "platform": record.platform,
            "python": record.python,
            "git": {
                "commit": record.git.commit,
                "branch": record.git.branch,
                "dirty": record.git.dirty,
            }
            if record.git
            else None,
            "params": {
                param.name: {"value": plain(param.value), "source": param.source}
                for param in record.params
            },
            "steps": [_step_document(record, step) for step in record.steps],
            "metrics": record.metrics,
            "short_metrics": short_metrics(record.metrics),
            "warnings": _warnings(record),
            "paths": {
                "folder": folder,
                "record": f"{folder}/run.json",
                "plan": f"{folder}/plan.json",
                "page": f"{folder}/report/index.html",
            },
        }
    )


def _step_document(record: RunRecord, step: StepRecord) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": step.name,
        "result": _result(record, step),
        "seconds": step.seconds,
        "attempts": len(step.attempts),
        "metrics": {metric.name: metric.value for metric in step.metrics},
        "warnings": list(step.warnings),
    }
    optional = {
        "started_utc": step.started_utc,
        "reason": step.reason,
        "run": step.run,
        "host": step.host,
        "kernel": step.kernel,
        "usage": plain(step.usage) if step.usage else None,
        "outs": [plain(out) for out in step.outs] or None,
        "failure": plain(failure) if (failure := _ended(record, step).failure) else None,
    }
    return document | {key: value for key, value in optional.items() if value is not None}
