"""Write what a CI's library shows of a build that was one run; the library decides nothing."""

from __future__ import annotations

import contextlib
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

from nbci.app.exit_codes import exit_code
from nbci.errors import ExitCode
from nbci.formatting.numbers import number
from nbci.formatting.terminal import one_line
from nbci.formatting.text import file_names, short_line, text_of_lines
from nbci.graph import by_name
from nbci.records.codec import to_json
from nbci.report.data.wording import headline
from nbci.report.html.pictures import SUFFIXES, BrokenPicture, picture
from nbci.runs.file_names import NOTEBOOK, NOTEBOOKS_FOLDER, PROOF_FILE, REPORT_FOLDER
from nbci.store.files import disk_errors, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nbci.plan.model import Plan
    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord, StepRecord
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
    """Put the report, the executed notebooks and `ending.txt` into an otherwise empty folder.

    `report.zip` has report and notebooks once more, for pages that list every file singly.
    `ending.txt` has the format's version, then lines of fields with tabs between them: `result`
    (`success`, `unstable` or `failure`) and its reason; `description`, a line for the build;
    `check`, the conclusion and title for the commit; `run`, its id.
    """
    with disk_errors(place):
        # A workspace is kept from build to build: what an earlier one left would be archived.
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(folder.report, place / REPORT_FOLDER)
        _copy_notebooks(place / NOTEBOOKS_FOLDER, folder, record)
        _archive(place, place / "report.zip")

    lines = _ending_lines(record, exit_code(record, gates=gates))
    write_atomic(place / "ending.txt", text_of_lines(lines))


def _copy_notebooks(place: Path, folder: RunFolder, record: RunRecord) -> None:
    place.mkdir()
    for name, stem in file_names(by_name(record.steps)).items():
        executed = folder.step(name) / NOTEBOOK
        # A step that was skipped, or reused without its notebook being brought here, has none.
        if executed.is_file():
            shutil.copyfile(executed, place / f"{stem}.ipynb")


def _ending_lines(record: RunRecord, code: ExitCode) -> Iterator[str]:
    """The lines of `ending.txt`."""
    result, conclusion = _RESULTS.get(code, ("failure", "FAILURE"))
    title = f"{record.pipeline}: {headline(record)}"
    badge = _BADGES[result]
    # `result` has no word for it: the badge tells it from a failure.
    if record.result == "interrupted":
        badge = _INTERRUPTED_BADGE

    reason = _reason(record, code)
    explained = f"{title}: {reason}" if reason else title
    parts = (f"{badge} {title}", _metrics(record), _first_failure(record))
    description = ", ".join(filter(None, parts))

    yield _FORMAT
    yield _fields("result", result, explained)
    yield _fields("description", description)
    yield _fields("check", conclusion, title)
    yield _fields("run", record.run)


def write_proof_files(place: Path, proof: Proof) -> None:
    """Put the proof and `ending.txt` into an otherwise empty folder."""
    with disk_errors(place):
        shutil.rmtree(place, ignore_errors=True)
    write_atomic(place / PROOF_FILE, to_json(proof))
    result = "success"
    if proof.agreement == "different":
        result = "unstable"
    lines = (
        _FORMAT,
        _fields("result", result, proof.sentence),
        _fields("description", f"{_BADGES[result]} {short_line(proof.sentence, _LONGEST_REASON)}"),
    )
    write_atomic(place / "ending.txt", text_of_lines(lines))


def _fields(*fields: str) -> str:
    # A tab or a line break in a message would begin another field or line.
    return "\t".join(map(one_line, fields))


def _archive(place: Path, archive: Path) -> None:
    """Put all files of a folder into one, under the names that they have there."""
    # Listed before the archive begins, which lies in the same folder.
    found = sorted(place.rglob("*"))
    # Not strict: no archive can hold a time before 1980, and such a file is no reason to have no
    # report.
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED, strict_timestamps=False) as packed:
        for file in found:
            if file.is_file():
                packed.write(file, file.relative_to(place))


def write_shown_outputs(place: Path, folder: RunFolder, plan: Plan) -> None:
    """Put each picture and each HTML output into a file of its own, numbered as they were shown."""
    for at, data in enumerate(_shown_data(folder, plan), 1):
        mime = _shown_mime(data)
        if mime is None:
            continue
        # A picture that cannot be decoded is left out, and its number with it.
        with contextlib.suppress(BrokenPicture):
            suffix = SUFFIXES.get(mime, "html")
            write_atomic(place / f"{at}.{suffix}", _content(mime, "".join(data[mime])))


def _shown_data(folder: RunFolder, plan: Plan) -> Iterator[dict[str, Any]]:
    """The MIME bundles of all outputs, in the order of steps and cells."""
    for step in plan.steps:
        notebook = folder.read_executed(step.name) or {}
        for cell in notebook.get("cells", ()):
            for output in cell.get("outputs", ()):
                # Streams and errors have no bundle.
                data = output.get("data")
                if isinstance(data, dict):
                    yield data


def _shown_mime(data: Mapping[str, Any]) -> str | None:
    """The type to show the output in: a picture before HTML; None where it has neither."""
    for mime in (*SUFFIXES, "text/html"):
        if mime in data:
            return mime
    return None


def _content(mime: str, text: str) -> bytes:
    if mime == "text/html":
        return text.encode("utf-8", "replace")
    return picture(mime, text)


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
    return f"step {step.name} failed: {step.failure.message}"


def _first_failure(record: RunRecord) -> str:
    """The step that failed first, and with what, in a line that fits a list of builds."""
    for step in record.steps:
        if step.failure is not None and step.failure.kind != "interrupted":
            return short_line(f"{step.name}: {step.failure.message}", _LONGEST_REASON)
    return ""


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
