"""The page of a step: its executed cells in order, with outputs, times and what they were for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.report.failure import explained
from nbci.report.highlight import source_code
from nbci.report.markup import Markup, element, fragment, table
from nbci.report.outputs import INLINE_LIMIT, OutputPlace, rendered
from nbci.report.page import facts, page, section, time, verdict
from nbci.report.text import as_json, duration, number, one_line
from nbci.report.untrusted import from_markdown
from nbci.sizes import size

if TYPE_CHECKING:
    from nbci.records.model import CellRun, RunRecord
    from nbci.report.view import ShownCell, ShownStep

ROOT = "../"


def step_page(
    record: RunRecord, step: ShownStep, before: ShownStep | None, after: ShownStep | None
) -> dict[str, bytes]:
    """The page and the pictures on it: path in the report to content."""
    cells, files = _cells(step)
    header = fragment(
        element("nav", _neighbours(record, before, after), aria_label="Report"),
        element("h1", step.record.name, " ", verdict(step.record.result)),
    )
    main = fragment(
        element("p", step.record.reason, class_="reason") if step.record.reason else None,
        _about(step),
        section("What failed", explained(step, root=ROOT, on_page=True), anchor="failure", class_="failed")
        if step.record.result == "failed"
        else None,
        section("Warnings", element("ul", *(element("li", text) for text in step.record.warnings)), anchor="warnings")
        if step.record.warnings
        else None,
        _metrics(step),
        section("Cells", cells, anchor="cells"),
        _attempts(step),
        _parameters(step),
        _files(step),
    )
    title = f"{step.record.name}: {step.record.result} ({record.pipeline})"
    footer = f"Run {record.run}, nbci {record.nbci}"
    return {f"steps/{step.stem}.html": page(title, root=ROOT, header=header, main=main, footer=footer), **files}


def _neighbours(record: RunRecord, before: ShownStep | None, after: ShownStep | None) -> Markup:
    links = [element("a", record.pipeline, href="../index.html", rel="up")]
    for words, rel, step in (("before: ", "prev", before), ("next: ", "next", after)):
        if step:
            links.append(element("a", f"{words}{step.record.name}", href=f"{step.stem}.html", rel=rel))
    return element("ul", *(element("li", link) for link in links))


def _about(step: ShownStep) -> Markup:
    record, usage, planned = step.record, step.record.usage, step.planned
    return facts(
        (
            ("Started", time(record.started_utc)),
            ("Took", duration(record.seconds)),
            ("Notebook", element("code", planned.notebook) if planned else None),
            ("After", ", ".join(planned.after) if planned else None),
            ("Kernel", " ".join(part for part in (record.kernel, record.kernel_version) if part)),
            ("CPU time", duration(usage.cpu_seconds) if usage else None),
            ("Peak memory", size(usage.peak_memory_bytes) if usage else None),
            ("GPU", usage.gpu if usage else None),
            ("Peak GPU memory", size(usage.peak_gpu_memory_bytes) if usage else None),
            ("Host", record.host),
            ("Ran in", f"run {record.run}" if record.run else None),
            ("Takes", ", ".join(value.name for value in record.takes)),
            ("Hands on", ", ".join(value.name for value in record.gives)),
        )
    )


def _metrics(step: ShownStep) -> Markup | None:
    rows = [(metric.name, number(metric.value), metric.source) for metric in step.record.metrics]
    if not rows:
        return None
    return section("Metrics", table("Metrics of this step", ("Metric", "Value", "From"), rows), anchor="metrics")


def _attempts(step: ShownStep) -> Markup | None:
    if len(step.record.attempts) < 2:
        return None
    rows = [
        (
            str(attempt.number),
            verdict(attempt.result),
            duration(attempt.seconds),
            attempt.failure.message if attempt.failure else "",
        )
        for attempt in step.record.attempts
    ]
    return section("Attempts", table("Attempts", ("Attempt", "Result", "Took", "Why"), rows), anchor="attempts")


def _parameters(step: ShownStep) -> Markup | None:
    rows = [
        (name, element("code", one_line(as_json(value), 300))) for name, value in (step.record.params or {}).items()
    ]
    if not rows:
        return None
    return section("Parameters", table("Parameters of this step", ("Name", "Value"), rows), anchor="parameters")


def _files(step: ShownStep) -> Markup | None:
    rows = [
        (element("code", file.path), what, size(file.bytes), str(file.files), element("code", file.digest))
        for what, files in (("read", step.record.deps), ("written", step.record.outs))
        for file in files
    ]
    if not rows:
        return None
    heads = ("Path", "Was", "Size", "Files", "Digest")
    return section("Files", table("Files that this step read and wrote", heads, rows), anchor="files")


def _cells(step: ShownStep) -> tuple[Markup, dict[str, bytes]]:
    shown: list[Markup] = []
    files: dict[str, bytes] = {}
    for cell in step.cells:
        markup, pictures = _cell(step, cell)
        shown.append(markup)
        files |= pictures
    if not shown:
        shown.append(element("p", "Nothing of this step ran."))
    return fragment(*shown), files


def _cell(step: ShownStep, cell: ShownCell) -> tuple[Markup, dict[str, bytes]]:
    if cell.kind == "markdown" and len(cell.source) <= INLINE_LIMIT:
        return element("div", from_markdown(cell.source), class_="rich prose", id=cell.anchor), {}
    if cell.kind != "code":
        return element("pre", cell.source, class_="raw", id=cell.anchor), {}
    name = _name(cell)
    place = OutputPlace(
        images=f"images/{step.stem}/{cell.anchor}",
        root=ROOT,
        describes=f"{name.lower()} of step {step.record.name}: {cell.first_line}",
        notebook=_path(step, (step.attempt.notebook if step.attempt else None) or "notebook.ipynb"),
        unfolded=cell is step.failed_cell,
    )
    outputs, files = rendered(cell.outputs, place)
    heading = element("h3", name, " ", _notes(cell.run), id=f"{cell.anchor}-title")
    shown = element(
        "section",
        heading,
        source_code(cell.source, step.language),
        element("div", outputs, class_="outputs") if outputs else None,
        _spilled(step, cell.run),
        id=cell.anchor,
        class_="cell " + (cell.run.result.replace(" ", "-") if cell.run else "unknown"),
        aria_labelledby=f"{cell.anchor}-title",
    )
    return shown, files


def _name(cell: ShownCell) -> str:
    if cell.run is None:
        return "Cell"
    return f"Cell {cell.run.number}" if cell.run.number is not None else "Added by nbci"


def _notes(run: CellRun | None) -> Markup | None:
    if run is None:
        return None
    role = {"injected": "parameters of this run", "step": None}.get(run.role, run.role)
    notes = [note for note in (role, duration(run.seconds)) if note]
    return fragment(
        element("span", ", ".join(notes), class_="notes"), " ", None if run.result == "passed" else verdict(run.result)
    )


def _spilled(step: ShownStep, run: CellRun | None) -> Markup | None:
    if run is None or run.spilled is None:
        return None
    path = element("code", _path(step, run.spilled))
    return element(
        "p", "The output was too large for the notebook; the whole is in ", path, " in the run's folder.", class_="note"
    )


def _path(step: ShownStep, relative: str) -> str:
    return f"steps/{step.record.name}/{relative}"
