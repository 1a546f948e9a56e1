"""Which values pass between steps."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from nbci.dataflow.code import parse_cell
from nbci.dataflow.flow import Flow, flow
from nbci.dataflow.ordering import order_from_flow
from nbci.dataflow.prelude import split_cell
from nbci.dataflow.step_code import StepCode
from nbci.errors import UsageError
from tests.support.work import lines_run

if TYPE_CHECKING:
    from collections.abc import Iterable


def step(name: str, source: str, *after: str) -> StepCode:
    return StepCode(name=name, after=after, cells=(parse_cell(source),))


def takes(found: Flow, name: str) -> dict[str, tuple[str, ...]]:
    return {take.name: take.givers for take in found.step(name).takes}


def gives(found: Flow, name: str) -> set[str]:
    return {give.name for give in found.step(name).gives}


def messages(found: Flow) -> list[tuple[str, str]]:
    return [(entry.severity, entry.message) for entry in found.undefined]


def test_a_chain() -> None:
    found = flow(
        [
            step("a", "X = 1\nunused = 2"),
            step("b", "m = fit(X)\ndef fit(x): pass", "a"),
            step("c", "print(m)", "b"),
        ]
    )
    assert takes(found, "b") == {"X": ("a",)}
    assert takes(found, "c") == {"m": ("b",)}
    assert (gives(found, "a"), gives(found, "b"), gives(found, "c")) == ({"X"}, {"m"}, set())


def test_a_step_that_only_mentions_a_name_hands_it_on() -> None:
    found = flow(
        [
            step("a", "model = M()\nclass M: pass"),
            step("b", "model.fit()", "a"),
            step("c", "model.score()", "b"),
        ]
    )
    assert takes(found, "c") == {"model": ("b",)}
    assert takes(found, "b") == {"model": ("a",)}


def test_a_step_that_does_not_touch_a_name_is_passed_by() -> None:
    found = flow([step("a", "x = 1"), step("b", "y = 2", "a"), step("c", "x, y", "b")])
    assert takes(found, "c") == {"x": ("a",), "y": ("b",)}
    assert gives(found, "b") == {"y"}


def test_a_step_that_may_bind_a_name_passes_the_older_value_on() -> None:
    found = flow(
        [step("a", "x = 1"), step("b", "if input():\n    x = 2", "a"), step("c", "x", "b")]
    )
    assert takes(found, "c") == {"x": ("b",)}
    assert takes(found, "b") == {"x": ("a",)}
    assert [(take.name, take.needed) for take in found.step("b").takes] == [("x", False)]
    assert not found.step("b").gives[0].optional


def test_what_a_step_only_may_have_is_optional() -> None:
    found = flow([step("a", "if input():\n    x = 2"), step("b", "x", "a")])
    assert [(give.name, give.optional) for give in found.step("a").gives] == [("x", True)]
    assert messages(found) == []


def test_a_join_of_two_makers_warns() -> None:
    steps = [
        step("a", "x = 0"),
        step("b", "x = 1", "a"),
        step("c", "x = 2", "a"),
        step("d", "x", "b", "c"),
    ]
    found = flow(steps)
    assert takes(found, "d") == {"x": ("b", "c")}
    assert len(found.warnings) == 1
    assert "`x`" in found.warnings[0]
    assert "b and c" in found.warnings[0]


def test_a_join_where_one_branch_made_the_value_does_not_warn() -> None:
    steps = [
        step("a", "x = 0"),
        step("b", "x.fit()", "a"),
        step("c", "x", "a"),
        step("d", "x", "b", "c", "a"),
    ]
    found = flow(steps)
    assert takes(found, "d") == {"x": ("b", "c")}
    assert found.warnings == ()


def test_a_hidden_conflict_warns_too() -> None:
    steps = [
        step("a", "x = 0"),
        step("a2", "x.m()", "a"),
        step("b", "x = 1"),
        step("b2", "x.m()", "b"),
    ]
    found = flow([*steps, step("d", "x", "a2", "b2")])
    assert "a and b" in found.warnings[0]


def test_functions_bring_the_needs_of_their_bodies_along() -> None:
    found = flow([step("a", "k = 1\ndef f(x):\n    return x + k"), step("b", "f(2)", "a")])
    assert takes(found, "b") == {"f": ("a",), "k": ("a",)}


def test_instances_bring_the_needs_of_their_class_along() -> None:
    prelude = split_cell(1, "class M:\n    def m(self):\n        return scale\n")
    found = flow(
        [step("a", "scale = 2\nmodel = M()"), step("b", "model.m()", "a")], prelude=prelude
    )
    assert takes(found, "b") == {"model": ("a",), "scale": ("a",)}


def test_parameters_and_the_prelude_pass_unless_made_anew() -> None:
    prelude = split_cell(1, "import pandas as pd\nCACHE = {}\nLIMIT = 1")
    steps = [
        step("a", "pd.x, C, seed, CACHE, LIMIT"),
        step("b", "C = 2\nCACHE['k'] = 1\nimport pandas as pd\nsum = 3", "a"),
        step("c", "pd, C, seed, CACHE, LIMIT, sum, max", "b"),
    ]
    found = flow(steps, frozenset({"C", "seed"}), prelude, settled=frozenset({"C", "seed"}))
    assert takes(found, "b") == {"CACHE": ("a",)}
    assert [give for give in found.step("a").gives if not give.optional] == [], (
        "it may be as its cell made it"
    )
    assert takes(found, "c") == {"C": ("b",), "CACHE": ("b",), "sum": ("b",)}
    assert found.undefined == ()


def test_history_does_not_travel() -> None:
    assert takes(flow([step("a", "for _ in []: pass\n_ = 1"), step("b", "_", "a")]), "b") == {}


def test_an_undefined_name_is_an_error_with_the_nearest_name_and_its_place() -> None:
    found = flow(
        [
            step("a", "model = 1"),
            StepCode(name="b", after=("a",), cells=(parse_cell("1"), parse_cell("1\nmodle"))),
        ]
    )
    (entry,) = found.undefined
    assert (entry.severity, entry.step, entry.name, entry.cell, entry.line) == (
        "error",
        "b",
        "modle",
        1,
        2,
    )
    assert entry.message == "`modle` is used by step b and defined nowhere"
    assert entry.hint == "did you mean `model`?"


@pytest.mark.parametrize("above", ["from x import *", "exec(c)\nc = 1", "%run other.py"])
def test_an_undefined_name_is_a_warning_where_something_may_define_it(above: str) -> None:
    found = flow([step("a", above), step("b", "q", "a")])
    entry = found.undefined[-1]
    assert (entry.name, entry.severity) == ("q", "warning")
    assert entry.reason is not None


def test_uncertainty_elsewhere_does_not_hide_an_error() -> None:
    assert messages(flow([step("a", "from x import *"), step("b", "q")]))[0][0] == "error"


def test_a_name_that_only_some_paths_read_is_possible() -> None:
    assert messages(flow([step("a", "if input():\n    q")]))[0][0] == "possible"


def test_a_step_that_is_not_reached_is_named() -> None:
    found = flow([step("train", "model = 1"), step("report", "model")])
    assert messages(found) == [
        ("error", "`model` is made by step train, which does not come before report")
    ]
    assert found.undefined[0].hint == "tag report with prev:train"


def test_a_step_that_comes_later_is_named() -> None:
    found = flow([step("report", "model"), step("train", "model = 1", "report")])
    assert messages(found) == [("error", "`model` is made by step train, which comes after report")]


def test_a_name_used_above_its_definition() -> None:
    assert messages(flow([step("a", "x\nx = 1")])) == [
        ("error", "`x` is used by step a before it is defined")
    ]


def test_a_deleted_name_is_gone() -> None:
    found = flow([step("a", "x = 1"), step("b", "del x", "a"), step("c", "x", "b")])
    assert messages(found) == [("error", "`x` is used by step c, but step b deletes it")]


def test_a_cycle_is_refused() -> None:
    with pytest.raises(UsageError, match="cycle"):
        flow([step("a", "", "b"), step("b", "", "a")])


def test_dataflow_order() -> None:
    steps = [
        step("load", "X = 1\nfig = 0"),
        step("eda", "fig = X\nfig"),
        step("free", "z = 1\nfig = 3\nfig"),
        step("train", "m = fit(X)"),
        step("report", "m, z"),
    ]
    edges = order_from_flow(steps, frozenset({"fit"}))
    assert edges == (("load", "eda"), ("eda", "train"), ("free", "report"), ("train", "report"))


def test_dataflow_order_keeps_a_new_value_apart_from_the_old_one() -> None:
    steps = [step("a", "x = 1\np = 1"), step("b", "x.use()"), step("c", "x = 2"), step("d", "x, p")]
    assert ("b", "c") in order_from_flow(steps)
    assert ("b", "c") not in order_from_flow(steps[:3])


@pytest.mark.parametrize(
    ("makes", "changes", "uses"),
    [
        ("a = [1]; b = a", "a.append(2)", "b"),
        ("a = [1]; b = {'k': [a]}", "a.append(2)", "b"),
        ("a = [1]; b = a[0:]", "a.append(2)", "b"),
        ("a = [1]\nclass K:\n    held = a\nb = K()", "a.append(2)", "b"),
        ("a = K()\na.held = b = []", "a.add(2)", "b"),
        ("a = []\ndef get(): return a\nb = get()", "b.append(2)", "a"),
        ("import functools\na = []; b = functools.partial(print, a)", "a.append(2)", "b"),
        ("n = 1\nb = {'k': lambda: n}", "n = 2", "b"),
        ("def make(x): return lambda: x\na = []; b = make(a)", "a.append(2)", "b"),
    ],
)
def test_dataflow_order_knows_names_that_share_objects(makes: str, changes: str, uses: str) -> None:
    edges = order_from_flow([step("make", makes), step("change", changes), step("use", uses)])
    assert ("change", "use") in edges


@pytest.mark.parametrize(
    ("makes", "left", "right"),
    [
        ("a = [1]; b = [2]", "a.append(1)", "b.append(1)"),
        ("a = [1]; b = len(a)", "a.append(1)", "b"),
        ("import numpy\na = [1]; b = numpy.log(a)", "a.append(1)", "b"),
        ("a = [1]; b = [2]", "for i in a: print(i)", "for j in b: print(j)"),
    ],
)
def test_dataflow_order_leaves_apart_what_shares_nothing(makes: str, left: str, right: str) -> None:
    edges = order_from_flow([step("make", makes), step("left", left), step("right", right)])
    assert edges == (("make", "left"), ("make", "right"))


def test_a_value_made_after_a_deletion_is_the_later_one() -> None:
    steps = [
        step("a", "c = 1"),
        step("b", "del c", "a"),
        step("c", "c = 2", "b"),
        step("d", "c", "a", "c"),
    ]
    assert takes(flow(steps), "d") == {"c": ("c",)}


NAMES = "vwxyz"
LINES = (
    "{0} = 1",
    "{0}",
    "{0} = {1}",
    "{0}.m({1})",
    "if c:\n    {0} = {1}",
    "del {0}",
    "{0} += 1",
    "{0} = 1\n{0}",
)


def random_steps(chance: random.Random, *, edges: bool) -> list[StepCode]:
    steps: list[StepCode] = []
    for index in range(chance.randint(2, 9)):
        lines = [
            chance.choice(LINES).format(*chance.sample(NAMES, 2))
            for _ in range(chance.randint(1, 2))
        ]
        after = [earlier.name for earlier in steps if chance.random() < 0.35] if edges else []
        steps.append(step(f"s{index}", "\n".join(lines), *after))
        note(f"{steps[-1].name} after {after}: {lines}")
    return steps


def ancestors(steps: Iterable[StepCode]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in steps:
        found[each.name] = set(each.after).union(*(found[name] for name in each.after))
    return found


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_takes_are_the_nearest_ancestors_that_have_the_name(seed: int) -> None:
    steps = random_steps(random.Random(seed), edges=True)  # for variety, not for secrecy
    if any("del" in each.cells[0].source for each in steps):
        return
    found, before = flow(steps, frozenset("c")), ancestors(steps)
    has: dict[str, set[str]] = {}
    for each in found.steps:
        inherited = set().union(*(has[name] for name in before[each.name]))
        needed, bound = set(each.names.needs), set(each.names.binds)
        has[each.name] = bound | (needed & inherited)
        for name in (needed & inherited) - {"c"}:
            candidates = {other for other in before[each.name] if name in has[other]}
            nearest = {
                one for one in candidates if not any(one in before[other] for other in candidates)
            }
            assert set(takes(found, each.name)[name]) == nearest
            assert all(name in gives(found, giver) for giver in nearest)
        assert {
            entry.name for entry in found.undefined if entry.step == each.name
        } == needed - inherited - {"c"}


@settings(max_examples=300, deadline=None)
@given(st.integers(min_value=0, max_value=10**9))
def test_dataflow_order_gives_every_step_what_notebook_order_gives_it(seed: int) -> None:
    steps = random_steps(random.Random(seed), edges=False)  # for variety, not for secrecy
    if any("del" in each.cells[0].source for each in steps):
        return  # after a deletion, steps that do not follow it may still have the name
    chain = [
        StepCode(name=s.name, after=tuple(p.name for p in steps[:i][-1:]), cells=s.cells)
        for i, s in enumerate(steps)
    ]
    edges = order_from_flow(steps, frozenset("c"), settled=frozenset("c"))
    derived = [
        StepCode(
            name=s.name,
            after=tuple(early for early, late in edges if late == s.name),
            cells=s.cells,
        )
        for s in steps
    ]
    declared, free = (
        flow(each, frozenset("c"), settled=frozenset("c")) for each in (chain, derived)
    )
    for each in steps:
        want, got = (
            {take.name: take.givers for take in found.step(each.name).takes if take.needed}
            for found in (declared, free)
        )
        assert want == got
    assert free.warnings == ()


@pytest.mark.parametrize("shape", ["chain", "fan", "skip"])
def test_many_steps_cost_as_much_as_they_are_many(shape: str) -> None:
    def steps(count: int) -> list[StepCode]:
        made = [step("s0", "a0 = 1\ndf = 1")]
        for i in range(1, count):
            after = {"chain": [f"s{i - 1}"], "fan": ["s0"], "skip": [f"s{i - 1}", "s0"]}[shape]
            made.append(step(f"s{i}", f"a{i} = a{0 if shape == 'fan' else i - 1} + df", *after))
        return made

    few, many = steps(100), steps(400)
    assert lines_run(lambda: flow(many)) < 6 * lines_run(
        lambda: flow(few)
    )  # all pairs of ancestors: 16
    assert takes(flow(many), "s399")["df"] == ("s0" if shape == "fan" else "s398",)
