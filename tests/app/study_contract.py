"""What every place for studies must do; a kind of place is a class of its own, ten lines long.

class TestJournal(StudyContract):
    @pytest.fixture
    def open_back(self, tmp_path: Path) -> Callable[[], Back]:
        return lambda: JournalBack(tmp_path / "study.log")
"""

from __future__ import annotations

import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.app.sweeps.study import Study
from nbci.app.sweeps.sweep_folder import SweepFolder, new_sweep
from nbci.app.sweeps.trials import SILENT, Trials
from nbci.config import Project
from nbci.errors import IntegrityError, UsageError
from nbci.pipeline.early_stopping import Pruning
from nbci.pipeline.search_space import Choices, Range
from nbci.records.codec import to_json_line
from nbci.sweeps.study_record import shared_name
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from nbci.app.sweeps.study_backs import Back
    from nbci.sweeps.study_record import SweepRecord, TrialRecord

POINTS = (1, 2, 3, 4, 5)


class StudyContract:
    """Each call of the fixture `open_back` is a process of its own that opens the place."""

    @pytest.fixture
    def open_back(self, tmp_path: Path) -> Callable[[], Back]:
        raise NotImplementedError

    def test_a_study_goes_on_where_another_process_left_it(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        first = begin(open_back(), tmp_path, "s", trials=9)
        ended = [carry_out(first), carry_out(first)]
        left = first.begin()
        assert left is not None

        again = begin(open_back(), tmp_path, "s", trials=9)

        assert again.in_order[:2] == tuple(ended)
        assert (again.known[left.number].state, again.known[left.number].interrupted) == (
            "failed",
            True,
        )
        retried = carry_out(again)
        assert (retried.number, retried.params) == (3, left.params)

    def test_a_grid_gives_each_point_once(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        trials = begin(open_back(), tmp_path, "s", method="grid")
        found = []
        for _ in POINTS:
            found.append(carry_out(trials).params["x"])
        assert found == list(POINTS)
        assert trials.begin() is None

    def test_optuna_reads_what_became_of_trials(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        import optuna

        trials = begin(open_back(), tmp_path, "s", trials=9)
        passed = carry_out(trials)
        failing = trials.begin()
        assert failing is not None
        trials.end(replace(failing, state="failed", error="it broke"))

        with warnings.catch_warnings(action="ignore"):  # of what Optuna calls experimental
            storage = open_back().open()
        study = optuna.load_study(study_name=trials._study._name, storage=storage)

        assert [trial.state.name for trial in study.trials] == ["COMPLETE", "FAIL"]
        assert study.trials[0].values == list(passed.values)
        assert study.trials[0].params == dict(passed.params)
        assert study.trials[0].user_attrs["run"] == passed.run
        assert study.trials[1].user_attrs["error"] == "it broke"

    def test_values_are_told_and_judged_in_other_threads(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        """As while trials run: the event loop does not wait for a place of studies."""
        import optuna

        pruning = Pruning(on="loss", warmup_trials=1, direction="minimize")
        trials = begin(open_back(), tmp_path, "s", trials=9, prune=pruning)
        for value, is_bad in ((1.0, False), (2.0, True)):
            begun = trials.begin()
            assert begun is not None
            with ThreadPoolExecutor(1) as thread:
                thread.submit(trials.judge.report, begun.number, 1, value).result()
                assert thread.submit(trials.judge.should_stop, begun.number).result() == is_bad
            ended = replace(begun, state="pruned", curve=((1, value),))
            if not is_bad:
                ended = replace(ended, state="complete", values=(value,))
            trials.end(ended)

        with warnings.catch_warnings(action="ignore"):  # of what Optuna calls experimental
            storage = open_back().open()
        found = optuna.load_study(study_name=trials._study._name, storage=storage).trials

        assert [trial.state.name for trial in found] == ["COMPLETE", "PRUNED"]
        assert [trial.intermediate_values for trial in found] == [{1: 1.0}, {1: 2.0}]

    def test_a_study_that_was_lost_is_made_anew_of_our_record(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        known = (
            trial(0, 3.0, params={"x": 3}, run="r0", curve=((1, 4.0), (2, 3.0))),
            trial(1, params={"x": 4}, error="it broke"),
            # Of trial 2 nothing was written down.
            trial(3, params={"x": 5}, error="interrupted", interrupted=True),
        )
        record = record_of("s", open_back(), trials=9)
        for _ in range(2):
            study = Study(open_back(), record, 0)
            study.restore(known)
        found = study._study.get_trials()
        assert [each.state.name for each in found] == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
        assert (found[0].values, found[0].intermediate_values) == ([3.0], {1: 4.0, 2: 3.0})
        assert study.ask()[0] == 4

    def test_another_search_of_that_name_is_refused(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        begin(open_back(), tmp_path, "s", trials=9)
        other = replace(
            record_of("s", open_back(), trials=9), space=(Choices(name="y", values=(1,)),)
        )
        if open_back().is_shared:
            assert shared_name(other) != shared_name(record_of("s", open_back(), trials=9))
            other = replace(other, study=record_of("s", open_back(), trials=9).study)
        with pytest.raises(UsageError, match="is that of another search"):
            Study(open_back(), other, 0)

    def test_a_study_of_another_version_is_refused(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        trials = begin(open_back(), tmp_path, "s", trials=9)
        trials._study._study.set_user_attr("nbci", {"format": 99})
        with pytest.raises(UsageError, match="not made by this version"):
            Study(open_back(), record_of("s", open_back(), trials=9), 0)


class SharedContract(StudyContract):
    """What holds in addition where several processes are at work at one study."""

    def test_two_processes_share_the_budget_and_know_each_others_trials(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        one, two = (begin(open_back(), tmp_path, name, trials=4) for name in ("a", "b"))
        ended = [carry_out(one), carry_out(two), carry_out(one)]
        going_on = two.begin()
        assert going_on is not None
        assert one.begin() is None
        assert one.others_go_on

        assert one.in_order[:3] == tuple(ended)
        assert one.known[3] == going_on
        # What it knows of others is beside its own trials, and shown without the database.
        assert one._folder.read_trials() == one.in_order

    def test_two_processes_get_each_point_of_a_grid_once(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        one, two = (begin(open_back(), tmp_path, name, method="grid") for name in ("a", "b"))
        found = [carry_out(trials).params["x"] for trials in (one, two, two, one, two)]
        assert sorted(found) == [1, 2, 3, 4, 5]
        assert (one.begin(), two.begin()) == (None, None)

    @pytest.mark.parametrize(
        "changed",
        [
            {"params": {"x": 99}},
            {"params": {"x": "rm -rf /"}},
            {"params": {"x": 1, "other": 2}},
            {"number": 7},
            {"values": (1.0, 2.0)},
            {"run": "../../etc"},
        ],
    )
    def test_what_others_wrote_is_checked_before_it_is_used(
        self, open_back: Callable[[], Back], tmp_path: Path, changed: dict[str, Any]
    ) -> None:
        other, mine = (begin(open_back(), tmp_path, name, trials=9) for name in ("a", "b"))
        begun = other.begin()
        assert begun is not None
        ended = replace(begun, state="complete", values=(1.0,), run="r0")
        text = to_json_line(replace(ended, **changed)).decode()
        other._study._note(begun.number, "nbci", text)
        with pytest.raises(IntegrityError):
            mine.look_around()

    def test_who_waits_is_as_patient_as_the_most_patient(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        build = open_back()
        build.grace_seconds = 3600
        slow = begin(build, tmp_path, "a", method="grid")
        assert slow.begin() is not None
        hasty = begin(open_back(), tmp_path, "b", method="grid")
        time.sleep(3)
        hasty.look_around()
        assert hasty.known[0].state == "running"

    def test_trials_of_a_dead_process_are_tried_again(
        self, open_back: Callable[[], Back], tmp_path: Path
    ) -> None:
        dead, alive = (begin(open_back(), tmp_path, name, method="grid") for name in ("a", "b"))
        left = dead.begin()
        assert left is not None
        mine = alive.begin()
        assert mine is not None
        deadline = time.monotonic() + 30
        while alive.others_go_on:
            assert time.monotonic() < deadline
            alive.beat()
            time.sleep(0.2)
            alive.look_around()

        assert alive.known[left.number].interrupted
        assert alive.known[mine.number].state == "running"
        again = alive.begin()
        assert again is not None
        assert again.params == left.params
        # It was not dead after all: what it found does not count, since others try it again.
        dead.end(replace(left, state="complete", values=(1.0,)))
        assert dead.known[left.number].error == SILENT
        assert dead.known[left.number].interrupted


def record_of(name: str, back: Back, **fields: Any) -> SweepRecord:
    record = sweep(sweep=name, space=(Range(name="x", low=1, high=5),), **fields)
    if back.is_shared:
        return replace(record, study=shared_name(record))
    return record


def begin(back: Back, root: Path, name: str, **fields: Any) -> Trials:
    """A process that begins the sweep, or goes on with it where its folder is there."""
    record = record_of(name, back, **fields)
    folder = SweepFolder(root / ".nbci/sweeps" / name)
    if not folder.path.exists():
        folder = new_sweep(Project(root=root), name)
    folder.release()
    known = folder.read_trials()
    study = Study(back, record, len(known))
    study.settle(known)
    trials = Trials(record, folder, study, known)
    trials.look_around()
    return trials


def carry_out(trials: Trials) -> TrialRecord:
    trial = trials.begin()
    assert trial is not None
    ended = replace(
        trial, state="complete", values=(float(trial.params["x"]),), run=f"r{trial.number}"
    )
    trials.end(ended)
    return ended
