"""How the build of a CI is to end that was one run, and what it says of itself in a line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

from nbci.app.exit_codes import exit_code
from nbci.errors import ExitCode
from nbci.formatting.numbers import number
from nbci.formatting.text import short_line
from nbci.records.page import PageEnding
from nbci.report.data.wording import headline

if TYPE_CHECKING:
    from nbci.records.page import BuildResult
    from nbci.records.run_record import RunRecord, StepRecord

_RESULTS: dict[ExitCode, tuple[BuildResult, Literal["SUCCESS", "FAILURE"]]] = {
    ExitCode.SUCCESS: ("success", "SUCCESS"),
    ExitCode.GATE_REFUSED: ("unstable", "FAILURE"),
}
_BADGES = {"success": "✅", "unstable": "⚠️", "failure": "❌"}
_INTERRUPTED_BADGE = "⏹️"
_LONGEST_REASON = 200
"""Jenkins shows descriptions as plain text in its list of builds."""
_INFRASTRUCTURE = "infrastructure, not the notebook: try again"


class Ending(NamedTuple):
    """How a build is to end: `explained` says why, `conclusion` is for the commit's check."""

    result: BuildResult
    conclusion: Literal["SUCCESS", "FAILURE"]
    title: str
    explained: str
    description: str
    is_infrastructure: bool

    @property
    def on_page(self) -> PageEnding:
        """The same as the build's page has it."""
        return PageEnding(
            result=self.result, message=self.explained, infrastructure=self.is_infrastructure
        )


def ending_of(record: RunRecord, *, gates: bool) -> Ending:
    """How the build of this run is to end; a verdict counts only where `gates` do."""
    code = exit_code(record, gates=gates)
    result, conclusion = _RESULTS.get(code, ("failure", "FAILURE"))
    title = f"{record.pipeline}: {headline(record)}"
    badge = _BADGES[result]
    # `result` has no word for it: the badge tells it from a failure.
    if record.result == "interrupted":
        badge = _INTERRUPTED_BADGE

    reason = _reason(record, code)
    parts = (f"{badge} {title}", _metrics(record), _first_failure(record), _cause(record))
    return Ending(
        result=result,
        conclusion=conclusion,
        title=title,
        explained=f"{title}: {reason}" if reason else title,
        description=", ".join(filter(None, parts)),
        is_infrastructure=code == ExitCode.INFRASTRUCTURE,
    )


def marked_line(result: BuildResult, text: str) -> str:
    """A text as the line of a build, behind the mark of its result."""
    return f"{_BADGES[result]} {short_line(text, _LONGEST_REASON)}"


def _reason(record: RunRecord, code: ExitCode) -> str:
    """Which gates refused, or which steps failed and why."""
    reasons = []
    if code == ExitCode.GATE_REFUSED and record.verdict is not None:
        for gate in record.verdict.refusing_gates:
            reasons.append(f"{gate.gate}: {gate.explanation}")
        return "; ".join(reasons)

    if code == ExitCode.INFRASTRUCTURE:
        reasons.append(_INFRASTRUCTURE)
    for step in record.steps:
        if step.result == "failed":
            reasons.append(_step_reason(step))
    if record.failure is not None:
        reasons.append(record.failure.message)
    return "; ".join(reasons)


def _step_reason(step: StepRecord) -> str:
    if step.failure is None:
        return f"step {step.name} failed"
    # "failed" beside the headline "interrupted" would send its reader to look for a fault.
    verb = "failed"
    if step.outcome == "interrupted":
        verb = "was stopped"
    return f"step {step.name} {verb}: {step.failure.message}"


def _first_failure(record: RunRecord) -> str:
    """The step that failed first, and with what, in a line that fits a list of builds."""
    for step in record.steps:
        if step.failure is not None and step.failure.kind != "interrupted":
            return short_line(f"{step.name}: {step.failure.message}", _LONGEST_REASON)
    return ""


def _cause(record: RunRecord) -> str:
    """Why the build was started by itself; Jenkins itself only knows of a timer."""
    if record.because is None:
        return ""
    return short_line(record.because.sentence, _LONGEST_REASON)


def _metrics(record: RunRecord) -> str:
    """The metrics that gates judged."""
    if record.verdict is None:
        return ""
    # Several gates may judge the same metric.
    found: dict[str, float] = {}
    for gate in record.verdict.gates:
        if gate.metric is not None and gate.found is not None:
            found[gate.metric] = gate.found
    return ", ".join(f"{name.rpartition(':')[2]} {number(value)}" for name, value in found.items())
