"""Where a study lies: in a journal beside the sweep's record, or in a database that many reach."""

from __future__ import annotations

import contextlib
import json
import os
import re
import time
import urllib.parse
from typing import TYPE_CHECKING, Any, Protocol

from nbci.app.sweeps.claims import Claims
from nbci.app.sweeps.study import Study, check_optuna
from nbci.app.sweeps.trials import Trials
from nbci.config import SWEEP_STORAGE
from nbci.errors import InfrastructureError, IntegrityError, Location, UsageError
from nbci.secrets import Mask

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from nbci.app.sweeps.sweep_folder import SweepFolder
    from nbci.config import Project
    from nbci.errors import NbciError
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

GRACE = "NBCI_SWEEP_GRACE"
_GRACE_SECONDS = 60
_TURN_SECONDS = 20.0
"""So long a process that begins a trial may be silent before it counts as dead."""
_POLL_SECONDS = 0.02
_OPENED_AT_ONCE = 5
_PASSWORD = re.compile(r"(?<=:)[^:@/]+(?=@)")
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "mysql": "mysql+pymysql",
}
_GO_ON = "then go on: nbci sweep resume"


class Back(Protocol):
    """A place for studies. `is_shared`: other processes may be at work at the same study.

    `beat_seconds` is how often a trial that goes on says so; None where nobody asks. `step_claims`
    say on which machine a step runs, once the place is open. `grace_seconds` is how long a trial
    may be silent before it counts as dead.
    """

    is_shared: bool
    beat_seconds: float | None
    grace_seconds: int
    step_claims: Claims | None

    def open(self) -> Any:
        """Optuna's storage."""

    def alone(self, study: str) -> AbstractContextManager[None]:
        """Let no other process begin a trial of the study meanwhile."""

    def close(self) -> None:
        """End what is open of it."""

    def explain(self, error: Exception) -> NbciError | None:
        """An error of the storage as people understand it; None for others."""


class JournalBack:
    """A file in the folder of a sweep, which one process at a time holds."""

    is_shared = False
    beat_seconds: float | None = None
    grace_seconds = 0
    step_claims: Claims | None = None

    def __init__(self, path: Path) -> None:
        self._path = path

    def open(self) -> Any:
        """Optuna's storage."""
        from optuna.storages import JournalStorage

        try:
            # Not derived from Optuna's class, which would have to be imported to show a sweep.
            journal: Any = Journal(self._path)
            return JournalStorage(journal)
        # What a journal of operations is, Optuna takes for granted.
        except (ValueError, LookupError, TypeError, AssertionError) as error:
            raise IntegrityError(
                f"this is no journal of Optuna's, or one that was damaged: {error!r}",
                where=Location(str(self._path)),
                hint="remove it: `nbci sweep resume` makes it anew of trials.jsonl",
            ) from error

    def alone(self, study: str) -> AbstractContextManager[None]:
        """Nothing to wait for: the folder is held."""
        return contextlib.nullcontext()

    def close(self) -> None:
        """Nothing is open: Optuna opens the file for each line."""

    def explain(self, error: Exception) -> NbciError | None:
        """Errors of the disk, and of a file that is no journal."""
        if isinstance(error, OSError):
            return InfrastructureError(
                f"the study cannot be read or written: {error}",
                hint=f"free space or make the folder writable, {_GO_ON}",
            )
        return None


