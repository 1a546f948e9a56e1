"""Findings as text, as JSON, and as Jenkins' warnings plugin reads them."""

from __future__ import annotations

import html
from collections import Counter, defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from nbci.formatting.numbers import counted

if TYPE_CHECKING:
    from nbci.lint.finding import Finding, Severity
    from nbci.lint.project import Checked

# https://github.com/jenkinsci/warnings-ng-plugin, "Export your issues into a supported format":
# the native format.
_ISSUE_SEVERITY = {"error": "ERROR", "warning": "NORMAL", "info": "LOW"}
_SEVERITY_WORDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
_REPORT_CLASS = "io.jenkins.plugins.analysis.core.restapi.ReportApi"


def as_text(checked: Checked) -> str:
    """For people: grouped by file, with the total at the end."""
    by_path: dict[str, list[str]] = defaultdict(list)
    for finding in checked.findings:
        by_path[finding.path] += _lines_of(finding)
    lines: list[str] = []
    for path, of_file in by_path.items():
        lines += [path, *of_file, ""]
    return "\n".join([*lines, _total(checked)])


def _lines_of(finding: Finding) -> list[str]:
    parts: list[str] = []
    if finding.cell is not None:
        parts.append(f"cell {finding.cell}")
    if finding.line is not None:
        parts.append(f"line {finding.line}")
    place = ", ".join(parts)
    if place:
        place += ": "
    lines = [f"  {place}{finding.severity}: {finding.message} [{finding.rule}]"]
    for line in (finding.hint or "").splitlines():
        lines.append(f"    → {line}")
    return lines


def _total(checked: Checked) -> str:
    number_of = Counter(finding.severity for finding in checked.findings)
    counts: list[str] = []
    # the worst first, whichever was found first
    for severity, word in _SEVERITY_WORDS.items():
        if number_of[severity]:
            counts.append(counted(number_of[severity], word))
    found = ", ".join(counts) or "nothing to say"
    return f"{counted(len(checked.paths), 'file')} checked: {found}"


def as_data(checked: Checked) -> list[dict[str, Any]]:
    """Return a list with one mapping for each finding, for programs.

    The schema is `schemas/lint.schema.json`.
    """
    return list(map(asdict, checked.findings))


def as_issues(checked: Checked) -> dict[str, Any]:
    """For Jenkins' warnings plugin; the schema is `schemas/issues.schema.json`."""
    issues = list(map(_issue, checked.findings))
    return {"_class": _REPORT_CLASS, "issues": issues, "size": len(issues)}


def _issue(finding: Finding) -> dict[str, Any]:
    line = finding.file_line or 0
    message = finding.message
    # the plugin knows lines of files only, so the message names the cell
    if finding.cell and finding.line:
        message = f"cell {finding.cell}, line {finding.line}: {message}"
    elif finding.cell:
        message = f"cell {finding.cell}: {message}"
    category = "notebook"
    if finding.path.endswith((".yaml", ".yml")):
        category = "pipeline"
    issue = {
        "fileName": finding.path,
        "lineStart": line,
        "lineEnd": line,
        "severity": _ISSUE_SEVERITY[finding.severity],
        "category": category,
        "type": finding.rule,
        "message": message,
        # the plugin shows a description as HTML
        "description": html.escape(finding.hint or ""),
    }
    # within a notebook's JSON text a column of the cell means nothing
    if finding.cell is None and finding.column is not None:
        issue |= {"columnStart": finding.column, "columnEnd": finding.column}
    return issue
