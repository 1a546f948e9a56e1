from __future__ import annotations

import pytest

from nbci.pipeline.search_space import Choices, Range, Sweep
from tests.pipeline.test_compose import composed, refused

HEAD = """\
steps: {a: {notebook: nb/whole.ipynb, params: {C: "${C}"}}}
metrics: {accuracy: {direction: up}, other: {unit: ms}}
params: {C: 1.0, n: 3, kernel: rbf, late: null, shape: {default: a, choices: [a, b]}}
"""


def sweep_of(fields: str) -> Sweep:
    return composed(f"{HEAD}sweeps:\n  best: {{{fields}}}\n").sweeps["best"]


def test_a_sweep_is_read_with_values_as_its_parameters_have_them() -> None:
    found = sweep_of(
        "params: {n: {low: 2, high: 5, step: 2, when: \"kernel == 'poly'\"}, C: {low: 1, high: 10,"
        " log: true}, kernel: [rbf, poly], shape: {choices: [b]}}, objective: 'a:accuracy',"
        " method: random, seed: 7,"
        " budget: {trials: 9, minutes: 0.5, parallel: 2, stop: {no_better_in: 4}}"
    )
    assert found == Sweep(
        name="best",
        space=(
            Range(name="C", low=1.0, high=10.0, log=True),
            Choices(name="kernel", values=("rbf", "poly")),
            Choices(name="shape", values=("b",)),
            Range(name="n", low=2, high=5, step=2, when="kernel == 'poly'"),
        ),
        objectives=("a:accuracy",),
        method="random",
        trials=9,
        minutes=0.5,
        parallel=2,
        no_better_in=4,
        seed=7,
    )
    assert [found.space[3].values, found.space[0].values] == [(2, 4), None]


def test_a_file_without_sweeps_has_none_and_a_grid_needs_no_budget() -> None:
    assert composed(HEAD).sweeps == {}
    found = sweep_of(
        "params: {C: {low: 0, high: 0.3, step: 0.1}}, objective: accuracy, method: grid"
    )
    assert found.trials is None
    assert found.space[0].values == pytest.approx((0.0, 0.1, 0.2, 0.3))


@pytest.mark.parametrize(
    ("space", "place", "message"),
    [
        ("D: [1]", "{D", "a sweep varies the parameter D, which the pipeline does not declare"),
        ("n: [1, x]", "[1", "the parameter n takes int, not 'x'"),
        ("n: [1, 1]", "[1", "the choice 1 of n is there twice"),
        ("shape: [c]", "[c", "the parameter shape takes one of 'a', 'b', not 'c'"),
        ("n: {low: 0.5, high: 2}", "0.5", "the parameter n takes int, not 0.5"),
        ("kernel: {low: 1, high: 2}", "1", "the parameter kernel is no number"),
        ("C: {low: 2, high: 1}", "2", "the bounds of C are the wrong way round"),
        ("C: {low: 1, high: 1}", "1", "the bounds of C are the wrong way round"),
        ("C: {low: 0, high: 1, log: true}", "0", "on which there is no 0.0"),
        ("C: {low: 1, high: 2, log: true, step: 1}", "1}", "`log` and `step` of C"),
        ("C: {low: 1, high: 2, step: 3}", "3", "the step 3 of C does not lead from"),
        ("C: {low: 1}", "C:", "C is searched either between `low` and `high`, or among"),
        ("n: {choices: [1], low: 1}", "n:", "n is searched either between"),
        ("C: {low: .inf, high: 1}", ".inf", "a bound of C is not finite"),
        ("n: {low: 1, high: 2, when: n > 1}", "n >", "the condition of n names n itself"),
        ("n: {low: 1, high: 2, when: x > 1}", "x >", "unknown name 'x'"),
        (
            "n: {low: 1, high: 2, when: C > 1}, C: {low: 1, high: 2, when: n > 1}",
            "C >",
            "the conditions of n and C name each other",
        ),
    ],
)
def test_a_space_that_makes_no_sense_is_refused_with_its_place(
    space: str, place: str, message: str
) -> None:
    line = f"  best: {{params: {{{space}}}, objective: accuracy, budget: {{trials: 3}}}}"
    error = refused(f"{HEAD}sweeps:\n{line}\n")
    assert message in error.message
    assert error.where is not None
    begin = line.index("params: {") + len("params: {")
    column = line.index(place.lstrip("{"), begin) + 1
    assert (error.where.line, error.where.column) == (5, column)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("params: {C: [1]}, objective: accuracy", "the sweep best has no end"),
        (
            "params: {C: [1]}, objective: other, budget: {trials: 1}",
            "whether more of other is better",
        ),
        (
            "params: {C: [1]}, objective: 'b:accuracy', budget: {trials: 1}",
            "no step measures b:accuracy: there is no step 'b'",
        ),
        (
            "params: {C: {low: 1, high: 2}}, objective: accuracy, method: grid",
            "a grid over C is infinite",
        ),
        ("params: {C: [1]}, objective: accuracy, prune: {}", "'on' is missing in sweep best"),
        ("params: {C: [1]}, objective: accuracy, fidelity: {}", "'param' is missing in sweep"),
        ("params: {C: [1]}, objective: accuracy, method: bayes", 'found "bayes"'),
        ("params: {}, objective: accuracy", "params"),
        (
            "params: {C: [1]}, objective: [accuracy, accuracy], budget: {trials: 1}",
            "the sweep best has the objective accuracy twice",
        ),
        (
            "params: {C: [1]}, objective: [accuracy, b], method: cmaes, budget: {trials: 1}",
            "the method cmaes takes one objective, and there are 2: accuracy, b",
        ),
        ("params: {C: [1]}, objective: [], budget: {trials: 1}", "objective"),
    ],
)
def test_a_sweep_that_cannot_be_carried_out_is_refused(fields: str, message: str) -> None:
    error = refused(f"{HEAD}sweeps:\n  best: {{{fields}}}\n")
    assert message in error.message
    assert error.where is not None
    assert error.where.line == 5
