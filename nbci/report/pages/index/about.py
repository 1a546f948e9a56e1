"""What the run was: when, where, by whom, with what, and how to do the same again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.formatting.durations import duration
from nbci.formatting.numbers import counted
from nbci.formatting.text import as_json, short_line
from nbci.report.data.view import kernels_of
from nbci.report.data.wording import commit_text, run_again
from nbci.report.html.markup import Markup, element, fold, fragment, item_list, table
from nbci.report.html.page import facts, section, table_section, time, verdict, with_note
from nbci.report.pages.links import build_link, change_link, commit_link, run_link

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.records.run_record import RunRecord
    from nbci.report.data.addresses import Addresses
    from nbci.report.data.material import Material
    from nbci.report.data.view import ShownStep

# In characters: a parameter may be a whole table, and the message of a problem a traceback.
_PROBLEM_LENGTH = 500
_VALUE_LENGTH = 300
# A package that more steps import is named with their number: NumPy is in nearly all of them.
_STEPS_NAMED = 5


def about_section(material: Material) -> Markup:
    """The facts of the run, and what the report had to do without."""
    record, addresses = material.run.record, material.addresses
    pairs = (
        ("Result", verdict(record.outcome)),
        ("Started", time(record.started_utc)),
        ("Took", duration(record.seconds)),
        ("Started by itself", str(record.because) if record.because else None),
        ("Chosen", record.chosen.sentence if record.chosen else None),
        ("Confirmed", record.confirmed.sentence if record.confirmed else None),
        ("Target", element("code", record.target)),
        ("Commit", _commit(record, addresses)),
        ("Change", change_link(record)),
        ("Build", build_link(record)),
        ("By", record.by or record.user),
        ("Host", record.host),
        ("Platform", record.platform),
        ("Python", record.python),
        ("Run", run_link(record.run, addresses)),
    )
    return section("About this run", facts(pairs), _problems(material.problems), anchor="about")


def _commit(record: RunRecord, addresses: Addresses) -> str | None:
    text = commit_text(record)
    if text is None or record.git is None or not record.git.commit:
        return text
    # A commit's name stands at the beginning.
    rest = text.removeprefix(record.git.commit)
    return fragment(commit_link(record.git.commit, addresses), rest)


def _problems(problems: Sequence[str]) -> Markup | None:
    if not problems:
        return None
    return element(
        "div",
        element("p", "This report had to do without some things:"),
        item_list(short_line(problem, _PROBLEM_LENGTH) for problem in problems),
        class_="note",
    )


def parameters_section(record: RunRecord) -> Markup | None:
    """Each parameter, what it means, and where its value came from."""
    rows = []
    for parameter in record.params:
        value = element("code", short_line(as_json(parameter.value), _VALUE_LENGTH))
        rows.append((with_note(parameter.name, parameter.help), value, parameter.source))
    heads = ("Name", "Value", "From")
    return table_section("Parameters", "Parameters", heads, rows, anchor="parameters")


def again_section(record: RunRecord) -> Markup:
    """The commands that run the same again, or go on with a run that did not end well."""
    parts = [element("pre", element("code", run_again(record)), tabindex=0)]
    git = record.git
    # The commands check out the commit, and so run something else than this run did.
    if git is not None and git.dirty and git.commit is not None:
        words = "The working tree held changes that are not in this commit."
        parts.append(element("p", words, class_="note"))
    if _can_be_resumed(record):
        command = element("code", f"nbci run --resume {record.run}")
        words = "To go on after the last finished step: "
        parts.append(element("p", words, command, class_="note"))
    return section("Run this again", *parts, anchor="again")


def _can_be_resumed(record: RunRecord) -> bool:
    # `nbci finish` puts a run together from a build's pieces, which end with that build.
    is_of_pieces = "finish" in record.command[1:2]
    return record.result in ("failed", "interrupted") and not is_of_pieces


def environment_section(record: RunRecord, steps: Sequence[ShownStep]) -> Markup | None:
    """The packages that the steps imported, and the sources by digest."""
    parts = list(filter(None, (_kernel(steps), _packages(steps), _sources(record))))
    if not parts:
        return None
    return section("Environment", *parts, anchor="environment")


def _kernel(steps: Sequence[ShownStep]) -> Markup | None:
    """The kernel of all steps; None where they differ or no step has run."""
    kernels = kernels_of(steps)
    # Where they differ, the table of the steps says which had which.
    if len(kernels) != 1:
        return None
    return element("p", f"Kernel: {kernels.pop()}")


def _packages(steps: Sequence[ShownStep]) -> Markup | None:
    versions: dict[str, dict[str, list[str]]] = {}
    for step in steps:
        for name, version in (step.record.distributions or {}).items():
            versions.setdefault(name, {}).setdefault(version, []).append(step.record.name)
    if not versions:
        return None

    rows = []
    for name in sorted(versions, key=str.lower):
        # Steps may run in kernels of different environments, which have different versions.
        for version, users in versions[name].items():
            rows.append((name, version, _list_users(users, len(steps))))
    heads = ("Package", "Version", "Steps")
    shown = table("Packages that the steps imported", heads, rows)
    return fold(f"{counted(len(versions), 'package')} imported by the steps", shown)


def _list_users(users: Sequence[str], total: int) -> str:
    if len(users) == total > 1:
        return "all"
    if len(users) > _STEPS_NAMED:
        return f"{len(users):,} steps"
    return ", ".join(users)


def _sources(record: RunRecord) -> Markup | None:
    rows = []
    for path, digest in (record.sources or {}).items():
        rows.append((element("code", path), element("code", digest)))
    if not rows:
        return None
    caption = "Notebooks and pipeline files as they were"
    shown = table(caption, ("File", "Digest"), rows, is_stacked=True)
    return fold(f"{counted(len(rows), 'file')} that the run was planned from", shown)
