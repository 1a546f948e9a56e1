"""The gates of a pipeline file, decoded and checked; each mistake has its line and column."""

from __future__ import annotations

import math
import re
from sys import intern
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from nbci.errors import Location, UsageError, nearest
from nbci.pipeline.conditions import check_condition
from nbci.pipeline.formulas import is_yes_or_no, names, parse
from nbci.pipeline.metric_names import meant_by, short_name, step_of
from nbci.pipeline.nodes import located
from nbci.pipeline.paths import project_path
from nbci.pipeline.rules import BASELINES, DeclaredMetric, Gate, Tolerance, declared_for, shown

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from nbci.pipeline.document import Document

_BOUNDS = ("at_least", "at_most", "between", "equals", "max_drop", "max_rise", "within")
_PERCENT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*%\s*\Z")


def read_metrics(document: Document) -> dict[str, DeclaredMetric]:
    """What the file declares of metrics."""
    return {
        name: DeclaredMetric(**(said or {}))
        for name, said in document.data.get("metrics", {}).items()
    }


def read_gates(document: Document, declared: Mapping[str, DeclaredMetric]) -> tuple[Gate, ...]:
    """The gates of the file, each sound in itself and none at odds with another."""
    gates: list[Gate] = []
    for index, said in enumerate(document.data.get("gates", ())):
        gate = _Reader(document, index, said, declared).gate()
        taken = [other.name for other in gates]
        if gate.name in taken:
            raise UsageError(
                f"gate {index + 1} has the name of gate {taken.index(gate.name) + 1}, {gate.name!r}",
                hint="names tell gates apart: give one of them another `name:`",
                where=document.where("gates", index),
            )
        gates.append(gate)
    places = gate_places(document)
    refuse_contradictions(gates, places, {})
    return tuple(gates)


def gate_places(document: Document) -> tuple[Location, ...]:
    """Where each gate names what it judges."""
    return tuple(
        document.where("gates", index, "expr" if "expr" in said else "metric")
        for index, said in enumerate(document.data.get("gates", ()))
    )


def check_gates(
    document: Document, gates: Sequence[Gate], parameters: Mapping[str, Any], steps: Collection[str]
) -> None:
    """What they name besides metrics is there: parameters in `when`, steps in full names (`steps`
    holds nodes, too).
    """
    for index, gate in enumerate(gates):
        if gate.when is not None:
            with located(document.where, "gates", index, "when"):
                check_condition(gate.when, parameters, {})
        for name in judged_names(gate):
            step = step_of(name)
            if step is not None and step not in steps:
                close = nearest(step, steps)
                raise UsageError(
                    f"gate {index + 1} judges {name}, but there is no step {step!r}",
                    hint=f"did you mean {close}:{short_name(name)}?"
                    if close
                    else f"steps: {', '.join(steps)}",
                    where=gate_places(document)[index],
                )


def judged_names(gate: Gate) -> tuple[str, ...]:
    """The metrics that the gate judges, as it names them."""
    return names(parse(gate.expr, "gate")) if gate.expr is not None else (str(gate.metric),)


def refuse_contradictions(
    gates: Sequence[Gate], places: Sequence[Location], full: Mapping[str, str]
) -> None:
    """UsageError for two gates over one metric that no value satisfies; `full` is what short names
    stand for.
    """
    for at, gate in enumerate(gates):
        for before in range(at):
            other = gates[before]
            same = gate.metric is not None and other.metric is not None
            same = same and full.get(str(gate.metric), gate.metric) == full.get(
                str(other.metric), other.metric
            )
            if same and gate.when == other.when and _is_empty(*_interval(gate, other)):
                raise UsageError(
                    f"no value of {gate.metric} passes both gate {before + 1} ({other.asked}) "
                    f"and gate {at + 1} ({gate.asked})",
                    hint="change one of the bounds, or give the gates different conditions with `when:`",
                    where=places[at],
                )


