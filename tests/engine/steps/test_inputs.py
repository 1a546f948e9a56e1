from __future__ import annotations

import pytest
from msgspec.structs import replace

from nbci.engine.steps.aliases import Ended
from nbci.engine.steps.inputs import inputs_for, parameters_for, values_for
from nbci.errors import StepError
from nbci.handoff.values import ValueRef
from nbci.plan.model import Plan, PlannedStep, Take
from nbci.records.run_record import Metric, StepRecord
from tests.support.work import lines_run


def _ref(name: str, version: str, *group: str) -> ValueRef:
    return ValueRef(name=name, object=version, bytes=1, type="list", group=group or (name,))


def _step(name: str, *after: str, takes: str = "", gives: str = "x") -> PlannedStep:
    givers = (Take(name="x", givers=tuple(takes.split())),) if takes else ()
    return PlannedStep(
        name=name, notebook="n", kernel="k", language="python", cells=(), after=after, takes=givers,
        gives=tuple(gives.split()),
    )  # fmt: skip


def _ran(name: str, took: str | None, gave: str) -> StepRecord:
    takes = (_ref("x", took),) if took else ()
    return StepRecord(name=name, result="passed", takes=takes, gives=(_ref("x", gave),))


def _taken(steps: list[PlannedStep], *ran: StepRecord) -> str:
    plan = Plan(pipeline="p", target="n", steps=tuple(steps))
    (ref,) = values_for(steps[-1], Ended(plan, ran))
    return ref.object


_FORK = [
    _step("load"),
    _step("a", "load", takes="load"),
    _step("b", "a", takes="a"),
    _step("c", "load", takes="load"),
    _step("join", "b", "c", takes="b c", gives=""),
]


@pytest.mark.parametrize(
    ("a", "b", "c", "expected"),
    [
        ("1", "1", "1", "1"),
        ("2", "2", "1", "2"),  # b only mentions what a changed; c left it as it was loaded
        ("1", "2", "1", "2"),
        ("2", "3", "1", "3"),
        ("1", "1", "2", "2"),
        ("2", "2", "2", "2"),  # both made the same of it
    ],
)
def test_the_branch_that_changed_a_value_wins(a: str, b: str, c: str, expected: str) -> None:
    ran = (_ran("load", None, "1"), _ran("a", "1", a), _ran("b", a, b), _ran("c", "1", c))
    assert _taken(_FORK, *ran) == expected
    swapped = [*_FORK[:-1], _step("join", "b", "c", takes="c b", gives="")]
    assert _taken(swapped, *ran) == expected


@pytest.mark.parametrize(("a", "b", "c"), [("2", "2", "3"), ("1", "2", "3"), ("2", "3", "4")])
def test_two_branches_that_changed_it_differently_do_not_join(a: str, b: str, c: str) -> None:
    with pytest.raises(StepError, match="`b` and `c` both change `x`"):
        _taken(
            _FORK, _ran("load", None, "1"), _ran("a", "1", a), _ran("b", a, b), _ran("c", "1", c)
        )


def test_two_that_made_it_without_taking_it_do_not_join() -> None:
    steps = [_step("a"), _step("b"), _step("join", "a", "b", takes="a b", gives="")]
    with pytest.raises(StepError):
        _taken(steps, _ran("a", None, "1"), _ran("b", None, "2"))
    assert _taken(steps, _ran("a", None, "1"), _ran("b", None, "1")) == "1"


def test_a_step_that_took_a_value_along_gives_it_too() -> None:
    steps = [
        _step("load"),
        _step("change", "load", gives="other"),
        _step("later", "change", gives="other"),
        _step("use", "later", takes="load", gives=""),
    ]
    ran = (_ran("load", None, "1"), _ran("change", "1", "2"), _ran("later", "2", "2"))
    assert _taken(steps, *ran) == "2"
    assert _taken(steps, ran[0]) == "1"


def test_inputs_of_many_steps_are_found_without_looking_through_all() -> None:
    def find(count: int) -> None:
        steps = [
            _step("s0"),
            *(_step(f"s{n}", f"s{n - 1}", takes=f"s{n - 1}") for n in range(1, count)),
        ]
        plan = Plan(pipeline="p", target="n", steps=tuple(steps))
        ended = Ended(plan)
        for step in steps:
            inputs_for(step, plan, ended)
            ended[step.name] = _ran(step.name, None, "1")

    assert lines_run(lambda: find(400)) < 6 * lines_run(
        lambda: find(100)
    )  # linear: 4; quadratic: 16


def _waiting(kind: str, template: str = "${a:m}") -> PlannedStep:
    return replace(_step("b", "a"), params={"p": {"${}": template}}, param_types={"p": kind})


@pytest.mark.parametrize(
    ("kind", "metric", "expected"),
    [
        ("int", 3.0, 3),
        ("float", 3.0, 3.0),
        ("str", 3.0, "3"),
        ("str", 0.25, "0.25"),
        ("bool", 1.0, True),
        ("Optional[int]", 2.0, 2),
        ("Literal[1, 2]", 2.0, 2),
    ],
)
def test_a_metric_becomes_what_the_parameter_is_declared_as(
    kind: str, metric: float, expected: object
) -> None:
    record = replace(_ran("a", None, "1"), metrics=(Metric(name="m", value=metric, source="s"),))
    value = parameters_for(_waiting(kind), {"a": record})["p"]
    assert (value, type(value)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("kind", "metric"), [("int", 3.5), ("bool", 2.0), ("Literal[1, 2]", 3.0), ("list[int]", 1.0)]
)
def test_a_metric_that_does_not_fit_is_named_with_its_parameter(kind: str, metric: float) -> None:
    record = replace(_ran("a", None, "1"), metrics=(Metric(name="m", value=metric, source="s"),))
    with pytest.raises(
        StepError, match=rf"parameter p of step b takes .*, not {metric}, which \$\{{a:m\}} came to"
    ):
        parameters_for(_waiting(kind), {"a": record})
