"""The files by which a build ends when one run was the whole of it.

An engine's library shows them, without deciding anything itself.
"""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from typing import TYPE_CHECKING

from nbci.app.exit_codes import exit_code
from nbci.errors import ExitCode
from nbci.formatting.numbers import number
from nbci.formatting.terminal import one_line
from nbci.formatting.text import file_names, short_line
from nbci.report.data.wording import headline
from nbci.report.html.pictures import SUFFIXES, BrokenPicture, picture
from nbci.runs.folder import NOTEBOOK
from nbci.store.files import disk_errors, write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.runs.folder import RunFolder

_FORMAT = "nbci-ending 1"
_RESULTS = {
    ExitCode.SUCCESS: ("success", "SUCCESS"),
    ExitCode.GATE_REFUSED: ("unstable", "FAILURE"),
}
_BADGES = {"success": "✅", "unstable": "⚠️", "failure": "❌"}
_INTERRUPTED_BADGE = "⏹️"
_LONGEST_REASON = 200
"""Jenkins shows descriptions as plain text in its list of builds."""
_INFRASTRUCTURE = "infrastructure, not the notebook: try again"


def write_build_files(place: Path, folder: RunFolder, record: RunRecord, *, gates: bool) -> None:
    """Put the report, the executed notebooks and `ending.txt` into a folder.

    The folder then holds nothing else.

    `report.zip` has report and notebooks once more, for pages that list every file singly.
    `ending.txt` has the format's version, then lines of fields with tabs between them: `result`
    (`success`, `unstable` or `failure`) and its reason; `description`, a line for the build;
    `check`, the conclusion and title for the commit.
    """
    with disk_errors(place):
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder.report, place / "report")
        (place / "notebooks").mkdir()
        for name, stem in file_names(step.name for step in record.steps).items():
            executed = folder.step(name) / NOTEBOOK
            if executed.is_file():
                shutil.copyfile(executed, place / "notebooks" / f"{stem}.ipynb")
        _archive(place, place / "report.zip")
    code = exit_code(record, gates=gates)
    result, conclusion = _RESULTS.get(code, ("failure", "FAILURE"))
    reason = _reason(record, code)
    title = f"{record.pipeline}: {headline(record)}"
    badge = _INTERRUPTED_BADGE if record.result == "interrupted" else _BADGES[result]
    lines = (
        (_FORMAT,),
        ("result", result, f"{title}{reason and f': {reason}'}"),
        (
            "description",
            ", ".join(filter(None, (f"{badge} {title}", _metrics(record), _first_failure(record)))),
        ),
        ("check", conclusion, title),
    )
    text = "".join("\t".join(one_line(field) for field in line) + "\n" for line in lines)
    write_atomic(place / "ending.txt", text)


def _archive(place: Path, archive: Path) -> None:
    """Put all files of a folder into one, under the names that they have there."""
    files = sorted(file for file in place.rglob("*") if file.is_file())
    # not strict: no archive can hold a time before 1980, and such a file is no reason to have no
    # report
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for file in files:
            packed.write(file, file.relative_to(place))


def write_shown_outputs(place: Path, folder: RunFolder, plan: Plan) -> None:
    """Put each picture and each HTML output into a file of its own, numbered as they were shown."""
    shown = [
        data
        for step in plan.steps
        for cell in (folder.read_executed(step.name) or {}).get("cells", ())
        for output in cell.get("outputs", ())
        if isinstance(data := output.get("data"), dict)
    ]
    for at, data in enumerate(shown, 1):
        mime = next((mime for mime in (*SUFFIXES, "text/html") if mime in data), None)
        if mime is None:
            continue
        text = "".join(data[mime])
        with contextlib.suppress(BrokenPicture):
            content = (
                text.encode("utf-8", "replace") if mime == "text/html" else picture(mime, text)
            )
            write_atomic(place / f"{at}.{SUFFIXES.get(mime, 'html')}", content)


def _reason(record: RunRecord, code: ExitCode) -> str:
    """Which gates refused, or which steps failed and why."""
    if code == ExitCode.GATE_REFUSED and record.verdict is not None:
        return "; ".join(
            f"{gate.gate}: {gate.explanation}" for gate in record.verdict.gates if gate.refuses
        )
    said = [
        f"step {step.name} failed: {step.failure.message}"
        if step.failure is not None
        else f"step {step.name} failed"
        for step in record.steps
        if step.result == "failed"
    ]
    if record.failure is not None:
        said.append(record.failure.message)
    if code == ExitCode.INFRASTRUCTURE:
        said.insert(0, _INFRASTRUCTURE)
    return "; ".join(said)


def _first_failure(record: RunRecord) -> str:
    """The step that failed first, and with what, in a line that fits a list of builds."""
    for step in record.steps:
        if step.failure is not None and step.failure.kind != "interrupted":
            return short_line(f"{step.name}: {step.failure.message}", _LONGEST_REASON)
    return ""


def _metrics(record: RunRecord) -> str:
    """The metrics that gates judged."""
    judged = record.verdict.gates if record.verdict is not None else ()
    found = {
        gate.metric: gate.found
        for gate in judged
        if gate.metric is not None and gate.found is not None
    }
    return ", ".join(f"{name.rpartition(':')[2]} {number(value)}" for name, value in found.items())
