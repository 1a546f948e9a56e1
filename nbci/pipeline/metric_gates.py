"""Gates over one metric, or over an expression of several, read and checked."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from nbci.errors import UsageError
from nbci.pipeline.formulas import is_yes_or_no, names, parse
from nbci.pipeline.metric_names import short_name
from nbci.pipeline.nodes import located
from nbci.pipeline.rules import CASE_METRICS, Gate, declared_for, number_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from nbci.pipeline.gate_fields import GateFields
    from nbci.pipeline.rules import Direction

COMPARING = ("max_drop", "max_rise", "within", "better")
BOUNDS = ("at_least", "at_most", "between", "equals", *COMPARING)
GOOD_DIRECTION = {"max_drop": "up", "max_rise": "down"}
"""Which way a metric must be better for a rule that limits the other way."""
_BETTER = {"up": "higher", "down": "lower"}
_NOT_BESIDE_EXPR = (
    *("metric", *BOUNDS, "baseline", "remeasure", "first_run"),
    *("flips", "slices", "significant", "beyond_noise", "of", "step"),
)

_OF_A_MOVE = ("baseline", "remeasure", "first_run", "significant", "beyond_noise")


def read_expression(fields: GateFields) -> Gate:
    """A gate over an expression; UsageError for what makes no sense."""
    # The schema takes each of these keys by itself.
    fields.refuse(_NOT_BESIDE_EXPR, "expr")
    text = fields.fields["expr"]
    with located(fields.document.where, "gates", fields.index, "expr"):
        formula = parse(text, "gate")
        if not names(formula):
            raise UsageError(f"the gate {text!r} names no metric")
        if not is_yes_or_no(formula):
            raise UsageError(
                f"the gate {text!r} is neither true nor false",
                hint="compare with a bound: ... >= 0.9",
            )
    return Gate(**fields.common(), expr=text)


def read_metric_gate(fields: GateFields) -> Gate:
    """A gate over one metric; UsageError for what makes no sense."""
    given = fields.fields
    low, high = given.get("between", (None, None))
    gate = Gate(
        **fields.common(),
        metric=given["metric"],
        at_least=_tighter(max, given.get("at_least"), low),
        at_most=_tighter(min, given.get("at_most"), high),
        equals=_tighter(max, given.get("equals")),
        baseline=fields.baseline(),
        max_drop=fields.tolerance("max_drop"),
        max_rise=fields.tolerance("max_rise"),
        within=fields.tolerance("within"),
        better=_better_direction(fields),
        significant=fields.significance(),
        beyond_noise=bool(given.get("beyond_noise")),
        of=fields.confirmed(),
        step=given.get("step"),
    )
    _check_bounds(fields, gate)
    _check_baseline(fields, gate)
    _check_direction(fields, gate)
    _check_significance(fields, gate)
    _check_noise(fields, gate)
    _check_confirmed(fields, gate)
    return gate


def _check_bounds(fields: GateFields, gate: Gate) -> None:
    given = fields.fields
    keys = fields.given(BOUNDS)
    if not keys:
        raise fields.error(
            f"the gate asks nothing of {gate.metric}",
            "metric",
            hint=f"add one of {', '.join(BOUNDS)}",
        )
    for key in keys:
        if not _is_finite(given[key]):
            message = f"{key}: {given[key]} is no bound"
            raise fields.error(message, key, hint="write a finite number")
    if "between" in given and given["between"][0] > given["between"][1]:
        low, high = map(number_text, given["between"])
        message = f"between: {low} is more than {high}"
        raise fields.error(message, "between", hint=f"write [{high}, {low}]")
    # A gate that no value can pass is a mistake, and a build of hours would find it.
    if exclude_all(gate):
        shown = ", ".join(f"{key} {given[key]}" for key in keys)
        message = f"no value of {gate.metric} is all of this: {shown}"
        raise fields.error(message, keys[-1], hint=None)


def _check_baseline(fields: GateFields, gate: Gate) -> None:
    """A rule about a move needs a baseline, and a baseline such a rule."""
    comparing = fields.given(COMPARING)
    if comparing and gate.baseline is None:
        raise fields.error(
            f"`{comparing[0]}` compares with a baseline",
            comparing[0],
            hint="add `baseline: champion`",
        )
    if comparing:
        return
    for key in fields.given(_OF_A_MOVE):
        raise fields.error(
            f"`{key}` goes with one of {', '.join(COMPARING)}",
            key,
            hint="say how far the metric may move",
        )


def _check_direction(fields: GateFields, gate: Gate) -> None:
    """A rule for one direction only needs to be the rule for the bad direction."""
    moves = fields.given(GOOD_DIRECTION)
    # With both, the metric stays within a band, whichever way is better.
    if len(moves) != 1:
        return
    direction = declared_for(str(gate.metric), fields.declared).direction
    if direction is None:
        raise _no_direction(fields, moves[0], GOOD_DIRECTION[moves[0]])
    move = moves[0]
    if direction != GOOD_DIRECTION[move]:
        (other,) = GOOD_DIRECTION.keys() - {move}
        raise fields.error(
            f"`{move}` limits the good direction: {_BETTER[direction]} is better for {gate.metric}",
            move,
            hint=f"did you mean {other!r}? With both, the metric stays within a band",
        )


def _check_significance(fields: GateFields, gate: Gate) -> None:
    """A p-value needs the predictions that the metric is the mean of."""
    if gate.significant is None:
        # Without predictions a step would look as if it chose among metrics of one name.
        if gate.step is not None:
            message = "`step` names whose predictions are judged"
            raise fields.error(message, "step", hint="it goes with significant, flips or slices")
        return
    if short_name(str(gate.metric)) not in CASE_METRICS:
        raise fields.error(
            f"predictions do not give {gate.metric}: whether it moved by chance cannot be told",
            "significant",
            hint=f"it goes with {', '.join(CASE_METRICS)}",
        )
    fields.refuse_files("significant")


def _check_noise(fields: GateFields, gate: Gate) -> None:
    """Only what can be carried out with other seeds has noise."""
    if not gate.beyond_noise:
        return
    fields.refuse(("significant",), "beyond_noise")
    if str(gate.baseline).startswith("file:"):
        raise fields.error(
            f"`beyond_noise`, but {gate.baseline} cannot be carried out with other seeds",
            "beyond_noise",
            hint="compare with champion, run:ID or rev:GIT_REVISION",
        )


def _check_confirmed(fields: GateFields, gate: Gate) -> None:
    """A value over other seeds, or of another step, is no match for a baseline's single value."""
    for key in fields.given(("baseline", "significant", "beyond_noise")):
        if gate.of is not None:
            raise fields.error(
                f"`{key}` does not go with `of: confirmed`",
                key,
                hint="give a confirmed value fixed bounds, and write a second gate for the other",
            )


