"""What a step gets from the steps before it: values, and numbers in its parameters."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from nbci.engine.steps.aliases import companions, givers, last_givers, passing_by
from nbci.engine.steps.random_states import RandomStates, states_for
from nbci.errors import StepError, UsageError
from nbci.handoff.joins import resolve_join
from nbci.params.types import MismatchError, conform_metric, type_named
from nbci.pipeline.expressions import fill
from nbci.plan.definitions import reach_definitions
from nbci.plan.parts import parameter_part
from nbci.plan.planned_step import restore_templates

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from nbci.engine.steps.aliases import Ended
    from nbci.handoff.values import ValueRef
    from nbci.plan.model import Plan, PlannedStep
    from nbci.records.run_record import Part, StepRecord


class Inputs(Struct, frozen=True, kw_only=True):
    """What a step starts with.

    `along` are names that it does not mention, but whose values it may change; `reached` are the
    definitions and parameters that the values refer to, as parts of the step's key. Random states
    count for the key of no step, but for the result of one that was seen to draw from them.
    """

    values: tuple[ValueRef, ...]
    params: dict[str, Any]
    along: tuple[str, ...] = ()
    reached: tuple[Part, ...] = ()
    random: RandomStates = RandomStates()

    @property
    def loaded(self) -> tuple[ValueRef, ...]:
        """All that the step's kernel reads."""
        return (*self.values, *self.random.refs)


def inputs_for(step: PlannedStep, plan: Plan, records: Ended) -> Inputs:
    """What the steps before it, with these records, hand to the step.

    StepError where that cannot be determined.
    """
    taken = values_for(step, records)
    looked_at = looked_up(step, taken, records)
    along = companions(step, (*taken, *looked_at), records)
    values = (*taken, *looked_at, *along)
    params = parameters_for(step, records)
    return Inputs(
        values=values,
        params=params,
        along=may_change(step, values, (*looked_at, *along), records),
        reached=reached_parts(step, plan, values, params),
        random=states_for(step, records),
    )


def reached_parts(
    step: PlannedStep, plan: Plan, values: Iterable[ValueRef], params: Mapping[str, Any]
) -> tuple[Part, ...]:
    """The parts that the values bring to the step by name.

    A class that changed makes the same instance a different one.
    """
    names: set[str] = set()
    for ref in values:
        names.update(ref.refs)
    # Most values refer to no definition: the walk over definitions is left out for them.
    if not names or plan.definitions is None:
        return ()
    found = reach_definitions(plan.definitions.get(step.notebook, ()), names, frozenset(params))
    return (*found.parts, *(parameter_part(name, params[name]) for name in sorted(found.params)))


def values_for(step: PlannedStep, records: Ended) -> tuple[ValueRef, ...]:
    """The values that the step takes; StepError where two branches changed one."""
    found = []
    for take in step.takes:
        ref = _join_versions(take.name, givers(step, take, records), records)
        if ref is not None:
            found.append(ref)
    return tuple(found)


def _join_versions(name: str, sources: Iterable[str], records: Ended) -> ValueRef | None:
    """The one version of a value that these steps gave; None where none gave any."""
    given = {}
    for source in sources:
        ref = _value_given(records, source, name)
        if ref is not None:
            given[source] = ref
    if not given:
        return None
    return resolve_join(name, None, _latest(name, given, records))


def looked_up(step: PlannedStep, taken: Sequence[ValueRef], records: Ended) -> tuple[ValueRef, ...]:
    """Values that those taken refer to, as the last step left each.

    Also those that functions in them look up when called.
    """
    own: set[str] = set()
    pending: list[str] = []
    for ref in taken:
        own.add(ref.name)
        pending += (*ref.reads, *ref.refs)

    found: dict[str, ValueRef] = {}
    # What is looked up may look up more in turn.
    while pending:
        name = pending.pop()
        if name in own or name in found:
            continue
        last = _join_versions(name, last_givers(step, name, records), records)
        if last is not None:
            found[name] = last
            pending += (*last.reads, *last.refs)
    return tuple(map(found.__getitem__, sorted(found)))


