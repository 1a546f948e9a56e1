"""Check the texts of notebooks and pipeline files against the rules.

Nothing here reads files: the callers pass the texts in.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nbci.dataflow.origin import NOTHING_BROUGHT, Brought
from nbci.errors import UsageError
from nbci.lint.finding import Finding, Hit
from nbci.lint.notebook_facts import read_facts
from nbci.lint.pipelines import (
    named_notebooks,
    notebooks_elsewhere,
    read_pipeline_text,
    with_notebooks,
)
from nbci.lint.rules import (
    MISSING_KERNEL,
    NOTEBOOK_RULES,
    PIPELINE_RULES,
    UNREADABLE,
    WRONG_COMPOSITION,
)
from nbci.lint.source_lines import lines_of_cells
from nbci.notebook.read import parse_notebook

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from nbci.dataflow.code import Stars
    from nbci.lint.finding import Severity
    from nbci.lint.notebook_facts import NotebookFacts
    from nbci.lint.pipelines import Composition
    from nbci.lint.source_lines import CellLines
    from nbci.notebook.cells import Notebook
    from nbci.pipeline.model import TaggedNotebook

_IGNORE = re.compile(r"#\s*nbci:\s*ignore\[([^\]]*)\]")
_UNPLANNABLE = ("wrong-tag", "wrong-edge", "cycle", "syntax-error")
_IGNORE_TAG = "nbci-ignore:"
_RANK = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedNotebook:
    """A notebook's findings, what was understood of it, and the kernel that it asks for."""

    findings: tuple[Finding, ...]
    tagged: TaggedNotebook | None = None
    kernel: str | None = None


def check_notebook(
    data: bytes,
    path: str,
    *,
    by_dataflow: bool = False,
    star_imports: Callable[[Notebook], Stars] = lambda _: {},
    brought: Brought = NOTHING_BROUGHT,
    composed: bool = False,
) -> CheckedNotebook:
    """Return what the rules find in a notebook.

    `by_dataflow`: a pipeline derives the notebook's order from its variables. `star_imports`
    returns what the notebook's star imports bind, `brought` holds the names that kernels bring.
    `composed`: other notebooks refer to this one.
    """
    try:
        notebook = parse_notebook(data, path)
    except UsageError as error:
        return CheckedNotebook(findings=(_finding(UNREADABLE, "error", path, Hit.of(error)),))
    with warnings.catch_warnings():
        # IPython warns about lines that end oddly; the rules report what is wrong with them
        warnings.simplefilter("ignore")
        stars = star_imports(notebook)
        facts = read_facts(
            notebook, by_dataflow=by_dataflow, stars=stars, brought=brought, composed=composed
        )
        hits = list(_hits(facts))
    tagged = facts.tagged
    reported: list[tuple[str, Hit]] = []
    for rule, hit in hits:
        # an ignored mistake still prevents planning
        if rule in _UNPLANNABLE:
            tagged = None
        if not _is_ignored(rule, hit, notebook):
            reported.append((rule, hit))
    return CheckedNotebook(
        findings=_findings(reported, notebook, data, path),
        tagged=tagged,
        kernel=notebook.kernel_name,
    )


def _hits(facts: NotebookFacts) -> Iterable[tuple[str, Hit]]:
    for name, rule in NOTEBOOK_RULES.items():
        for hit in rule.look(facts):
            yield name, hit


def _is_ignored(rule: str, hit: Hit, notebook: Notebook) -> bool:
    if hit.cell is None:
        return False
    cell = notebook.cell(hit.cell)
    if f"{_IGNORE_TAG}{rule}" in cell.tags:
        return True
    return _is_ignored_at(rule, hit.line, cell.source.split("\n"))


def _is_ignored_at(rule: str, line: int | None, lines: Sequence[str]) -> bool:
    """Whether the line, from 1, has a comment that ignores the rule."""
    # a hit may name a line behind the last one, as where a bracket is never closed
    if line is None or line > len(lines):
        return False
    match = _IGNORE.search(lines[line - 1])
    return match is not None and rule in map(str.strip, match[1].split(","))


def _findings(
    hits: Sequence[tuple[str, Hit]], notebook: Notebook, data: bytes, path: str
) -> tuple[Finding, ...]:
    """The hits with their lines in the file, in the order of the cells; each once."""
    if not hits:
        return ()
    text = data.decode("utf-8-sig")
    lines = lines_of_cells(text, notebook.cells, is_json=path.endswith(".ipynb"))
    findings = []
    for rule, hit in hits:
        file_line = None
        if hit.cell is not None:
            file_line = _file_line(lines[hit.cell - 1], hit.line)
        severity = NOTEBOOK_RULES[rule].severity
        findings.append(_finding(rule, severity, path, hit, file_line=file_line))
    # two rules or two steps can report the same place in the same words
    return tuple(sorted(dict.fromkeys(findings), key=_order))


