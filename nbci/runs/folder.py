"""The folder of a run: `.nbci/runs/ID/` and what lies in it."""

from __future__ import annotations

import contextlib
import json
import os
import time
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.dot_nbci import NBCI_FOLDER
from nbci.errors import InfrastructureError, IntegrityError, Location, UsageError, nearest
from nbci.pipeline.paths import is_outside, leaves_project
from nbci.plan.model import FORMAT, Plan
from nbci.records.codec import from_json, to_json, to_json_line
from nbci.records.journal import replayed
from nbci.records.run_record import FORMAT as RECORD_FORMAT
from nbci.records.run_record import Attempt, Failure, RunRecord, StepRecord
from nbci.runs.reused import ReusedSteps
from nbci.runs.run_file import RUN_FILE, SEAL, content_digest, new_run_id, seal_text, utc_text
from nbci.runs.seal import check_signature, sign
from nbci.store.files import disk_errors, try_lock, write_atomic
from nbci.store.safe_paths import checked_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nbci.config import Project
    from nbci.records.journal import ExecutedNotebook

NOTEBOOK = "notebook.ipynb"
JOURNAL = "outputs.jsonl"
SIGNATURE = "seal.sig"
DISPLACED = "displaced"
"""What stood where a step was to write and no run had made; it is kept nowhere else."""
REUSED = "reused.jsonl"
_LOCK = ".lock"
# Enough for the records of some hundred steps; what ends a run often is a full disk.
_RESERVE_BYTES = 256 << 10


