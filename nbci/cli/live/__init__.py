"""What a person sees of a run while it goes on, and at its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from nbci.cli.live.lines import LineDisplay
from nbci.cli.live.quiet import NullDisplay, QuietDisplay
from nbci.cli.live.tree import TreeDisplay
from nbci.dot_nbci import RUNS_FOLDER
from nbci.engine.listener import Display

if TYPE_CHECKING:
    from typing import TextIO

__all__ = [
    "Display",
    "LineDisplay",
    "NullDisplay",
    "QuietDisplay",
    "TreeDisplay",
    "can_draw",
    "choose_display",
]

_RUNS = Path(RUNS_FOLDER)


def choose_display(
    *, quiet: bool, json: bool, stdout: TextIO, stderr: TextIO, runs_folder: Path = _RUNS
) -> Display:
    """The display for these streams.

    With `json`, stdout is left to the document, which replaces the summary.
    """
    stream = stdout
    if json:
        stream = stderr
    if quiet:
        return QuietDisplay(stream, runs_folder=runs_folder, summary=not json)
    if can_draw(stream):
        return TreeDisplay(stream, runs_folder=runs_folder, summary=not json)
    return LineDisplay(stream, runs_folder=runs_folder, summary=not json)


def can_draw(stream: TextIO) -> bool:
    """Whether the stream is a terminal on which rows can be drawn in place."""
    # Another encoding lacks the signs: escapes would be written, and make the rows longer than
    # they were measured.
    encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
    if not encoding.startswith("utf"):
        return False
    # Emacs' shell and some CIs are terminals that cannot move the cursor, and say so.
    if os.environ.get("TERM", "dumb") == "dumb":
        return False
    try:
        return stream.isatty()
    except ValueError:
        # The stream is closed.
        return False
