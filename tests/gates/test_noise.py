"""Gates that judge the means over several seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from nbci.behaviour.seed_noise import paired_difference
from nbci.formatting.numbers import MINUS
from nbci.pipeline.rules import DeclaredMetric, Gate, Tolerance
from nbci.records.codec import from_json, to_json
from nbci.records.seeds import BaselineSeeds, SeedRun, SeedRuns
from nbci.records.verdict import GateResult
from tests.gates.test_judge import CHAMPION, against, result_of, run

if TYPE_CHECKING:
    from nbci.records.run_record import RunRecord

LOSES = [(0.97, 0.95), (0.96, 0.93), (0.97, 0.94), (0.96, 0.94), (0.97, 0.95)]
"""Lower with each seed; on the mean by 0.024."""
VARIES = [(0.97, 0.90), (0.96, 0.97), (0.95, 0.97), (0.96, 0.90), (0.97, 0.97)]
"""Lower on the mean by 0.02, and higher with two seeds."""
GAINS = [(after, before) for before, after in LOSES]


def with_seeds(pairs: list[tuple[float, float]], **changes: Any) -> RunRecord:
    baseline = BaselineSeeds(
        asked="champion",
        identity="abc",
        differences={"train:accuracy": paired_difference(pairs)},
    )
    baseline = replace(baseline, **changes)
    own = SeedRun(value=0, run="r1", metrics={"train:accuracy": 0.5})
    seeds = SeedRuns(parameter="seed", runs=(own,), baselines=(baseline,))
    return replace(run(accuracy=0.5), seeds=seeds)


def judged(record: RunRecord, **bounds: Any) -> GateResult:
    gate = Gate(name="it", metric="accuracy", baseline="champion", beyond_noise=True, **bounds)
    declared = {"accuracy": DeclaredMetric(direction="up")}
    return result_of(gate, record, baselines=against(CHAMPION), declared=declared)


DROP = {"max_drop": Tolerance(amount=0.01)}


def test_a_drop_beyond_the_bound_and_the_noise_refuses() -> None:
    result = judged(with_seeds(LOSES), **DROP)
    assert (result.result, result.found, result.baseline) == ("failed", 0.942, 0.966)
    assert result.reason.startswith("misses by 0.014, beyond the noise of ±0.004")
    facts = "mean of 5 seeds -0.024, 95 % from -0.028 to -0.02, p = 0.031"
    assert facts.replace("-", MINUS) in result.reason
    assert result.explanation.endswith(
        "baseline: digits@v1.0.0, with the same 5 seeds (recorded: 0.97)"
    )
    assert from_json(to_json(result), GateResult, "it") == result


def test_a_drop_beyond_the_bound_that_is_noise_passes() -> None:
    result = judged(with_seeds(VARIES), **DROP)
    assert (result.result, result.found, result.baseline) == ("passed", 0.942, 0.962)
    assert result.reason.startswith("inside the noise of ±0.03")
    assert "no worse" in result.reason


def test_a_drop_beyond_the_noise_within_the_bound_passes() -> None:
    result = judged(with_seeds(LOSES), max_drop=Tolerance(amount=0.03))
    assert result.result == "passed"
    assert result.reason.startswith("0.006 to spare (mean of 5 seeds")


@pytest.mark.parametrize(
    ("bounds", "pairs", "result"),
    [
        ({"max_rise": Tolerance(amount=0.01)}, GAINS, "failed"),
        ({"max_rise": Tolerance(amount=0.01)}, LOSES, "passed"),
        ({"within": Tolerance(amount=0.01)}, GAINS, "failed"),
        ({"within": Tolerance(amount=0.01)}, LOSES, "failed"),
        ({"within": Tolerance(amount=0.01)}, VARIES, "passed"),
        ({"max_drop": Tolerance(amount=1.0, percent=True)}, LOSES, "failed"),
        ({"better": "up"}, GAINS, "passed"),
        ({"better": "up"}, LOSES, "failed"),
        ({"better": "up"}, [(b, a) for a, b in VARIES], "failed"),
        ({"better": "down"}, LOSES, "passed"),
        ({"better": "up"}, [(0.9, 0.9)] * 5, "failed"),
        ({**DROP, "at_least": 0.95}, VARIES, "failed"),
    ],
)
def test_each_kind_of_bound(
    bounds: dict[str, Any], pairs: list[tuple[float, float]], result: str
) -> None:
    assert judged(with_seeds(pairs), **bounds).result == result


@pytest.mark.parametrize(
    ("record", "why"),
    [
        (run(accuracy=0.5), "the run has one seed only"),
        (with_seeds(LOSES, identity="old"), "digits@v1.0.0 was not carried out with the seeds"),
        (
            with_seeds(LOSES, reason="no commit"),
            "not carried out with the same seeds: no commit",
        ),
        (with_seeds(LOSES, differences={}), "0 seeds have a value of both, of 5"),
        (with_seeds(LOSES[:4]), "4 seeds have a value of both, of 5"),
    ],
)
def test_where_noise_is_unknown_the_single_values_are_judged(record: RunRecord, why: str) -> None:
    result = judged(record, **DROP)
    assert (result.result, result.found, result.baseline) == ("failed", 0.5, 0.97)
    assert "noise unknown: " in result.explanation
    assert why in result.explanation
    passed = judged(record, max_drop=Tolerance(amount=0.5))
    assert passed.result == "passed"
    assert "noise unknown" in passed.explanation
