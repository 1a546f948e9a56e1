"""The folder that carries a sweep between agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from nbci.app.sweeps.known_results import other_value
from nbci.app.sweeps.parts_folder import Job, PartsFolder, checked_worker
from nbci.app.sweeps.take_back import Taking
from nbci.cli.sweep_text import outcome_line
from nbci.errors import UsageError
from nbci.pipeline.search_space import Choices, Range
from nbci.plan.model import Plan
from nbci.records.run_record import Part, RunRecord, StepRecord
from nbci.sweeps.study_record import Objective
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> PartsFolder:
    found = PartsFolder(tmp_path / "sweep")
    found.open()
    found.write_record(sweep())
    return found


def test_a_worker_has_one_job_until_it_tells(folder: PartsFolder) -> None:
    plan = Plan(pipeline="p", target="p.yaml", steps=())
    first, second = Job(worker="1", trial=0, shared=True), Job(worker="b-2", trial=1)
    folder.give(first, plan)
    folder.give(second, plan)
    assert (list(folder.jobs()), folder.plan_of(second)) == ([first, second], plan)
    folder.give(replace(first, shared=False), plan)
    assert folder.job_of("1") == Job(worker="1", trial=0)
    folder.take_back(second)
    assert (folder.job_of("b-2"), len(list(folder.jobs()))) == (None, 1)


def test_only_one_process_works_at_it(folder: PartsFolder) -> None:
    with pytest.raises(UsageError, match="another process is at work"):
        PartsFolder(folder.path).open()
    folder.release()
    PartsFolder(folder.path).open()


def test_what_the_next_build_needs_is_its_record_and_no_job(folder: PartsFolder) -> None:
    folder.add_trial(trial(0, 0.5))
    folder.build()
    again = PartsFolder(folder.path.parent / "again")
    again.open()
    again.put_back(folder.files())
    assert (again.read_record(), again.read_trials()) == (sweep(), folder.read_trials())
    assert again.sweep == sweep().sweep
    # Failures of the build before say nothing of this one.
    assert (folder.build().first, again.build().first) == (1, 1)


def test_keys_that_are_never_kept_add_up(folder: PartsFolder) -> None:
    assert folder.unkept() == frozenset()
    folder.add_unkept(["a"])
    folder.add_unkept(["b", "a"])
    folder.add_unkept([])
    assert folder.unkept() == {"a", "b"}


@pytest.mark.parametrize("name", ["", "../1", "a b", "1/2", "ä"])
def test_a_worker_is_named_by_a_word(name: str) -> None:
    with pytest.raises(UsageError, match="no name of a worker"):
        checked_worker(name)


def test_another_value_of_a_dimension() -> None:
    space = (Range(name="x", low=1, high=5), Choices(name="k", values=("a", "b")))
    one = Choices(name="one", values=(1,))
    record = sweep(space=(*space, one))
    assert [other_value(record, "x", value) for value in (1, 3, 5)] == [5, 1, 1]
    assert (other_value(record, "k", "a"), other_value(record, "one", 1)) == ("b", 1)


def test_a_file_by_which_one_trial_reaches_another_is_named(folder: PartsFolder) -> None:
    nothing: Any = None
    taking = Taking(nothing, folder, nothing, nothing)
    taking._note_files(0, _run(read=("note.txt",), written=("note.txt", "own.txt")))
    assert taking.warnings == []
    taking._note_files(1, _run(read=("note.txt", "data.csv"), written=("note.txt",)))
    (warning,) = taking.warnings
    assert warning.startswith("step fit of trial 1 read note.txt, which trial 0 wrote and does not")
    assert folder.writers() == {"note.txt": 0, "own.txt": 0}
    taking._note_files(2, _run(read=("note.txt",), written=(), result="reused"))
    assert len(taking.warnings) == 1


def _run(*, read: tuple[str, ...], written: tuple[str, ...], result: str = "passed") -> RunRecord:
    parts = [Part(kind="file", label=path, digest="d") for path in read]
    parts += [Part(kind="written", label=path, digest="") for path in written]
    step = StepRecord(name="fit", result=cast("Any", result), observed=tuple(parts))
    return RunRecord(
        run="r", pipeline="p", target="p.yaml", result="passed", nbci="0", steps=(step,)
    )


def test_the_line_for_a_list_of_builds() -> None:
    several = sweep(objectives=(_objective("a"), _objective("b")))
    assert outcome_line(sweep(), [trial(0, None)]).startswith("no trial has a value; 1 trial, ")
    assert outcome_line(sweep(), [trial(0, 2.0), trial(1, 1.0)]).startswith("best: trial 1, ")
    two = [replace(trial(0, 1.0), values=(1.0, 2.0)), replace(trial(1, 1.0), values=(2.0, 1.0))]
    assert outcome_line(several, two).startswith("none better in all than trials 0, 1; 2 trials")


def _objective(metric: str) -> Objective:
    return Objective(metric=metric, direction="minimize")
