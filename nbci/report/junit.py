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

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import CellRun, Failure, RunRecord
    from nbci.records.verdict import Verdict
    from nbci.report.data.view import ShownCell, ShownStep

# The plugin cuts output at 100,032 characters; what it would cut is better cut at its beginning.
_OUTPUT_BYTES = 90_000
_COUNTED = {"failures": "failure", "skipped": "skipped"}


def junit(record: RunRecord, steps: Sequence[ShownStep], url: str | None = None) -> bytes:
    """The file's content; `url` is where the report is going to be, for links to it."""
    root = Element("testsuites", name=_shown(record.pipeline))
    for step in steps:
        root.append(_suite(record, step, url))
    if record.verdict is not None and record.verdict.gates:
        root.append(_gates_suite(record, record.verdict))
    if record.failure is not None:
        root.append(_run_suite(record))
    for name in ("tests", *_COUNTED):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    root.set("errors", "0")
    root.set("time", _seconds(record.seconds))
    ElementTree.indent(root, space=" ")
    text = ElementTree.tostring(root, encoding="unicode")
    return f"<?xml version='1.0' encoding='utf-8'?>\n{text}\n".encode()


def _suite(record: RunRecord, step: ShownStep, url: str | None) -> Element:
    suite = Element("testsuite", name=_shown(step.record.name))
    class_name = f"{_part(record.pipeline)}.{_part(step.record.name)}"
    _add_cases(suite, step, class_name, url)
    suite.set("tests", str(len(suite)))
    for name, tag in _COUNTED.items():
        suite.set(name, str(sum(case.find(tag) is not None for case in suite)))
    suite.set("errors", "0")
    suite.set("time", _seconds(step.record.seconds))
    if step.record.started_utc:
        # The schema of JUnit files has no time zone here.
        suite.set(
            "timestamp", _shown(re.sub(r"(?:\.\d+)?(?:Z|\+00:00)?$", "", step.record.started_utc))
        )
    if step.record.host:
        suite.set("hostname", _shown(step.record.host))
    return suite


def _run_suite(record: RunRecord) -> Element:
    """A failure that belongs to no step, so that a run that failed has a case that failed."""
    name = _part(record.pipeline)
    suite = Element(
        "testsuite",
        name=_shown(record.pipeline),
        tests="1",
        failures="1",
        skipped="0",
        errors="0",
        time="0.000",
    )
    _fail(_case(suite, f"{name}.{name}", "run", None), record.failure, None)
    return suite


def _gates_suite(record: RunRecord, verdict: Verdict) -> Element:
    """A case for each gate. A gate that only warns, or was overridden, does not fail."""
    suite = Element("testsuite", name="gates")
    for gate in verdict.gates:
        case = _case(suite, f"{_part(record.pipeline)}.gates", gate.gate, None)
        said = (
            f"asked: {gate.asked}; found: {'nothing' if gate.found is None else number(gate.found)}"
        )
        text = f"{gate.answer}: {gate.explanation}"
        if gate.refuses:
            failure = SubElement(
                case, "failure", type="gate", message=_shown(short_line(gate.explanation, 1_000))
            )
            failure.text = _shown(f"{said}; {gate.explanation}")
        elif gate.result == "left out":
            _skip(case, gate.reason)
        else:
            SubElement(case, "system-out").text = _shown(f"{said}; {text}")
    suite.set("tests", str(len(suite)))
    for name, tag in _COUNTED.items():
        suite.set(name, str(sum(case.find(tag) is not None for case in suite)))
    suite.set("errors", "0")
    suite.set("time", "0.000")
    return suite


def _add_cases(suite: Element, step: ShownStep, class_name: str, url: str | None) -> None:
    result, failure = step.record.result, step.failure
    if step.record.outcome == "interrupted":
        _add_interrupted(suite, step, class_name)
        return
    if result in ("skipped", "running"):
        _skip(_case(suite, class_name, "step", None), step.record.reason or result)
        return
    for cell in step.cells:
        if cell.run is None:
            continue
        case = _case(suite, class_name, case_name(cell.run), cell.run.seconds)
        if result == "reused":
            SubElement(case, "system-out").text = _shown(
                f"reused: {step.record.reason or step.record.run or ''}"
            )
        elif cell is step.failed_cell:
            _fail(case, failure, cell, _address(url, step, cell))
        elif cell.run.result == "not run":
            _skip(case, "not run")
    if result == "failed" and step.failed_cell is None:
        _fail(
            _case(suite, class_name, "step", step.record.seconds),
            failure,
            None,
            _address(url, step),
        )
    if len(suite) == 0:
        _case(suite, class_name, "step", step.record.seconds)


def _add_interrupted(suite: Element, step: ShownStep, class_name: str) -> None:
    """Add the cells of a step that was stopped: which had passed, and which were cut short.

    None of them counts as failed.
    """
    said = step.failure.message if step.failure else "interrupted"
    for cell in step.cells:
        if cell.run is not None:
            case = _case(suite, class_name, case_name(cell.run), cell.run.seconds)
            if cell.run.result != "passed":
                _skip(case, f"interrupted: {said}")
    if len(suite) == 0:
        _skip(_case(suite, class_name, "step", step.record.seconds), f"interrupted: {said}")


def case_name(run: CellRun) -> str:
    """Return the case's name, such as `cell 7: model.fit(X, y)`.

    The values of injected parameters are left out, because the name should be the same in every
    run.
    """
    if run.number is None:
        return "injected parameters" if run.role == "injected" else f"{run.role} added by nbci"
    return (
        f"cell {run.number}: {short_line(run.first_line)}"
        if run.first_line
        else f"cell {run.number}"
    )


def _case(suite: Element, class_name: str, name: str, seconds: float | None) -> Element:
    return SubElement(
        suite, "testcase", classname=class_name, name=_shown(name), time=_seconds(seconds)
    )


def _skip(case: Element, why: str) -> None:
    SubElement(case, "skipped", message=_shown(short_line(why, 500)))


def _address(url: str | None, step: ShownStep, cell: ShownCell | None = None) -> str | None:
    """Where the report shows it."""
    if url is None or step.page is None:
        return None
    return f"{url.rstrip('/')}/{step.page}#{cell.anchor if cell else 'failure'}"


def _fail(
    case: Element, failure: Failure | None, cell: ShownCell | None, address: str | None = None
) -> None:
    if failure is None:
        SubElement(case, "failure", type="failed", message="the step failed without saying why")
    else:
        raised = re.match(r"[A-Za-z_][\w.]*(?=:|$)", failure.error or "")
        message = _shown(short_line(failure.message, 1_000))
        detail = SubElement(
            case, "failure", type=_shown(raised[0] if raised else failure.kind), message=message
        )
        hint = failure.hint and f"What to do: {failure.hint}"
        parts = (
            failure.traceback or failure.error,
            hint,
            failure.log,
            address and f"Report: {address}",
        )
        detail.text = _shown(last_part("\n\n".join(part for part in parts if part), _OUTPUT_BYTES))
    said = cell.text if cell else ""
    if said:
        SubElement(case, "system-out").text = _shown(last_part(said, _OUTPUT_BYTES))


def _part(name: str) -> str:
    # The plugin takes what stands before the last dot for a package.
    return _shown(name).replace(".", "_")


def _shown(text: str) -> str:
    return clean(without_ansi(text))


def _seconds(seconds: float | None) -> str:
    return f"{seconds or 0.0:.3f}"
