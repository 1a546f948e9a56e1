"""Which runs are removed, and which are not."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.config import Project
from nbci.errors import UsageError
from nbci.plan.model import Plan
from nbci.records.run_record import RunRecord, StepRecord
from nbci.runs.clean_runs import (
    KnownRun,
    displaced_files,
    known_runs,
    never_begun,
    remove_runs,
    unneeded_runs,
)
from nbci.runs.project_runs import new_run
from nbci.store.files import try_lock

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.runs.folder import RunFolder

SOON = time.time() + 86_400  # a day after the tests began, which take less
"""Everything that a test makes is older than this."""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project without runs."""
    return Project(root=tmp_path / "project")


def make_run(
    project: Project, *steps: StepRecord, same_as: str | None = None, going_on: bool = False
) -> RunFolder:
    folder = new_run(project)
    folder.free_reserve()
    folder.write_plan(Plan(pipeline="p", target="n", steps=()))
    folder.write_run(
        RunRecord(
            run=folder.run, pipeline="p", target="n", result="passed", nbci="1", same_as=same_as
        )
    )
    for step in steps:
        folder.write_step(step)
    if not going_on:
        folder.release()
    return folder


@given(st.data())
def test_the_newest_runs_stay_and_what_they_name(data: st.DataObject) -> None:
    count = data.draw(st.integers(0, 12))
    runs = []
    for number in range(count):
        older = (
            data.draw(st.none() | st.integers(number + 1, count - 1))
            if number < count - 1
            else None
        )
        same_as = None if older is None else f"r{older}"
        runs.append(
            KnownRun(
                run=f"r{number}",
                going_on=data.draw(st.booleans()),
                promoted=data.draw(st.booleans()),
                same_as=same_as,
            )
        )
    keep = data.draw(st.integers(1, 5))
    gone = set(unneeded_runs(runs, keep))
    assert not gone & {known.run for known in runs[:keep]}
    assert not gone & {known.run for known in runs if known.going_on or known.promoted}
    kept = [known for known in runs if known.run not in gone]
    assert not gone & {known.same_as for known in kept}
    needed = keep + sum(
        known.going_on or known.promoted or any(one.same_as == known.run for one in runs)
        for known in runs
    )
    assert len(kept) <= needed


def test_removed_runs_leave_nothing_behind(project: Project) -> None:
    old, named, going_on = (make_run(project), make_run(project), make_run(project, going_on=True))
    newest = make_run(project, same_as=named.run)
    unneeded = unneeded_runs(known_runs(project), 1)
    assert unneeded == (old.run,)
    assert remove_runs(project, unneeded) == (old.run,)
    assert sorted(os.listdir(project.runs_folder)) == sorted([named.run, going_on.run, newest.run])
    assert not (project.root / ".nbci" / "removed").exists()
    going_on.release()


def test_a_run_that_is_taken_up_meanwhile_stays(project: Project) -> None:
    resumed, named, old = make_run(project), make_run(project), make_run(project)
    assert resumed.hold()
    make_run(project, same_as=named.run)
    assert remove_runs(project, [old.run, named.run, resumed.run]) == (old.run,)
    assert (named.path / "run.json").exists()
    assert (resumed.path / "run.json").exists()
    resumed.release()


def test_one_clean_at_a_time(project: Project) -> None:
    lock = try_lock(project.locks_folder / "clean.lock")
    assert lock is not None
    with pytest.raises(UsageError, match="another `nbci clean`"):
        remove_runs(project, [])
    os.close(lock)


def test_a_folder_in_which_no_run_began_goes_when_it_is_old(project: Project) -> None:
    begun, stub, going_on = make_run(project), new_run(project), new_run(project)
    stub.release()
    assert never_begun(project, SOON) == (stub.run,)
    assert never_begun(project, time.time() - 1000) == ()
    assert remove_runs(project, [stub.run]) == (stub.run,)
    assert begun.path.exists()
    going_on.release()


def test_a_run_that_holds_displaced_files_stays_unless_they_are_asked_for(project: Project) -> None:
    run = make_run(project).run
    place = project.runs_folder / run / "displaced" / "data" / "typed.txt"
    place.parent.mkdir(parents=True)
    place.write_text("typed by hand", encoding="utf-8")

    assert displaced_files(project, run) == ("data/typed.txt",)
    assert remove_runs(project, [run]) == ()
    assert place.read_text(encoding="utf-8") == "typed by hand"
    assert remove_runs(project, [run], displaced_too=True) == (run,)
    assert not place.exists()
