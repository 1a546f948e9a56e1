"""Runs with several seeds, and gates that tell a difference of their means from noise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from msgspec.structs import replace

from nbci.formatting.numbers import brief, rough, signed
from nbci.gates.baseline import Baseline
from nbci.gates.bounds import bounds_of, margin
from nbci.pipeline.rules import exact
from nbci.pipeline.seeds import FEWEST_JUDGED
from nbci.records.seeds import SeedRuns

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nbci.gates.baseline import NoBaseline
    from nbci.pipeline.rules import Gate, Rule
    from nbci.plan.model import Plan
    from nbci.records.run_record import RunRecord
    from nbci.records.seeds import BaselineSeeds, PairedDifference
    from nbci.records.verdict import GateResult

SIGNIFICANT = 0.05
_NOT_CARRIED_OUT = "the run was carried out without them"


class SeedRunner(Protocol):
    """Carries pipelines out with other seeds, beside the run that has the record."""

    def run_seeds(self, record: RunRecord) -> SeedRuns:
        """The run with each of its seeds, or why there is its own only."""

    def baseline_seeds(self, record: RunRecord, baseline: Baseline) -> BaselineSeeds:
        """The baseline with the seeds of the run, on its data, or why that cannot be."""


def with_seeds(record: RunRecord, plan: Plan, runner: SeedRunner | None) -> RunRecord:
    """The record with what the run gives with other seeds; those that are there stay."""
    if plan.seeds is None or (runner is None and record.seeds is not None):
        return record
    if runner is None:
        seeds = SeedRuns(parameter=plan.seeds.parameter, reason=_NOT_CARRIED_OUT)
    else:
        seeds = runner.run_seeds(record)
    warnings = dict.fromkeys((*record.warnings, *_warnings(seeds)))
    return replace(record, seeds=seeds, warnings=tuple(warnings))


def _warnings(seeds: SeedRuns) -> Iterator[str]:
    if seeds.reason is not None:
        yield f"no other seeds: {seeds.reason}"
    for run in seeds.runs:
        if run.reason is not None:
            yield f"no result with {seeds.parameter} {run.value}: {run.reason}"


def with_baseline_seeds(
    record: RunRecord,
    plan: Plan,
    baselines: Mapping[str, Baseline | NoBaseline],
    runner: SeedRunner,
) -> RunRecord:
    """The record with the same seeds of each baseline that a gate tells from noise."""
    seeds = record.seeds
    if seeds is None or seeds.reason is not None:
        return record
    found = {}
    for gate in plan.gates:
        baseline = baselines.get(str(gate.baseline))
        if gate.beyond_noise and isinstance(baseline, Baseline) and baseline.asked not in found:
            found[baseline.asked] = runner.baseline_seeds(record, baseline)
    warnings = dict.fromkeys(record.warnings)
    for each in found.values():
        for path in each.other_files:
            text = f"{each.asked} was carried out with {path} as it was then: no step declares it"
            warnings[f"{text} as `deps`"] = None
    seeds = replace(seeds, baselines=tuple(found.values()))
    return replace(record, seeds=seeds, warnings=tuple(warnings))


def with_means(
    result: GateResult, baseline: Baseline | NoBaseline, seeds: SeedRuns | None
) -> GateResult:
    """The result with the means over the seeds; else with why it has one value of each only."""
    assert isinstance(baseline, Baseline)
    difference = _difference(str(result.metric), baseline, seeds)
    if isinstance(difference, str):
        return replace(result, noise_unknown=difference)
    return replace(
        result,
        found=difference.after,
        baseline=difference.before,
        recorded=result.recorded if result.recorded is not None else result.baseline,
        remeasured=None,
        not_remeasured=None,
        noise=difference,
    )


def _difference(metric: str, baseline: Baseline, seeds: SeedRuns | None) -> PairedDifference | str:
    """The metric's difference from the baseline over the seeds, or why there is none."""
    if seeds is None:
        return "the run has one seed only; `nbci run --seeds 5` has more"
    if seeds.reason is not None:
        return seeds.reason
    found = seeds.baseline(baseline.asked)
    if found is None or found.identity != baseline.identity:
        return f"{baseline.source} was not carried out with the seeds of this run"
    if found.reason is not None:
        return f"{baseline.source} was not carried out with the same seeds: {found.reason}"
    difference = (found.differences or {}).get(metric)
    count = difference.seeds if difference is not None else 0
    if difference is None or count < FEWEST_JUDGED:
        return f"{count} seeds have a value of both, of {FEWEST_JUDGED} that are needed"
    return difference


def answer_beyond_noise(
    gate: Gate, result: GateResult, noise: PairedDifference
) -> tuple[Rule, str]:
    """The rule over the means, whose `margin` is known, and the reason."""
    room = result.margin or 0.0
    # What is asked of the metric itself holds whatever the noise.
    fixed = margin(noise.after, bounds_of(gate, None))
    if fixed is not None and fixed < 0:
        return "fail", f"misses by {rough(-fixed)}"
    if gate.better is not None:
        return _answer_better(room, noise)
    if room >= 0:
        return "pass", f"{rough(room)} to spare ({_facts(noise)})"
    if _p_value(noise) < SIGNIFICANT:
        return "fail", f"misses by {rough(-room)}, beyond {_reach(noise)} ({_facts(noise)})"
    return "pass", f"inside {_reach(noise)}: no worse ({_facts(noise)})"


def _answer_better(room: float, noise: PairedDifference) -> tuple[Rule, str]:
    if room < 0 or noise.after == noise.before:
        return "fail", f"no better than the baseline ({_facts(noise)})"
    if _p_value(noise) < SIGNIFICANT:
        return "pass", f"better, beyond {_reach(noise)} ({_facts(noise)})"
    return "fail", f"inside {_reach(noise)}: no better ({_facts(noise)})"


def _p_value(noise: PairedDifference) -> float:
    """How likely chance is to move the mean so far to the side that it is on."""
    return min(noise.p_lower, noise.p_higher)


def _reach(noise: PairedDifference) -> str:
    return f"the noise of ±{brief(noise.reach)}"


def _facts(noise: PairedDifference) -> str:
    """`mean of 5 seeds -0.004, 95 % from -0.008 to 0.001, p = 0.16`."""
    difference = float(exact(noise.after) - exact(noise.before))
    interval = f"95 % from {brief(noise.low)} to {brief(noise.high)}"
    p_value = f"p = {_p_value(noise):.2g}"
    return f"mean of {noise.seeds} seeds {signed(difference)}, {interval}, {p_value}"
