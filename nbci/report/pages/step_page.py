"""The page of a step: its executed cells in order, with outputs, times and what they were for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import number
from nbci.formatting.sizes import size
from nbci.formatting.text import as_json, last_part, short_line
from nbci.report.data.wording import subject
from nbci.report.html.ansi import ansi_to_html
from nbci.report.html.markup import Markup, element, fold, fragment, item_list, optional, table
from nbci.report.html.page import (
    description_paragraphs,
    facts,
    page,
    section,
    table_section,
    time,
    verdict,
)
from nbci.report.html.untrusted import without_dead_links
from nbci.report.pages.cell_changes import summarize_cell_changes
from nbci.report.pages.cell_comparison import compare_cells
from nbci.report.pages.cells import ROOT, CellsOfStep, executed_notebook, path_in_run
from nbci.report.pages.failure import explain_failure
from nbci.report.pages.figures_section import charts_section
from nbci.report.pages.links import notebook_link, run_link, with_run_linked
from nbci.report.pages.outputs_section import outputs_section

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from nbci.records.run_record import Attempt, RunRecord
    from nbci.report.charts import Figure
    from nbci.report.data.addresses import Addresses
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep
    from nbci.report.pages.cell_comparison import CellComparison

_TRACE_BYTES = 20_000
_VALUE_LENGTH = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedStep:
    """The step in the run that this one is compared with, None where that has none.

    `title` says which run it is, and names it by its id `run`.
    """

    title: str
    run: str
    step: ShownStep | None


def step_page(
    material: Material,
    step: ShownStep,
    neighbours: tuple[ShownStep | None, ShownStep | None],
    was: ComparedStep | None = None,
    charts: Sequence[Figure] = (),
) -> dict[str, bytes]:
    """The page and the files that belong to it: path in the report to content.

    The charts' files are the index's.
    """
    record, addresses = material.run.record, material.addresses
    comparisons = _compare(was, step)
    cells = CellsOfStep(step, addresses)
    shown_cells = list(cells.render(comparisons))

    main = fragment(
        optional("p", step.record.reason, class_="reason"),
        _about(step, addresses),
        _failure(step),
        _warnings(step),
        _metrics(step),
        outputs_section(step),
        charts_section(charts, root=ROOT),
        _changes(was, comparisons, addresses),
        section("Cells", _note_on_outputs(record, step, addresses), *shown_cells, anchor="cells"),
        _attempts(step, addresses),
        _parameters(step),
        _files(step),
    )
    content = page(
        f"{step.record.name}: {step.word} ({subject(material)})",
        root=ROOT,
        header=_header(subject(material), step, *neighbours),
        main=main,
        footer=f"Run {record.run}, nbci {record.nbci}",
        # Its rules are known only now that the cells are rendered.
        sheet=cells.album.keep_sheet(f"outputs/{step.stem}/cells.css"),
    )
    path = f"steps/{step.stem}.html"
    return {path: without_dead_links(content.decode(), cells.ids).encode(), **cells.album.files}


def _compare(was: ComparedStep | None, step: ShownStep) -> Sequence[CellComparison]:
    if was is None or was.step is None:
        return ()
    return compare_cells(was.step, step)


def _header(
    whole: str, step: ShownStep, before: ShownStep | None, after: ShownStep | None
) -> Markup:
    links = [element("a", whole, href="../index.html", rel="up")]
    if before is not None:
        words, address = f"before: {before.record.name}", f"{before.stem}.html"
        links.append(element("a", words, href=address, rel="prev"))
    if after is not None:
        words, address = f"next: {after.record.name}", f"{after.stem}.html"
        links.append(element("a", words, href=address, rel="next"))
    return fragment(
        element("nav", item_list(links), aria_label="Report"),
        element("h1", step.record.name, " ", verdict(step.word)),
        description_paragraphs(step.description),
    )


def _about(step: ShownStep, addresses: Addresses) -> Markup:
    return facts(
        (
            *_facts_of_record(step),
            *_facts_of_usage(step),
            *_facts_of_places(step, addresses),
            *_facts_of_values(step),
        )
    )


def _facts_of_record(step: ShownStep) -> Iterator[tuple[str, str]]:
    record = step.record
    yield "Started", time(record.started_utc)
    yield "Took", duration(record.seconds)
    if step.planned is not None:
        yield "Notebook", element("code", step.planned.notebook)
        yield "After", ", ".join(step.planned.after)
    yield "Kernel", step.kernel
    if record.audit is not None:
        yield "Audit", short_line(record.audit.sentence)


def _facts_of_usage(step: ShownStep) -> Iterator[tuple[str, str | None]]:
    usage = step.record.usage
    if usage is None:
        return
    yield "CPU time", duration(usage.cpu_seconds)
    yield "Peak memory", size(usage.peak_memory_bytes)
    yield "GPU", usage.gpu
    yield "Peak GPU memory", size(usage.peak_gpu_memory_bytes)


def _facts_of_places(step: ShownStep, addresses: Addresses) -> Iterator[tuple[str, str | None]]:
    record = step.record
    yield "Host", record.host
    if record.run:
        yield "Ran in", fragment("run ", run_link(record.run, addresses, root=ROOT))
    if step.is_from_notebook:
        path = path_in_run(step, executed_notebook(step))
        yield "Executed", notebook_link(path, addresses, root=ROOT)


def _facts_of_values(step: ShownStep) -> Iterator[tuple[str, str]]:
    record = step.record
    yield "Takes", ", ".join(value.name for value in record.takes)
    yield "Hands on", ", ".join(value.name for value in record.gives)


def _failure(step: ShownStep) -> Markup | None:
    if step.record.result != "failed":
        return None
    title = "What failed"
    if step.word == "interrupted":
        # A step that was stopped is recorded as failed, but has no mistake to look for.
        title = "Where it was interrupted"
    shown = explain_failure(step, root=ROOT, on_page=True)
    return section(title, shown, anchor="failure", class_="failed")


def _warnings(step: ShownStep) -> Markup | None:
    if not step.record.warnings:
        return None
    return section("Warnings", item_list(step.record.warnings), anchor="warnings")


def _metrics(step: ShownStep) -> Markup | None:
    rows = [(metric.name, number(metric.value), metric.source) for metric in step.record.metrics]
    heads = ("Metric", "Value", "From")
    return table_section("Metrics", "Metrics of this step", heads, rows, anchor="metrics")


def _changes(
    was: ComparedStep | None, comparisons: Sequence[CellComparison], addresses: Addresses
) -> Markup | None:
    if was is None:
        return None
    title = with_run_linked(was.title, was.run, addresses, root=ROOT)
    if was.step is None:
        found = element("p", "This step is new: it is not in ", title, ".")
    else:
        known = was.step.is_from_notebook
        found = summarize_cell_changes(comparisons, title, outputs_known=known)
    return section("Changes since the baseline", found, anchor="changes")


def _note_on_outputs(record: RunRecord, step: ShownStep, addresses: Addresses) -> Markup | None:
    """Why cells are shown without what they printed, where they are."""
    if step.is_from_notebook:
        return None
    # Only a reused step was executed elsewhere, where its outputs may still be found.
    if step.record.result == "reused" and step.record.run:
        run = run_link(step.record.run, addresses, root=ROOT)
        command = element("code", f"nbci pull {record.run} && nbci report {record.run}")
        where = fragment("What these cells printed is in run ", run, ", and not on this machine.")
        words = (where, " If it was pushed there, ", command, " fetches and shows it.")
        return element("p", *words, class_="note")
    words_of_plan = "There is no executed notebook of this step; these are its cells as planned."
    return element("p", words_of_plan, class_="note")


def _attempts(step: ShownStep, addresses: Addresses) -> Markup | None:
    """Every attempt; nothing for a step that passed or failed at its first."""
    attempts = step.record.attempts
    if len(attempts) < 2:
        return None
    heads = ("Attempt", "Result", "Took", "Why", "Notebook")
    rows = [_attempt_row(step, attempt, addresses) for attempt in attempts]
    shown = table("Attempts at this step", heads, rows, is_stacked=True)
    # The last attempt's traceback is part of the failure above.
    return section("Attempts", shown, *map(_traceback, attempts[:-1]), anchor="attempts")


def _attempt_row(step: ShownStep, attempt: Attempt, addresses: Addresses) -> tuple[str, ...]:
    why, notebook = "", ""
    if attempt.failure:
        why = attempt.failure.message
    if attempt.notebook:
        notebook = notebook_link(path_in_run(step, attempt.notebook), addresses, root=ROOT)
    return (
        str(attempt.number),
        verdict(attempt.result),
        duration(attempt.seconds),
        why,
        notebook,
    )


def _traceback(attempt: Attempt) -> Markup | None:
    if attempt.failure is None or not attempt.failure.traceback:
        return None
    # Python names the error at the end of a traceback: if it is cut, then at its beginning.
    text = ansi_to_html(last_part(attempt.failure.traceback, _TRACE_BYTES))
    return fold(f"Traceback of attempt {attempt.number}", element("pre", text, tabindex=0))


def _parameters(step: ShownStep) -> Markup | None:
    rows = []
    for name, value in (step.record.params or {}).items():
        rows.append((name, element("code", short_line(as_json(value), _VALUE_LENGTH))))
    caption = "Parameters of this step"
    return table_section("Parameters", caption, ("Name", "Value"), rows, anchor="parameters")


def _files(step: ShownStep) -> Markup | None:
    rows = []
    for role, files in (("read", step.record.deps), ("written", step.record.outs)):
        for file in files:
            path, digest = element("code", file.path), element("code", file.digest)
            rows.append((path, role, size(file.bytes), str(file.files), digest))
    caption = "Files that this step read and wrote"
    heads = ("Path", "Was", "Size", "Files", "Digest")
    return table_section("Files", caption, heads, rows, anchor="files")
