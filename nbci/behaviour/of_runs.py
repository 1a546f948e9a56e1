"""How the models of two runs behave differently: their steps' predictions, compared."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from msgspec import Struct, convert, to_builtins
from msgspec.structs import replace

from nbci.behaviour.difference import Difference, differ
from nbci.behaviour.pairing import pair
from nbci.behaviour.predictions_file import read_predictions
from nbci.errors import NbciError, StepError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from nbci.behaviour.predictions import Predictions
    from nbci.plan.compare import Compared
    from nbci.secrets import Mask


class RunFiles(Struct, frozen=True):
    """A run, and where its out of a path is kept, as it recorded it; None where it is gone."""

    run: Compared
    place_of: Callable[[str], Path | None]


class StepBehaviour(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The predictions of one step, compared with those that it made in the earlier run.

    `path` is the file of the later run. `on_same_data`: the earlier model was measured again on the
    data of the later run. `problem` says why there is no difference.
    """

    step: str
    path: str
    on_same_data: bool = False
    difference: Difference | None = None
    problem: str | None = None


class MeasuredAgain(Struct, frozen=True):
    """The run in which a step of the later run predicted with the earlier model, and its outs."""

    run: str
    place_of: Callable[[str], Path | None]


def compare_behaviours(
    before: RunFiles, after: RunFiles, again: Mapping[str, MeasuredAgain]
) -> tuple[StepBehaviour, ...]:
    """One for each step of the later run that declares predictions and ended well, in order.

    What the earlier model predicted `again` on the data of the later run, by steps, counts instead
    of what it predicted then.
    """
    earlier = {step.name: step.predictions for step in before.run.plan.steps}
    ended = {step.name for step in after.run.record.steps if step.ended_well}
    found = []
    for step in after.run.plan.steps:
        if step.predictions is None or step.name not in ended:
            continue
        now = _Table(after.run.record.run, after.place_of, step.predictions)
        then = None
        measured = again.get(step.name)
        if measured is not None:
            then = _Table(measured.run, measured.place_of, step.predictions)
        elif earlier.get(step.name) is not None:
            then = _Table(before.run.record.run, before.place_of, str(earlier[step.name]))
        behaviour = _compare(step.name, now, then)
        found.append(replace(behaviour, on_same_data=measured is not None))
    return tuple(found)


def mask_behaviours(behaviours: Iterable[StepBehaviour], mask: Mask) -> tuple[StepBehaviour, ...]:
    """The same with secrets masked: files of predictions are data, in which nothing is masked."""
    found = []
    for behaviour in behaviours:
        # Before a text is cut short: the beginning of a secret would not be known as one.
        masked = convert(mask.json(to_builtins(behaviour)), StepBehaviour)
        # By its name pages find the step in the plan.
        found.append(replace(masked, step=behaviour.step))
    return tuple(found)


class _Table(Struct, frozen=True):
    """A file of predictions that a run has written."""

    run: str
    place_of: Callable[[str], Path | None]
    path: str

    def read(self) -> Predictions:
        source = f"{self.path} of run {self.run}"
        place = self.place_of(self.path)
        if place is None:
            raise StepError(f"{source} is not kept any more")
        # What is kept is named by its digest.
        return read_predictions(place, source, suffix=PurePosixPath(self.path).suffix)


def _compare(step: str, now: _Table, then: _Table | None) -> StepBehaviour:
    if then is None:
        problem = "the earlier run declares no predictions of this step"
        return StepBehaviour(step=step, path=now.path, problem=problem)
    try:
        difference = differ(pair(now.read(), then.read()))
    except NbciError as error:
        return StepBehaviour(step=step, path=now.path, problem=error.message)
    return StepBehaviour(step=step, path=now.path, difference=difference)
