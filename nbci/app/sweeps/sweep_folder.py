"""The folder of a sweep: `.nbci/sweeps/ID/` and what lies in it."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from nbci.dot_nbci import SWEEPS_FOLDER
from nbci.errors import InfrastructureError, UsageError, nearest
from nbci.records.codec import to_json, to_json_line
from nbci.runs.named_runs import find_any_run
from nbci.runs.project_runs import sweep_folders
from nbci.store.files import disk_errors, try_lock, write_atomic, write_whole
from nbci.sweeps.standing import read_trials, without_dead
from nbci.sweeps.study_record import read_sweep

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.config import Project
    from nbci.runs.folder import RunFolder
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

SWEEP_FILE = "sweep.json"
TRIALS_FILE = "trials.jsonl"
STUDY_FILE = "study.log"
_LOCK_FILE = ".lock"
_SHOWN = 5


class SweepFolder:
    """The folder of one sweep."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: int | None = None

    @property
    def sweep(self) -> str:
        """The sweep's id."""
        return self.path.name

    @property
    def study(self) -> Path:
        """The study, in the form of Optuna's journal."""
        return self.path / STUDY_FILE

    def hold(self) -> bool:
        """Mark the sweep as going on, until the end of this process; False if another has it."""
        # It ends with this process, however that ends.
        self._lock = try_lock(self.path / _LOCK_FILE)
        if self._lock is None:
            return False
        # Optuna's own lock, which a killed process left behind, would be waited for for 30 s.
        with contextlib.suppress(OSError):
            os.unlink(f"{self.study}.lock")
        # A process that was killed while it wrote a line left half of it.
        for file in (self.path / TRIALS_FILE, self.study):
            _cut_half_line(file)
        return True

    def release(self) -> None:
        """Mark the sweep as not going on."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_going_on(self) -> bool:
        """Whether some process is at work at it."""
        if self._lock is not None:
            return True
        try:
            descriptor = try_lock(self.path / _LOCK_FILE)
        except InfrastructureError:
            # In a read-only copy no lock can be taken, so nobody holds it.
            return False
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def write_record(self, record: SweepRecord) -> None:
        """Write `sweep.json`."""
        write_atomic(self.path / SWEEP_FILE, to_json(record))

    def read_record(self) -> SweepRecord:
        """What the sweep is."""
        path = self.path / SWEEP_FILE
        return read_sweep(path.read_bytes(), path)

    def add_trial(self, trial: TrialRecord) -> None:
        """Write what has become of a trial."""
        path = self.path / TRIALS_FILE
        # Appended in one write: of all lines, only the last may ever be half there.
        with disk_errors(path), path.open("ab", buffering=0) as file:
            write_whole(file, to_json_line(trial))

    def read_trials(self) -> tuple[TrialRecord, ...]:
        """The trials by their numbers; where nobody is at work, none of them is running."""
        path = self.path / TRIALS_FILE
        # Before the trials are read: one that ends meanwhile is not taken for a dead one.
        is_going_on = self.is_going_on
        try:
            text = path.read_bytes()
        except FileNotFoundError:
            return ()
        trials = read_trials(text, str(path))
        if is_going_on:
            return trials
        return without_dead(trials, self.sweep)


def new_sweep(project: Project, sweep: str) -> SweepFolder:
    """Make the folder of a new sweep, held by this process."""
    folder = SweepFolder(project.root / SWEEPS_FOLDER / sweep)
    with disk_errors(folder.path):
        folder.path.mkdir(parents=True)
    folder.hold()
    return folder


def find_sweep(project: Project, sweep: str) -> SweepFolder:
    """The sweep of that id, of its unique beginning, or the newest one for `latest`."""
    known = [path.name for path in sweep_folders(project) if (path / SWEEP_FILE).exists()]
    # As runs are named: by as much of the id as tells it from others.
    matches = [name for name in known if name.startswith(sweep)]
    if sweep == "latest":
        matches = known[:1]
    if sweep in known:
        matches = [sweep]
    if len(matches) == 1:
        return SweepFolder(project.root / SWEEPS_FOLDER / matches[0])
    if matches:
        raise UsageError(
            f"{sweep!r} is the beginning of {len(matches)} sweeps",
            hint=f"sweeps: {', '.join(matches[:_SHOWN])}",
        )
    if not known:
        raise UsageError(
            "there is no sweep yet", hint="start the first with: nbci sweep TARGET -s NAME=VALUES"
        )
    hint = f"sweeps: {', '.join(known[:_SHOWN])}"
    close = nearest(sweep, known)
    if close:
        hint = f"did you mean {close}?"
    raise UsageError(f"there is no sweep {sweep!r}", hint=hint)


def run_of_trial(project: Project, sweep: str, trial: TrialRecord) -> RunFolder:
    """The run in which the trial was carried out; UsageError where it is not here."""
    try:
        return find_any_run(project, str(trial.run))
    except UsageError as error:
        raise UsageError(
            f"run {trial.run} of trial {trial.number} of sweep {sweep} is not here",
            hint="it was removed, or is on the machine that carried it out; "
            f"`nbci sweep show {sweep}` has the command that carries it out once more",
        ) from error


def _cut_half_line(path: Path) -> None:
    """Cut off what stands behind the last line's end."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    whole = text.rfind(b"\n") + 1
    if whole < len(text):
        with disk_errors(path):
            os.truncate(path, whole)
