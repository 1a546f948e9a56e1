"""The searches that a pipeline file asks for: `sweeps`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location, UsageError, nearest
from nbci.pipeline.confirmation import read_confirmation
from nbci.pipeline.early_stopping import check_report, read_pruning
from nbci.pipeline.fidelity import check_hyperband, read_fidelity
from nbci.pipeline.metric_names import short_name, step_of
from nbci.pipeline.search_space import (
    Sweep,
    direction_of,
    in_order,
    read_dimension,
    refuse_infinite,
    refuse_several,
    with_direction,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nbci.params import Parameter
    from nbci.pipeline.document import Document
    from nbci.pipeline.early_stopping import Pruning
    from nbci.pipeline.rules import DeclaredMetric


def read_sweeps(
    document: Document,
    parameters: Sequence[Parameter],
    metrics: Mapping[str, DeclaredMetric],
) -> dict[str, Sweep]:
    """The sweeps of the file by name; UsageErrors name line and column."""
    found = {}
    for name, fields in document.data.get("sweeps", {}).items():
        found[name] = _read(document, name, fields, parameters, metrics)
    return found


def _read(
    document: Document,
    name: str,
    fields: Mapping[str, Any],
    parameters: Sequence[Parameter],
    metrics: Mapping[str, DeclaredMetric],
) -> Sweep:
    def in_sweep(*path: str) -> Location:
        return document.where("sweeps", name, *path)

    def in_space(*path: str, key: bool = False) -> Location:
        return document.where("sweeps", name, "params", *path, key=key)

    space = []
    for parameter, dimension in fields["params"].items():
        # The name is bound now: a place is asked for when the loop may have gone on.
        def at(*path: str, key: bool = False, parameter: str = parameter) -> Location:
            return document.where("sweeps", name, "params", parameter, *path, key=key)

        space.append(read_dimension(parameter, dimension, parameters, at))
    ordered = in_order(space, parameters, in_space)

    budget = fields.get("budget", {})
    sweep = Sweep(
        name=name,
        space=ordered,
        objectives=_objectives(document, name, fields["objective"]),
        method=fields.get("method", "tpe"),
        trials=budget.get("trials"),
        minutes=budget.get("minutes"),
        parallel=budget.get("parallel", 1),
        no_better_in=budget.get("stop", {}).get("no_better_in"),
        seed=fields.get("seed"),
        confirm=read_confirmation(fields.get("confirm")),
        prune=_pruning(fields, in_sweep("prune")),
        report=fields.get("report"),
    )
    if "fidelity" in fields:

        def in_fidelity(*path: str, key: bool = False) -> Location:
            return document.where("sweeps", name, "fidelity", *path, key=key)

        budget = read_fidelity(fields["fidelity"], parameters, ordered, in_fidelity)
        sweep = replace(sweep, fidelity=budget)
    check_hyperband(sweep, in_sweep())
    if sweep.method == "grid":
        # A finite grid ends by itself, so it needs no budget.
        refuse_infinite(ordered, in_space)
    elif sweep.trials is None and sweep.minutes is None:
        raise UsageError(
            f"the sweep {name} has no end: its `budget` has neither `trials` nor `minutes`",
            hint="add for example `budget: {trials: 50}`",
            where=in_sweep(),
        )
    refuse_several(sweep, in_sweep("objective"))
    # A file says it once for each metric, for gates and sweeps alike.
    directions = {metric: declared.direction for metric, declared in metrics.items()}
    check_report(sweep.prune, sweep.report, in_sweep("report"))
    _check_pruning(sweep, directions, in_sweep("prune"))
    for objective in sweep.objectives:
        if direction_of(objective, directions) is None:
            raise UsageError(
                f"the sweep {name} does not know whether more of {objective} is better",
                hint=f"say it under `metrics:`: `{short_name(objective)}: {{direction: up}}`",
                where=in_sweep("objective"),
            )
    return sweep


def _pruning(fields: Mapping[str, Any], where: Location) -> Pruning | None:
    if "prune" not in fields:
        return None
    return read_pruning(fields["prune"], where)


def _check_pruning(sweep: Sweep, directions: Mapping[str, str | None], where: Location) -> None:
    if sweep.prune is None:
        return
    objective = sweep.objectives[0]
    pruning = with_direction(
        sweep.prune, directions, objective, direction_of(objective, directions)
    )
    if pruning.direction is None:
        raise UsageError(
            f"the sweep {sweep.name} does not know whether more of {pruning.on} is better",
            hint="say it here: `direction: minimize`, or `maximize`",
            where=where,
        )


def _objectives(document: Document, name: str, given: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(given, str):
        return (given,)
    for objective in given:
        # Weighed against itself it would count twice.
        if given.count(objective) > 1:
            raise UsageError(
                f"the sweep {name} has the objective {objective} twice",
                where=document.where("sweeps", name, "objective"),
            )
    return tuple(given)


def check_objectives(
    document: Document, sweeps: Mapping[str, Sweep], steps: Collection[str]
) -> None:
    """UsageError where an objective is the metric of a step that is not there.

    `steps` has the names of nodes, too.
    """
    for name, sweep in sweeps.items():
        for objective in sweep.objectives:
            check_objective(objective, steps, document.where("sweeps", name, "objective"))
        if sweep.prune is not None:
            check_objective(sweep.prune.on, steps, document.where("sweeps", name, "prune"))


def check_objective(objective: str, steps: Collection[str], where: Location | None) -> None:
    """UsageError where the objective is the metric of a step that is not there."""
    step = step_of(objective)
    if step is None or step in steps:
        return
    close = nearest(step, steps)
    hint = f"steps: {', '.join(steps)}"
    if close:
        hint = f"did you mean {close}:{short_name(objective)}?"
    raise UsageError(
        f"no step measures {objective}: there is no step {step!r}", hint=hint, where=where
    )
