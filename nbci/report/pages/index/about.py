"""What the run was: when, where, by whom, with what, and how to do the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.text import as_json, short_line
from nbci.report.data.wording import commit, run_again
from nbci.report.html.markup import Markup, element, folded, table
from nbci.report.html.page import facts, section, time, verdict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import RunRecord
    from nbci.report.data.view import ShownStep


def about_section(record: RunRecord, problems: Sequence[str]) -> Markup:
    """The facts of the run; `problems` is what the report had to do without."""
    return section(
        "About this run",
        facts(
            (
                ("Result", verdict(record.outcome)),
                ("Started", time(record.started_utc)),
                ("Took", duration(record.seconds)),
                ("Target", element("code", record.target)),
                ("Commit", commit(record)),
                ("By", record.by or record.user),
                ("Host", record.host),
                ("Platform", record.platform),
                ("Python", record.python),
                ("Run", element("code", record.run)),
            )
        ),
        _problems(problems),
        anchor="about",
    )


def _problems(problems: Sequence[str]) -> Markup | None:
    if not problems:
        return None
    items = [element("li", short_line(problem, 500)) for problem in problems]
    return element(
        "div",
        element("p", "This report had to do without some things:"),
        element("ul", *items),
        class_="note",
    )


def parameters_section(record: RunRecord) -> Markup | None:
    """Each parameter, and where its value came from."""
    rows = [
        (
            parameter.name,
            element("code", short_line(as_json(parameter.value), 300)),
            parameter.source,
        )
        for parameter in record.params
    ]
    if not rows:
        return None
    return section(
        "Parameters", table("Parameters", ("Name", "Value", "From"), rows), anchor="parameters"
    )


def again_section(record: RunRecord) -> Markup:
    """The exact commands."""
    dirty = record.git is not None and record.git.dirty and record.git.commit is not None
    is_here = "finish" not in record.command[1:2]  # the pieces of a build are gone with it
    is_unfinished = is_here and record.result in ("failed", "interrupted")
    return section(
        "Run this again",
        element("pre", element("code", run_again(record)), tabindex=0),
        element("p", "The working tree held changes that are not in this commit.", class_="note")
        if dirty
        else None,
        element("p", "To go on after the last finished step: ", _resume(record), class_="note")
        if is_unfinished
        else None,
        anchor="again",
    )


def _resume(record: RunRecord) -> Markup:
    return element("code", f"nbci run --resume {record.run}")


def environment_section(record: RunRecord, steps: Sequence[ShownStep]) -> Markup | None:
    """The packages that the steps imported, and the sources by digest."""
    parts = [
        part for part in (_kernels(steps), _packages(steps), _sources(record)) if part is not None
    ]
    return section("Environment", *parts, anchor="environment") if parts else None


def _kernels(steps: Sequence[ShownStep]) -> Markup | None:
    found = {
        (step.record.kernel, step.record.kernel_version) for step in steps if step.record.kernel
    }
    if len(found) != 1:
        return None  # where they differ, the table of the steps tells which had which
    return element("p", f"Kernel: {' '.join(part for part in found.pop() if part)}")


def _packages(steps: Sequence[ShownStep]) -> Markup | None:
    versions: dict[str, dict[str, list[str]]] = {}
    for step in steps:
        for name, version in (step.record.distributions or {}).items():
            versions.setdefault(name, {}).setdefault(version, []).append(step.record.name)
    if not versions:
        return None
    rows = [
        (name, version, _users(users, len(steps)))
        for name in sorted(versions, key=str.lower)
        for version, users in versions[name].items()
    ]
    shown = table("Packages that the steps imported", ("Package", "Version", "Steps"), rows)
    return folded(f"{counted(len(versions), 'package')} imported by the steps", shown)


def _users(users: Sequence[str], total: int) -> str:
    if len(users) == total > 1:
        return "all"
    return ", ".join(users) if len(users) <= 5 else f"{len(users):,} steps"


def _sources(record: RunRecord) -> Markup | None:
    rows = [
        (element("code", path), element("code", digest))
        for path, digest in (record.sources or {}).items()
    ]
    if not rows:
        return None
    shown = table("Notebooks and pipeline files as they were", ("File", "Digest"), rows)
    return folded(f"{counted(len(rows), 'file')} that the run was planned from", shown)
