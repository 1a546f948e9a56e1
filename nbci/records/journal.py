"""An executed notebook that grows event by event.

The same events, kept as lines, make it again after a kill.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import convert
from msgspec.structs import replace

from nbci.formatting.text import as_printed
from nbci.records.codec import plain
from nbci.records.run_record import CellRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Event = dict[str, Any]
Output = dict[str, Any]

CUT_SHORT = "[nbci] nbci was killed while this cell ran\n"

# What strange JSON can raise in code that expects the events below.
_DAMAGED = (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError)


class ExecutedNotebook:
    """The notebook of a step while its cells run, as plain JSON values.

    `apply` takes time in proportion to the event, not to the notebook.

    The events, by their `do`: `begin` (notebook, and `cells`, the CellRuns), `start` (a cell), then
    for that cell `count`, `text`, `show` (an output, with the id of a display), `update` (every
    output of that id), `clear`, `spill` and `end` (its CellRun and metadata). `turn` (to a cell):
    what follows is of that one, which has started before.
    """

    def __init__(self, notebook: dict[str, Any], runs: Sequence[CellRun]) -> None:
        self.notebook = notebook
        self.runs = list(runs)
        self.current: int | None = None
        self._displays: dict[str, list[Output]] = {}
        # Text in pieces: to join it at each print would take quadratic time.
        self._open: tuple[Output, list[str]] | None = None

    @property
    def outputs(self) -> list[Output]:
        """The outputs of the cell that runs or ran last, in full."""
        if self.current is None:
            return []
        self._join()
        outputs: list[Output] = self.notebook["cells"][self.current]["outputs"]
        return outputs

    @property
    def pieces(self) -> int:
        """How many outputs the cell has."""
        if self.current is None:
            return 0
        return len(self._cell["outputs"])

    @property
    def open_stream(self) -> str | None:
        """The stream to whose output more text is added."""
        if self._open is None:
            return None
        output, _ = self._open
        return str(output["name"])

    def begin(self) -> Event:
        """The event that makes the notebook as it is now."""
        self._join()
        return {
            "do": "begin",
            "notebook": self.notebook,
            "cells": plain(self.runs),
            "current": self.current,
            "displays": self._places_of_displays(),
            "open": self._open is not None,
        }

    def _places_of_displays(self) -> dict[str, list[tuple[int, int]]]:
        """For each display its outputs, by the index of the cell and of the output in it."""
        # By places, since the JSON of two references to one output would be two outputs.
        places: dict[int, tuple[int, int]] = {}
        for at, cell in enumerate(self.notebook["cells"]):
            for number, output in enumerate(cell["outputs"]):
                places[id(output)] = at, number

        displays = {}
        for name, shown in self._displays.items():
            # Outputs that were cleared since have no place any more.
            displays[name] = [places[id(output)] for output in shown if id(output) in places]
        return displays

    def apply(self, event: Event) -> None:
        """Let the event happen."""
        match event["do"]:
            case "text":
                self._text(event["stream"], event["text"])
            case "show":
                if not isinstance(event["output"], dict):
                    raise TypeError("an output is a mapping")
                self._show(event["output"], event.get("id"))
            case "update":
                self._update(event["id"], event["output"])
            case "clear":
                self._open = None
                self._cell["outputs"] = []
            case "count":
                self._cell["execution_count"] = event["count"]
            case "spill":
                self._note(spilled=str(event["path"]))
            case "turn":
                self._turn(int(event["cell"]))
            case "start":
                self._start(int(event["cell"]), str(event["started_utc"]))
            case "end":
                self._end(event["run"], event["metadata"])

    def cut_short(self) -> CellRun | None:
        """Mark the cell that was running when the engine was killed, and return it, if one was."""
        # The last cell that began, unless a thread of an earlier one printed since.
        running = self._running_cell()
        if running is None:
            return None
        self._turn(running)
        self._show({"output_type": "stream", "name": "stderr", "text": CUT_SHORT}, None)
        run = replace(self.runs[running], result="failed")
        self._end(plain(run), self._cell["metadata"])
        return run

    def _running_cell(self) -> int | None:
        """The cell that has started and not ended."""
        if self.current is not None and not _has_ended(self._cell):
            return self.current
        for index, (run, cell) in enumerate(zip(self.runs, self.notebook["cells"], strict=True)):
            if run.started_utc is not None and not _has_ended(cell):
                return index
        return None

    @property
    def _cell(self) -> dict[str, Any]:
        if self.current is None:
            raise KeyError("no cell has started")
        cell: dict[str, Any] = self.notebook["cells"][self.current]
        return cell

    def _start(self, index: int, started_utc: str) -> None:
        self.settle()
        self.notebook["cells"][index]["outputs"] = []
        self.current = index
        self._note(started_utc=started_utc)

    def _turn(self, index: int) -> None:
        # Another cell's thread prints: what was printed before is whole now.
        self.complete()
        if index not in range(len(self.runs)):
            raise IndexError("no such cell")
        self.current = index

    def _text(self, stream: str, text: str) -> None:
        if self._open is None or self._open[0]["name"] != stream:
            self.settle()
            self._open = self._reopen(stream)
        self._open[1].append(str(text))

    def _reopen(self, stream: str) -> tuple[Output, list[str]]:
        """The cell's last output if it is of this stream, else a new one.

        It is of this stream after a turn to another cell, too.
        """
        outputs: list[Output] = self._cell["outputs"]
        if outputs and _is_stream(outputs[-1]) and outputs[-1].get("name") == stream:
            return outputs[-1], [outputs[-1]["text"]]
        outputs.append({"output_type": "stream", "name": stream, "text": ""})
        return outputs[-1], []

    def _show(self, output: Output, display: str | None) -> None:
        self.settle()
        self._cell["outputs"].append(output)
        if display is not None:
            self._update(display, output)
            self._displays.setdefault(display, []).append(output)

    def _update(self, display: str, output: Output) -> None:
        # All outputs of a display change with it, as in Jupyter (update_display_data).
        for shown in self._displays.get(display, ()):
            shown["data"], shown["metadata"] = output["data"], output["metadata"]

    def _end(self, run: dict[str, Any], metadata: dict[str, Any]) -> None:
        self.settle()
        self._tidy()
        kept = self.runs[self.current or 0] = _cell_run(run)
        # In the notebook, too: who has only that file can see how the cell went.
        times = {"seconds": kept.seconds, "started_utc": kept.started_utc, "result": kept.result}
        self._cell["metadata"] = {**metadata, "nbci": {**metadata.get("nbci", {}), **times}}

    def _tidy(self) -> None:
        for output in self._cell["outputs"]:
            if _is_stream(output):
                output["text"] = as_printed(output["text"])

    def _note(self, **changes: Any) -> None:
        if self.current is not None:
            self.runs[self.current] = replace(self.runs[self.current], **changes)

    def _join(self) -> None:
        """Put the open output's text in place; more may follow."""
        if self._open is not None:
            output, chunks = self._open
            output["text"] = "".join(chunks)
            chunks[:] = [output["text"]]

    def settle(self) -> None:
        """Complete the text that is open; what is printed next becomes another output."""
        self._join()
        self._open = None

    def complete(self) -> None:
        """Complete the cell's outputs: another cell's follow, or none."""
        self.settle()
        if self.current is not None and _has_ended(self._cell):
            self._tidy()

    def take_state(self, event: Event) -> None:
        """Go on from the state that a `begin` event has beside the notebook."""
        self.current = event.get("current")
        for name, places in event.get("displays", {}).items():
            self._displays[name] = [
                self.notebook["cells"][cell]["outputs"][at] for cell, at in places
            ]
        if event.get("open"):
            output = self.outputs[-1]
            self._open = (output, [output["text"]])


