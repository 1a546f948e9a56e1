from __future__ import annotations

import pytest

from nbci.errors import UsageError
from nbci.params import assigned_values, bind
from nbci.pipeline.seeds import Seeds, seed_values, with_count
from nbci.plan.build import build_plan
from nbci.plan.model import PlannedSeeds
from tests.pipeline.test_compose import composed, refused

HEAD = """\
steps: {a: {notebook: nb/whole.ipynb, params: {seed: "${seed}"}}}
metrics: {accuracy: {direction: up}}
params: {seed: 7, rate: 0.5, name: x, late: {default: null, type: int}}
"""


def values_of(seeds: str, **params: int) -> tuple[int | float, ...]:
    pipeline = composed(f"{HEAD}seeds: {seeds}\n")
    assert pipeline.seeds is not None
    return seed_values(pipeline.seeds, bind(pipeline.params, [assigned_values(params, "-p")]))


def test_a_number_counts_up_from_the_parameters_own_value() -> None:
    assert values_of("{values: 3}") == (7, 8, 9)
    assert values_of("{parameter: seed, values: 2}", seed=1) == (1, 2)
    assert values_of("{parameter: rate, values: 2}") == (0.5, 1.5)
    assert values_of("{parameter: late, values: 2}", late=4) == (4, 5)


def test_listed_values_stand_beside_the_own_one() -> None:
    assert values_of("{values: [1, 2, 3]}") == (7, 1, 2, 3)
    assert values_of("{values: [1, 7, 3]}") == (7, 1, 3)


@pytest.mark.parametrize(
    ("seeds", "column", "message"),
    [
        (
            "{parameter: sed, values: 5}",
            20,
            "`seeds` need the parameter sed",
        ),
        (
            "{parameter: name, values: 5}",
            20,
            "the parameter name is no number",
        ),
        (
            "{values: 1}",
            17,
            "`seeds` need at least 2 values, not 1",
        ),
        (
            "{values: [1, 2, 1]}",
            24,
            "the seed 1 stands there twice",
        ),
        (
            "{values: [1, 1.0]}",
            21,
            "the seed 1.0 stands there twice",
        ),
        (
            "{values: [1]}",
            18,
            "`seeds` need at least 2 values, not 1",
        ),
        ("{values: [1, 2.5]}", 21, "the parameter seed takes int"),
        ("{values: [1, x]}", 21, ""),
        ("{values: true}", 17, ""),
        ("{parameter: seed}", 8, ""),
    ],
)
def test_mistakes_have_their_place(seeds: str, column: int, message: str) -> None:
    error = refused(f"{HEAD}seeds: {seeds}\n")
    assert str(error).startswith(f"pipelines/p.yaml, line 4, column {column}: {message}")


def test_a_parameter_that_got_no_number_is_refused() -> None:
    with pytest.raises(UsageError, match="the parameter late is None") as caught:
        values_of("{parameter: late, values: 5}")
    assert caught.value.hint == "give it a number: -p late=0"


def test_the_command_line_says_how_many() -> None:
    params = composed(HEAD).params
    assert with_count(None, 4, params) == Seeds(parameter="seed", count=4)
    assert with_count(Seeds(parameter="rate", count=9), 4, params).parameter == "rate"
    with pytest.raises(UsageError, match="`seeds` need at least 2 values, not 1"):
        with_count(None, 1, params)
    with pytest.raises(UsageError, match="need the parameter seed, which the pipeline does not"):
        with_count(None, 4, params[1:])


def test_a_plan_has_the_values_and_as_many_as_its_gates_need() -> None:
    gate = "gates: [{metric: accuracy, baseline: champion, max_drop: 0.1, beyond_noise: true}]\n"
    pipeline = composed(f"{HEAD}{gate}seeds: {{values: 5}}\n")
    plan = build_plan(pipeline, bind(pipeline.params, []), sources={})
    assert plan.seeds == PlannedSeeds(parameter="seed", values=(7, 8, 9, 10, 11))

    pipeline = composed(f"{HEAD}{gate}seeds: {{values: 4}}\n")
    with pytest.raises(UsageError, match="`beyond_noise` can never refuse with 4 seeds") as caught:
        build_plan(pipeline, bind(pipeline.params, []), sources={})
    assert str(caught.value.where) == "pipelines/p.yaml, line 4, column 18"


@pytest.mark.parametrize(
    ("gate", "message"),
    [
        ("at_least: 0.9, beyond_noise: true", "`beyond_noise` goes with one of max_drop"),
        ("baseline: 'file:m.json', max_drop: 1, beyond_noise: true", "`beyond_noise`, but file:m"),
    ],
)
def test_gates_that_have_no_noise(gate: str, message: str) -> None:
    assert message in str(refused(f"{HEAD}gates: [{{metric: accuracy, {gate}}}]\n"))
