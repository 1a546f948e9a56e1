"""A verdict: what each gate asked, what it found, and what came of it.

Part of a run's record, and evidence later.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct

from nbci.records.seeds import PairedDifference

GateAnswer = Literal["passed", "failed", "warned", "left out"]
VerdictResult = Literal["passed", "failed", "warned"]


class CasesJudged(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The cases that a gate over predictions judged: those of a step, beside the baseline's.

    `predictions` says whose the baseline's are. `fixed` are the cases that only the run has right,
    `broken` those that only the baseline has; a regression has none. `p_value` is that of the
    paired test. Where slices were judged, `slice` names the worst of them by its columns and
    values, its are the counts, and `slices` is how many were compared.
    """

    step: str
    predictions: str
    cases: int
    fixed: int | None = None
    broken: int | None = None
    p_value: float | None = None
    slice: Mapping[str, str] | None = None
    slices: int | None = None


class Override(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Somebody lets a run pass a gate that refused it: who, why, and what stood there then."""

    gate: str
    by: str
    reason: str
    at_utc: str
    asked: str
    found: float | None = None
    baseline: float | None = None
    cases: CasesJudged | None = None


class GateResult(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One gate's answer and its `reason`.

    `metric` is the full name of what was judged, `values` are the metrics of an expression.
    `margin` is the room left to the nearest bound, negative where it was missed. `baseline` is the
    value that counted; it was `recorded` when the baseline was made, or is that of its model
    `remeasured` on this run's data. `not_remeasured` says why there is no such value.
    `cases` are those that were judged by predictions. With `noise`, the means over several seeds
    are what was `found` and compared; `noise_unknown` says why a gate that asks for them had one
    value of each only.
    """

    gate: str
    asked: str
    result: GateAnswer
    reason: str
    severity: Literal["fail", "warn"] = "fail"
    metric: str | None = None
    found: float | None = None
    unit: str | None = None
    values: Mapping[str, float] | None = None
    baseline: float | None = None
    baseline_source: str | None = None
    recorded: float | None = None
    noise: PairedDifference | None = None
    noise_unknown: str | None = None
    remeasured: float | None = None
    not_remeasured: str | None = None
    margin: float | None = None
    cases: CasesJudged | None = None
    override: Override | None = None

    @property
    def refuses(self) -> bool:
        """Whether the gate keeps the run from passing."""
        return self.result == "failed" and self.override is None

    @property
    def answer(self) -> str:
        """The result in a word; `overridden` where somebody let the run pass."""
        if self.override is not None:
            return "overridden"
        return self.result

    @property
    def title(self) -> str:
        """The gate's own name; of one without, the metric alone: what it asks stands beside it."""
        return self.gate.removesuffix(self.asked).strip() or "expression"

    @property
    def question(self) -> str:
        """Its name and what it asks."""
        return f"{self.title} {self.asked}"

    @property
    def explanation(self) -> str:
        """The reason, whose the baseline is, and who overrode the gate and why."""
        parts = [self.reason]
        if self.baseline_source is not None:
            parts.append(f"baseline: {self.baseline_text}")
        if self.override is not None:
            parts.append(f"overridden by {self.override.by}: {self.override.reason}")
        return "; ".join(filter(None, parts))

    @property
    def baseline_text(self) -> str | None:
        """Whose the baseline is, and which of its values counted, where there may be two."""
        if self.baseline_source is None:
            return None
        if self.noise is not None:
            seeds = f"with the same {self.noise.seeds} seeds (recorded: {self.recorded:.12g})"
            return f"{self.baseline_source}, {seeds}"
        if self.noise_unknown is not None:
            return f"{self.baseline_source}, noise unknown: {self.noise_unknown}"
        if self.remeasured is not None:
            again = f"{self.baseline_source}, measured again on this run's data"
            if self.recorded is None:
                return again
            # Twelve digits, as everywhere in a verdict.
            return f"{again} (recorded: {self.recorded:.12g})"
        if self.not_remeasured is not None:
            return f"{self.baseline_source}, as recorded, since {self.not_remeasured}"
        return self.baseline_source


class BaselineUsed(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What stood behind a `baseline:` when the gates were judged.

    `identity` changes when the baseline moves on (a release's tag, a commit, a digest); None where
    there was none, for which `source` gives the reason.
    """

    asked: str
    source: str
    identity: str | None = None


class Verdict(Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What the gates made of a run. An overridden gate does not refuse, but the verdict warns."""

    result: VerdictResult
    judged_utc: str
    gates: tuple[GateResult, ...] = ()
    baselines: tuple[BaselineUsed, ...] = ()
    overrides: tuple[Override, ...] = ()

    @property
    def refuses(self) -> bool:
        """Whether nothing may be promoted."""
        return self.result == "failed"

    @property
    def refusing_gates(self) -> tuple[GateResult, ...]:
        """The gates that refused the run and that nobody overrode."""
        return tuple(gate for gate in self.gates if gate.refuses)
