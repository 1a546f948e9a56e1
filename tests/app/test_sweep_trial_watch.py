"""What is seen of a trial while it runs, and what comes of it; the run is a fake."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from nbci.app.sweeps import trial_watch as watching
from nbci.app.sweeps.trial_watch import TrialWatch
from nbci.errors import InfrastructureError
from nbci.pipeline.early_stopping import Pruning
from nbci.records.run_record import RunRecord
from tests.sweeps.test_standing import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nbci.engine.run import OngoingRun

PRUNING = Pruning(on="a:loss", direction="minimize")
RECORD = RunRecord(run="r", pipeline="p", target="p", result="passed", nbci="0")


@pytest.fixture(autouse=True)
def looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_BETWEEN_LOOKS_SECONDS", 0.01)
    monkeypatch.setattr(watching, "_MATCHING_SECONDS", 0.05)


class FakeJudge:
    """Stops a trial at the first value above a limit."""

    def __init__(self, limit: float = 100.0) -> None:
        self.limit = limit
        self.told: list[tuple[int, float]] = []

    def report(self, number: int, step: int, value: float) -> None:
        assert number == 3
        if value == 13:
            raise InfrastructureError("the disk is full")
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
    texts: Sequence[str], *, report: str = "loss=([0-9.]+)", limit: float = 100.0, step: str = "a"
) -> tuple[TrialWatch, FakeRun, FakeJudge, list[str]]:
    judge, told = FakeJudge(limit), list[str]()
    watch = TrialWatch(sweep(report=report), PRUNING, 3, judge, set())
    run = FakeRun(watch, texts, step)

    async def go_on() -> None:
        await watch.attend(cast("OngoingRun", run), told.append)
        await watch.finish(RECORD, told.append)

    asyncio.run(go_on())
    return watch, run, judge, told


def test_a_run_is_stopped_at_the_value_by_which_it_is_judged() -> None:
    texts = ["loss=3\n", "loss=9\nloss=1\n", "loss=2\n", "loss=2\n"]
    watch, run, _, told = watched(texts, limit=5)
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
    assert text.startswith("no value of a:loss was seen, so nothing can be stopped by it")
    assert text.endswith("no line that its step printed matches `report`")


def test_a_pattern_that_takes_for_ever_is_given_up() -> None:
    evil = "(?:a+)+b loss=(x)"
    watch, run, _, told = watched([f"{'a' * 60}\n", "more\n"], report=evil)
    assert run.printed == 2
    assert watch.curve == []
    assert told[0].startswith("`report` took longer than 0.05 s for what step a printed")
    assert len(told) == 2


def test_a_study_that_cannot_be_written_ends_the_run_and_is_raised() -> None:
    with pytest.raises(InfrastructureError, match="the disk is full"):
        watched(["loss=13\n", "loss=1\n", "loss=1\n"])


def test_what_a_reused_step_printed_is_read_in_its_notebook() -> None:
    watch = TrialWatch(sweep(report="loss=([0-9.]+)"), PRUNING, 3, FakeJudge(), set())
    stream: dict[str, Any] = {"output_type": "stream", "name": "stdout", "text": "loss=3\nloss=2\n"}
    shown = {"output_type": "display_data", "data": {"text/plain": "loss=9"}}
    cells = [{"cell_type": "markdown"}, {"cell_type": "code", "outputs": [shown, stream]}]
    watch.replay("a", {"cells": cells})
    asyncio.run(watch.finish(RECORD, print))
    assert watch.curve == [(1, 3.0), (2, 2.0)]