def check_known(
    gates: Sequence[Gate], places: Sequence[Location], known: Collection[str], *, certain: bool
) -> tuple[str, ...]:
    """Warnings for metrics that may not come to be; UsageError where a name means several, or is
    `certain`ly none.

    `known` holds what steps will measure, by full names, and what the pipeline declares.
    """
    warnings = []
    full: dict[str, str] = {}
    for at, gate in enumerate(gates):
        for name in judged_names(gate):
            meant = meant_by(name, known)
            meant = tuple(other for other in meant if step_of(other)) or meant
            if len(meant) == 1:
                full[name] = meant[0]
            elif meant:
                raise UsageError(
                    f"gate {at + 1} judges {name}, which several steps measure",
                    hint=f"write one of {', '.join(meant)}",
                    where=places[at],
                )
            else:
                warnings.append(_unknown(at, name, places[at], known, certain=certain))
    refuse_contradictions(gates, places, full)
    return tuple(warnings)


def _unknown(at: int, name: str, where: Location, known: Collection[str], *, certain: bool) -> str:
    close = nearest(name, {*known, *map(short_name, known)})
    meant = f" (did you mean {close!r}?)" if close else ""
    said = f"gate {at + 1} judges the metric {name!r}, which no step is seen to measure{meant}"
    if not certain:
        return f"{where}: {said}"
    listed = (
        f"the metrics are {', '.join(known)}" if known else "print it in a cell tagged `metrics`"
    )
    raise UsageError(
        said,
        hint=f"{listed}; one that comes about in another way is declared in `metrics:`",
        where=where,
    )


def _word(said: Mapping[str, Any], key: str, default: str) -> Any:
    """One of the words that the schema allows; interned, so that msgspec sees a default, and a plan
    has one JSON.
    """
    return intern(said.get(key, default))