def may_change(
    step: PlannedStep,
    values: Iterable[ValueRef],
    along: Iterable[ValueRef],
    records: Ended,
) -> tuple[str, ...]:
    """Names that the step hands on if it changed their values, though its plan does not say so.

    Those that came along; what the values refer to; and what functions in values that pass by here
    look up.
    """
    names = {ref.name for ref in along}
    for ref in (*values, *passing_by(step, records)):
        names.update(ref.refs, ref.reads)
    names -= {*step.gives, *step.optional_gives}
    # What the last step changes has no taker, and need not be compared and written.
    if not names or not any(step.name in after for after in records.edges.values()):
        return ()
    return tuple(sorted(names))


def _latest(
    name: str, gave: Mapping[str, ValueRef], records: Mapping[str, StepRecord]
) -> dict[str, ValueRef]:
    """The givers without those whose version another giver's version was made from.

    Those left out left the value as it was.
    """
    # Mostly there is one version, and no history needs to be walked.
    if len({ref.object for ref in gave.values()}) == 1:
        return dict(gave)
    earlier = {giver: _earlier_versions(name, giver, records) for giver in gave}
    latest = {}
    for giver, ref in gave.items():
        is_earlier = False
        for other, versions in earlier.items():
            if gave[other].object != ref.object and ref.object in versions:
                is_earlier = True
        if not is_earlier:
            latest[giver] = ref
    # Where each was made from another's version none is the latest: all are left to be compared.
    return latest or dict(gave)


def _earlier_versions(name: str, giver: str, records: Mapping[str, StepRecord]) -> set[str]:
    """The versions of a value that the giver's was made from."""
    objects: set[str] = set()
    pending = [giver]
    while pending:
        taken = _value_taken(records, pending.pop(), name)
        if taken is None or taken.object in objects:
            continue
        objects.add(taken.object)
        for other in records:
            given = _value_given(records, other, name)
            if given is not None and given.object == taken.object:
                pending.append(other)
    return objects


def parameters_for(step: PlannedStep, records: Mapping[str, StepRecord]) -> dict[str, Any]:
    """The step's parameters with every `${step:metric}` replaced.

    The replacement is the metric or scrap of that step.
    """
    known: dict[str, Any] = {}
    # Most steps ask for no metric: the records of all steps are read only where one does.
    if "${" in repr(step.params):
        known = _metrics_and_scraps(records)
    values = {}
    try:
        for name, value in (step.params or {}).items():
            values[name] = fill(restore_templates(value), known)
    except UsageError as error:
        raise StepError(
            f"a parameter of step {step.name}: {error.message}", hint=error.hint
        ) from error
    # After all are filled: that a metric is missing is said before that another does not fit.
    for name, value in values.items():
        values[name] = _conform(step, name, value)
    return values


def _metrics_and_scraps(records: Mapping[str, StepRecord]) -> dict[str, Any]:
    """What a parameter may refer to, by `step:name`; of one name, the scrap counts."""
    known: dict[str, Any] = {}
    for step, record in records.items():
        for metric in record.metrics:
            known[f"{step}:{metric.name}"] = metric.value
        for scrap in record.scraps:
            known[f"{step}:{scrap.name}"] = scrap.data
    return known


def _conform(step: PlannedStep, name: str, value: Any) -> Any:
    """A parameter that waited for a metric, in the type that the notebook declares."""
    # Metrics are always floats, also where they count something.
    wanted = type_named((step.param_types or {}).get(name, ""))
    if wanted is None:
        return value
    try:
        return conform_metric(value, wanted)
    except MismatchError as error:
        text = json.dumps((step.params or {})[name], default=str)
        sources = ", ".join(dict.fromkeys(re.findall(r"\$\{[^}]+\}", text)))
        raise StepError(
            f"the parameter {name} of step {step.name} takes {error}, which {sources} came to",
            hint=f"round it in the step that makes it, or declare {name} as what it is",
        ) from error


def _value_given(records: Mapping[str, StepRecord], step: str, name: str) -> ValueRef | None:
    record = records.get(step)
    if record is None:
        return None
    return _find_value(record.gives, name)


def _value_taken(records: Mapping[str, StepRecord], step: str, name: str) -> ValueRef | None:
    record = records.get(step)
    if record is None:
        return None
    return _find_value(record.takes, name)


def _find_value(refs: Iterable[ValueRef], name: str) -> ValueRef | None:
    # A loop, not a generator: this is asked for every value of every step.
    for ref in refs:
        if ref.name == name:
            return ref
    return None