def _better_direction(fields: GateFields) -> Direction | None:
    if "better" not in fields.fields:
        return None
    direction = declared_for(fields.fields["metric"], fields.declared).direction
    if direction is None:
        raise _no_direction(fields, "better", "up")
    return direction


def _no_direction(fields: GateFields, key: str, wanted: str) -> UsageError:
    metric = str(fields.fields.get("metric"))
    return fields.error(
        f"`{key}` needs to know which way {metric} is better",
        key,
        hint=f"declare it: `metrics: {{{short_name(metric)}: {{direction: {wanted}}}}}`",
    )


def exclude_all(*gates: Gate) -> bool:
    """Whether no number is within the fixed bounds of all the gates."""
    # Rules about a baseline leave everything: what it is shows when the run is judged.
    low, high = -math.inf, math.inf
    for gate in gates:
        for bound in (gate.at_least, gate.equals):
            if bound is not None:
                low = max(low, bound)
        for bound in (gate.at_most, gate.equals):
            if bound is not None:
                high = min(high, bound)
    return low > high


def _tighter(choose: Callable[[Iterable[float]], float], *bounds: float | None) -> float | None:
    """The bound that leaves less, as a float: 1 and 1.0 are one plan."""
    given = [float(bound) for bound in bounds if bound is not None]
    if not given:
        return None
    return choose(given)


def _is_finite(bound: Any) -> bool:
    """Whether a number, or both of `between`, are finite; percentages are text and always are."""
    numbers = [bound]
    if isinstance(bound, list):
        numbers = bound
    return not any(isinstance(number, float) and not math.isfinite(number) for number in numbers)
