"""Optuna's journal of a study, without a wait for the disk at each line.

A trial has a line for its beginning, for each parameter and for its end, and Optuna's own backend
waits for the disk at each. Nothing else of a run does. What the disk loses when a machine stops is
in the sweep's own record, by which the study is mended.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

if TYPE_CHECKING:
    from pathlib import Path


class Journal(JournalFileBackend):
    """Writes the file that Optuna's own backend reads and writes."""

    def __init__(self, path: Path) -> None:
        self._place = path
        self._turn = JournalFileSymlinkLock(str(path))
        if path.exists():
            _drop_half_line(path)
        super().__init__(str(path), self._turn)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add the lines, while no other process does."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        text = "".join(f"{line}\n" for line in lines).encode()
        self._turn.acquire()
        try:
            with open(self._place, "ab") as file:
                file.write(text)
        except OSError:
            # A full disk takes the beginning of a line.
            _drop_half_line(self._place)
            raise
        finally:
            self._turn.release()


def _drop_half_line(path: Path) -> None:
    """Remove a last line without an end: Optuna takes it for damage once another one follows."""
    with open(path, "r+b") as file:
        text = file.read()
        whole = text.rfind(b"\n") + 1
        if whole < len(text):
            file.truncate(whole)
