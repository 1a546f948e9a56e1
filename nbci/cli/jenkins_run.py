"""`nbci jenkins run`: what happens to a build, shown as it happens."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.arguments import print_json
from nbci.cli.jenkins import current_branch, open_controller
from nbci.errors import UsageError
from nbci.formatting.durations import duration
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line, without_controls

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    from nbci.jenkins.controller import Controller
    from nbci.jenkins.stages import Stage
    from nbci.jenkins.watch import Ended, Event

_STYLES = {
    "SUCCESS": "green",
    "FAILED": "red",
    "UNSTABLE": "yellow",
    "ABORTED": "magenta",
    "IN_PROGRESS": "cyan",
}


def run(arguments: argparse.Namespace) -> int:
    """Trigger a build, watch it, fetch its report; returns an exit code for its result."""
    from nbci.jenkins.place import checked_parameters, find_job, job_name
    from nbci.jenkins.watch import Bounds, Watch

    project, controller = open_controller()
    controller.version()
    job, found = find_job(
        controller, job_name(project, arguments.job), arguments.branch, current_branch(project)
    )
    # Before the build, which may take hours, and not after it.
    _refuse_file(arguments.fetch)
    item = controller.trigger(job, checked_parameters(found, job, arguments.param))

    display = _open_display(arguments)
    bounds = Bounds(away_seconds=arguments.away, label_seconds=arguments.no_agent)
    with display:
        ended = _follow(Watch(controller, job, bounds).follow(item), display, job)
    _report_end(arguments, controller, job, ended)
    return ended.exit_code


def _refuse_file(folder: str | None) -> None:
    if folder and Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError(f"--fetch {folder}: this is a file, not a folder")


def _open_display(arguments: argparse.Namespace) -> Display:
    stream = sys.stdout
    # JSON has stdout for itself.
    if arguments.json:
        stream = sys.stderr
    shows_log = not arguments.no_log
    if stream.isatty():
        return LiveDisplay(stream, log=shows_log)
    return Display(stream, log=shows_log)


def _follow(events: Iterable[Event], display: Display, job: str) -> Ended:
    """Show the events until the build has ended."""
    from nbci.jenkins.watch import Ended, Started

    number = None
    try:
        for event in events:
            if isinstance(event, Ended):
                return event
            if isinstance(event, Started):
                number = event.number
            display.show(event)
    except KeyboardInterrupt:
        # Ctrl-C ends the watching: the build may be somebody else's by now, and is worth money.
        stop = f"nbci jenkins stop --job {job}"
        if number is not None:
            stop += f" {number}"
        display.note(f"no longer watched; the build goes on: `{stop}` ends it")
        raise
    raise AssertionError("a watch ends with an end")


def _report_end(
    arguments: argparse.Namespace, controller: Controller, job: str, ended: Ended
) -> None:
    """Print the result before the report is fetched, which may fail."""
    url = _build_url(controller, job, ended)
    if arguments.json:
        files = _fetch(arguments, controller, job, ended)
        _print_document(job, ended, url, files)
        return

    for line in _end_lines(job, ended, url):
        print(line, flush=True)
    files = _fetch(arguments, controller, job, ended)
    if files:
        print(f"  {len(files)} files of the report in {arguments.fetch}")
    elif files is not None and ended.number is not None:
        print("  it left no report")


def _build_url(controller: Controller, job: str, ended: Ended) -> str | None:
    from nbci.jenkins.controller import job_path

    # What never left the queue has no number, and no page.
    if ended.number is None:
        return None
    return f"{controller.url}{job_path(job)}{ended.number}/"


def _end_lines(job: str, ended: Ended, url: str | None) -> Iterator[str]:
    line = f"{job} ended as {ended.result}"
    if ended.number is not None:
        line = f"build {ended.number} of {line}"
    if ended.why:
        line += f": {one_line(ended.why)}"
    yield line
    if url:
        yield f"  {url}"


def _fetch(
    arguments: argparse.Namespace, controller: Controller, job: str, ended: Ended
) -> list[str] | None:
    """The paths of the fetched files of the report; None without --fetch."""
    from nbci.jenkins.place import fetch_report

    if not arguments.fetch:
        return None
    # A build that never left the queue has no files.
    if ended.number is None:
        return []
    folder = Path(arguments.fetch)
    names = fetch_report(controller, job, ended.number, folder)
    return [str(folder / name) for name in names]


def _print_document(job: str, ended: Ended, url: str | None, files: list[str] | None) -> None:
    document = {
        "job": job,
        "number": ended.number,
        "result": ended.result,
        "exit_code": int(ended.exit_code),
        "why": ended.why,
        "url": url,
        "fetched": files,
    }
    print_json(document, ascii_only=False)


def stage_rows(stages: Sequence[Stage]) -> list[tuple[str, str, str, str]]:
    """A row for each stage: status, name, duration, error."""
    rows = []
    for stage in stages:
        error = one_line(stage.error or "")
        rows.append((stage.status, one_line(stage.name), duration(stage.seconds), error))
    return rows


class Display:
    """Prints the log, a line when the status of a stage changes, and all stages at the end."""

    def __init__(self, stream: TextIO, *, log: bool) -> None:
        self._stream = stream
        self._shows_log = log
        self._stages: tuple[Stage, ...] = ()
        # The last line of the log as long as its end has not come.
        self._unfinished = ""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()
        for line in table(stage_rows(self._stages)):
            self._write(line.rstrip())

    def show(self, event: Event) -> None:
        """Show an event."""
        from nbci.jenkins.watch import Away, LogText, StagesChanged, Started, Waiting

        match event:
            case Waiting(why=why) if why:
                self.note(f"waiting: {one_line(why)}")
            case Waiting():
                self.note("waiting for the next free place")
            case Started(number=number, url=url):
                self.note(": ".join(filter(None, (f"build {number} began", one_line(url)))))
            case LogText(text=text):
                self._show_log(text)
            case StagesChanged(stages=stages):
                self._show_stages(stages)
            case Away(why=None):
                self.note("the controller answers again")
            case Away(why=str(why)):
                # As when Jenkins restarts: builds of pipelines go on after that.
                self.note(f"{one_line(why)}; still watching")
            case _:
                pass

    def note(self, text: str) -> None:
        """Print a line of nbci's own; it does not cut an unfinished line of the log."""
        self._write(f"nbci: {text}")

    def _show_log(self, text: str) -> None:
        if not self._shows_log:
            return
        whole, separator, self._unfinished = (self._unfinished + text).rpartition("\n")
        if separator:
            self._write(without_controls(whole.replace("\r", "")))

    def _end_line(self) -> None:
        if self._unfinished:
            self._write(without_controls(self._unfinished))
            self._unfinished = ""

    def _show_stages(self, stages: tuple[Stage, ...]) -> None:
        known = _numbered(self._stages)
        self._stages = stages
        for key, stage in _numbered(stages).items():
            if key not in known or known[key].status != stage.status:
                self.note(f"stage {one_line(stage.name)}: {stage.status}")

    def _write(self, text: str) -> None:
        # A log may hold what the stream's encoding lacks, and must not end the watching.
        encoding = self._stream.encoding or "utf-8"
        shown = text.encode(encoding, errors="backslashreplace").decode(encoding)
        print(shown, file=self._stream, flush=True)


class LiveDisplay(Display):
    """On a terminal: a table of the stages stays below the log, and is updated in place."""

    def __init__(self, stream: TextIO, *, log: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(stream, log=log)
        # No markup: a log may hold square brackets.
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()
        self._live.stop()

    def _show_stages(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages
        self._live.refresh()

    def _write(self, text: str) -> None:
        self._console.print(text)

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        # The last ones where not all fit: what runs is among them.
        shown = self._stages[-max(self._console.height - 4, 4) :]
        for stage, row in zip(shown, stage_rows(shown), strict=True):
            status, *others = row
            grid.add_row(Text(status, style=_STYLES.get(stage.status, "")), *map(Text, others))
        return grid


def _numbered(stages: Sequence[Stage]) -> dict[tuple[str, int], Stage]:
    """The stages by name and number among the stages of that name.

    The place in the list changes: stages of parallel branches begin between known ones.
    """
    count: Counter[str] = Counter()
    found = {}
    for stage in stages:
        count[stage.name] += 1
        found[stage.name, count[stage.name]] = stage
    return found