class RunFolder:
    """The folder of one run.

    A store, which carries a run from machine to machine step by step, has the same form.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        # A descriptor: the kernel releases the lock when the process dies, however it dies.
        self._lock: int | None = None
        self.reused = ReusedSteps(path / REUSED)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.path / "report"

    def step(self, name: str) -> Path:
        """The folder of a step."""
        if is_outside(name):
            raise IntegrityError(f"{name!r} is no name of a step", where=Location(str(self.path)))
        return self.path / "steps" / name

    def beside(self, run: str) -> RunFolder:
        """Another run of the same project, as a record names it."""
        return RunFolder(self.path.parent / checked_run(run))

    def hold(self) -> bool:
        """Mark the run as going on, until `release` or the end of this process.

        False when another process holds it.
        """
        self._lock = try_lock(self.path / _LOCK)
        return self._lock is not None

    def release(self) -> None:
        """Mark the run as ended."""
        self.reused.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def is_going_on(self) -> bool:
        """Whether some process holds the run at this moment."""
        if self._lock is not None:
            return True
        if not (self.path / _LOCK).exists():
            return False
        try:
            descriptor = try_lock(self.path / _LOCK)
        # In a read-only copy of a run folder no lock can be taken, so nobody holds it.
        except Exception:  # noqa: BLE001 - whatever the reason is
            return False
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def make_reserve(self) -> None:
        """Take up room that the record gets where the disk is full by then."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # Random bytes, since file systems such as Btrfs and ZFS compress or skip zeros.
            (self.path / ".reserve").write_bytes(os.urandom(_RESERVE_BYTES))

    def free_reserve(self) -> None:
        """Give back the space kept so that the record can be written when the disk is full."""
        with contextlib.suppress(OSError):
            (self.path / ".reserve").unlink(missing_ok=True)

    def write_plan(self, plan: Plan) -> None:
        """Keep the plan that this run carries out."""
        write_atomic(self.path / "plan.json", to_json_line(plan))

    def read_plan(self) -> Plan:
        """The plan that this run carries out."""
        return _decoded_plan(self.made_by(self.read_header()).path / "plan.json")

    def write_run(self, record: RunRecord) -> None:
        """Write `run.json`: the record without its steps, each of which has a file of its own.

        When the run has ended, its records are sealed, so that later changes by hand show.
        """
        write_atomic(self.path / RUN_FILE, to_json(replace(record, steps=())))
        if record.result != "running":
            self._seal(record)

    def _seal(self, record: RunRecord) -> None:
        names = [RUN_FILE, "plan.json", REUSED]
        # Of a thousand steps that were reused none has a folder: asking once is quicker than
        # looking for a thousand files.
        with_folders = self._folders_of_steps()
        own = (step.name for step in record.steps if step.name.partition("/")[0] in with_folders)
        names += map(_record_path, own)
        digests = {name: _digest(f"{self.path}/{name}") for name in names}
        sealed = {name: digest for name, digest in digests.items() if digest is not None}
        # Only what is there: a step that never began has no record, and reuse has its own file.
        text = seal_text(sealed)
        write_atomic(self.path / SEAL, text)
        (self.path / SIGNATURE).unlink(missing_ok=True)
        signature = sign(content_digest(text.encode()), os.environ)
        if signature is not None:
            write_atomic(self.path / SIGNATURE, signature)

    def _folders_of_steps(self) -> frozenset[str]:
        """The first part of the names of all steps that have a folder."""
        try:
            return frozenset(os.listdir(f"{self.path}/steps"))
        except FileNotFoundError:
            return frozenset()

    def check_seal(self, signers: Path | None = None) -> str:
        """The digest of the seal; IntegrityError names the record that was altered.

        Where there are `signers`, one of them must have signed it.
        """
        where = Location(str(self.path / SEAL))
        try:
            text = (self.path / SEAL).read_bytes()
            sealed = dict(json.loads(text))
        except (OSError, ValueError, TypeError) as error:
            raise IntegrityError(
                "the run's records carry no seal", where=where, hint="run again"
            ) from error
        for name, digest in sealed.items():
            self._refuse_altered(self.path / name, digest)
        # A run with nothing to do has a header only: its steps are those of the run it names.
        made = self.made_by(self.read_header())
        if made is not self:
            self._check_signature(text, signers)
            return made.check_seal(signers)
        records = (_record_path(step.name) for step in self.read_plan().steps)
        for name in (REUSED, *records):
            if name not in sealed and (self.path / name).exists():
                raise _no_evidence("the record was added after the run", self.path / name)
        self._check_signature(text, signers)
        return content_digest(text)

    @property
    def signature(self) -> str | None:
        """The signature of the seal of the run whose results these are; None where it has none."""
        return self.made_by(self.read_header())._own_signature  # noqa: SLF001 - of the same class

    @property
    def _own_signature(self) -> str | None:
        try:
            return (self.path / SIGNATURE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return None

    def _check_signature(self, seal: bytes, signers: Path | None) -> None:
        if signers is not None:
            check_signature(content_digest(seal), self._own_signature, signers)

    def _refuse_altered(self, place: Path, sealed: str) -> None:
        digest = _digest(place)
        if digest is None:
            raise _no_evidence("the record has gone", place)
        if digest != sealed:
            raise _no_evidence("the record was changed after the run", place)

    @property
    def has_begun(self) -> bool:
        """Whether any step has a record."""
        return (self.path / "steps").exists() or (self.path / REUSED).exists()

    def write_step(self, record: StepRecord) -> None:
        """Write a step's record."""
        write_atomic(self.path / _record_path(record.name), to_json_line(record))

    def add_reused(self, record: StepRecord, made: bytes) -> None:
        """Keep the record of a step that was taken over, until the next `write_reused`.

        `made` is the text of the record that it was taken from.
        """
        # A resumed run may have tried the step before; a record in a file of its own goes first.
        if (self.path / _record_path(record.name)).exists():
            self.write_step(record)
        else:
            self.reused.add(record, made)

    def write_reused(self) -> None:
        """Write the records of all steps that have been taken over by now."""
        self.reused.flush()

    def read_step(self, name: str) -> StepRecord | None:
        """A step's record; None when it never began."""
        # As text and with `open`: this is done for each of a thousand steps.
        path = f"{self.path}/{_record_path(name)}"
        try:
            with open(path, "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return self.reused.get(name)
        return from_json(text, StepRecord, path)

    def record_files(self) -> Iterator[Path]:
        """The files that hold the records of the run and of its steps."""
        for path in (self.path / RUN_FILE, self.path / REUSED):
            if path.exists():
                yield path
        yield from (self.path / "steps").rglob("record.json")

    def step_records(self) -> Iterator[StepRecord]:
        """The records of its steps that can be read, whatever its plan."""
        with contextlib.suppress(OSError, IntegrityError):
            yield from self.reused.records()
        for path in sorted((self.path / "steps").rglob("record.json")):
            with contextlib.suppress(OSError, IntegrityError):
                yield from_json(path.read_bytes(), StepRecord, str(path))

    def write_executed(self, name: str, notebook: Mapping[str, Any]) -> None:
        """Write a step's executed notebook, and remove the journal that it was made of."""
        # Laid out as nbformat does, so that people can compare it with the notebook in git.
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        # Lone surrogates, which no encoding has, become JSON escapes.
        write_atomic(self.step(name) / NOTEBOOK, text.encode("utf-8", "backslashreplace"))
        with contextlib.suppress(OSError):
            (self.step(name) / JOURNAL).unlink(missing_ok=True)

    def read_executed(self, name: str) -> dict[str, Any] | None:
        """The executed notebook of a step as far as it came; None without one, or a damaged one."""
        # Of reused steps there is no folder, and looking for two files in each takes time.
        if not os.path.isdir(f"{self.path}/steps/{name}"):
            return None
        try:
            return executed_notebook((self.step(name) / NOTEBOOK).read_bytes())
        except FileNotFoundError:
            journaled = self._read_journal(name)
        if journaled is None:
            return None
        return journaled.notebook

    def executed(self, plan: Plan) -> dict[str, dict[str, Any]]:
        """The executed notebooks that lie here, by their steps."""
        found = {}
        for step in plan.steps:
            notebook = self.read_executed(step.name)
            if notebook is not None:
                found[step.name] = notebook
        return found

    def settle_killed(self, record: StepRecord) -> StepRecord:
        """The record of a step during which nbci was killed, with that as an attempt.

        Its notebook is made of what was journaled. Only who holds the run may call this.
        """
        settled, journaled = self._interrupted(record)
        if settled is not record:
            self.write_step(settled)
        if journaled is not None:
            self.write_executed(record.name, journaled.notebook)
        return settled

    def settle(self) -> None:
        """Write down that the run was interrupted, if nbci was killed.

        Only who holds the run may call this.
        """
        # The record says "running" until the end; who holds the lock knows that it is not.
        header = self.read_header()
        if header.result != "running":
            return
        records = [self.read_step(step.name) for step in self.read_plan().steps]
        steps = tuple(self.settle_killed(record) for record in records if record is not None)
        self.write_run(replace(header, result="interrupted", steps=steps))

    def _interrupted(self, step: StepRecord) -> tuple[StepRecord, ExecutedNotebook | None]:
        """A step of a run whose engine was killed, with what was journaled of it.

        It had ended, was running, or never began.
        """
        if step.result == "skipped" and step.reason is None:
            return replace(step, reason="the run was interrupted before it"), None
        if step.result != "running":
            return step, None
        # No duration is known: nobody was there to measure it.
        failure = Failure(kind="interrupted", message="nbci was killed while the step ran")
        attempt = Attempt(
            number=len(step.attempts) + 1,
            result="failed",
            started_utc=step.started_utc or "",
            seconds=0.0,
            failure=failure,
        )
        journaled = self._read_journal(step.name)
        if journaled is not None:
            cell = journaled.cut_short()
            if cell is not None:
                failure = replace(failure, cell=cell.number, first_line=cell.first_line)
            cells = tuple(journaled.runs)
            attempt = replace(attempt, failure=failure, cells=cells, notebook=NOTEBOOK)
        return replace(step, result="failed", attempts=(*step.attempts, attempt)), journaled

    def _read_journal(self, name: str) -> ExecutedNotebook | None:
        try:
            with (self.step(name) / JOURNAL).open("rb") as lines:
                return replayed(lines)
        except FileNotFoundError:
            return None

    def read_header(self) -> RunRecord:
        """The run's record without its steps."""
        path = self.path / RUN_FILE
        text = path.read_bytes()
        _refuse_other_format(text, RECORD_FORMAT, "the record", path)
        return from_json(text, RunRecord, str(path))

    def made_by(self, header: RunRecord) -> RunFolder:
        """The run that has the plan and the steps: this one, unless it is all reuse of another."""
        if header.same_as is None:
            return self
        return self.beside(header.same_as)

    def read(self) -> RunRecord:
        """The record of the run, whatever its end: of a killed one, what it had done until then."""
        record = self.read_header()
        if record.same_as is not None:
            made = self.made_by(record).read()
            reused = (_as_reused(step, made.run) for step in made.steps)
            return replace(record, steps=tuple(reused))
        steps = [
            self.read_step(step.name) or StepRecord(name=step.name, result="skipped")
            for step in self.read_plan().steps
        ]
        if record.result == "interrupted" or (record.result == "running" and not self.is_going_on):
            record = replace(record, result="interrupted")
            steps = [self._interrupted(step)[0] for step in steps]
        return replace(record, steps=tuple(steps))


def executed_notebook(text: bytes) -> dict[str, Any] | None:
    """The notebook that a step left; None where the file was damaged."""
    try:
        document = json.loads(text)
        cells = document["cells"]
        is_notebook = isinstance(document, dict) and isinstance(cells, list)
        is_notebook = is_notebook and all(map(_is_executed_cell, cells))
    # json gives up on documents that nest too deep with a RecursionError.
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    if not is_notebook:
        return None
    return dict(document)


def _is_executed_cell(cell: Any) -> bool:
    if not isinstance(cell, dict) or not isinstance(cell["metadata"], dict):
        return False
    return cell["cell_type"] != "code" or isinstance(cell["outputs"], list)


def _record_path(step: str) -> str:
    """Where a step's record lies in the run's folder."""
    return f"steps/{step}/record.json"


def _digest(path: Path | str) -> str | None:
    """The digest of a file, None where there is none."""
    try:
        with open(path, "rb") as file:
            return content_digest(file.read())
    except (FileNotFoundError, NotADirectoryError):
        return None


def _no_evidence(message: str, place: Path) -> IntegrityError:
    return IntegrityError(
        message, where=Location(str(place)), hint="what it says is no evidence any more: run again"
    )


def _as_reused(step: StepRecord, run: str) -> StepRecord:
    """A step of a run with nothing to do: what it was in the run whose results stand."""
    if step.result == "skipped":
        return step
    return replace(
        step, result="reused", run=step.run or run, reason="nothing that it depends on has changed"
    )


def now_utc() -> str:
    """The time, as records have it."""
    return utc_text(time.time())


def user_name() -> str | None:
    """Who is at work here, as records have it; a container's user may have no name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return None


def new_run(project: Project) -> RunFolder:
    """Make the folder of a new run, held by this process; ids sort by time."""
    while True:
        path = project.runs_folder / new_run_id(time.time())
        with disk_errors(path):
            project.runs_folder.mkdir(parents=True, exist_ok=True)
            ignore = project.root / NBCI_FOLDER / ".gitignore"
            # Who runs a notebook in any repository should not have to know of `.nbci`.
            if not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
            # Two runs may begin in one moment: the second takes another id.
            try:
                path.mkdir()
            except FileExistsError:
                continue
        folder = RunFolder(path)
        folder.hold()
        folder.make_reserve()
        return folder


def all_runs(project: Project) -> Iterator[RunFolder]:
    """The runs of the project, the newest first."""
    try:
        with os.scandir(project.runs_folder) as entries:
            names = sorted((entry.name for entry in entries if entry.is_dir()), reverse=True)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise InfrastructureError(
            f"cannot be read: {error.strerror}", where=Location(str(project.runs_folder))
        ) from error
    for name in names:
        # A run that was killed before its first record is none.
        if (project.runs_folder / name / "run.json").exists():
            yield RunFolder(project.runs_folder / name)


def find_run(project: Project, run: str) -> RunFolder:
    """The run of that id, of that unique beginning of an id, or the newest one for `latest`."""
    runs = list(all_runs(project))
    if run == "latest" and runs:
        return runs[0]
    # A whole id wins over a longer one that begins with it.
    matches = [folder for folder in runs if folder.run == run]
    if not matches:
        matches = [folder for folder in runs if folder.run.startswith(run)]
    if len(matches) == 1:
        return matches[0]
    where = Location(project.runs_folder.relative_to(project.root).as_posix())
    if matches:
        raise UsageError(
            f"{run!r} is the beginning of {len(matches)} runs", hint=_listed(matches), where=where
        )
    close = nearest(run, [folder.run for folder in runs])
    hint = _listed(runs)
    if close:
        hint = f"did you mean {close}?"
    elif not runs:
        hint = "start the first with: nbci run TARGET"
    raise UsageError(f"there is no run {run!r}", hint=hint, where=where)


def _listed(runs: list[RunFolder]) -> str:
    return f"runs: {', '.join(folder.run for folder in runs[:5])}"


def read_plan(path: Path) -> Plan:
    """Read a plan that came from elsewhere, to be carried out.

    UsageError for one in another format; IntegrityError when a step would write where none may.
    """
    plan = _decoded_plan(path)
    _refuse_other_places(plan, path)
    return plan


def _decoded_plan(path: Path) -> Plan:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        raise UsageError(
            "there is no such plan",
            where=Location(str(path)),
            hint="make one: nbci plan TARGET --out FILE",
        ) from None
    _refuse_other_format(text, FORMAT, "the plan", path)
    return from_json(text, Plan, str(path))


def _refuse_other_places(plan: Plan, path: Path) -> None:
    """IntegrityError for a plan that reads or writes outside the project.

    Nor may it write into what git, DVC and nbci have there.
    """
    # A plan comes from another machine, and carrying it out writes files.
    for step in plan.steps:
        read = [step.name, step.notebook]
        if step.cwd != ".":
            read.append(step.cwd)
        written = (*step.outs, *step.metrics)
        wrong = [*filter(is_outside, read), *filter(leaves_project, written)]
        if wrong:
            raise IntegrityError(
                f"step {step.name!r} names {wrong[0]!r}, which is no place inside the project",
                where=Location(str(path)),
                hint="the plan was altered, or an older nbci made it: make it again",
            )
    for place in plan.imports or {}:
        if leaves_project(place):
            raise IntegrityError(
                f"it would write {place!r}, outside the project", where=Location(str(path))
            )


def _refuse_other_format(text: bytes, known: int, what: str, path: Path) -> None:
    try:
        version = json.loads(text)["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise IntegrityError(
            f"{what} is none that nbci wrote", where=Location(str(path))
        ) from error
    if version != known:
        raise UsageError(
            f"{what} has format {version}, this nbci reads {known}",
            hint="use the same version of nbci everywhere",
            where=Location(str(path)),
        )
