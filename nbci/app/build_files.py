"""Write what a CI's library shows of a build that was one run; the library decides nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import zipfile
from typing import TYPE_CHECKING, Any

from nbci.app.build_page import page_of_build
from nbci.app.ending import ending_of, marked_line
from nbci.errors import Location, UsageError
from nbci.formatting.numbers import listed
from nbci.formatting.terminal import one_line
from nbci.formatting.text import file_names, short_line, text_of_lines
from nbci.gates.watched import RESULT
from nbci.graph import by_name
from nbci.project.targets import PIPELINE_SUFFIXES
from nbci.records.codec import to_json
from nbci.report.build_page import page_json
from nbci.report.html.pictures import SUFFIXES, BrokenPicture, picture
from nbci.runs.file_names import NOTEBOOK, NOTEBOOKS_FOLDER, PROOF_FILE, REPORT_FOLDER
from nbci.store.files import disk_errors, write_atomic

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.plan.model import Plan
    from nbci.promotion.promote import Promotion
    from nbci.records.monitoring import MonitorResult
    from nbci.records.page import BuildResult
    from nbci.records.proof import Proof
    from nbci.records.run_record import RunRecord
    from nbci.report.data.material import Material
    from nbci.runs.folder import RunFolder
    from nbci.store.objects import Objects

_FORMAT = "nbci-ending 1"
_MONITORS = "monitors"
_ENDING, _PAGE, _ARCHIVE = "ending.txt", "page.json", "report.zip"
_FOLDERS = (REPORT_FOLDER, NOTEBOOKS_FOLDER, _MONITORS)
_MARKS = (_ENDING, PROOF_FILE, _PAGE)
"""What only a build leaves: a folder `notebooks` alone may be anybody's."""
_LEFT_BY_BUILDS = (*_FOLDERS, _ARCHIVE, *_MARKS)
_HINT_ON_PLACE = (
    "name a folder that is empty, or not there yet, or that has only an earlier build's files"
)
_NAMED = 3
_LONGEST_TITLE = 80


def clear_build_files(place: Path) -> None:
    """Remove what an earlier build left there; UsageError where there is anything else.

    A workspace is kept from build to build: what is left in it would be taken for this build's.
    """
    if not place.is_dir():
        if place.exists():
            raise UsageError("this is a file", hint=_HINT_ON_PLACE, where=Location(str(place)))
        return
    found = {path.name for path in place.iterdir()}
    others = found.difference(_LEFT_BY_BUILDS)
    if found.isdisjoint(_MARKS):
        others = found
    if others:
        raise UsageError(
            f"this folder has other files: {listed(sorted(others), _NAMED)}",
            hint=_HINT_ON_PLACE,
            where=Location(str(place)),
        )
    with disk_errors(place):
        # The marks last: interrupted meanwhile, the folder is still known by them.
        for name in filter(found.__contains__, _LEFT_BY_BUILDS):
            if name in _FOLDERS:
                shutil.rmtree(place / name)
            else:
                (place / name).unlink()


def write_build_files(
    place: Path,
    project: Project,
    folder: RunFolder,
    material: Material,
    *,
    gates: bool,
    others: tuple[Objects, ...] = (),
) -> None:
    """Put report, executed notebooks, page and ending into an otherwise empty folder.

    `report.zip` has report and notebooks once more, for pages that list every file singly.
    `page.json` is what the build's own page shows (`nbci.records.page`).
    `ending.txt` has the format's version, then lines of fields with tabs between them: `result`
    (`success`, `unstable` or `failure`) and its reason; `description`, a line for the build;
    `check`, the conclusion and title for the commit; `run`, its id; `monitor`, the folder and the
    title of a window that was judged; `retrain`, the model of one that was refused, and its
    judgement; `deploy`, where what was promoted is to run. `others` are more places for what steps
    have made.
    """
    record = material.run.record
    ending = ending_of(record, gates=gates)
    page = page_of_build(project, material, ending)
    clear_build_files(place)
    # The first one, by which the folder is known to be a build's.
    write_atomic(place / _PAGE, page_json(page))
    with disk_errors(place):
        shutil.copytree(folder.report, place / REPORT_FOLDER)
        _copy_notebooks(place / NOTEBOOKS_FOLDER, folder, record)
        _archive(place, place / _ARCHIVE)

    monitors = _write_monitors(place, project, material, others)
    # The last one: where it is, a CI finds the others.
    lines = (
        _FORMAT,
        _fields("result", ending.result, ending.explained),
        _fields("description", ending.description),
        _fields("check", ending.conclusion, ending.title),
        _fields("run", record.run),
        *monitors,
    )
    write_atomic(place / _ENDING, text_of_lines(lines))