def replay(lines: Iterable[bytes]) -> ExecutedNotebook | None:
    """The notebook that a journal's lines make; what is torn or strange is left out.

    None without a beginning.
    """
    executed: ExecutedNotebook | None = None
    for line in lines:
        # A kill may cut any line, and a full disk lose one: the others count all the same.
        with suppress(*_DAMAGED):
            event = json.loads(line)
            if event["do"] == "begin":
                executed = _begin(event)
            elif executed is not None:
                executed.apply(event)
    if executed is not None:
        with suppress(*_DAMAGED):
            executed.complete()
    return executed


def event_line(event: Event) -> bytes:
    """The event as a line of a journal; lone surrogates are kept as JSON escapes."""
    return (json.dumps(event, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _begin(event: Event) -> ExecutedNotebook:
    notebook = event["notebook"]
    runs = list(map(_cell_run, event["cells"]))
    for cell in notebook["cells"]:
        cell["metadata"] = {**cell["metadata"]}
        # Copies, since updates of displays write into them.
        cell["outputs"] = [{**output} for output in cell["outputs"]]
    if len(runs) != len(notebook["cells"]):
        raise ValueError("not as many cells as are in the notebook")
    executed = ExecutedNotebook(notebook, runs)
    executed.take_state(event)
    return executed


def _is_stream(output: Output) -> bool:
    return output.get("output_type") == "stream"


def _has_ended(cell: dict[str, Any]) -> bool:
    return "result" in cell["metadata"].get("nbci", {})


def _cell_run(document: dict[str, Any]) -> CellRun:
    return convert(document, CellRun)
