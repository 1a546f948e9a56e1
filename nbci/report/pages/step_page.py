"""The page of a step: its executed cells in order, with outputs, times and what they were for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import number
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, last_part, short_line
from nbci.report.html.ansi import coloured
from nbci.report.html.markup import Markup, element, folded, fragment, table
from nbci.report.html.page import facts, page, section, time, verdict
from nbci.report.html.untrusted import settled
from nbci.report.pages.cell_changes import summed_up
from nbci.report.pages.cells import ROOT, CellsOfStep, path_in_run
from nbci.report.pages.compared import compared
from nbci.report.pages.failure import explained
from nbci.report.pages.figures_section import charts_section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import RunRecord
    from nbci.report.charts import Figure
    from nbci.report.data.view import ShownStep
    from nbci.report.pages.compared import CellComparison

_TRACE_BYTES = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedStep:
    """The step in the run that this one is compared with, None where that has none.

    `title` says which run it is.
    """

    title: str
    step: ShownStep | None


def step_page(
    record: RunRecord,
    step: ShownStep,
    neighbours: tuple[ShownStep | None, ShownStep | None],
    was: ComparedStep | None = None,
    charts: Sequence[Figure] = (),
) -> dict[str, bytes]:
    """The page and the files that belong to it: path in the report to content.

    The charts' files are the index's.
    """
    shown = CellsOfStep(step)
    comparisons = compared(was.step, step) if was and was.step else ()
    cells = [shown.compared(found) for found in comparisons] or [
        shown.cell(cell) for cell in step.cells
    ]
    header = fragment(
        element("nav", _neighbours(record, *neighbours), aria_label="Report"),
        element("h1", step.record.name, " ", verdict(step.word)),
    )
    main = fragment(
        element("p", step.record.reason, class_="reason") if step.record.reason else None,
        _about(step),
        section(
            _what(step), explained(step, root=ROOT, on_page=True), anchor="failure", class_="failed"
        )
        if step.record.result == "failed"
        else None,
        section(
            "Warnings",
            element("ul", *(element("li", text) for text in step.record.warnings)),
            anchor="warnings",
        )
        if step.record.warnings
        else None,
        _metrics(step),
        charts_section(charts, root=ROOT),
        _changes(was, step, comparisons),
        section("Cells", _whence(record, step), *cells, anchor="cells"),
        _attempts(step),
        _parameters(step),
        _files(step),
    )
    title = f"{step.record.name}: {step.word} ({record.pipeline})"
    footer = f"Run {record.run}, nbci {record.nbci}"
    sheet = shown.album.keep_sheet(f"outputs/{step.stem}/cells.css")
    whole = page(title, root=ROOT, header=header, main=main, footer=footer, sheet=sheet)
    return {
        f"steps/{step.stem}.html": settled(whole.decode(), shown.ids).encode(),
        **shown.album.files,
    }


def _neighbours(record: RunRecord, before: ShownStep | None, after: ShownStep | None) -> Markup:
    links = [element("a", record.pipeline, href="../index.html", rel="up")]
    for words, rel, step in (("before: ", "prev", before), ("next: ", "next", after)):
        if step:
            links.append(
                element("a", f"{words}{step.record.name}", href=f"{step.stem}.html", rel=rel)
            )
    return element("ul", *(element("li", link) for link in links))


def _what(step: ShownStep) -> str:
    return "Where it was interrupted" if step.word == "interrupted" else "What failed"


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


def _changes(
    was: ComparedStep | None, step: ShownStep, comparisons: Sequence[CellComparison]
) -> Markup | None:
    if was is None:
        return None
    if was.step is None:
        found = element("p", f"This step is new: it is not in {was.title}.")
    else:
        found = summed_up(comparisons, was.title, outputs_known=was.step.is_from_notebook)
    return section("Changes since the baseline", found, anchor="changes")


def _whence(record: RunRecord, step: ShownStep) -> Markup | None:
    """Why cells are shown without what they printed, where they are."""
    if step.is_from_notebook:
        return None
    if step.record.result == "reused" and step.record.run:
        said = f"What these cells printed is in run {step.record.run}, and not on this machine. If it was pushed there, "
        fetch = element("code", f"nbci pull {record.run} && nbci report {record.run}")
        return element("p", said, fetch, " fetches and shows it.", class_="note")
    return element(
        "p",
        "There is no executed notebook of this step; these are its cells as planned.",
        class_="note",
    )


def _metrics(step: ShownStep) -> Markup | None:
    rows = [(metric.name, number(metric.value), metric.source) for metric in step.record.metrics]
    if not rows:
        return None
    return section(
        "Metrics",
        table("Metrics of this step", ("Metric", "Value", "From"), rows),
        anchor="metrics",
    )


def _attempts(step: ShownStep) -> Markup | None:
    if len(step.record.attempts) < 2:
        return None
    rows = [
        (
            str(attempt.number),
            verdict(attempt.result),
            duration(attempt.seconds),
            attempt.failure.message if attempt.failure else "",
            element("code", path_in_run(step, attempt.notebook)) if attempt.notebook else "",
        )
        for attempt in step.record.attempts
    ]
    traces = [
        folded(
            f"Traceback of attempt {attempt.number}",
            element("pre", coloured(last_part(trace, _TRACE_BYTES)), tabindex=0),
        )
        for attempt in step.record.attempts[:-1]
        if attempt.failure and (trace := attempt.failure.traceback)
    ]
    shown = table("Attempts at this step", ("Attempt", "Result", "Took", "Why", "Notebook"), rows)
    return section("Attempts", shown, *traces, anchor="attempts")


def _parameters(step: ShownStep) -> Markup | None:
    rows = [
        (name, element("code", short_line(as_json(value), 300)))
        for name, value in (step.record.params or {}).items()
    ]
    if not rows:
        return None
    return section(
        "Parameters", table("Parameters of this step", ("Name", "Value"), rows), anchor="parameters"
    )


def _files(step: ShownStep) -> Markup | None:
    rows = [
        (
            element("code", file.path),
            what,
            size(file.bytes),
            str(file.files),
            element("code", file.digest),
        )
        for what, files in (("read", step.record.deps), ("written", step.record.outs))
        for file in files
    ]
    if not rows:
        return None
    heads = ("Path", "Was", "Size", "Files", "Digest")
    return section(
        "Files", table("Files that this step read and wrote", heads, rows), anchor="files"
    )
