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
from nbci.formatting.text import indented, text_of_lines
from nbci.proofs.sentences import latest_proof
from nbci.records.codec import plain
from nbci.records.run_record import Failure

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord, StepRecord

_CUT = ("failed", "interrupted")
_CUT_SHORT = Failure(kind="interrupted", message="the run ended before the step did")


def render_show(record: RunRecord, proofs: Sequence[Proof] = ()) -> str:
    """A run as text: facts, steps, parameters, metrics, warnings and failures."""
    return "\n".join(filter(None, map(text_of_lines, _blocks(record, proofs))))


def _blocks(record: RunRecord, proofs: Sequence[Proof]) -> Iterator[list[str]]:
    """The sections of the text, some of them empty."""
    yield table(_facts(record, proofs))
    yield _step_lines(record)
    yield _parameter_lines(record)
    yield metric_lines(record)
    yield verdict_lines(record.verdict)
    yield [f"warning: {one_line(text)}" for text in _warnings(record)]
    for step in record.steps:
        if _outcome(record, step) in _CUT:
            yield _failure_block(_with_end(record, step))
    if record.failure is not None:
        yield run_failure_lines(record.failure)


def _facts(record: RunRecord, proofs: Sequence[Proof]) -> list[tuple[str, str]]:
    place = filter(None, (record.by or record.user, record.host, record.platform))
    facts = [
        ("run", record.run),
        ("pipeline", record.pipeline),
        ("target", record.target),
        ("result", f"{record.outcome}{gates_word(record.verdict)}"),
        ("started", _started(record)),
        ("on", ", ".join(place)),
        ("python", record.python or ""),
        ("commit", _commit(record)),
        ("command", " ".join(record.command)),
        ("nbci", record.nbci),
        ("proof", latest_proof(proofs)),
        ("why", str(record.because) if record.because else ""),
        ("chosen", record.chosen.sentence if record.chosen else ""),
        ("confirmed", record.confirmed.sentence if record.confirmed else ""),
    ]
    return [(name, one_line(value)) for name, value in facts if value]


def _started(record: RunRecord) -> str:
    if not record.started_utc:
        return ""
    text = moment(record.started_utc)
    # A run that goes on, or was killed, has not taken any time yet.
    if record.seconds is not None:
        text += f", took {duration(record.seconds)}"
    return text


def _commit(record: RunRecord) -> str:
    git = record.git
    if git is None:
        return ""
    # A fresh repository has no commit; a CI checks out a commit without its branch.
    text = f"{git.commit or 'none yet'} on {git.branch or 'no branch'}"
    if git.dirty:
        text += ", with uncommitted changes"
    return text


def _step_lines(record: RunRecord) -> list[str]:
    if not record.steps:
        return []
    rows = [("step", "result", "took", "attempts", "")]
    for step in record.steps:
        # A step that was reused or skipped was not attempted: 0 would look like a failure.
        attempts = str(len(step.attempts) or "")
        remark = _remark(_with_end(record, step))
        rows.append((step.name, _word(record, step), duration(step.seconds), attempts, remark))
    return table(rows, right=frozenset({2, 3}))


def _word(record: RunRecord, step: StepRecord) -> str:
    # While a run goes on, steps that have not begun are recorded as skipped without a reason.
    if record.result == "running" and step.result == "skipped" and step.reason is None:
        return "waiting"
    return _outcome(record, step)


def _remark(step: StepRecord) -> str:
    if step.failure is not None:
        return failure_headline(step.failure)
    if step.result == "reused" and step.run:
        return "; ".join(filter(None, (f"from run {step.run}", _audit_text(step))))
    return one_line(step.reason or "")


def _audit_text(step: StepRecord) -> str:
    if step.audit is None:
        return ""
    return one_line(step.audit.sentence)


def _parameter_lines(record: RunRecord) -> list[str]:
    if not record.params:
        return []
    rows = [("parameter", "value", "from")]
    for param in record.params:
        rows.append((param.name, one_line(repr(param.value)), one_line(param.source)))
    return table(rows)


def _failure_block(step: StepRecord) -> list[str]:
    lines = failure_lines(step)
    if step.failure is not None:
        lines += indented(traceback_lines(step.failure), "    ")
    return lines


