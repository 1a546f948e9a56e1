"""What a search varies: ranges and choices for parameters, each perhaps under a condition."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, Protocol

from msgspec import Struct
from msgspec.structs import replace

from nbci.errors import UsageError, spelling_hint
from nbci.graph import by_name
from nbci.params.merge import listing
from nbci.params.types import MismatchError, ParameterType, conform
from nbci.pipeline.conditions import check_condition
from nbci.pipeline.early_stopping import is_same_metric
from nbci.pipeline.formulas import names, parse

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from nbci.errors import Location
    from nbci.params import Parameter
    from nbci.pipeline.confirmation import Confirmation
    from nbci.pipeline.early_stopping import Pruning
    from nbci.pipeline.fidelity import Fidelity

Method = Literal["grid", "random", "sobol", "tpe", "cmaes", "hyperband"]
Direction = Literal["minimize", "maximize"]
Scalar = bool | int | float | str | None

_FOR_ONE_OBJECTIVE = ("cmaes", "hyperband")

_TOLERANCE = 1e-9
"""Of a range's length in steps: 0.1 + 0.2 is not 0.3."""


class Where(Protocol):
    """Gives the place that these keys lead to, where a space comes from a file."""

    def __call__(self, *path: str, key: bool = False) -> Location | None: ...