def _file_line(cell_lines: CellLines, line: int | None) -> int | None:
    """The file's line of a line, from 1, of a cell; None where the cell's lines are not known."""
    if not cell_lines:
        return None
    # a hit may name a line behind the last one in the file, so the last one is taken
    return cell_lines[min(line or 1, len(cell_lines)) - 1]


def _order(finding: Finding) -> tuple[int, int, int, str, str]:
    return (
        finding.cell or 0,
        finding.line or 0,
        _RANK[finding.severity],
        finding.rule,
        finding.message,
    )


def wrong_composition(error: UsageError, path: str) -> Finding:
    """Return the finding for a notebook that forms no pipeline with those that it refers to.

    It is reported in the file that the error names, which may be another notebook than `path`.
    """
    if error.where is not None:
        path = error.where.path
    return _finding(WRONG_COMPOSITION, "error", path, Hit.of(error))


def missing_kernel(path: str, error: UsageError) -> Finding:
    """Return the finding for a kernel that is not installed on this machine."""
    return _finding(MISSING_KERNEL, "warning", path, Hit.of(error))


def _finding(
    rule: str, severity: Severity, path: str, hit: Hit, *, file_line: int | None = None
) -> Finding:
    # a line of a pipeline file is one of the file, that of a cell is not
    if hit.cell is None:
        file_line = hit.line
    return Finding(
        rule=rule,
        severity=severity,
        path=path,
        message=hit.message,
        hint=hit.hint,
        cell=hit.cell,
        line=hit.line,
        column=hit.column,
        file_line=file_line,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebooksAsked:
    """What a pipeline file says of the notebooks that it names.

    The notebooks `elsewhere` run in an environment other than the project's.
    """

    named: tuple[str, ...]
    elsewhere: frozenset[str]
    by_dataflow: bool
    names: tuple[str, ...]


def notebooks_asked(text: str, path: str) -> NotebooksAsked:
    """The notebooks that a pipeline file names, as far as it can be read."""
    composition = read_pipeline_text(text, path)
    return NotebooksAsked(
        named=tuple(named_notebooks(composition)),
        elsewhere=notebooks_elsewhere(composition),
        by_dataflow=composition.data.get("order") == "dataflow",
        names=tuple(composition.data.get("names", ())),
    )


def check_pipeline(
    data: bytes,
    path: str,
    *,
    exists: Callable[[str], bool],
    notebooks: dict[str, TaggedNotebook | None],
    brought: Brought = NOTHING_BROUGHT,
) -> tuple[Finding, ...]:
    """Return what the rules find in a pipeline file.

    In `notebooks`, None stands for a notebook that has mistakes itself: they are among that
    notebook's findings.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        hit = Hit(
            message=f"this is not UTF-8 text (byte {error.start})", hint="save the file as UTF-8"
        )
        return (_finding(UNREADABLE, "error", path, hit),)
    composition = _with_its_notebooks(read_pipeline_text(text, path), exists, notebooks, brought)
    lines = text.split("\n")
    findings: list[Finding] = []
    for name, rule in PIPELINE_RULES.items():
        for hit in rule.look(composition):
            if not _is_ignored_at(name, hit.line, lines):
                findings.append(_finding(name, rule.severity, path, hit))
    # several steps of a file may name what is wrong in the same place
    return tuple(sorted(dict.fromkeys(findings), key=_order))


def _with_its_notebooks(
    composition: Composition,
    exists: Callable[[str], bool],
    notebooks: Mapping[str, TaggedNotebook | None],
    brought: Brought,
) -> Composition:
    """The file with the notebooks that it names, unless one of them has mistakes."""
    named = named_notebooks(composition)
    missing: list[Hit] = []
    understood: dict[str, TaggedNotebook] = {}
    for notebook, where in named.items():
        if not exists(notebook):
            message = f"there is no notebook {notebook}"
            missing.append(Hit(message=message, line=where.line, column=where.column))
        tagged = notebooks.get(notebook)
        if tagged is not None:
            understood[notebook] = tagged
    # a notebook with mistakes has findings already; a plan without it would only report
    # consequences
    if len(understood) == len(named) or missing:
        return with_notebooks(composition, understood, missing, brought)
    return composition
