"""The folder of a run: `.nbci/runs/ID/` and what lies in it."""

from __future__ import annotations

import contextlib
import json
import os
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import IntegrityError, Location
from nbci.pipeline.paths import is_outside
from nbci.records.codec import from_json, refuse_other_format, to_json, to_json_line
from nbci.records.journal import replay
from nbci.records.run_record import FORMAT, RunRecord, StepRecord
from nbci.runs.file_names import (
    JOURNAL,
    LOCK_FILE,
    NOTEBOOK,
    PLAN_FILE,
    PROOF_FILE,
    RECORD_FILE,
    REPORT_FOLDER,
    RESERVE_FILE,
    REUSED_FILE,
    RUN_FILE,
    STEPS_FOLDER,
)
from nbci.runs.interrupted import interrupted_step
from nbci.runs.plan_file import read_own_plan
from nbci.runs.reused import ReusedSteps
from nbci.runs.seal import read_seal, read_signature, write_seal
from nbci.store.files import disk_errors, remove, try_lock, write_atomic
from nbci.store.safe_paths import checked_run

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from nbci.plan.model import Plan
    from nbci.records.journal import ExecutedNotebook

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
        self.reused = ReusedSteps(path / REUSED_FILE)

    @property
    def run(self) -> str:
        """The run's id."""
        return self.path.name

    @property
    def report(self) -> Path:
        """The folder of the report."""
        return self.path / REPORT_FOLDER

    def step(self, name: str) -> Path:
        """The folder of a step."""
        if is_outside(name):
            raise IntegrityError(f"{name!r} is no name of a step", where=Location(str(self.path)))
        return self.path / STEPS_FOLDER / name

    def beside(self, run: str) -> RunFolder:
        """Another run of the same project, as a record names it."""
        return RunFolder(self.path.parent / checked_run(run))

    def hold(self) -> bool:
        """Mark the run as going on, until `release` or the end of this process.

        False when another process holds it.
        """
        self._lock = try_lock(self.path / LOCK_FILE)
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
        if not (self.path / LOCK_FILE).exists():
            return False
        try:
            descriptor = try_lock(self.path / LOCK_FILE)
        # In a read-only copy of a run folder no lock can be taken, so nobody holds it.
        except Exception:  # noqa: BLE001 - whatever the reason is
            return False
        if descriptor is None:
            return True
        os.close(descriptor)
        return False

    def make_reserve(self) -> None:
        """Reserve disk space, which the record gets when the disk is full at the end."""
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            # Random bytes, since file systems such as Btrfs and ZFS compress or skip zeros.
            (self.path / RESERVE_FILE).write_bytes(os.urandom(_RESERVE_BYTES))

    def free_reserve(self) -> None:
        """Free the reserved space before the record is written."""
        with contextlib.suppress(OSError):
            (self.path / RESERVE_FILE).unlink(missing_ok=True)

    def discard(self) -> None:
        """Remove the folder of a run that came to nothing."""
        remove(self.path)

    def write_plan(self, plan: Plan) -> None:
        """Keep the plan that this run carries out."""
        write_atomic(self.path / PLAN_FILE, to_json_line(plan))

    def read_plan(self) -> Plan:
        """The plan that this run carries out."""
        return read_own_plan(self.made_by(self.read_header()).path / PLAN_FILE)

    def write_run(self, record: RunRecord) -> None:
        """Write `run.json`: the record without its steps, each of which has a file of its own.

        When the run has ended, its records are sealed, so that later changes by hand show.
        """
        write_atomic(self.path / RUN_FILE, to_json(replace(record, steps=())))
        if record.result != "running":
            write_seal(self.path, self._names_to_seal(record))

    def _names_to_seal(self, record: RunRecord) -> Iterator[str]:
        """The files that hold the records of the run; some of them may not be there."""
        yield from (RUN_FILE, PLAN_FILE, REUSED_FILE, PROOF_FILE)
        # Of a thousand steps that were reused none has a folder: asking once is quicker than
        # looking for a thousand files.
        with_folders = self._folders_of_steps()
        for step in record.steps:
            first, _, _ = step.name.partition("/")
            if first in with_folders:
                yield _record_path(step.name)

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
        seal = read_seal(self.path)
        seal.refuse_altered()
        # A run with nothing to do has a header only: its steps are those of the run it names.
        made = self.made_by(self.read_header())
        if made is self:
            steps = self.read_plan().steps
            seal.refuse_added([REUSED_FILE, *(_record_path(step.name) for step in steps)])
        seal.require_signer(signers)
        if made is not self:
            return made.check_seal(signers)
        return seal.digest

    @property
    def results_digest(self) -> str:
        """What stands for the results of its steps, as they were sealed."""
        return read_seal(self.made_by(self.read_header()).path).results_digest

    @property
    def signature(self) -> str | None:
        """The signature of the seal of the run whose results these are; None where it has none."""
        return read_signature(self.made_by(self.read_header()).path)

    @property
    def has_begun(self) -> bool:
        """Whether any step has a record."""
        return (self.path / STEPS_FOLDER).exists() or (self.path / REUSED_FILE).exists()

    def write_step(self, record: StepRecord) -> None:
        """Write a step's record."""
        write_atomic(self.path / _record_path(record.name), to_json_line(record))

    def add_reused(self, record: StepRecord, original: bytes) -> None:
        """Keep the record of a step that was taken over, until the next `write_reused`.

        `original` is the text of the record that it was taken from.
        """
        # A resumed run may have tried the step before; a record in a file of its own goes first.
        if (self.path / _record_path(record.name)).exists():
            self.write_step(record)
        else:
            self.reused.add(record, original)

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
        for path in (self.path / RUN_FILE, self.path / REUSED_FILE):
            if path.exists():
                yield path
        yield from (self.path / STEPS_FOLDER).rglob(RECORD_FILE)

    def step_records(self) -> Iterator[StepRecord]:
        """The records of its steps that can be read, whatever its plan."""
        with contextlib.suppress(OSError, IntegrityError):
            yield from self.reused.records()
        for path in sorted((self.path / STEPS_FOLDER).rglob(RECORD_FILE)):
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
            return parse_executed((self.step(name) / NOTEBOOK).read_bytes())
        except FileNotFoundError:
            journaled = self._read_journal(name)
        if journaled is None:
            return None
        return journaled.notebook

    def executed_notebooks(self, plan: Plan) -> dict[str, dict[str, Any]]:
        """The executed notebooks in this folder, by step."""
        notebooks = {}
        for step in plan.steps:
            notebook = self.read_executed(step.name)
            if notebook is not None:
                notebooks[step.name] = notebook
        return notebooks

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
        steps = []
        for step in self.read_plan().steps:
            record = self.read_step(step.name)
            if record is not None:
                steps.append(self.settle_killed(record))
        self.write_run(replace(header, result="interrupted", steps=tuple(steps)))

    def _interrupted(self, step: StepRecord) -> tuple[StepRecord, ExecutedNotebook | None]:
        """A step of a run whose engine was killed, with what was journaled of it."""
        journaled = None
        if step.result == "running":
            journaled = self._read_journal(step.name)
        return interrupted_step(step, journaled, NOTEBOOK), journaled

    def _read_journal(self, name: str) -> ExecutedNotebook | None:
        try:
            with (self.step(name) / JOURNAL).open("rb") as lines:
                return replay(lines)
        except FileNotFoundError:
            return None

    def read_header(self) -> RunRecord:
        """The run's record without its steps."""
        path = self.path / RUN_FILE
        text = path.read_bytes()
        refuse_other_format(text, FORMAT, "the record", path)
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
            reused = [_as_reused(step, made.run) for step in made.steps]
            return replace(record, steps=tuple(reused))

        # A killed engine could not write that the run has ended.
        if record.result == "running" and not self.is_going_on:
            record = replace(record, result="interrupted")
        steps = []
        for planned in self.read_plan().steps:
            name = planned.name
            step = self.read_step(name) or StepRecord(name=name, result="skipped")
            if record.result == "interrupted":
                step, _ = self._interrupted(step)
            steps.append(step)
        return replace(record, steps=tuple(steps))


def parse_executed(text: bytes) -> dict[str, Any] | None:
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
    return f"{STEPS_FOLDER}/{step}/{RECORD_FILE}"


def _as_reused(step: StepRecord, run: str) -> StepRecord:
    """The record of a step in a run that reuses all of `run`, where the step is `step`."""
    if step.result == "skipped":
        return step
    return replace(
        step,
        result="reused",
        run=step.run or run,
        reason="nothing that it depends on has changed",
        audit=None,
    )
