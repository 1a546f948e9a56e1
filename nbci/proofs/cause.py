"""Find why a step does not give the same: run it again with one thing held, and then another."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from nbci.formatting.numbers import listed
from nbci.kernels.held import NOTHING_HELD
from nbci.proofs.conditions import held_by
from nbci.records.proof import Cause, Try

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from nbci.kernels.held import Held
    from nbci.proofs.conditions import Trial
    from nbci.records.run_record import StepRecord

_NAMED = 3


class SearchEnded(Exception):
    """No further run of the step is begun; the message says why."""


class StepRuns(Protocol):
    """Runs the step alone, each time with what the first run gave it."""

    def run(self, held: Held, title: str) -> StepRecord:
        """One run; SearchEnded where there is to be no other. `title` is for people."""

    def agree(self, one: StepRecord, other: StepRecord) -> bool:
        """Whether two of these runs gave the same, within the tolerance."""

    def gave_before(self, record: StepRecord) -> bool:
        """Whether one of these runs gave what the run that is proved gave."""


def find_cause(step: str, runs: StepRuns, trials: Sequence[Trial], around: Sequence[str]) -> Cause:
    """The cause, or what is known of it; `around` is what was not the same around both runs."""
    search = _Search(step, runs, trials)
    try:
        return search.find(around)
    except SearchEnded as ended:
        return search.answer(f"why is not known: {ended}")


class _Search:
    def __init__(self, step: str, runs: StepRuns, trials: Sequence[Trial]) -> None:
        self._step = step
        self._runs = runs
        self._trials = trials
        self._tried: list[Try] = []

    def answer(self, sentence: str, *held: Trial, around: bool = False) -> Cause:
        """What the search found, with all that it tried."""
        return Cause(
            step=self._step,
            sentence=sentence,
            conditions=tuple(trial.condition for trial in held),
            around=around,
            tried=tuple(self._tried),
        )

    def find(self, around: Sequence[str]) -> Cause:
        first = self._runs.run(NOTHING_HELD, "as it is")
        if first.result != "passed":
            self._note("failed", 1)
            return self.answer(f"run alone once more, it fails: {_why_failed(first)}")
        second = self._runs.run(NOTHING_HELD, "as it is")
        if second.result != "passed":
            self._note("failed", 2)
            return self.answer(f"run alone once more, it fails at times: {_why_failed(second)}")
        if self._runs.agree(first, second):
            self._note("same", 2)
            return self._find_around(first, around)
        self._note("other", 2)
        return self._find_within()

    def _find_within(self) -> Cause:
        """The cause where the step gives another thing each time."""
        here = [trial for trial in self._trials if trial.condition != "network"]
        for trial in here:
            if self._hold([trial]) == "same":
                return self.answer(trial.meaning, trial)
        if len(here) > 1 and self._hold(here) == "same":
            needed = self._leave_out(here)
            return self.answer(" and ".join(trial.meaning for trial in needed), *needed)
        return self._find_network()

    def _find_network(self) -> Cause:
        for trial in self._trials:
            if trial.condition != "network":
                continue
            result = self._hold([trial])
            if result == "same":
                return self.answer(trial.meaning, trial)
            # What it gets from there is all that is left, and it does not run without.
            if result == "failed":
                return self.answer(f"{trial.meaning}, without which it fails", trial)
        titles = ", ".join(trial.title for trial in self._trials)
        return self.answer(f"why is not known: it differs also with each of these held: {titles}")

    def _find_around(self, first: StepRecord, around: Sequence[str]) -> Cause:
        """The cause where the step gives the same each time that it runs now."""
        for trial in self._trials:
            if trial.other is None:
                continue
            other = self._runs.run(trial.other, f"another {trial.title}")
            is_same = other.result == "passed" and self._runs.agree(first, other)
            self._note("same" if is_same else "other", 1, [trial])
            if other.result == "passed" and not is_same:
                meaning = f"{trial.meaning}, which was another then"
                return self.answer(meaning, trial, around=True)
        if self._runs.gave_before(first):
            return self.answer(
                "run alone with what it took at first, it gives what it gave at first", around=True
            )
        same = "it gives the same each time that it runs now"
        if not around:
            return self.answer(f"{same}, and nothing is known that was not the same", around=True)
        return self.answer(f"{same}; not the same is {listed(around, _NAMED)}", around=True)

    def _leave_out(self, needed: Sequence[Trial]) -> list[Trial]:
        """Those of the conditions without which the step gives another thing."""
        kept = list(needed)
        try:
            for trial in needed:
                fewer = [other for other in kept if other is not trial]
                if len(fewer) > 1 and self._hold(fewer) == "same":
                    kept = fewer
        except SearchEnded:
            pass
        return kept

    def _hold(self, trials: Sequence[Trial]) -> Literal["same", "other", "failed"]:
        """What two runs with these held are to each other."""
        held, title = held_by(trials), " and ".join(trial.title for trial in trials)
        first = self._runs.run(held, title)
        if first.result != "passed":
            return self._note("failed", 1, trials)
        second = self._runs.run(held, title)
        if second.result != "passed":
            return self._note("failed", 2, trials)
        if self._runs.agree(first, second):
            return self._note("same", 2, trials)
        return self._note("other", 2, trials)

    def _note(
        self,
        result: Literal["same", "other", "failed"],
        runs: int,
        trials: Iterable[Trial] = (),
    ) -> Literal["same", "other", "failed"]:
        held = tuple(trial.condition for trial in trials)
        self._tried.append(Try(result=result, runs=runs, held=held))
        return result


def _why_failed(record: StepRecord) -> str:
    if record.failure is None:
        return record.reason or record.result
    return record.failure.message
