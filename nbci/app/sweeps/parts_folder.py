"""The folder that carries a sweep from machine to machine while agents carry out its trials."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

from msgspec import Struct

from nbci.app.sweeps.sweep_folder import STUDY_FILE, SWEEP_FILE, TRIALS_FILE, SweepFolder
from nbci.errors import IntegrityError, Location, UsageError
from nbci.formatting.durations import now_utc
from nbci.records.codec import from_json, to_json
from nbci.runs.plan_file import read_plan
from nbci.store.files import disk_errors, write_atomic

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from nbci.plan.model import Plan

_JOBS = "jobs"
_PLAN = ".plan.json"
_BUILD_FILE = "build.json"
_UNKEPT_FILE = "unkept.txt"
_WRITERS_FILE = "writers.json"
_WORD = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")


class Job(Struct, frozen=True, kw_only=True):
    """What a worker carries out: of a trial, all that is left or, `shared`, what others need.

    The plan of it lies beside this record.
    """

    worker: str
    trial: int
    shared: bool = False


class Build(Struct, frozen=True, kw_only=True):
    """The build that is at work at the sweep; `first` is the number of its first trial."""

    began_utc: str
    first: int


class PartsFolder(SweepFolder):
    """A sweep's folder, with what its workers carry out just now and what others can use of it.

    `known` has results that another trial may need, `best` those of the best trial: in the layout
    of a remote, where the project has none. Each call finds the folder as the last one left it.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.known = path / "known"
        self.best = path / "best"

    def open(self) -> None:
        """Make the folder where it is not there, and hold it."""
        with disk_errors(self.path):
            (self.path / _JOBS).mkdir(parents=True, exist_ok=True)
        if not self.hold():
            raise UsageError(
                f"another process is at work at this sweep: {self.path}",
                hint="let workers ask one after another",
            )

    @property
    def sweep(self) -> str:
        """The sweep's id: the folder is called as it suits the CI."""
        return self.read_record().sweep

    @property
    def has_begun(self) -> bool:
        """Whether the sweep is there."""
        return (self.path / SWEEP_FILE).exists()

    def build(self) -> Build:
        """The build that is at work here; it begins with this call where there is none."""
        place = self.path / _BUILD_FILE
        # Not handed from build to build: minutes and failures are counted anew in each.
        if not place.exists():
            begun = Build(began_utc=now_utc(), first=len(self.read_trials()))
            write_atomic(place, to_json(begun))
        return from_json(place.read_bytes(), Build, str(place))

    def jobs(self) -> Iterator[Job]:
        """What all workers carry out."""
        for place in sorted((self.path / _JOBS).glob("*.json")):
            if not place.name.endswith(_PLAN):
                yield from_json(place.read_bytes(), Job, str(place))

    def job_of(self, worker: str) -> Job | None:
        """What this worker carries out."""
        for job in self.jobs():
            if job.worker == worker:
                return job
        return None

    def plan_of(self, job: Job) -> Plan:
        """The plan of what a worker carries out."""
        return read_plan(self._plan_place(job.worker))

    def give(self, job: Job, plan: Plan) -> None:
        """Write down what a worker carries out from now on."""
        write_atomic(self._plan_place(job.worker), to_json(plan))
        # The second of the two: a job without its plan could not be carried out.
        write_atomic(self.path / _JOBS / f"{job.worker}.json", to_json(job))

    def take_back(self, job: Job) -> None:
        """Note that the worker carries out nothing any more."""
        (self.path / _JOBS / f"{job.worker}.json").unlink()
        self._plan_place(job.worker).unlink()

    def unkept(self) -> frozenset[str]:
        """Keys of steps whose results are never kept, so that nobody need wait for them."""
        try:
            return frozenset((self.path / _UNKEPT_FILE).read_text("ascii").split())
        except FileNotFoundError:
            return frozenset()

    def add_unkept(self, keys: Collection[str]) -> None:
        """Note such keys."""
        known = self.unkept()
        # Mostly there are none, and the file need not travel.
        if not known.issuperset(keys):
            write_atomic(self.path / _UNKEPT_FILE, "\n".join(sorted(known | {*keys})) + "\n")

    def writers(self) -> dict[str, int]:
        """The first trial that wrote each file which its step does not declare, by path."""
        try:
            found: dict[str, int] = json.loads((self.path / _WRITERS_FILE).read_bytes())
        except FileNotFoundError:
            return {}
        return found

    def add_writers(self, paths: Collection[str], trial: int) -> None:
        """Note what a trial wrote so."""
        known = self.writers()
        if not known.keys() >= {*paths}:
            found = {**dict.fromkeys(paths, trial), **known}
            write_atomic(self.path / _WRITERS_FILE, json.dumps(found))

    def clear_best(self) -> None:
        """Forget the results of the trial that was the best."""
        # All of it travels with each call: of trials that are no longer the best, nothing does.
        shutil.rmtree(self.best, ignore_errors=True)

    def files(self) -> dict[str, str]:
        """What the next build needs to go on with the sweep, by the names of the files."""
        found = {}
        for name in (SWEEP_FILE, TRIALS_FILE, STUDY_FILE):
            place = self.path / name
            if place.exists():
                found[name] = place.read_text("utf-8")
        return found

    def put_back(self, files: dict[str, str]) -> None:
        """Write the files of an earlier build."""
        for name in (SWEEP_FILE, TRIALS_FILE, STUDY_FILE):
            if name in files:
                write_atomic(self.path / name, files[name])

    def _plan_place(self, worker: str) -> Path:
        return self.path / _JOBS / f"{worker}{_PLAN}"


def checked_worker(name: str) -> str:
    """The name of a worker, which names files; UsageError where it is no word."""
    if not name or not _WORD.issuperset(name):
        raise UsageError(f"{name!r} is no name of a worker: letters, digits, - and _")
    return name


def missing_sweep(folder: PartsFolder) -> IntegrityError:
    """The error where there is no sweep in the folder."""
    return IntegrityError(
        "there is no sweep", where=Location(str(folder.path)), hint="nbci sweep next begins one"
    )
