"""The search over lanes and a study that are fakes: what it asks, carries out and tells."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from msgspec.structs import replace

from nbci.app.sweeps.search import Search
from nbci.app.sweeps.sweep_folder import new_sweep
from nbci.app.sweeps.sweep_listener import Listener
from nbci.app.sweeps.trials import Trials
from nbci.config import Project
from nbci.errors import InfrastructureError, UsageError
from nbci.pipeline.search_space import Choices
from nbci.records.run_record import Metric, RunRecord, StepRecord
from tests.sweeps.test_standing import sweep, trial

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.app.sweeps.lane import Lane
    from nbci.app.sweeps.study import Study
    from nbci.app.sweeps.trial_watch import TrialWatch
    from nbci.sweeps.study_record import TrialRecord

LISTENER = Listener(begun=lambda _: None, ended=lambda *_: None, noticed=lambda _: None)


class FakeStudy:
    """Asks for these values of `x`, one after another."""

    is_shared = False
    beat_seconds = None

    def __init__(self, values: Sequence[int], begin: int = 0) -> None:
        self._values = iter(values)
        self._number = begin
        self.told: list[TrialRecord] = []

    def ask(self, point: dict[str, Any] | None = None) -> tuple[int, dict[str, Any]]:
        number, self._number = self._number, self._number + 1
        return number, point or {"x": next(self._values)}

    def note(self, record: TrialRecord) -> None:
        pass

    def tell(self, record: TrialRecord) -> bool:
        self.told.append(record)
        return True


class FakeLane:
    """Its trials give `x` as their loss; with some values something is wrong."""

    name = "1"

    def __init__(self) -> None:
        self.carried_out: list[int] = []
        self.interrupted = False

    def interrupt(self) -> None:
        self.interrupted = True

    async def carry_out(
        self, number: int, point: dict[str, Any], watch: TrialWatch | None = None
    ) -> RunRecord:
        x = point["x"]
        self.carried_out.append(x)
        for _ in range(20):
            await asyncio.sleep(0)
        if x == 100:
            raise UsageError("it cannot be planned")
        if x == 200:
            raise InfrastructureError("the disk is full")
        step = StepRecord(
            name="a", result="passed", metrics=(Metric(name="loss", value=x, source="cell"),)
        )
        result = "interrupted" if self.interrupted else "passed"
        return RunRecord(
            run=f"r{number}",
            pipeline="p",
            target="p.yaml",
            result=cast("Any", result),
            nbci="0",
            steps=(step,),
        )


def search(
    root: Path,
    asked: Sequence[int],
    *,
    lanes: int = 1,
    earlier: Sequence[TrialRecord] = (),
    values: Sequence[int] = tuple(range(1000)),
    is_disk_full: bool = False,
    listener: Listener = LISTENER,
    **fields: Any,
) -> tuple[Search, Trials, FakeStudy, list[FakeLane]]:
    record = sweep(space=(Choices(name="x", values=tuple(values)),), **fields)
    study = FakeStudy(asked, begin=len(earlier))
    folder = new_sweep(Project(root=root), "s")
    if is_disk_full:
        (folder.path / "trials.jsonl").symlink_to("/dev/full")
    trials = Trials(record, folder, cast("Study", study), earlier)
    found = Search(record, trials, listener)
    fakes = [FakeLane() for _ in range(lanes)]
    asyncio.run(found.go_on(cast("list[Lane]", fakes)))
    return found, trials, study, fakes


def carried_out(lanes: Sequence[FakeLane]) -> list[int]:
    return sorted(x for lane in lanes for x in lane.carried_out)


def test_equal_trials_are_carried_out_once_also_side_by_side(tmp_path: Path) -> None:
    _, trials, study, lanes = search(tmp_path, [5, 5, 5, 6], lanes=2, trials=4)
    assert carried_out(lanes) == [5, 6]
    assert [trials.known[number].values for number in range(4)] == [(5,), (5,), (5,), (6,)]
    assert [trials.known[number].same_as for number in range(4)] == [None, 0, 0, None]
    assert len(study.told) == 4


def test_who_listens_hears_of_each_trial_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    heard: list[tuple[str, int]] = []
    listener = replace(
        LISTENER,
        trial_begun=lambda trial: heard.append((trial.state, trial.number)),
        ended=lambda _, trial: heard.append((trial.state, trial.number)),
    )
    search(tmp_path, [5, 5, 6], lanes=2, trials=3, listener=listener)
    assert sorted(heard) == sorted(
        [*(("running", at) for at in range(3)), *(("complete", at) for at in range(3))]
    )
    for number in range(3):
        assert heard.index(("running", number)) < heard.index(("complete", number))


def test_a_space_of_which_all_points_are_known_ends_the_sweep(tmp_path: Path) -> None:
    _, trials, _, lanes = search(tmp_path, [1, 2, 1, 2, 3, 1, 1], values=(1, 2, 3), minutes=60)
    assert carried_out(lanes) == [1, 2, 3]
    assert len(trials.known) == 5


def test_what_earlier_processes_had_is_not_carried_out_again(tmp_path: Path) -> None:
    earlier = (
        trial(0, 1.0, params={"x": 1}),
        trial(1, params={"x": 2}, error="interrupted", interrupted=True),
    )
    _, trials, _, lanes = search(tmp_path, [], earlier=earlier, values=(1, 2, 3), method="grid")
    assert carried_out(lanes) == [2, 3]
    assert [trials.known[number].params["x"] for number in sorted(trials.known)] == [1, 2, 2, 3]


def test_a_trial_that_cannot_be_planned_fails_alone(tmp_path: Path) -> None:
    found, trials, _, _ = search(tmp_path, [100, 7], trials=2)
    assert (trials.known[0].state, trials.known[0].error) == ("failed", "it cannot be planned")
    assert trials.known[1].state == "complete"
    assert found.trouble is None


def test_trouble_of_the_machine_ends_all_trials(tmp_path: Path) -> None:
    found, _, study, lanes = search(tmp_path, [200, 7, 8, 9], lanes=2, trials=9)
    assert str(found.trouble) == "the disk is full"
    assert lanes[1].interrupted
    assert carried_out(lanes) == [7, 200]
    assert [record.interrupted for record in study.told] == [True]


def test_a_full_disk_ends_the_sweep_as_trouble_of_the_machine(tmp_path: Path) -> None:
    found, _, _, _ = search(tmp_path, [1, 2], is_disk_full=True, trials=2)
    assert isinstance(found.trouble, InfrastructureError)
    assert "No space left" in str(found.trouble)


def test_no_more_trials_begin_than_were_asked_for(tmp_path: Path) -> None:
    _, trials, _, lanes = search(tmp_path, range(50), lanes=4, trials=6)
    assert carried_out(lanes) == list(range(6))
    assert len(trials.known) == 6
