"""Gates: what a pipeline asks of its metrics."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nbci.formatting.numbers import counted
from nbci.pipeline.metric_names import meant_by, short_name

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Rule = Literal["pass", "warn", "fail"]
Direction = Literal["up", "down"]
Remeasure = Literal["yes", "no", "required"]
"""Whether a baseline's model is measured again: where it can be, never, or the gate refuses."""
BASELINES = ("champion", "run", "rev", "file")
WITH_FILES = ("champion", "run", "rev")
"""Those that may have files of models beside metrics."""
CASE_METRICS: Mapping[str, Direction] = {
    "accuracy": "up",
    "mean_absolute_error": "down",
    "mean_squared_error": "down",
}
"""The metrics that are means over the cases of a file of predictions, and which way is better."""
MIN_ROWS = 50
"""Slices of fewer cases are not judged where the gate does not say otherwise."""


class DeclaredMetric(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a pipeline says of a metric: which way is better, and the unit."""

    direction: Direction | None = None
    unit: str | None = None
    description: str | None = None


class Tolerance(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How far a metric may move: in its own unit, or in per cent of the baseline."""

    amount: float
    percent: bool = False

    def of(self, baseline: float) -> Fraction:
        """The distance from that baseline, exactly as the decimal numbers have it."""
        if self.percent:
            return abs(exact(baseline)) * exact(self.amount) / 100
        return exact(self.amount)

    def __str__(self) -> str:
        if self.percent:
            return f"{number_text(self.amount)}%"
        return number_text(self.amount)


class SliceRule(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Which slices are judged: those by these columns and by each two of them, and by what."""

    by: tuple[str, ...]
    metric: str
    min_rows: int = MIN_ROWS


class WatchedRule(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A rule of a monitor, which its step judges: its name there, and its words."""

    rule: str
    subject: str
    asked: str


class Gate(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A rule over metrics or predictions; all bounds that it names must hold.

    `expr`, `flips` or `slices` stands instead of `metric`. Bounds are of the metric; for `flips` of
    the share of broken cases in per cent; for `slices` of the metric in each slice. `better` is the
    direction in which the metric must have moved from the baseline, if only a little. With
    `significant`, a move is refused only where its p-value is below; with `beyond_noise` the means
    over several seeds are judged, and a move that may be chance is none. `of` asks for the value
    that no trial of a sweep saw, where one chose the run. `step` is the one whose predictions are
    judged, or that has judged a `watched` rule itself. `missing` is the verdict where what is
    judged is missing or NaN, `first_run` the one where there is no baseline yet.
    """

    name: str
    metric: str | None = None
    expr: str | None = None
    flips: bool = False
    slices: SliceRule | None = None
    watched: WatchedRule | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: float | None = None
    baseline: str | None = None
    max_drop: Tolerance | None = None
    max_rise: Tolerance | None = None
    within: Tolerance | None = None
    better: Direction | None = None
    significant: float | None = None
    beyond_noise: bool = False
    of: Literal["confirmed"] | None = None
    step: str | None = None
    severity: Literal["fail", "warn"] = "fail"
    when: str | None = None
    remeasure: Remeasure = "yes"
    first_run: Rule = "pass"
    missing: Rule = "fail"
    description: str | None = None

    @property
    def kind(self) -> str:
        """What the gate judges: a row of each table of kinds."""
        if self.expr is not None:
            return "expr"
        if self.flips:
            return "flips"
        if self.slices is not None:
            return "slices"
        if self.watched is not None:
            return "watched"
        return "metric"

    @property
    def judges_cases(self) -> bool:
        """Whether predictions are compared with the baseline's for it."""
        return self.flips or self.slices is not None or self.significant is not None

    @property
    def subject(self) -> str:
        """What is judged, in words; nothing for an expression, which says it."""
        return _WORDS[self.kind][0](self)

    @property
    def asked(self) -> str:
        """The rule in words, such as `at least 0.95`."""
        return _WORDS[self.kind][1](self)


# These words are the gate's name where it has none, so they stay as they are.
def _asked_of_metric(gate: Gate) -> str:
    words = []
    if gate.at_least is not None and gate.at_most is not None:
        words.append(f"between {number_text(gate.at_least)} and {number_text(gate.at_most)}")
    elif gate.at_least is not None:
        words.append(f"at least {number_text(gate.at_least)}")
    elif gate.at_most is not None:
        words.append(f"at most {number_text(gate.at_most)}")
    if gate.equals is not None:
        words.append(f"equals {number_text(gate.equals)}")
    words += _moves(gate)
    if gate.within is not None:
        words.append(f"within {gate.within} of {gate.baseline}")
    if gate.better is not None:
        words.append(f"better than {gate.baseline}")
    if gate.significant is not None:
        words.append(_asked_of_chance(gate, gate.significant))
    if gate.beyond_noise:
        words.append("beyond noise")
    if gate.of is not None:
        words.append(gate.of)
    return ", ".join(words)


def _moves(gate: Gate) -> list[str]:
    words = []
    if gate.max_drop is not None:
        words.append(f"at most {gate.max_drop} below {gate.baseline}")
    if gate.max_rise is not None:
        words.append(f"at most {gate.max_rise} above {gate.baseline}")
    return words


def _asked_of_chance(gate: Gate, level: float) -> str:
    # What is asked to be better must be so beyond chance; a loss within chance is let pass.
    if gate.better is not None:
        return f"p below {number_text(level)}"
    return f"or p at least {number_text(level)}"


def _asked_of_flips(gate: Gate) -> str:
    share = number_text(gate.at_most or 0.0)
    return f"at most {share}% of all cases, compared with {gate.baseline}"


def _asked_of_slices(gate: Gate) -> str:
    assert gate.slices is not None
    rows = counted(gate.slices.min_rows, "case")
    words = _moves(gate)
    if gate.significant is not None:
        words.append(_asked_of_chance(gate, gate.significant))
    return f"{', '.join(words)}, in slices of {rows} or more"


def _watched(gate: Gate) -> WatchedRule:
    assert gate.watched is not None
    return gate.watched


def _slices_in_words(gate: Gate) -> str:
    assert gate.slices is not None
    return f"{gate.slices.metric} by {', '.join(gate.slices.by)}"


_WORDS: Mapping[str, tuple[Callable[[Gate], str], Callable[[Gate], str]]] = {
    "metric": (lambda gate: str(gate.metric), _asked_of_metric),
    "expr": (lambda _: "", lambda gate: str(gate.expr)),
    "flips": (lambda _: "flips", _asked_of_flips),
    "slices": (_slices_in_words, _asked_of_slices),
    "watched": (lambda gate: _watched(gate).subject, lambda gate: _watched(gate).asked),
}
"""By kind: what is judged, and what is asked of it."""


def exact(number: float) -> Fraction:
    """The number that people read: 0.1 is a tenth, not the binary fraction beside it."""
    # `repr` gives the shortest decimal that reads back as the same float.
    return Fraction(repr(float(number)))


def number_text(number: float) -> str:
    """The number in twelve significant digits at most, without zeros at its end."""
    # Twelve digits hide the errors of binary fractions (0.1 + 0.2) and lose no measured one.
    return f"{number:.12g}"


def declared_for(name: str, declared: Mapping[str, DeclaredMetric]) -> DeclaredMetric:
    """What is declared for a metric, by its full name first."""
    # A declaration with the step counts more than one for all steps.
    for key in (name, short_name(name), *meant_by(name, declared)):
        if key in declared:
            return declared[key]
    return DeclaredMetric()
