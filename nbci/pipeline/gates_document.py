"""The gates of a pipeline file, decoded and checked; each mistake has its line and column."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location, UsageError, nearest, spelling_suffix
from nbci.pipeline.conditions import check_condition
from nbci.pipeline.formulas import names, parse
from nbci.pipeline.gate_fields import GateFields
from nbci.pipeline.metric_gates import exclude_all, read_expression, read_metric_gate
from nbci.pipeline.metric_names import meant_by, short_name, step_of
from nbci.pipeline.nodes import located
from nbci.pipeline.prediction_gates import read_flips, read_slices
from nbci.pipeline.rules import DeclaredMetric, Gate

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from nbci.pipeline.document import Document

READERS: Mapping[str, Callable[[GateFields], Gate]] = {
    "expr": read_expression,
    "flips": read_flips,
    "slices": read_slices,
    "metric": read_metric_gate,
}
"""How a gate is read, by the key that tells its kind."""


def read_metrics(document: Document) -> dict[str, DeclaredMetric]:
    """What the file declares of metrics."""
    declared = {}
    for name, fields in document.data.get("metrics", {}).items():
        # An entry without fields is null: the metric exists, and that is all.
        declared[name] = DeclaredMetric(**(fields or {}))
    return declared


def read_gates(document: Document, declared: Mapping[str, DeclaredMetric]) -> tuple[Gate, ...]:
    """The gates of the file, each sound in itself and none at odds with another."""
    gates: list[Gate] = []
    for index, fields in enumerate(document.data.get("gates", ())):
        gate = _with_name(_read(GateFields(document, index, fields, declared)))
        taken = [other.name for other in gates]
        if gate.name in taken:
            raise UsageError(
                f"gate {index + 1} has the name of gate {taken.index(gate.name) + 1}, "
                f"{gate.name!r}",
                hint="names tell gates apart: give one of them another `name:`",
                where=document.where("gates", index),
            )
        gates.append(gate)
    refuse_contradictions(gates, gate_places(document), {})
    return tuple(gates)


def _read(fields: GateFields) -> Gate:
    # Of keys that do not go together, the reader of the first says so.
    kind = fields.given(READERS)[0]
    return READERS[kind](fields)


def _with_name(gate: Gate) -> Gate:
    if gate.name:
        return gate
    return replace(gate, name=f"{gate.subject} {gate.asked}".strip())


def gate_places(document: Document) -> tuple[Location, ...]:
    """Where each gate names what it judges."""
    places = []
    for index, fields in enumerate(document.data.get("gates", ())):
        # The kinds of READERS are in the order in which a gate is taken for one.
        kind = next(filter(fields.__contains__, READERS))
        places.append(document.where("gates", index, kind))
    return tuple(places)


def check_gates(
    document: Document, gates: Sequence[Gate], parameters: Mapping[str, Any], steps: Collection[str]
) -> None:
    """UsageError where a gate's `when` names no parameter, or the full name of a metric no step.

    `steps` has the names of nodes, too.
    """
    for index, gate in enumerate(gates):
        if gate.when is not None:
            with located(document.where, "gates", index, "when"):
                check_condition(gate.when, parameters, {})
        for name in judged_names(gate):
            step = step_of(name)
            if step is None or step in steps:
                continue
            close = nearest(step, steps)
            hint = f"steps: {', '.join(steps)}"
            if close:
                hint = f"did you mean {close}:{short_name(name)}?"
            raise UsageError(
                f"gate {index + 1} judges {name}, but there is no step {step!r}",
                hint=hint,
                where=gate_places(document)[index],
            )


def judged_names(gate: Gate) -> tuple[str, ...]:
    """The metrics that the gate judges, as it names them."""
    if gate.expr is not None:
        return names(parse(gate.expr, "gate"))
    if gate.metric is not None:
        return (gate.metric,)
    return ()


def refuse_contradictions(
    gates: Sequence[Gate], places: Sequence[Location], full: Mapping[str, str]
) -> None:
    """UsageError for two gates over one metric that no value satisfies.

    `full` is what short names stand for.
    """
    for at, gate in enumerate(gates):
        for before, other in enumerate(gates[:at]):
            # Gates under different conditions may never be judged together.
            if gate.when != other.when or not _same_metric(gate, other, full):
                continue
            if exclude_all(gate, other):
                raise UsageError(
                    f"no value of {gate.metric} passes both gate {before + 1} ({other.asked}) "
                    f"and gate {at + 1} ({gate.asked})",
                    hint="change one of the bounds, "
                    "or give the gates different conditions with `when:`",
                    where=places[at],
                )


def _same_metric(gate: Gate, other: Gate, full: Mapping[str, str]) -> bool:
    # An `expr` has no bounds that could be compared.
    if gate.metric is None or other.metric is None or gate.of != other.of:
        return False
    return full.get(gate.metric, gate.metric) == full.get(other.metric, other.metric)


def check_known(
    gates: Sequence[Gate], places: Sequence[Location], known: Collection[str], *, certain: bool
) -> tuple[str, ...]:
    """Warnings for metrics that may not come to be.

    `known` holds what steps will measure, by full names, and what the pipeline declares.
    UsageError where a name means several of them, or is `certain`ly none.
    """
    warnings = []
    full: dict[str, str] = {}
    for at, gate in enumerate(gates):
        for name in judged_names(gate):
            meant = meant_by(name, known)
            # What a step measures comes before a declaration of the same short name.
            meant = tuple(filter(step_of, meant)) or meant
            if len(meant) == 1:
                full[name] = meant[0]
            elif meant:
                raise UsageError(
                    f"gate {at + 1} judges {name}, which several steps measure",
                    hint=f"write one of {', '.join(meant)}",
                    where=places[at],
                )
            else:
                warnings.append(_unknown_metric(at, name, places[at], known, certain=certain))
    refuse_contradictions(gates, places, full)
    return tuple(warnings)


def _unknown_metric(
    at: int, name: str, where: Location, known: Collection[str], *, certain: bool
) -> str:
    """A warning, which is an error where it is certain what steps measure."""
    suffix = spelling_suffix(name, {*known, *map(short_name, known)})
    message = f"gate {at + 1} judges the metric {name!r}, which no step is seen to measure{suffix}"
    if not certain:
        return f"{where}: {message}"
    remedy = "print it in a cell tagged `metrics`"
    if known:
        remedy = f"the metrics are {', '.join(known)}"
    raise UsageError(
        message,
        hint=f"{remedy}; one that comes about in another way is declared in `metrics:`",
        where=where,
    )
