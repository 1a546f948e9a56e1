"""What `nbci run` prints when there was nothing to do; imports nothing that takes time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nbci.cli.arguments import shown_path, warn

if TYPE_CHECKING:
    from nbci.app.unchanged import UnchangedRun


def print_unchanged(run: UnchangedRun, *, quiet: bool) -> None:
    """Print the summary of the last run, and that its results were taken."""
    if run.problem is not None:
        warn(f"this run leaves no record: {run.folder} cannot be written: {run.problem}")
    if quiet:
        print(_result_line(run))
        return
    print(*_summary_lines(run), sep="\n")


def _summary_lines(run: UnchangedRun) -> list[str]:
    """The last lines of a run, from text that the last run stored: no record is decoded."""
    summary = run.summary
    lines = [*summary["metrics"], ""] if summary["metrics"] else ["nothing has changed"]
    if summary["verdict"]:
        lines += [*summary["verdict"], ""]
    lines.append(_result_line(run))

    runs_folder = shown_path(run.source.parent)
    if run.problem is None:
        lines.append(f"  record: {runs_folder}/{run.folder.name}")
    # The page is that of the run whose results stand: this run renders none.
    lines.append(f"  page:   {runs_folder}/{summary['run']}/report/index.html")
    return lines


def _result_line(run: UnchangedRun) -> str:
    summary = run.summary
    counts = f"{summary['steps']} reused"
    if summary["skipped"]:
        counts += f", {summary['skipped']} skipped"
    # A run that a gate refused is reused, too: the verdict has not changed either.
    word = "REFUSED" if summary.get("outcome") == "refused" else "passed"
    name = summary["header"]["pipeline"]
    took = f"{run.seconds * 1000:.0f} ms"
    return f"{name} {word} in {took}: {counts} from run {summary['run']}{summary['gates']}"
