"""The gates of a pipeline file, decoded and checked; each mistake has its line and column."""

from __future__ import annotations

import math
import re
from sys import intern
from typing import TYPE_CHECKING, Any, Literal

from msgspec.structs import replace

from nbci.errors import Location, UsageError, nearest, spelling_suffix
from nbci.pipeline.conditions import check_condition
from nbci.pipeline.formulas import is_yes_or_no, names, parse
from nbci.pipeline.metric_names import meant_by, short_name, step_of
from nbci.pipeline.nodes import located
from nbci.pipeline.paths import project_path
from nbci.pipeline.rules import (
    BASELINES,
    DeclaredMetric,
    Gate,
    Tolerance,
    declared_for,
    number_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from nbci.pipeline.document import Document
    from nbci.pipeline.rules import Remeasure

_COMPARING = ("max_drop", "max_rise", "within", "better")
_BOUNDS = ("at_least", "at_most", "between", "equals", *_COMPARING)
_BETTER = {"up": "higher", "down": "lower"}
_GOOD_DIRECTION = {"max_drop": "up", "max_rise": "down"}
"""Which way a metric must be better for a rule that limits the other way."""
# What YAML makes of a bare `no` depends on its version.
_REMEASURE: Mapping[object, Remeasure] = {False: "no", "no": "no", "required": "required"}
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*\Z")


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
        gate = _Reader(document, index, fields, declared).gate()
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


def gate_places(document: Document) -> tuple[Location, ...]:
    """Where each gate names what it judges."""
    places = []
    for index, fields in enumerate(document.data.get("gates", ())):
        key = "metric"
        if "expr" in fields:
            key = "expr"
        places.append(document.where("gates", index, key))
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
    return (str(gate.metric),)


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
            if _exclude_all(gate, other):
                raise UsageError(
                    f"no value of {gate.metric} passes both gate {before + 1} ({other.asked}) "
                    f"and gate {at + 1} ({gate.asked})",
                    hint="change one of the bounds, "
                    "or give the gates different conditions with `when:`",
                    where=places[at],
                )


def _same_metric(gate: Gate, other: Gate, full: Mapping[str, str]) -> bool:
    # An `expr` has no bounds that could be compared.
    if gate.metric is None or other.metric is None:
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


def _word(fields: Mapping[str, Any], key: str, default: str) -> Any:
    """One of the words that the schema allows, interned."""
    # msgspec leaves out a default only if it is the same object, and a plan has one JSON.
    return intern(fields.get(key, default))


class _Reader:
    """Reads one gate of the file."""

    def __init__(
        self,
        document: Document,
        index: int,
        fields: Mapping[str, Any],
        declared: Mapping[str, DeclaredMetric],
    ) -> None:
        self.document = document
        self.index = index
        self.fields = fields
        self.declared = declared

    def gate(self) -> Gate:
        """The gate; UsageError for what makes no sense."""
        fields = self.fields
        low, high = fields.get("between", (None, None))
        when = None
        if "when" in fields:
            when = str(fields["when"])  # YAML reads `when: true` as a truth value
        gate = Gate(
            name=fields.get("name", ""),
            metric=fields.get("metric"),
            expr=fields.get("expr"),
            at_least=_tighter(max, fields.get("at_least"), low),
            at_most=_tighter(min, fields.get("at_most"), high),
            equals=_tighter(max, fields.get("equals")),
            baseline=self._baseline(),
            max_drop=self._tolerance("max_drop"),
            max_rise=self._tolerance("max_rise"),
            within=self._tolerance("within"),
            better=self._better_direction(),
            severity=_word(fields, "severity", "fail"),
            when=when,
            remeasure=_REMEASURE.get(fields.get("remeasure"), "yes"),
            first_run=_word(fields, "first_run", "pass"),
            missing=_word(fields, "missing", "fail"),
            description=fields.get("description"),
        )
        if gate.expr is not None:
            self._check_expression(gate.expr)
        else:
            self._check_bounds(gate)
            self._check_baseline(gate)
            self._check_direction(gate)
        return _with_name(gate)

    def _check_expression(self, text: str) -> None:
        # The schema takes each of these keys by itself.
        for key in ("metric", *_BOUNDS, "baseline", "remeasure", "first_run"):
            if key in self.fields:
                raise self._error(f"`{key}` does not go with `expr`", key, "write two gates")
        with located(self.document.where, "gates", self.index, "expr"):
            formula = parse(text, "gate")
            if not names(formula):
                raise UsageError(f"the gate {text!r} names no metric")
            if not is_yes_or_no(formula):
                raise UsageError(
                    f"the gate {text!r} is neither true nor false",
                    hint="compare with a bound: ... >= 0.9",
                )

    def _check_bounds(self, gate: Gate) -> None:
        fields = self.fields
        keys = self._given_keys(_BOUNDS)
        if not keys:
            raise self._error(
                f"the gate asks nothing of {gate.metric}",
                "metric",
                f"add one of {', '.join(_BOUNDS)}",
            )
        for key in keys:
            if not _is_finite(fields[key]):
                raise self._error(f"{key}: {fields[key]} is no bound", key, "write a finite number")
        if "between" in fields and fields["between"][0] > fields["between"][1]:
            low, high = map(number_text, fields["between"])
            raise self._error(
                f"between: {low} is more than {high}", "between", f"write [{high}, {low}]"
            )
        # A gate that no value can pass is a mistake, and a build of hours would find it.
        if _exclude_all(gate):
            shown = ", ".join(f"{key} {fields[key]}" for key in keys)
            raise self._error(f"no value of {gate.metric} is all of this: {shown}", keys[-1], None)

    def _given_keys(self, keys: Iterable[str]) -> list[str]:
        """Those of the keys that the gate has."""
        return list(filter(self.fields.__contains__, keys))

    def _check_baseline(self, gate: Gate) -> None:
        """A rule about a move needs a baseline, and a baseline such a rule."""
        comparing = self._given_keys(_COMPARING)
        if comparing and gate.baseline is None:
            raise self._error(
                f"`{comparing[0]}` compares with a baseline",
                comparing[0],
                "add `baseline: champion`",
            )
        if comparing:
            return
        for key in ("baseline", "remeasure", "first_run"):
            if key in self.fields:
                raise self._error(
                    f"`{key}` goes with one of {', '.join(_COMPARING)}",
                    key,
                    "say how far the metric may move",
                )

    def _check_direction(self, gate: Gate) -> None:
        """A rule for one direction only needs to be the rule for the bad direction."""
        moves = self._given_keys(_GOOD_DIRECTION)
        # With both, the metric stays within a band, whichever way is better.
        if len(moves) != 1:
            return
        move = moves[0]
        wanted = _GOOD_DIRECTION[move]
        direction = declared_for(str(gate.metric), self.declared).direction
        if direction is None:
            raise self._no_direction(move, wanted)
        if direction != wanted:
            (other,) = _GOOD_DIRECTION.keys() - {move}
            raise self._error(
                f"`{move}` limits the good direction: "
                f"{_BETTER[direction]} is better for {gate.metric}",
                move,
                f"did you mean {other!r}? With both, the metric stays within a band",
            )

    def _better_direction(self) -> Literal["up", "down"] | None:
        if "better" not in self.fields:
            return None
        metric = str(self.fields.get("metric"))
        direction = declared_for(metric, self.declared).direction
        if direction is None and "expr" not in self.fields:
            raise self._no_direction("better", "up")
        return direction

    def _no_direction(self, key: str, wanted: str) -> UsageError:
        metric = str(self.fields.get("metric"))
        return self._error(
            f"`{key}` needs to know which way {metric} is better",
            key,
            f"declare it: `metrics: {{{short_name(metric)}: {{direction: {wanted}}}}}`",
        )

    def _baseline(self) -> str | None:
        text = self.fields.get("baseline")
        if text is None:
            return None
        kind, colon, rest = str(text).partition(":")
        name = rest.strip()
        # Only the champion has a meaning without a name: the model's own.
        needs_name = bool(colon) or kind != "champion"
        if kind not in BASELINES or (needs_name and not name):
            suffix = ""
            if kind not in BASELINES:
                suffix = spelling_suffix(kind, BASELINES)
            hint = "write champion, champion:MODEL, run:ID, rev:GIT_REVISION or file:PATH"
            raise self._error(f"unknown baseline {text!r}{suffix}", "baseline", hint)
        if kind == "file":
            where = self.document.where("gates", self.index, "baseline")
            name = project_path(name, ".", where)
        if not colon:
            return kind
        return f"{kind}:{name}"

    def _tolerance(self, key: str) -> Tolerance | None:
        value = self.fields.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            return Tolerance(amount=float(value))
        percent = _PERCENT.match(value)
        if percent is None:
            raise self._error(
                f"{key}: {value!r} is no distance", key, "write 0.01, or 2% of the baseline"
            )
        return Tolerance(amount=float(percent[1]), percent=True)

    def _error(self, message: str, key: str, hint: str | None) -> UsageError:
        where = self.document.where("gates", self.index, key)
        return UsageError(f"{message}, in gate {self.index + 1}", hint=hint, where=where)


def _with_name(gate: Gate) -> Gate:
    if gate.name:
        return gate
    if gate.expr is not None:
        return replace(gate, name=gate.asked)
    return replace(gate, name=f"{gate.metric} {gate.asked}")


def _exclude_all(*gates: Gate) -> bool:
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
