"""`nbci jenkins run`: what happens to a build, shown as it happens."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbci.cli.jenkins import current_branch, open_controller
from nbci.errors import UsageError
from nbci.formatting.durations import duration
from nbci.formatting.tables import table
from nbci.formatting.terminal import one_line, without_controls

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
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
    """Trigger, watch, fetch; the exit code says how the build ended."""
    from nbci.jenkins.place import checked_parameters, find_job, job_name
    from nbci.jenkins.watch import Bounds, Watch

    project, controller = open_controller()
    controller.version()
    job, found = find_job(
        controller, job_name(project, arguments.job), arguments.branch, current_branch(project)
    )
    _refuse_folder(arguments.fetch)
    item = controller.trigger(job, checked_parameters(found, job, arguments.param))
    display = _display(sys.stderr if arguments.json else sys.stdout, log=not arguments.no_log)
    bounds = Bounds(away_seconds=arguments.away, label_seconds=arguments.no_agent)
    with display:
        ended = _follow(Watch(controller, job, bounds).follow(item), display, job)
    _tell(arguments, controller, job, ended)
    return ended.exit_code


def _refuse_folder(folder: str | None) -> None:
    if folder and Path(folder).exists() and not Path(folder).is_dir():
        raise UsageError(f"--fetch {folder}: this is a file, not a folder")


def _follow(events: Any, display: Display, job: str) -> Ended:
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
        which = f" {number}" if number is not None else ""
        display.note(
            f"no longer watched; the build goes on: `nbci jenkins stop --job {job}{which}` ends it"
        )
        raise
    raise AssertionError("a watch ends with an end")


def _tell(arguments: argparse.Namespace, controller: Controller, job: str, ended: Ended) -> None:
    """Say how it ended, before the report is fetched: that can fail, too."""
    from nbci.jenkins.controller import job_path
    from nbci.jenkins.place import fetch_report

    url = f"{controller.url}{job_path(job)}{ended.number}/" if ended.number is not None else None
    if not arguments.json:
        which = f"build {ended.number} of {job}" if ended.number is not None else job
        said = f": {one_line(ended.why)}" if ended.why else ""
        print(f"{which} ended as {ended.result}{said}" + (f"\n  {url}" if url else ""), flush=True)
    files: Sequence[str] = ()
    if arguments.fetch and ended.number is not None:
        files = fetch_report(controller, job, ended.number, Path(arguments.fetch))
        if not arguments.json:
            print(
                f"  {len(files)} files of the report in {arguments.fetch}"
                if files
                else "  it left no report"
            )
    if arguments.json:
        document = {
            "job": job,
            "number": ended.number,
            "result": ended.result,
            "exit_code": int(ended.exit_code),
            "why": ended.why,
            "url": url,
            "fetched": [str(Path(arguments.fetch) / name) for name in files]
            if arguments.fetch
            else None,
        }
        print(json.dumps(document, indent=1, ensure_ascii=False))


def stage_rows(stages: Sequence[Stage]) -> list[tuple[str, str, str, str]]:
    """A row for each stage: status, name, time, error."""
    return [
        (stage.status, one_line(stage.name), duration(stage.seconds), one_line(stage.error or ""))
        for stage in stages
    ]


class Display:
    """Plain lines: the log as it comes, a stage when its status changes, all stages at the end."""

    def __init__(self, stream: TextIO, *, log: bool) -> None:
        self._stream = stream
        self._log = log
        self._stages: tuple[Stage, ...] = ()
        self._rest = ""

    def __enter__(self) -> Display:
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()
        for line in table(stage_rows(self._stages)):
            self._write(line.rstrip())

    def show(self, event: Event) -> None:
        """Show one thing that happened."""
        from nbci.jenkins.watch import Away, Said, StagesChanged, Started, Waiting

        match event:
            case Waiting(why=why):
                self.note(f"waiting: {one_line(why)}" if why else "waiting for the next free place")
            case Started(number=number, url=url):
                self.note(f"build {number} began" + (f": {one_line(url)}" if url else ""))
            case Said(text=text):
                self._say(text)
            case StagesChanged(stages=stages):
                self._change(stages)
            case Away(why=why):
                self.note(
                    "the controller answers again"
                    if why is None
                    else f"{one_line(why)}; still watching"
                )
            case _:
                pass

    def note(self, text: str) -> None:
        """A line of nbci's own; a line of the log whose end has not come yet is not cut by it."""
        self._write(f"nbci: {text}")

    def _say(self, text: str) -> None:
        if not self._log:
            return
        whole, separator, self._rest = (self._rest + text).rpartition("\n")
        if separator:
            self._write(without_controls(whole.replace("\r", "")))

    def _end_line(self) -> None:
        if self._rest:
            self._write(without_controls(self._rest))
            self._rest = ""

    def _change(self, stages: tuple[Stage, ...]) -> None:
        known = _numbered(self._stages)
        self._stages = stages
        for key, stage in _numbered(stages).items():
            if key not in known or known[key].status != stage.status:
                self.note(f"stage {one_line(stage.name)}: {stage.status}")

    def _write(self, text: str) -> None:
        encoding = self._stream.encoding or "utf-8"
        print(
            text.encode(encoding, errors="backslashreplace").decode(encoding),
            file=self._stream,
            flush=True,
        )


class LiveDisplay(Display):
    """The same on a terminal: the table of stages stays below the log and changes in place."""

    def __init__(self, stream: TextIO, *, log: bool) -> None:
        from rich.console import Console
        from rich.live import Live

        super().__init__(stream, log=log)
        self._console = Console(file=stream, highlight=False, markup=False, soft_wrap=True)
        self._live = Live(console=self._console, get_renderable=self._table, refresh_per_second=4)

    def __enter__(self) -> LiveDisplay:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end_line()
        self._live.stop()

    def _change(self, stages: tuple[Stage, ...]) -> None:
        self._stages = stages
        self._live.refresh()

    def _write(self, text: str) -> None:
        self._console.print(text)

    def _table(self) -> Any:
        from rich.table import Table
        from rich.text import Text

        grid = Table.grid(padding=(0, 2))
        shown = self._stages[-max(self._console.height - 4, 4) :]
        for stage, row in zip(shown, stage_rows(shown), strict=True):
            grid.add_row(
                *(
                    Text(cell, style=_STYLES.get(stage.status, "") if at == 0 else "")
                    for at, cell in enumerate(row)
                )
            )
        return grid


def _numbered(stages: Sequence[Stage]) -> dict[tuple[str, int], Stage]:
    """The stages by name, and the how-many-th of that name: what begins may stand between what is
    known.
    """
    count: Counter[str] = Counter()
    found = {}
    for stage in stages:
        count[stage.name] += 1
        found[stage.name, count[stage.name]] = stage
    return found


def _display(stream: TextIO, *, log: bool) -> Display:
    return LiveDisplay(stream, log=log) if stream.isatty() else Display(stream, log=log)
