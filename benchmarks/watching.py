"""Noting which files code below Python opens, in a project of 10,000 folders."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

from benchmarks.measure import Wrong, compared, seconds_of, take_turns
from benchmarks.projects import write_notebook
from benchmarks.surroundings import nbci, of_nbci
from nbci.engine.observed.opens import Opens

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from benchmarks.measure import Bench, Row

MOST_SECONDS = 0.050
MOST_OF_A_STEP = 1.03
FILES = 200
_OPENED = 0x20  # IN_OPEN
_STEP = f"""\
total = 0
for turn in range(25):
    for number in range({FILES}):
        with open(f'data/{{number}}.bin', 'rb') as file:
            total += sum(file.read())
print('bytes', total)
"""


def rows(bench: Bench) -> Iterator[Row]:
    """Setting the watches, and a whole run of a step that opens 5,000 files.

    The comparison is a project without the folders.
    """
    folders = bench.pick(10_000, 2000)
    large = _project(bench.folder / "large", folders)
    small = _project(bench.folder / "small", 0)

    folders_found = [os.fsencode(folder) for folder, _, _ in os.walk(large)]
    watched = take_turns(
        {
            "nbci": partial(_seconds_to_watch, large),
            "calls": partial(_seconds_of_calls, folders_found),
        },
        rounds=bench.pick(9, 3),
    )
    yield compared(
        f"watches for {folders:,} folders, processor time",
        watched["nbci"],
        "their system calls alone",
        watched["calls"],
        figure_at_most=MOST_SECONDS,
    )

    env = of_nbci(bench.folder)
    command = nbci("run", "step.ipynb", "--force")
    ways = {
        "large": partial(seconds_of, command, cwd=large, env=env, expect="1 passed"),
        "small": partial(seconds_of, command, cwd=small, env=env, expect="1 passed"),
    }
    seen = take_turns(ways, rounds=bench.pick(9, 3))
    work = f"a step that opens {25 * FILES:,} files, {folders:,} folders"
    yield compared(work, seen["large"], "2 folders", seen["small"], at_most=MOST_OF_A_STEP)


def _seconds_to_watch(project: Path) -> float:
    """Of processor time, from nothing until all folders are watched."""
    began = time.process_time()
    with closing(Opens(project)) as opens:
        opens.start()
        opens.begin()
        seconds = time.process_time() - began
        if opens.trouble is not None:
            raise Wrong(f"not all folders were watched: {opens.trouble}")
    return seconds


def _seconds_of_calls(folders: Sequence[bytes]) -> float:
    """Seconds of processor time for the system calls that cannot be avoided.

    They watch each folder and ask for its links. No call does either for many folders, and only
    the count of links tells, without listing a folder, that no other folder lies in it; listing
    costs three times as much.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    began = time.process_time()
    for folder in folders:
        if libc.inotify_add_watch(descriptor, folder, _OPENED) < 0:
            raise Wrong(f"not all folders were watched: {os.strerror(ctypes.get_errno())}")
        os.stat(folder)
    seconds = time.process_time() - began
    os.close(descriptor)
    return seconds


def _project(project: Path, folders: int) -> Path:
    """One step that opens its data again and again.

    Beside it are so many folders in which nothing happens.
    """
    (project / ".git").mkdir(parents=True)
    (project / "data").mkdir()
    for number in range(FILES):
        (project / "data" / f"{number}.bin").write_bytes(bytes([number]) * 20_000)
    for number in range(folders):
        (project / "more" / str(number // 100) / str(number % 100)).mkdir(parents=True)
    write_notebook(project / "step.ipynb", [(_STEP, ("step:read",))])
    return project
