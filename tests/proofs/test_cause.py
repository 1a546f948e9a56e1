"""The search for the cause of a difference, over a step whose dependences are known."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest

from nbci.kernels.held import NOTHING_HELD
from nbci.proofs.cause import SearchEnded, find_cause
from nbci.proofs.conditions import trials_for
from nbci.records.run_record import Attempt, Failure, Part, StepRecord

if TYPE_CHECKING:
    from collections.abc import Iterable

    from nbci.kernels.held import Held
    from nbci.records.proof import Cause

RANDOM = {"PYTHONHASHSEED": "random"}
RECORD = StepRecord(
    name="train",
    result="passed",
    distributions={"numpy": "2", "torch": "2"},
    observed=(
        Part(kind="folder", label="data", digest=""),
        Part(kind="network", label="example.com", digest=""),
    ),
)
FAILED = Attempt(
    number=1,
    result="failed",
    started_utc="",
    seconds=0.0,
    failure=Failure(kind="exception", message="no network"),
)


class Step:
    """A step whose result is another each time, unless all that it depends on is held.

    With `here`, it is another only where what is named there is at another state than usual.
    """

    def __init__(
        self,
        *needs: str,
        here: str = "",
        fails_with: str = "",
        most: int = 99,
        before: bool = False,
    ) -> None:
        self.needs = frozenset(needs)
        self.here = here
        self.fails_with = fails_with
        self.most = most
        self.before = before
        self.ran = 0
        self._numbers = itertools.count()

    def run(self, held: Held, title: str) -> StepRecord:
        if self.ran == self.most:
            raise SearchEnded("no more")
        self.ran += 1
        names = {*held.in_kernel, *held.variables}
        if self.fails_with in names:
            return StepRecord(name="train", result="failed", attempts=(FAILED,))
        result = "always"
        if self.here and self.here in names:
            result = "elsewhere"
        if not self.needs <= names:
            result = str(next(self._numbers))
        return StepRecord(name="train", result="passed", key=result)

    def agree(self, one: StepRecord, other: StepRecord) -> bool:
        return one.key == other.key

    def gave_before(self, record: StepRecord) -> bool:
        return self.before


def search(step: Step, around: Iterable[str] = ()) -> Cause:
    return find_cause("train", step, trials_for(RECORD, RANDOM), tuple(around))


@pytest.mark.parametrize(
    ("need", "condition", "meaning"),
    [
        ("numpy", "numpy", "numpy's generator without a seed"),
        ("random", "random", "Python's random generator without a seed"),
        ("torch", "torch", "torch's generator without a seed"),
        ("PYTHONHASHSEED", "hash seed", "the order of a set"),
        ("file order", "file order", "a folder lists its files"),
        ("clock", "clock", "the clock"),
        ("OMP_NUM_THREADS", "threads", "number of threads"),
        ("network", "network", "the network"),
    ],
)
def test_the_one_that_suffices_is_the_cause(need: str, condition: str, meaning: str) -> None:
    step = Step(need)

    cause = search(step)

    assert cause.conditions == (condition,)
    assert meaning in cause.sentence
    assert cause.tried[0].held == ()
    assert (cause.tried[0].result, cause.tried[-1].result) == ("other", "same")
    assert cause.tried[-1].held == (condition,)
    assert cause.runs == step.ran


def test_of_several_only_those_are_named_that_are_needed() -> None:
    cause = search(Step("clock", "random"))

    assert cause.conditions == ("clock", "random")
    assert cause.sentence == (
        "it uses the clock and it draws from Python's random generator without a seed"
    )


def test_where_the_search_ends_early_all_that_suffice_together_are_named() -> None:
    # Twice as it is, seven conditions alone and all of them together.
    cause = search(Step("clock", "random", most=2 + 2 * 7 + 2))

    assert cause.conditions[:2] == ("numpy", "torch")
    assert "clock" in cause.conditions


def test_what_fails_without_the_network_uses_it() -> None:
    cause = search(Step("a server's answer", fails_with="network"))

    assert cause.conditions == ("network",)
    assert cause.sentence == "it uses the network, without which it fails"


def test_none_of_those_tried() -> None:
    cause = search(Step("a lottery"))

    assert cause.conditions == ()
    assert cause.sentence.startswith("why is not known: it differs also with each of these held: ")


def test_a_step_that_gives_the_same_now_differed_by_what_was_around_it() -> None:
    step = Step()

    cause = search(step, ["numpy 1 → 2"])

    assert cause.around
    assert cause.conditions == ()
    assert cause.sentence == (
        "it gives the same each time that it runs now; not the same is numpy 1 → 2"
    )
    assert "nothing is known" in search(Step()).sentence
    assert "gives what it gave at first" in search(Step(before=True)).sentence


@pytest.mark.parametrize(
    ("here", "condition"),
    [
        ("file order reversed", "file order"),
        ("PYTHONHASHSEED", "hash seed"),
        ("OMP_NUM_THREADS", "threads"),
    ],
)
def test_what_is_the_same_here_may_be_another_elsewhere(here: str, condition: str) -> None:
    cause = search(Step(here=here))

    assert cause.around
    assert cause.conditions == (condition,)
    assert cause.sentence.endswith(", which was another then")


def test_a_step_that_fails_alone() -> None:
    step = Step(fails_with="")
    step.run = lambda held, title: StepRecord(  # type: ignore[method-assign]
        name="train", result="failed", attempts=(FAILED,)
    )

    cause = search(step)

    assert cause.sentence == "run alone once more, it fails: no network"
    assert cause.runs == 1


def test_the_search_may_end_at_any_run() -> None:
    whole = search(Step("a lottery")).runs
    for most in range(whole):
        step = Step("a lottery", most=most)

        cause = search(step)

        assert step.ran == most
        assert cause.sentence == "why is not known: no more"


def test_only_what_may_matter_is_tried() -> None:
    bare = StepRecord(name="a", result="passed")
    held = trials_for(bare, {"PYTHONHASHSEED": "0"})
    threads = {"OMP_NUM_THREADS": "1"}

    assert [trial.condition for trial in held] == ["clock", "random"]
    assert "threads" in [trial.condition for trial in trials_for(RECORD, threads)]


def test_a_generator_that_the_step_drew_from_is_tried_first() -> None:
    drawn = Part(kind="random", label="random state of torch", digest="")
    record = StepRecord(
        name="a", result="passed", distributions={"numpy": "2", "torch": "2"}, observed=(drawn,)
    )

    assert trials_for(record, RANDOM)[0].condition == "torch"
    assert NOTHING_HELD.with_too(trials_for(record, RANDOM)[0].held).in_kernel == ("torch",)