def _write_monitors(
    place: Path, project: Project, material: Material, others: tuple[Objects, ...]
) -> list[str]:
    """Put the page of each monitor of the run into a folder of its own; returns lines about it."""
    gates = [gate for gate in material.run.plan.gates if gate.watched is not None]
    if not gates:
        return []
    # Imported only here: few pipelines watch a model.
    from nbci.app.monitoring.results import earlier_results, files_of
    from nbci.gates.predictions import KeptOuts
    from nbci.gates.watched import read_monitors

    outs = KeptOuts(project, os.environ, others)
    results = read_monitors(gates, material.run.record, outs)
    names = file_names(results)
    lines: list[str] = []
    for step, result in results.items():
        # Why it is not known is the answer of its gates.
        if isinstance(result, str):
            continue
        folder = f"{_MONITORS}/{names[step]}"
        earlier, _ = earlier_results(project.root, result.model)
        for name, content in files_of(result, earlier).items():
            write_atomic(place / folder / name, content)
        lines += _monitor_lines(result, folder)
    return lines


def write_monitor_ending(place: Path, result: MonitorResult) -> None:
    """Say how a build is to end that was one call of `nbci monitor`, beside what that found."""
    build: BuildResult = "unstable" if result.result == "failed" else "success"
    text = f"{result.model} {result.version}: {result.sentence}"
    lines = (
        _FORMAT,
        _fields("result", build, text),
        _fields("description", marked_line(build, text)),
        *_monitor_lines(result, ""),
    )
    write_atomic(place / _ENDING, text_of_lines(lines))


def _monitor_lines(result: MonitorResult, folder: str) -> Iterator[str]:
    yield _fields("monitor", folder, short_line(f"Monitor of {result.model}", _LONGEST_TITLE))
    if result.result == "failed":
        # The registry puts the folder of a project before the name.
        model = result.model.rpartition(":")[2]
        yield _fields("retrain", model, f"{folder}/{RESULT}".lstrip("/"))


def _copy_notebooks(place: Path, folder: RunFolder, record: RunRecord) -> None:
    place.mkdir()
    for name, stem in file_names(by_name(record.steps)).items():
        executed = folder.step(name) / NOTEBOOK
        # A step that was skipped, or reused without its notebook being brought here, has none.
        if executed.is_file():
            shutil.copyfile(executed, place / f"{stem}.ipynb")


def write_proof_files(place: Path, proof: Proof) -> None:
    """Put the proof and `ending.txt` into an otherwise empty folder."""
    clear_build_files(place)
    write_atomic(place / PROOF_FILE, to_json(proof))
    result: BuildResult = "success"
    if proof.agreement == "different":
        result = "unstable"
    lines = (
        _FORMAT,
        _fields("result", result, proof.sentence),
        _fields("description", marked_line(result, proof.sentence)),
    )
    write_atomic(place / _ENDING, text_of_lines(lines))


def add_deployments(place: Path, project: Project, pipeline: str, released: Promotion) -> None:
    """Add to `ending.txt` where the released model is to run: place, label of an agent, release.

    `pipeline` is the file that made it; a notebook alone names no places.
    """
    ending = place / _ENDING
    if not pipeline.endswith(PIPELINE_SUFFIXES) or not ending.exists():
        return
    # Imported only here: it brings what knows the places.
    from nbci.app.deployment.places import find_deployments

    lines = []
    for deployment in find_deployments(project, pipeline, released.model):
        release = f"{deployment.model}@{released.version}"
        lines.append(_fields("deploy", deployment.name, deployment.agent or "", release))
    if lines:
        write_atomic(ending, ending.read_text(encoding="utf-8") + text_of_lines(lines))


def _fields(*fields: str) -> str:
    # A tab or a line break in a message would begin another field or line.
    return "\t".join(map(one_line, fields))


def _archive(place: Path, archive: Path) -> None:
    """Put report and notebooks into one file, under the names that they have in the folder."""
    found = []
    # The page of a monitor is a report of its own.
    for folder in (REPORT_FOLDER, NOTEBOOKS_FOLDER):
        found += sorted((place / folder).rglob("*"))
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
