"""Why metrics moved from earlier runs to a run: the answers lie in its folder."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from nbci.errors import IntegrityError, UsageError
from nbci.records.blames import FORMAT, Blame, Blames
from nbci.records.codec import from_json, refuse_other_format, to_json
from nbci.runs.file_names import BLAME_FILE
from nbci.store.files import write_atomic

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.runs.folder import RunFolder


def add_blame(folder: RunFolder, blame: Blame) -> Path:
    """Keep an answer in the folder of the later run, in the place of an earlier one to the same."""
    kept = [blame]
    for other in read_blames(folder):
        if (other.metric, other.before) != (blame.metric, blame.before):
            kept.append(other)
    path = folder.path / BLAME_FILE
    write_atomic(path, to_json(Blames(blames=tuple(kept))))
    return path


def read_blames(folder: RunFolder) -> tuple[Blame, ...]:
    """The answers that the run has, the newest first; none where they cannot be read."""
    path = folder.path / BLAME_FILE
    with suppress(FileNotFoundError, IntegrityError, UsageError):
        text = path.read_bytes()
        refuse_other_format(text, FORMAT, "the answers", path)
        return from_json(text, Blames, str(path)).blames
    return ()
