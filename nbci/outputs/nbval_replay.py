"""Run nbval over a notebook with a kernel that shows again what another has shown.

A program of its own, which knows only nbval and pytest: together they take half a second to import.
It reads a notebook and a list of each code cell's outputs, and writes a list of (cell's place,
nbval's words) for the cells that differ.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import nbval.plugin
import pytest


class ReplayedKernel:
    """What `nbval.plugin` asks of its `RunningKernel`, without a kernel."""

    outputs: list[list[dict[str, Any]]]
    """Of each code cell, in the order in which nbval runs them."""

    def __init__(self, *_: object, **__: object) -> None:
        self._cell = -1
        self._messages: list[dict[str, Any]] = []

    def execute_cell_input(self, _: str, allow_stdin: bool | None = None) -> str:
        """Begin the next cell; the request's id."""
        self._cell += 1
        asked = str(self._cell)
        self._messages = [_message(asked, output) for output in self.outputs[self._cell]]
        idle = {"output_type": "status", "execution_state": "idle"}
        self._messages.append(_message(asked, idle))
        return asked

    def get_message(self, _: str, timeout: float | None = None) -> dict[str, Any]:
        """The next message about the cell."""
        return self._messages.pop(0)

    def await_reply(self, asked: str, timeout: float | None = None) -> None:
        """All is there already."""

    def is_alive(self) -> bool:
        """Whether cells can run."""
        return True

    def stop(self) -> None:
        """Nothing runs."""


class Differences:
    """A plugin of pytest that keeps what nbval says of the cells that differ."""

    def __init__(self) -> None:
        self.found: list[tuple[int, str]] = []

    def pytest_exception_interact(self, node: Any, call: pytest.CallInfo[None]) -> None:
        """Called by pytest for each cell that fails."""
        assert call.excinfo is not None
        error = call.excinfo.value
        text = getattr(error, "inner_traceback", None) or f"{type(error).__name__}: {error}"
        self.found.append((node.cell_num, text))


def _message(asked: str, output: dict[str, Any]) -> dict[str, Any]:
    kind = output["output_type"]
    return {"msg_type": kind, "parent_header": {"msg_id": asked}, "content": output}


def main(notebook: str, outputs: str, answer: str) -> int:
    """Compare, and write what differs; pytest's exit code."""
    ReplayedKernel.outputs = json.loads(Path(outputs).read_text(encoding="utf-8"))
    nbval.plugin.RunningKernel = ReplayedKernel
    differences = Differences()
    options = ["--nbval", "--color=no", "-p", "no:cacheprovider", "-c", "/dev/null"]
    code = pytest.main([*options, notebook], plugins=[nbval.plugin, differences])
    Path(answer).write_text(json.dumps(differences.found), encoding="utf-8")
    return int(code)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
