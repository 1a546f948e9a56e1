"""What is seen of a trial while it runs, and what comes of it; the run is a fake."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any, cast

import pytest
from msgspec.structs import replace

from nbci.app.sweeps import trial_watch as watching
from nbci.app.sweeps import value_sources
from nbci.app.sweeps.trial_watch import TrialWatch
from nbci.errors import InfrastructureError
from nbci.pipeline.early_stopping import Pruning
from nbci.plan.model import Plan, PlannedStep
from nbci.records.run_record import RunRecord, StepRecord
from tests.sweeps.test_standing import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from nbci.engine.run import OngoingRun

PRUNING = Pruning(on="a:loss", direction="minimize")
RECORD = RunRecord(run="r", pipeline="p", target="p", result="passed", nbci="0")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_BETWEEN_LOOKS_SECONDS", 0.01)
    monkeypatch.setattr(value_sources, "_MATCHING_SECONDS", 0.05)


class FakeJudge:
    """Stops a trial at the first value above a limit."""

    def __init__(self, limit: float = 100.0) -> None:
        self.limit = limit
        self.told: list[tuple[int, float]] = []

    def report(self, number: int, step: int, value: float) -> None:
        assert number == 3
        if value == 13:
            raise InfrastructureError("the disk is full")
        if value == 14:
            time.sleep(1)
        self.told.append((step, value))

    def should_stop(self, number: int) -> bool:
        return self.told[-1][1] > self.limit


class FakeRun:
    """Prints these texts in step `a`, each once the last one was looked at; then ends."""

    def __init__(self, watch: TrialWatch, texts: Sequence[str], step: str = "a") -> None:
        self._watch = watch
        self._texts = texts
        self._step = step
        self.stopped: str | None = None
        self.printed = 0

    async def execute(self) -> None:
        outputs = self._watch.listen(self._step)
        for text in self._texts:
            if self.stopped is not None:
                return
            if outputs is not None:
                outputs.printed(text, "stdout")
                outputs.printed("loss=1000\n", "stderr")
            self.printed += 1
            await asyncio.sleep(0.1)

    def stop(self, reason: str) -> None:
        self.stopped = reason


def watched(
    texts: Sequence[str],
    *,
    report: str = "loss=([0-9.]+)",
    limit: float = 100.0,
    step: str = "a",
    result: Any = "passed",
) -> tuple[TrialWatch, FakeRun, FakeJudge, list[str]]:
    judge, told = FakeJudge(limit), list[str]()
    watch = TrialWatch(sweep(report=report), PRUNING, 3, judge, set())
    run = FakeRun(watch, texts, step)

    async def go_on() -> None:
        await watch.attend(cast("OngoingRun", run), told.append)
        await watch.finish(replace(RECORD, result=result), told.append)

    asyncio.run(go_on())
    return watch, run, judge, told


def test_a_run_is_stopped_at_the_value_by_which_it_is_judged() -> None:
    texts = ["loss=3\n", "loss=9\nloss=1\n", "loss=2\n", "loss=2\n"]
    watch, run, _, told = watched(texts, limit=5, result="interrupted")
    assert watch.curve == [(1, 3.0), (2, 9.0)]
    assert watch.stopped == run.stopped
    assert watch.stopped == "the sweep stopped this trial: a:loss was 9 at step 2 (median)"
    assert run.printed < len(texts)
    assert told == []


def test_what_comes_at_the_end_is_kept_and_judged_no_more() -> None:
    watch, run, judge, _ = watched(["loss=3\n", "loss=4\nloss=9"])
    assert watch.curve == judge.told == [(1, 3.0), (2, 4.0), (3, 9.0)]
    assert run.stopped is None


def test_another_attempt_counts_its_steps_anew() -> None:
    watch = TrialWatch(sweep(report="loss=([0-9.]+)"), PRUNING, 3, FakeJudge(), set())
    for text in ("loss=3\nloss=2\n", "loss=9\nloss=8\nloss=1\n"):
        outputs = watch.listen("a")
        assert outputs is not None
        outputs.printed(text, "stdout")
    asyncio.run(watch.finish(RECORD, print))
    assert watch.curve == [(1, 3.0), (2, 2.0), (3, 1.0)]


@pytest.mark.parametrize(("step", "is_heard"), [("a", True), ("a/x", True), ("ab", False)])
def test_the_step_of_the_metric_is_listened_to(step: str, is_heard: bool) -> None:
    watch, _, _, told = watched(["loss=3\n"], step=step)
    assert bool(watch.curve) == is_heard
    assert (told == []) == is_heard


def test_where_no_value_is_seen_it_is_said_once() -> None:
    *_, told = watched(["nothing\n"])
    (text,) = told
    expected = "nothing can be stopped by a:loss: no value was seen; no line that its step printed"
    assert text == f"{expected} matches `report`"


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    evil = "(?:a+)+b loss=(x)"
    watch, run, _, told = watched([f"{'a' * 60}\n", "more\n"], report=evil)
    assert run.printed == 2
    assert watch.curve == []
    assert told[0].startswith("`report` took longer than 0.05 s for what a step printed")
    assert len(told) == 2


def test_a_study_that_cannot_be_written_ends_the_run_and_is_raised() -> None:
    with pytest.raises(InfrastructureError, match="the disk is full"):
        watched(["loss=13\n", "loss=1\n", "loss=1\n"])


def test_a_study_that_does_not_answer_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_PATIENCE_SECONDS", 0.1)
    with pytest.raises(InfrastructureError, match=r"the study has not answered for 0\.1 s"):
        watched(["loss=14\n", "loss=1\n", "loss=1\n"])


def test_what_a_reused_step_printed_is_read_in_its_notebook() -> None:
    watch = TrialWatch(sweep(report="loss=([0-9.]+)"), PRUNING, 3, FakeJudge(), set())
    stream: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": "loss=3\nloss=2\n"}
    shown = {"output_type": "display_data", "data": {"text/plain": "loss=9"}}
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [shown, stream]}]
    watch.replay("a", {"cells": cells})
    asyncio.run(watch.finish(RECORD, print))
    assert watch.curve == [(1, 3.0), (2, 2.0)]


def test_of_two_steps_that_have_the_metric_the_first_counts() -> None:
    watch = TrialWatch(sweep(report="loss=([0-9.]+)"), Pruning(on="loss"), 3, FakeJudge(), set())
    for step, text in {"a": "loss=3\n", "b": "loss=4\nloss=5\n"}.items():
        outputs = watch.listen(step)
        assert outputs is not None
        outputs.printed(text, "stdout")
    told: list[str] = []
    asyncio.run(watch.finish(RECORD, told.append))
    assert watch.curve == [(1, 3.0)]
    assert told == [
        "loss has values of the steps a and b: only the former count; say which, as in a:loss"
    ]


SCRAP = "application/scrapbook.scrap.json+json"


def scrap(name: str, data: object) -> dict[str, Any]:
    return {
        "output_type": "display_data",
        "data": {SCRAP: {"name": name, "data": data, "encoder": "json", "version": 1}},
        "metadata": {"scrapbook": {"name": name, "data": True, "display": False}},
    }


def planned(root: Path, **fields: Any) -> TrialWatch:
    """A watch of a trial that runs there; step `a` declares these files."""
    step = PlannedStep(
        name="a", notebook="n", kernel="python3", language="python", cells=(), **fields
    )
    watch = TrialWatch(sweep(), PRUNING, 3, FakeJudge(), set())
    watch.look_in(root, Plan(pipeline="p", target="p", steps=(step,)))
    return watch


def test_scraps_are_the_curve_where_no_lines_are_asked_for(tmp_path: Path) -> None:
    watch = planned(tmp_path)
    outputs = watch.listen("a")
    assert outputs is not None
    outputs.printed("loss=7\n", "stdout")
    for output in (scrap("other", 1), scrap("loss", 3), scrap("loss", 2.5)):
        outputs.shown(output)
    outputs.shown({"output_type": "display_data", "data": {"text/plain": "1"}, "metadata": {}})
    asyncio.run(watch.finish(RECORD, print))
    assert watch.curve == [(1, 3.0), (2, 2.5)]


@pytest.mark.parametrize(
    ("path", "fields", "before", "after"),
    [
        ("dvclive/plots/metrics/loss.tsv", {}, "timestamp\tstep\tloss\n1\t0\t3\n", "2\t1\t2\n"),
        ("m/dvclive/plots/metrics/loss.tsv", {"cwd": "m"}, "step\tloss\n0\t3\n", "1\t2\n"),
        ("live/plots/metrics/loss.tsv", {"outs": ("live",)}, "step\tloss\n0\t3\n", "1\t2\n"),
        ("c.csv", {"outs": ("c.csv",)}, "loss,epoch\n3,0\n", "2,1\n9,"),
        ("c.jsonl", {"outs": ("c.jsonl",)}, '{"loss": 3, "step": 0}\n', 'x\n{"loss":2,"step":1}\n'),
    ],
)
def test_a_file_that_grows_is_read_as_far_as_it_is_whole(
    tmp_path: Path, path: str, fields: dict[str, Any], before: str, after: str
) -> None:
    watch = planned(tmp_path, **fields)
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    # Left by another run: it is not of this one.
    file.write_text("step,loss\n5,5\n")
    assert watch.listen("a") is not None
    assert list(watch._new_points(print)) == []
    file.write_text(before)
    assert list(watch._new_points(print)) == [(0, 3.0)]
    with file.open("a") as more:
        more.write(after)
    assert list(watch._new_points(print)) == [(0, 3.0), (1, 2.0)]
    assert list(watch._new_points(print)) == []


def test_the_newest_values_in_a_file_are_a_curve(tmp_path: Path) -> None:
    watch = planned(tmp_path)
    assert watch.listen("a") is not None
    file = tmp_path / "dvclive" / "metrics.json"
    file.parent.mkdir()
    for text in ('{"loss": 3, "step": 4}', '{"lo', '{"loss": 2.25, "step": 6}'):
        file.write_text(text)
        asyncio.run(watch._judge_points(tuple(watch._new_points(print))))
    assert watch.curve == [(4, 3.0), (6, 2.25)]


def test_outs_that_a_reused_step_brought_back_are_read(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("step,loss\n5,5\n")
    watch = planned(tmp_path, outs=("c.csv",))
    watch.replay("a", {"cells": []})
    asyncio.run(watch.finish(RECORD, print))
    assert watch.curve == [(5, 5.0)]


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "c.csv")
    watch = planned(tmp_path, outs=("c.csv",))
    watch.replay("a", {"cells": []})
    told: list[str] = []
    asyncio.run(watch.finish(RECORD, told.append))
    assert "neither a scrap, nor a file that its step declares" in told[0]


@pytest.mark.parametrize(
    ("result", "seconds", "is_told"),
    [("passed", 60.0, True), ("passed", 1.0, False), ("reused", 60.0, False)],
)
def test_values_that_come_when_all_is_over_are_of_no_use(
    result: Any, seconds: float, is_told: bool
) -> None:
    watch = TrialWatch(sweep(report="loss=([0-9.]+)"), PRUNING, 3, FakeJudge(), set())
    outputs = watch.listen("a")
    assert outputs is not None
    outputs.printed("loss=3\n", "stdout")
    step = StepRecord(name="a", result=result, seconds=seconds)
    told: list[str] = []
    asyncio.run(watch.finish(replace(RECORD, steps=(step,)), told.append))
    assert bool(told) == is_told
    assert watch.curve == [(1, 3.0)]


def test_a_stop_that_comes_too_late_loses_no_value() -> None:
    watch, run, judge, _ = watched(["loss=3\nloss=9\nloss=2\n"], limit=5)
    assert run.stopped is not None
    assert watch.curve == judge.told == [(1, 3.0), (2, 9.0), (3, 2.0)]
