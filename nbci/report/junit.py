"""Write `junit.xml` as Jenkins' junit plugin reads it.

It has a suite for each step and a case for each of the step's code cells.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from nbci.formatting.numbers import number
from nbci.formatting.text import clean, last_part, short_line, without_ansi
from nbci.report.data.drift_wording import drift_sentence, shown_name

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.monitoring import MonitorResult
    from nbci.records.profile import ColumnDrift
    from nbci.records.run_record import CellRun, Failure, RunRecord
    from nbci.records.verdict import GateResult, Verdict
    from nbci.report.data.view import ShownCell, ShownStep

# The plugin cuts output at 100,032 characters; what it would cut is better cut at its beginning.
_OUTPUT_BYTES = 90_000
_MESSAGE_LENGTH = 1_000
_REASON_LENGTH = 500
_TAGS = {"failures": "failure", "skipped": "skipped"}
"""The element in a case that a suite's attribute counts."""
_ERROR_NAME = re.compile(r"[A-Za-z_][\w.]*(?=:|$)")
_FRACTION_AND_ZONE = re.compile(r"(?:\.\d+)?(?:Z|\+00:00)?$")


def junit(record: RunRecord, steps: Sequence[ShownStep], url: str | None = None) -> bytes:
    """The file's content; `url` is where the report is going to be, for links to it."""
    root = Element("testsuites", name=_plain(record.pipeline))
    for step in steps:
        root.append(_step_suite(record, step, url))
    if record.verdict is not None and record.verdict.gates:
        root.append(_gates_suite(record, record.verdict))
    if record.failure is not None:
        root.append(_run_suite(record, record.failure))

    return _text_of(root, record.seconds).encode()


def monitor_junit(result: MonitorResult) -> str:
    """The same for a monitor: a case for each rule, and one for each column of the window.

    A column fails that is beyond the limit of a rule; one that has no distance is skipped.
    """
    root = Element("testsuites", name=_plain(f"monitor of {result.model}"))
    class_name = f"{_name_part(result.model)}.monitor"
    rules = Element("testsuite", name="rules", timestamp=_timestamp(result.judged_utc))
    for gate in result.gates:
        _describe_gate(_add_case(rules, class_name, gate.question, None), gate)
    # A window without rules has passed, and the plugin refuses a file without any case.
    if not result.gates:
        case = _add_case(rules, class_name, "no rule was given", None)
        SubElement(case, "system-out").text = _plain(result.sentence)
    columns = Element("testsuite", name="columns", timestamp=_timestamp(result.judged_utc))
    for drift in result.columns:
        _describe_column(_add_case(columns, f"{class_name}.columns", drift.column, None), drift)
    for suite in (rules, columns):
        _count_cases(suite, None)
        root.append(suite)
    return _text_of(root, None)