def _warnings(record: RunRecord) -> list[str]:
    """The warnings of the run, and those of the steps with their names."""
    texts = list(record.warnings)
    for step in record.steps:
        texts += [f"{step.name}: {text}" for text in step.warnings]
    return texts


def _outcome(record: RunRecord, step: StepRecord) -> str:
    """The outcome of the step; in a run that has ended, a running step was interrupted."""
    # A run that was killed left its steps as they stood.
    if step.result == "running" and record.result != "running":
        return "interrupted"
    return step.outcome


def _with_end(record: RunRecord, step: StepRecord) -> StepRecord:
    """The step with a failure added, if `_outcome` says that it was interrupted."""
    if step.outcome == _outcome(record, step):
        return step
    from msgspec.structs import replace

    from nbci.records.run_record import Attempt

    # It may have been killed before its first attempt was recorded.
    cut = Attempt(number=1, result="failed", started_utc=step.started_utc or "", seconds=0.0)
    *before, last = step.attempts or (cut,)
    last = replace(last, failure=last.failure or _CUT_SHORT)
    return replace(step, result="failed", attempts=(*before, last))


def show_document(
    record: RunRecord, *, runs_folder: str = RUNS_FOLDER, proofs: Sequence[Proof] = ()
) -> dict[str, Any]:
    """The JSON of `nbci show RUN --json`, as `schemas/show.schema.json` describes it."""
    document: dict[str, Any] = {}
    # The schema has these keys only where there is something to say.
    if record.failure:
        document["failure"] = plain(record.failure)
    if record.verdict:
        document["verdict"] = plain(record.verdict)
    if proofs:
        document["proofs"] = list(map(_proof_document, proofs))
    if record.seeds:
        document["seeds"] = plain(record.seeds)
    if record.because:
        document["because"] = plain(record.because)
    if record.chosen:
        document["chosen"] = plain(record.chosen)
    if record.confirmed:
        document["confirmed"] = plain(record.confirmed)
    return document | {
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
        "git": _git_document(record),
        "params": _params_document(record),
        "steps": [_step_document(record, step) for step in record.steps],
        "metrics": record.metrics,
        "short_metrics": short_metrics(record.metrics),
        "warnings": _warnings(record),
        "paths": _paths_document(f"{runs_folder}/{record.run}"),
    }


def _proof_document(proof: Proof) -> dict[str, Any]:
    # The rest is beside the run: `nbci runs --of RUN --json`.
    return {
        "proof": proof.proof,
        "agreement": proof.agreement,
        "sentence": proof.sentence,
        "started_utc": proof.started_utc,
        "host": proof.host,
        "steps": [step.step for step in proof.steps],
    }


def _git_document(record: RunRecord) -> dict[str, Any] | None:
    git = record.git
    if git is None:
        return None
    return {"commit": git.commit, "branch": git.branch, "dirty": git.dirty}


def _params_document(record: RunRecord) -> dict[str, Any]:
    document = {}
    for param in record.params:
        document[param.name] = {"value": plain(param.value), "source": param.source}
    return document


def _paths_document(folder: str) -> dict[str, str]:
    # Relative to where the command was called, as a script reads them.
    return {
        "folder": folder,
        "record": f"{folder}/run.json",
        "plan": f"{folder}/plan.json",
        "page": f"{folder}/report/index.html",
    }


def _step_document(record: RunRecord, step: StepRecord) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": step.name,
        "result": _outcome(record, step),
        "seconds": step.seconds,
        "attempts": len(step.attempts),
        # By the names that the step gave them; the run's have the step's name before.
        "metrics": {metric.name: metric.value for metric in step.metrics},
        "warnings": list(step.warnings),
    }
    failure = _with_end(record, step).failure
    optional = {
        "started_utc": step.started_utc,
        "reason": step.reason,
        "run": step.run,
        "host": step.host,
        "kernel": step.kernel,
        "usage": step.usage and plain(step.usage),
        "outs": plain(step.outs) or None,
        "failure": failure and plain(failure),
        "audit": step.audit and plain(step.audit),
    }
    # With these as null, a document of many steps would be twice as long.
    return document | {key: value for key, value in optional.items() if value is not None}
