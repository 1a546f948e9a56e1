"""Which runs of trials `nbci clean` removes, and which it leaves."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from msgspec.structs import replace

from nbci.app.clean_up import Cleaned, CleanRequest, clean_up
from nbci.app.sweeps.clean_trials import remove_trials, unneeded_trials
from nbci.app.sweeps.sweep_folder import SweepFolder, new_sweep
from nbci.cli.clean import _trials
from nbci.config import Project
from nbci.plan.model import Plan
from nbci.records.run_record import RunRecord, StepRecord
from nbci.runs.clean_results import unneeded_results
from nbci.runs.project_runs import new_run, new_trial, sweep_trials
from nbci.store.cache import Cache
from nbci.sweeps.choice import evidence_of
from nbci.sweeps.study_record import Objective
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from pathlib import Path

    from nbci.runs.folder import RunFolder

RECORD = RunRecord(run="", pipeline="p", target="p.yaml", result="passed", nbci="0")


def write(folder: RunFolder, record: RunRecord = RECORD) -> str:
    folder.free_reserve()
    folder.write_plan(Plan(pipeline="p", target="p.yaml", steps=()))
    folder.write_run(replace(record, run=folder.run))
    folder.release()
    return folder.run


def make_sweep(project: Project, name: str, *losses: float) -> tuple[SweepFolder, list[str]]:
    """A sweep with a run for each loss; the last of them is that of an equal trial, too."""
    folder = new_sweep(project, name)
    folder.write_record(sweep(sweep=name))
    runs = []
    for number, loss in enumerate(losses):
        runs.append(write(new_trial(folder.path)))
        folder.add_trial(trial(number, loss, run=runs[-1]))
    if runs:
        folder.add_trial(trial(len(losses), losses[-1], run=runs[-1], same_as=len(losses) - 1))
    folder.release()
    return folder, runs


def clean(project: Project, *, keep: int = 1, dry_run: bool = False) -> Cleaned:
    request = CleanRequest(
        keep=keep, with_cache=False, older_seconds=0, displaced_too=False, dry_run=dry_run
    )
    return clean_up(project, request)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(root=tmp_path)


def test_of_an_old_sweep_the_best_run_and_the_record_stay(project: Project) -> None:
    old, runs = make_sweep(project, "20261128-a", 3.0, 1.0, 2.0)
    newest, kept = make_sweep(project, "20261129-a", 2.0, 1.0)
    before = (old.read_record(), old.read_trials())

    said = clean(project, dry_run=True)

    assert {path.name: set(names) for path, names in said.trials.items()} == {
        "20261128-a": {runs[0], runs[2]}
    }
    assert said.freed_bytes > 0
    assert _trials(said.trials) == "2 runs of trials of 1 sweep"
    assert len(list(sweep_trials(old.path))) == 3
    assert clean(project).trials == said.trials
    assert [run.run for run in sweep_trials(old.path)] == [runs[1]]
    assert {run.run for run in sweep_trials(newest.path)} == set(kept)
    assert (old.read_record(), old.read_trials()) == before
    assert not (project.root / ".nbci" / "removed").exists()
    assert clean(project).trials == {}


def test_what_goes_on_what_is_released_and_what_cannot_be_read_stays(project: Project) -> None:
    going, _ = make_sweep(project, "20261125-a", 3.0, 1.0)
    broken, _ = make_sweep(project, "20261126-a", 3.0, 1.0)
    (broken.path / "trials.jsonl").write_bytes(b"{}\n{}\n")
    released, runs = make_sweep(project, "20261127-a", 3.0, 1.0, 2.0)
    chosen, others = make_sweep(project, "20261128-a", 3.0, 1.0, 2.0)
    make_sweep(project, "20261129-a", 1.0)
    # Somebody has promoted a trial that is not the best.
    trials = chosen.read_trials()
    evidence = evidence_of(chosen.read_record(), trials, trials[2])
    of_project = write(new_run(project), replace(RECORD, chosen=evidence))
    assert going.hold()

    found = unneeded_trials(project, 1, {runs[0]}, {of_project})

    assert found == {released.path: (runs[2],), chosen.path: (others[0],)}
    going.release()
    # A sweep that somebody goes on with after it was looked at stays, too.
    assert chosen.hold()
    assert remove_trials(project, found) == {released.path: (runs[2],)}
    chosen.release()


def test_of_several_objectives_the_front_stays(project: Project) -> None:
    folder = new_sweep(project, "20261128-a")
    objectives = tuple(Objective(metric=name, direction="minimize") for name in ("loss", "kb"))
    folder.write_record(sweep(sweep="20261128-a", objectives=objectives))
    runs = [write(new_trial(folder.path)) for _ in range(3)]
    for number, values in enumerate([(1.0, 9.0), (2.0, 9.5), (3.0, 1.0)]):
        folder.add_trial(trial(number, run=runs[number], state="complete", values=values))
    folder.release()
    assert unneeded_trials(project, 0, (), ()) == {folder.path: (runs[1],)}


def test_results_of_trials_that_go_are_as_old_as_others(project: Project) -> None:
    folder = new_sweep(project, "20261128-a")
    cache = Cache(project.root / "cache")
    run = new_trial(folder.path)
    write(run)
    step = StepRecord(name="a", result="passed", key="ab" * 32, run=run.run)
    run.write_step(step)
    entry = cache.entry(step)
    entry.parent.mkdir(parents=True)
    entry.write_bytes((run.path / "steps" / "a" / "record.json").read_bytes())
    soon = time.time() + 86_400
    assert unneeded_results(cache, project, (), soon).results == ()
    assert unneeded_results(cache, project, (), soon, {run.run}).results == (entry,)
