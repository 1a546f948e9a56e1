"""Gates: what a pipeline asks of its metrics."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from nbci.pipeline.metric_names import meant_by, short_name

if TYPE_CHECKING:
    from collections.abc import Mapping

Rule = Literal["pass", "warn", "fail"]
Remeasure = Literal["yes", "no", "required"]
"""Whether a baseline's model is measured again: where it can be, never, or the gate refuses."""
BASELINES = ("champion", "run", "rev", "file")
WITH_FILES = ("champion", "run", "rev")
"""Those that may have files of models beside metrics."""


class DeclaredMetric(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a pipeline says of a metric: which way is better, and the unit."""

    direction: Literal["up", "down"] | None = None
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


class Gate(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A rule over metrics; all bounds that it names must hold.

    `expr` stands instead of `metric` and bounds. `better` is the direction in which the metric must
    have moved from the baseline, if only a little. `missing` is the verdict where the metric is
    missing or NaN, `first_run` the one where there is no baseline yet.
    """

    name: str
    metric: str | None = None
    expr: str | None = None
    at_least: float | None = None
    at_most: float | None = None
    equals: float | None = None
    baseline: str | None = None
    max_drop: Tolerance | None = None
    max_rise: Tolerance | None = None
    within: Tolerance | None = None
    better: Literal["up", "down"] | None = None
    severity: Literal["fail", "warn"] = "fail"
    when: str | None = None
    remeasure: Remeasure = "yes"
    first_run: Rule = "pass"
    missing: Rule = "fail"
    description: str | None = None

    @property
    def asked(self) -> str:
        """The rule in words, such as `at least 0.95`."""
        if self.expr is not None:
            return self.expr
        words = []
        # These words are the gate's name where it has none, so they stay as they are.
        if self.at_least is not None and self.at_most is not None:
            words.append(f"between {number_text(self.at_least)} and {number_text(self.at_most)}")
        elif self.at_least is not None:
            words.append(f"at least {number_text(self.at_least)}")
        elif self.at_most is not None:
            words.append(f"at most {number_text(self.at_most)}")
        if self.equals is not None:
            words.append(f"equals {number_text(self.equals)}")
        if self.max_drop is not None:
            words.append(f"at most {self.max_drop} below {self.baseline}")
        if self.max_rise is not None:
            words.append(f"at most {self.max_rise} above {self.baseline}")
        if self.within is not None:
            words.append(f"within {self.within} of {self.baseline}")
        if self.better is not None:
            words.append(f"better than {self.baseline}")
        return ", ".join(words)


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