class Range(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="range"):
    """Numbers from `low` to `high`, both included; whole ones where both are.

    With `log` each order of magnitude counts alike; with `step` only every so many.
    """

    name: str
    low: int | float
    high: int | float
    log: bool = False
    step: int | float | None = None
    when: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether its values are whole numbers."""
        return isinstance(self.low, int)

    @property
    def values(self) -> tuple[Scalar, ...] | None:
        """All of its values; None where there are infinitely many."""
        step = self.step
        if step is None and not self.is_whole:
            return None
        if isinstance(self.low, int):
            return tuple(range(self.low, int(self.high) + 1, int(step or 1)))
        assert step is not None
        count = math.floor((self.high - self.low) / step + _TOLERANCE) + 1
        # Not above `high`, where the sum is rounded up.
        return tuple(min(self.low + at * step, self.high) for at in range(count))


class Choices(Struct, frozen=True, kw_only=True, omit_defaults=True, tag="choices"):
    """One of these values."""

    name: str
    values: tuple[Scalar, ...]
    when: str | None = None


Dimension = Range | Choices


class Sweep(Struct, frozen=True, kw_only=True):
    """A search as a pipeline file asks for it; `minutes` and `trials` end it, the first of them.

    Several `objectives` are weighed against each other: no single trial need be the best in all.
    `no_better_in`: it also ends after so many trials none of which was better. `prune` stops trials
    by values that the lines of their steps have where they match `report`. With `fidelity` they
    begin with little of a parameter, and the better ones get more.
    """

    name: str
    space: tuple[Dimension, ...]
    objectives: tuple[str, ...]
    method: Method = "tpe"
    trials: int | None = None
    minutes: float | None = None
    parallel: int = 1
    no_better_in: int | None = None
    seed: int | None = None
    confirm: Confirmation | None = None
    prune: Pruning | None = None
    report: str | None = None
    fidelity: Fidelity | None = None


def read_dimension(
    name: str, fields: Mapping[str, Any] | Sequence[Any], parameters: Sequence[Parameter], at: Where
) -> Dimension:
    """A dimension as a file or the command line has it.

    UsageError where no parameter has that name, or a value does not fit the parameter.
    """
    known = by_name(parameters)
    if name not in known:
        raise UsageError(
            f"a sweep varies the parameter {name}, which the pipeline does not declare",
            hint=spelling_hint(name, known, listing(parameters)),
            where=at(key=True),
        )
    if not isinstance(fields, dict):
        return _choices(known[name], list(fields), None, at)
    if "choices" in fields and not fields.keys() & {"low", "high", "log", "step"}:
        return _choices(known[name], fields["choices"], fields.get("when"), at)
    if "choices" in fields or not fields.keys() >= {"low", "high"}:
        raise UsageError(
            f"{name} is searched either between `low` and `high`, or among `choices`",
            hint=f"for example `{name}: {{low: 1, high: 10}}` or `{name}: [1, 3, 10]`",
            where=at(key=True),
        )
    return _range(known[name], fields, at)


def _choices(parameter: Parameter, values: list[Any], when: str | None, at: Where) -> Choices:
    found: list[Scalar] = []
    for value in values:
        chosen = _fitting(parameter, value, at())
        # In Python, 1 == True.
        if any(type(other) is type(chosen) and other == chosen for other in found):
            raise UsageError(f"the choice {value!r} of {parameter.name} is there twice", where=at())
        found.append(chosen)
    return Choices(name=parameter.name, values=tuple(found), when=when)


def _range(parameter: Parameter, fields: Mapping[str, Any], at: Where) -> Range:
    numbers = {}
    for key in ("low", "high"):
        numbers[key] = read_number(parameter, fields[key], at(key))
    # A parameter without a type takes what the bounds are.
    if parameter.type.kind == "any" and not all(isinstance(n, int) for n in numbers.values()):
        numbers = {key: float(number) for key, number in numbers.items()}
    low, high = numbers["low"], numbers["high"]
    name, log, step = parameter.name, fields.get("log", False), fields.get("step")
    if low >= high:
        raise UsageError(
            f"the bounds of {name} are the wrong way round: `low` {low} is not below `high` {high}",
            hint="one value is no range: leave the parameter out, and give it the value with -p",
            where=at("low"),
        )
    if log and low <= 0:
        raise UsageError(
            f"{name} is searched on a logarithmic scale, on which there is no {low}",
            hint="begin above 0, for example at 0.001, or leave out `log`",
            where=at("low"),
        )
    if log and step is not None:
        raise UsageError(
            f"`log` and `step` of {name} do not go together",
            hint="list the values: `choices`",
            where=at("step"),
        )
    if step is not None:
        step = _step(parameter, step, high - low, at("step"))
    return Range(name=name, low=low, high=high, log=log, step=step, when=fields.get("when"))


def _step(parameter: Parameter, step: float, length: float, where: Location | None) -> int | float:
    fitting = read_number(parameter, step, where)
    if not 0 < fitting <= length:
        raise UsageError(
            f"the step {step} of {parameter.name} does not lead from `low` to `high`",
            hint=f"it is above 0, and at most {length}",
            where=where,
        )
    return fitting


def read_number(parameter: Parameter, value: Any, where: Location | None) -> int | float:
    """A bound of the parameter, as it has numbers; UsageError where it has none."""
    kind = parameter.type.kind
    if kind not in ("int", "float", "any"):
        raise UsageError(
            f"the parameter {parameter.name} is no number, and has no range: {parameter.type}",
            hint=f"list its values: `{parameter.name}: [...]`",
            where=where,
        )
    # Its choices are for the values between the bounds, not for the bounds.
    fitting = _fitting(parameter, value, where, ParameterType(kind=kind, optional=kind == "any"))
    if isinstance(fitting, bool) or not isinstance(fitting, int | float):
        raise UsageError(f"a bound of {parameter.name} is no number: {value!r}", where=where)
    if not math.isfinite(fitting):
        raise UsageError(f"a bound of {parameter.name} is not finite: {value!r}", where=where)
    return fitting


def _fitting(
    parameter: Parameter, value: Any, where: Location | None, kind: ParameterType | None = None
) -> Any:
    try:
        return conform(value, kind or parameter.type)
    except MismatchError as error:
        raise UsageError(f"the parameter {parameter.name} takes {error}", where=where) from error


def in_order(
    space: Sequence[Dimension], parameters: Sequence[Parameter], at: Where
) -> tuple[Dimension, ...]:
    """The dimensions, each behind those that its condition names.

    UsageError where a condition is none, names itself, or two name each other.
    """
    waits_for = {}
    known = by_name(parameters)
    dimensions = by_name(space)
    for name, dimension in dimensions.items():
        if dimension.when is None:
            waits_for[name] = set[str]()
            continue
        try:
            check_condition(dimension.when, known, {})
        except UsageError as error:
            raise UsageError(error.message, hint=error.hint, where=at(name, "when")) from error
        # Other names in it are parameters that are not searched: they are known.
        waits_for[name] = {*names(parse(dimension.when))} & dimensions.keys()
        if name in waits_for[name]:
            raise UsageError(
                f"the condition of {name} names {name} itself: {dimension.when!r}",
                hint="it says for which values of other parameters this one is searched",
                where=at(name, "when"),
            )
    ordered: dict[str, Dimension] = {}
    while len(ordered) < len(dimensions):
        before = len(ordered)
        for name, dimension in dimensions.items():
            if waits_for[name] <= ordered.keys():
                ordered.setdefault(name, dimension)
        if len(ordered) == before:
            left = [name for name in dimensions if name not in ordered]
            raise UsageError(
                f"the conditions of {' and '.join(left)} name each other",
                hint="one of them is searched whatever the others are: leave out its `when`",
                where=at(left[0], "when"),
            )
    return tuple(ordered.values())


def refuse_infinite(space: Sequence[Dimension], at: Where) -> None:
    """UsageError where a grid over the dimensions would have no end."""
    for dimension in space:
        if dimension.values is None:
            raise UsageError(
                f"a grid over {dimension.name} is infinite: between two numbers lie others",
                hint="give it a `step`, list its values, or choose another `method`",
                where=at(dimension.name),
            )


def refuse_several(sweep: Sweep, where: Location | None) -> None:
    """UsageError where the method or the pruner takes one objective, and there are several."""
    if len(sweep.objectives) < 2:
        return
    if sweep.prune is not None:
        raise UsageError(
            f"`prune` takes one objective, and there are {len(sweep.objectives)}: "
            f"{', '.join(sweep.objectives)}",
            hint="of several, none says which trial is worse: leave out `prune`",
            where=where,
        )
    if sweep.method in _FOR_ONE_OBJECTIVE:
        raise UsageError(
            f"the method {sweep.method} takes one objective, and there are "
            f"{len(sweep.objectives)}: {', '.join(sweep.objectives)}",
            hint="method: tpe searches for several",
            where=where,
        )


def direction_of(objective: str, directions: Mapping[str, str | None]) -> Direction | None:
    """Where the objective is to go, as the pipeline declares the metric; None where it does not."""
    short = objective.partition(":")[2] or objective
    declared = directions.get(objective) or directions.get(short)
    # A metric may be declared for one step, or by its short name for all.
    if declared is None:
        return None
    return "maximize" if declared == "up" else "minimize"


def with_direction(
    pruning: Pruning,
    directions: Mapping[str, str | None],
    objective: str,
    objective_direction: Direction | None,
) -> Pruning:
    """The pruning with the direction of its metric, as far as anything says which it is."""
    found = pruning.direction or direction_of(pruning.on, directions)
    if found is None and is_same_metric(pruning.on, objective):
        found = objective_direction
    return replace(pruning, direction=found)
