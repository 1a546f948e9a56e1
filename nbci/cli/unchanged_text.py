"""What `nbci run` prints when there was nothing to do; imports nothing that takes time."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from nbci.cli.arguments import warn

if TYPE_CHECKING:
    from nbci.app.unchanged import UnchangedRun


def print_unchanged(run: UnchangedRun, *, quiet: bool) -> None:
    """Print the summary that the last run left, and whose results stand."""
    if run.problem is not None:
        warn(f"this run leaves no record: {run.folder} cannot be written: {run.problem}")
    if quiet:
        print(_result_line(run))
        return
    summary = run.summary
    lines = [*summary["metrics"], "" if summary["metrics"] else "nothing has changed"]
    if summary["verdict"]:
        lines += [*summary["verdict"], ""]
    lines.append(_result_line(run))

    runs_folder = _shown_folder(run)
    if run.problem is None:
        lines.append(f"  record: {runs_folder}/{run.folder.name}")
    lines.append(f"  page:   {runs_folder}/{summary['run']}/report/index.html")
    print(*lines, sep="\n")


def _result_line(run: UnchangedRun) -> str:
    summary = run.summary
    counts = f"{summary['steps']} reused"
    if summary["skipped"]:
        counts += f", {summary['skipped']} skipped"
    word = "REFUSED" if summary.get("outcome") == "refused" else "passed"
    name = summary["header"]["pipeline"]
    took = f"{run.seconds * 1000:.0f} ms"
    return f"{name} {word} in {took}: {counts} from run {summary['run']}{summary['gates']}"


def _shown_folder(run: UnchangedRun) -> str:
    """The folder of runs as a person would type it from here."""
    runs_folder = run.source.parent
    relative = os.path.relpath(runs_folder)
    return str(runs_folder) if relative.startswith("..") else relative