class _Reader:
    """One gate of the file."""

    def __init__(
        self,
        document: Document,
        index: int,
        said: Mapping[str, Any],
        declared: Mapping[str, DeclaredMetric],
    ) -> None:
        self.document = document
        self.index = index
        self.said = said
        self.declared = declared

    def gate(self) -> Gate:
        """The gate; UsageError for what makes no sense."""
        said = self.said
        low, high = said.get("between", (None, None))
        gate = Gate(
            name=said.get("name", ""),
            metric=said.get("metric"),
            expr=said.get("expr"),
            at_least=_tighter(max, said.get("at_least"), low),
            at_most=_tighter(min, said.get("at_most"), high),
            equals=_float(said.get("equals")),
            baseline=self._baseline(),
            max_drop=self._tolerance("max_drop"),
            max_rise=self._tolerance("max_rise"),
            within=self._tolerance("within"),
            severity=_word(said, "severity", "fail"),
            when=str(said["when"]) if "when" in said else None,
            first_run=_word(said, "first_run", "pass"),
            missing=_word(said, "missing", "fail"),
            description=said.get("description"),
        )
        if gate.expr is not None:
            self._check_expression(gate.expr)
        else:
            self._check_bounds(gate)
            self._check_direction(gate)
        return _named(gate)

    def _check_expression(self, text: str) -> None:
        for key in ("metric", *_BOUNDS, "baseline", "first_run"):
            if key in self.said:
                raise self._wrong(f"`{key}` does not go with `expr`", key, "write two gates")
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
        given = [key for key in _BOUNDS if key in self.said]
        if not given:
            raise self._wrong(
                f"the gate asks nothing of {gate.metric}",
                "metric",
                f"add one of {', '.join(_BOUNDS)}",
            )
        for key in given:
            value = self.said[key]
            if any(
                isinstance(number, float) and not math.isfinite(number) for number in _listed(value)
            ):
                raise self._wrong(f"{key}: {value} is no bound", key, "write a finite number")
        if "between" in self.said and self.said["between"][0] > self.said["between"][1]:
            low, high = map(shown, self.said["between"])
            raise self._wrong(
                f"between: {low} is more than {high}", "between", f"write [{high}, {low}]"
            )
        if _is_empty(*_interval(gate)):
            raise self._wrong(
                f"no value of {gate.metric} is all of this: {self._bounds(given)}", given[-1], None
            )

    def _bounds(self, given: Sequence[str]) -> str:
        return ", ".join(f"{key} {self.said[key]}" for key in given)

    def _check_direction(self, gate: Gate) -> None:
        moves = [key for key in ("max_drop", "max_rise") if key in self.said]
        against = [key for key in (*moves, "within") if key in self.said]
        if against and gate.baseline is None:
            raise self._wrong(
                f"`{against[0]}` compares with a baseline", against[0], "add `baseline: champion`"
            )
        for key in ("baseline", "first_run"):
            if key in self.said and not against:
                raise self._wrong(
                    f"`{key}` goes with `max_drop`, `max_rise` or `within`",
                    key,
                    "say how far the metric may move",
                )
        if len(moves) != 1:
            return
        wanted = "up" if moves[0] == "max_drop" else "down"
        direction = declared_for(str(gate.metric), self.declared).direction
        short = short_name(str(gate.metric))
        if direction is None:
            hint = f"declare it: `metrics: {{{short}: {{direction: {wanted}}}}}`"
            raise self._wrong(
                f"`{moves[0]}` needs to know which way {gate.metric} is better", moves[0], hint
            )
        if direction != wanted:
            other = "max_rise" if wanted == "up" else "max_drop"
            better = "higher" if direction == "up" else "lower"
            raise self._wrong(
                f"`{moves[0]}` limits the good direction: {better} is better for {gate.metric}",
                moves[0],
                f"did you mean {other!r}? With both, the metric stays within a band",
            )

    def _baseline(self) -> str | None:
        text = self.said.get("baseline")
        if text is None:
            return None
        kind, colon, rest = str(text).partition(":")
        if (
            kind not in BASELINES
            or (colon and not rest.strip())
            or (kind != "champion" and not colon)
        ):
            close = nearest(kind, BASELINES)
            meant = f" (did you mean {close!r}?)" if close and close != kind else ""
            hint = "write champion, champion:MODEL, run:ID, rev:GIT_REVISION or file:PATH"
            raise self._wrong(f"unknown baseline {text!r}{meant}", "baseline", hint)
        if kind == "file":
            path = project_path(
                rest.strip(), ".", self.document.where("gates", self.index, "baseline")
            )
            return f"file:{path}"
        return f"{kind}:{rest.strip()}" if colon else kind

    def _tolerance(self, key: str) -> Tolerance | None:
        value = self.said.get(key)
        if value is None:
            return None
        if not isinstance(value, str):
            return Tolerance(amount=float(value))
        percent = _PERCENT.match(value)
        if percent is None:
            raise self._wrong(
                f"{key}: {value!r} is no distance", key, "write 0.01, or 2% of the baseline"
            )
        return Tolerance(amount=float(percent[1]), percent=True)

    def _wrong(self, message: str, key: str, hint: str | None) -> UsageError:
        where = self.document.where("gates", self.index, key)
        return UsageError(f"{message}, in gate {self.index + 1}", hint=hint, where=where)


def _named(gate: Gate) -> Gate:
    if gate.name:
        return gate
    return replace(
        gate, name=gate.asked if gate.expr is not None else f"{gate.metric} {gate.asked}"
    )


def _interval(*gates: Gate) -> tuple[float, float]:
    """What is left of the numbers when all the gates' fixed bounds hold."""
    lows = [bound for gate in gates for bound in (gate.at_least, gate.equals) if bound is not None]
    highs = [bound for gate in gates for bound in (gate.at_most, gate.equals) if bound is not None]
    return max(lows, default=-math.inf), min(highs, default=math.inf)


def _is_empty(low: float, high: float) -> bool:
    return low > high


def _tighter(choose: Any, *bounds: float | None) -> float | None:
    given = [float(bound) for bound in bounds if bound is not None]
    return choose(given) if given else None


def _float(number: float | None) -> float | None:
    return None if number is None else float(number)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