class Journal:
    """Optuna's journal of a study, without a wait for the disk at each line.

    A trial has a line for its beginning, for each parameter and for its end, and Optuna's own
    backend waits for the disk at each. Nothing else of a run does. What the disk loses when a
    machine stops is in the sweep's own record, by which the study is mended.
    """

    def __init__(self, path: Path) -> None:
        from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock

        self._path = path
        self._turn = JournalFileSymlinkLock(str(path))
        if path.exists():
            _drop_half_line(path)
        self._file = JournalFileBackend(str(path), self._turn)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """The lines from that one on, as Optuna reads them."""
        yield from self._file.read_logs(log_number_from)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Add the lines, while no other process does."""
        lines = [json.dumps(log, separators=(",", ":")) for log in logs]
        text = "".join(f"{line}\n" for line in lines).encode()
        self._turn.acquire()
        try:
            with open(self._path, "ab") as file:
                file.write(text)
        except OSError:
            # A full disk takes the beginning of a line.
            _drop_half_line(self._path)
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


class DatabaseBack:
    """A database of Optuna's; `shown` is its URL without the password."""

    is_shared = True

    def __init__(self, url: str, grace_seconds: int = _GRACE_SECONDS) -> None:
        scheme, separator, rest = url.partition("://")
        # A dialect without its driver means another one in each version of SQLAlchemy.
        self._url = f"{_DRIVERS.get(scheme, scheme)}{separator}{rest}"
        self._mask = Mask(_passwords(url))
        self.grace_seconds = grace_seconds
        self._claims: Claims | None = None
        self.step_claims: Claims | None = None
        self.shown = _PASSWORD.sub("***", self._mask.text(url))
        self.beat_seconds: float | None = max(1, grace_seconds // 4)

    def open(self) -> Any:
        """Optuna's storage."""
        from optuna.storages import RDBStorage
        from sqlalchemy.exc import IntegrityError as NotUniqueError
        from sqlalchemy.exc import OperationalError, ProgrammingError

        # Of several processes that find an empty database, one makes the tables.
        for trial in range(_OPENED_AT_ONCE):
            try:
                storage = RDBStorage(
                    self._url,
                    engine_kwargs=self._engine_settings(),
                    heartbeat_interval=int(self.beat_seconds or 1),
                    grace_period=self.grace_seconds,
                )
                self._claims = Claims(storage.engine, _TURN_SECONDS, self.explain)
                self.step_claims = Claims(storage.engine, self.grace_seconds, self.explain)
                return storage
            except (NotUniqueError, ProgrammingError, OperationalError) as error:
                # What they say depends on the database; others mean that it does not work.
                is_last = trial == _OPENED_AT_ONCE - 1
                if is_last or ("exist" not in str(error) and "unique" not in str(error).lower()):
                    raise
                time.sleep(0.2 * (trial + 1))
        return None

    def _engine_settings(self) -> dict[str, Any]:
        if self._url.startswith("sqlite"):
            return {"connect_args": {"timeout": min(30, self.grace_seconds)}}
        # A server that does not answer must not keep the sweep waiting for minutes.
        return {"pool_pre_ping": True, "connect_args": {"connect_timeout": 10}}

    @contextlib.contextmanager
    def alone(self, study: str) -> Iterator[None]:
        """Let no other process begin a trial of the study meanwhile."""
        assert self._claims is not None
        claim = self._claims.claim(f"study {study}"[-200:])
        while not claim.take():
            # A trial is begun in some milliseconds, so the event loop does not wait for long.
            time.sleep(_POLL_SECONDS)
        try:
            yield
        finally:
            claim.release()

    def close(self) -> None:
        """Close the connections."""
        if self._claims is not None:
            self._claims.engine.dispose()

    def explain(self, error: Exception) -> NbciError | None:
        """Errors of the server, of its driver, and of tables that another version made."""
        from optuna.exceptions import StorageInternalError
        from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

        where = Location(self.shown)
        if isinstance(error, ImportError):
            extra = "sweep-mysql" if self._url.startswith("mysql") else "sweep-postgresql"
            return UsageError(
                f"the driver of the database of sweeps is not installed: {error}",
                where=where,
                hint=f"pip install 'nbci[{extra}]'",
            )
        if isinstance(error, ArgumentError | NoSuchModuleError):
            return UsageError(
                "the storage of sweeps is no URL of a database",
                where=where,
                hint="write postgresql://USER@HOST/DATABASE, mysql://... or sqlite:///PATH",
            )
        if isinstance(error, SQLAlchemyError | StorageInternalError):
            cause = getattr(error, "orig", None) or error.__cause__ or error
            reason = " ".join(self._mask.text(str(cause)).split())
            return InfrastructureError(
                f"the database of the study does not do its work: {reason[:300]}",
                where=where,
                hint=f"see whether it runs, can be reached and has space, {_GO_ON}",
            )
        # So Optuna calls tables that are not its own version's.
        if type(error) is RuntimeError:
            return UsageError(
                f"the database of sweeps belongs to another version of Optuna: {error}",
                where=where,
                hint="use that version, another database, or `optuna storage upgrade`",
            )
        return None


def database_of(project: Project, environ: Mapping[str, str]) -> DatabaseBack | None:
    """The database in which the project's sweeps are shared; None where they are not."""
    url = project.shared_sweeps(environ)
    if url is None:
        return None
    grace = environ.get(GRACE) or str(_GRACE_SECONDS)
    if not grace.isdecimal() or int(grace) < 1:
        raise UsageError(f"{GRACE} is no number of seconds: {grace!r}")
    # A file of the project, whatever folder the command was called in.
    if url.startswith("sqlite:///") and not url.startswith("sqlite:////"):
        url = f"sqlite:///{os.path.join(project.root, url.removeprefix('sqlite:///'))}"
    return DatabaseBack(url, int(grace))


def open_study(
    project: Project, folder: SweepFolder, sweep: SweepRecord, known: Sequence[TrialRecord]
) -> Study:
    """The study of a sweep, in which none of its own trials seems to go on.

    `known` are the trials as this process found them.
    """
    study = Study(back_of(project, folder, sweep, os.environ), sweep, len(known))
    # Beside the record, the study may have been lost: a disk that was full, a database made anew.
    with study.alone():
        study.restore(known)
    # Samplers take a trial that seems to run for one whose value is still to come.
    study.settle(known)
    return study


def refresh(project: Project, folder: SweepFolder) -> None:
    """Write down what has become of the trials of other processes that share the sweep's study."""
    sweep = folder.read_record()
    if sweep.study is None:
        raise UsageError(
            f"sweep {sweep.sweep} shares its study with nobody",
            hint="without --refresh, all of it is shown",
        )
    check_optuna(sweep)
    known = folder.read_trials()
    study = Study(back_of(project, folder, sweep, os.environ), sweep, len(known))
    # Written down as by a sweep that goes on: its own trials are what it knows of them.
    Trials(sweep, folder, study, known).look_around()
    study.close()


def back_of(
    project: Project, folder: SweepFolder, sweep: SweepRecord, environ: Mapping[str, str]
) -> Back:
    """Where the study of a sweep lies; UsageError where nothing names its database."""
    if sweep.study is None:
        return JournalBack(folder.study)
    database = database_of(project, environ)
    if database is None:
        raise UsageError(
            f"sweep {sweep.sweep} has its study in a database, which nothing names here",
            hint=f"set {SWEEP_STORAGE}; it was {sweep.storage}",
        )
    return database


def _passwords(url: str) -> Iterator[str]:
    """What of a URL nobody should read."""
    try:
        parts = urllib.parse.urlsplit(url)
        password = parts.password
    except ValueError:
        return
    if password:
        yield urllib.parse.unquote(password)
    for name, value in urllib.parse.parse_qsl(parts.query):
        if "password" in name.lower():
            yield value