def _text_of(root: Element, seconds: float | None) -> str:
    """The file with the sums of its suites."""
    for name in ("tests", *_TAGS):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("errors", "0")
    root.set("time", _seconds(seconds))
    ElementTree.indent(root, space=" ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n"


# --------------------------------------------------------------------------------------- suites
def _step_suite(record: RunRecord, step: ShownStep, url: str | None) -> Element:
    suite = Element("testsuite", name=_plain(step.record.name))
    class_name = f"{_name_part(record.pipeline)}.{_name_part(step.record.name)}"
    _add_cases(suite, step, class_name, url)
    _count_cases(suite, step.record.seconds)
    if step.record.started_utc:
        suite.set("timestamp", _timestamp(step.record.started_utc))
    if step.record.host:
        suite.set("hostname", _plain(step.record.host))
    return suite


def _gates_suite(record: RunRecord, verdict: Verdict) -> Element:
    """A case for each gate. A gate that only warns, or was overridden, does not fail."""
    suite = Element("testsuite", name="gates")
    for gate in verdict.gates:
        case = _add_case(suite, f"{_name_part(record.pipeline)}.gates", gate.gate, None)
        _describe_gate(case, gate)
    _count_cases(suite, None)
    return suite


def _run_suite(record: RunRecord, failure: Failure) -> Element:
    """A failure that belongs to no step, so that a run that failed has a case that failed."""
    name = _name_part(record.pipeline)
    suite = Element("testsuite", name=_plain(record.pipeline))
    case = _add_case(suite, f"{name}.{name}", "run", None)
    _add_failure(case, failure)
    _count_cases(suite, None)
    return suite


def _count_cases(suite: Element, seconds: float | None) -> None:
    suite.set("tests", str(len(suite)))
    for name, tag in _TAGS.items():
        suite.set(name, str(len(suite.findall(f"testcase/{tag}"))))
    suite.set("errors", "0")
    suite.set("time", _seconds(seconds))


# ---------------------------------------------------------------------------------------- cases
def _describe_gate(case: Element, gate: GateResult) -> None:
    found = "nothing"
    if gate.found is not None:
        found = number(gate.found)
    facts = f"asked: {gate.asked}; found: {found}"
    if gate.refuses:
        message = _plain(short_line(gate.explanation, _MESSAGE_LENGTH))
        failure = SubElement(case, "failure", type="gate", message=message)
        failure.text = _plain(f"{facts}; {gate.explanation}")
    elif gate.result == "left out":
        _skip(case, gate.reason)
    else:
        output = SubElement(case, "system-out")
        output.text = _plain(f"{facts}; {gate.answer}: {gate.explanation}")


def _describe_column(case: Element, drift: ColumnDrift) -> None:
    sentence = f"{shown_name(drift.column)}: {drift_sentence(drift)}"
    if drift.effect is None:
        _skip(case, sentence)
    elif drift.is_drifted:
        message = _plain(short_line(sentence, _MESSAGE_LENGTH))
        SubElement(case, "failure", type="drift", message=message).text = _plain(sentence)
    else:
        SubElement(case, "system-out").text = _plain(sentence)


def _add_cases(suite: Element, step: ShownStep, class_name: str, url: str | None) -> None:
    result = step.record.result
    if step.record.outcome == "interrupted":
        _add_interrupted(suite, step, class_name)
        return
    if result in ("skipped", "running"):
        _skip(_add_case(suite, class_name, "step", None), step.record.reason or result)
        return

    for cell in step.cells:
        if cell.run is None:
            continue
        case = _add_case(suite, class_name, case_name(cell.run), cell.run.seconds)
        if result == "reused":
            source = step.record.reason or step.record.run or ""
            SubElement(case, "system-out").text = _plain(f"reused: {source}")
        elif cell is step.failed_cell:
            _add_failure(case, step.failure, _address(url, step))
            _add_output(case, cell)
        elif cell.run.result == "not run":
            _skip(case, "not run")

    if result == "failed" and step.failed_cell is None:
        case = _add_case(suite, class_name, "step", step.record.seconds)
        _add_failure(case, step.failure, _address(url, step))
    # A step of which no cell is known is a case itself, or its result would not be counted.
    if len(suite) == 0:
        _add_case(suite, class_name, "step", step.record.seconds)


def _add_interrupted(suite: Element, step: ShownStep, class_name: str) -> None:
    """Add the cells of a step that was stopped: which had passed, and which were cut short.

    None of them counts as failed.
    """
    why = "interrupted: interrupted"
    if step.failure:
        why = f"interrupted: {step.failure.message}"
    for cell in step.cells:
        if cell.run is None:
            continue
        case = _add_case(suite, class_name, case_name(cell.run), cell.run.seconds)
        if cell.run.result != "passed":
            _skip(case, why)
    if len(suite) == 0:
        _skip(_add_case(suite, class_name, "step", step.record.seconds), why)


def case_name(run: CellRun) -> str:
    """Return the case's name, such as `cell 7: model.fit(X, y)`.

    The values of injected parameters are left out, because the name should be the same in every
    run.
    """
    if run.number is None:
        if run.role == "injected":
            return "injected parameters"
        return f"{run.role} added by nbci"
    name = f"cell {run.number}"
    if run.first_line:
        name += f": {short_line(run.first_line)}"
    return name


def _add_case(suite: Element, class_name: str, name: str, seconds: float | None) -> Element:
    return SubElement(
        suite, "testcase", classname=class_name, name=_plain(name), time=_seconds(seconds)
    )


def _skip(case: Element, why: str) -> None:
    SubElement(case, "skipped", message=_plain(short_line(why, _REASON_LENGTH)))


def _address(url: str | None, step: ShownStep) -> str | None:
    """The part of the step's page in the report that shows the failure."""
    if url is None or step.failure_page is None:
        return None
    return f"{url.rstrip('/')}/{step.failure_page}"


def _add_failure(case: Element, failure: Failure | None, address: str | None = None) -> None:
    if failure is None:
        message = "the step failed without saying why"
        SubElement(case, "failure", type="failed", message=message)
        return

    type_: str = failure.kind
    # The plugin shows the type beside the message: `ValueError` says more than `exception`.
    raised = _ERROR_NAME.match(failure.error or "")
    if raised:
        type_ = _plain(raised[0])
    message = _plain(short_line(failure.message, _MESSAGE_LENGTH))
    detail = SubElement(case, "failure", type=type_, message=message)

    parts = [failure.traceback or failure.error]
    if failure.hint:
        parts.append(f"What to do: {failure.hint}")
    parts.append(failure.log)
    if address:
        parts.append(f"Report: {address}")
    detail.text = _plain(last_part("\n\n".join(filter(None, parts)), _OUTPUT_BYTES))


def _add_output(case: Element, cell: ShownCell) -> None:
    if cell.text:
        SubElement(case, "system-out").text = _plain(last_part(cell.text, _OUTPUT_BYTES))


# ----------------------------------------------------------------------------------------- text
def _name_part(name: str) -> str:
    # The plugin takes what stands before the last dot for a package.
    return _plain(name).replace(".", "_")


def _plain(text: str) -> str:
    """Text that XML can hold: escape sequences would be characters that it forbids."""
    return clean(without_ansi(text))


def _timestamp(utc: str) -> str:
    # The schema of JUnit files has no time zone here.
    return _plain(_FRACTION_AND_ZONE.sub("", utc))


def _seconds(seconds: float | None) -> str:
    return f"{seconds or 0.0:.3f}"
