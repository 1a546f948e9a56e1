from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import pytest

from nbci.errors import UsageError
from nbci.plan.model import Plan
from nbci.plan.parts import changes, key_of
from nbci.records.codec import from_json, to_json
from tests.plan.plans import plan_of, planned
from tests.support.notebooks import write_notebook

_GOLDEN = Path(__file__).parent / "golden"
_SCHEMA = Path(__file__).resolve().parents[2] / "schemas/plan.schema.json"

_KALE = [
    ("markdown", "# Candies"),
    ("imports", "import json\nimport math"),
    (
        "functions",
        "def half(number):\n    return math.floor(number / 2)\n\ndef unused():\n    pass",
    ),
    ("pipeline-parameters", "CANDIES = 20\nlabel = f'{CANDIES} candies'"),
    ("block:sack", "left = CANDIES"),
    ("block:kid1 prev:sack", "kid1 = half(left)"),
    ("block:kid2 prev:sack gpu timeout:5m retries:1", "kid2 = half(left)"),
    ("", "# still kid2\nkid2 += 1"),
    (
        "block:count prev:kid1;kid2 out:count.json",
        "json.dump([kid1, kid2], open('count.json', 'w'))\ntotal = kid1 + kid2",
    ),
    ("pipeline-metrics", "print(kid1)\nprint('total:', total)"),
]

_PIPELINE = """\
pipeline: sums
params: {C: 1.0, many: {default: 2, help: how many}}
steps:
  kale: {notebook: candies.ipynb, params: {CANDIES: "${many}"}}
  plain:
    notebook: plain.ipynb
    after: [kale]
    deps: [count.json]
    matrix: {model: [svm, forest]}
    params: {model: "${matrix.model}", C: "${C}", total: "${kale/count:total}"}
    env: {OMP_NUM_THREADS: "2"}
    when: "many > 1"
metrics: {total: {direction: up}}
"""


def _notebooks(folder: Path) -> Path:
    write_notebook(folder / "candies.ipynb", _KALE)
    write_notebook(
        folder / "plain.ipynb",
        [("parameters", "model = 'svm'\nC = 2.0\ntotal = 0"), "print(model, C, total)"],
    )
    (folder / "sums.yaml").write_text(_PIPELINE)
    return folder


def _normalised(plan: Plan) -> str:
    """The plan without what a change of nbci or Python may change: digests and the version."""
    text = re.sub(r'"([0-9a-f]{64}|[0-9a-f]{32})"', '"<digest>"', to_json(plan))
    return re.sub(r'"nbci": "[^"]+"', '"nbci": "<version>"', text)


@pytest.mark.parametrize(
    ("target", "pairs"), [("candies.ipynb", ("CANDIES=30",)), ("sums.yaml", ("C=10",))]
)
def test_the_plan_is_the_golden_one(tmp_path: Path, target: str, pairs: tuple[str, ...]) -> None:
    plan = planned(_notebooks(tmp_path) / target, *pairs)
    made = _normalised(plan)
    golden = _GOLDEN / f"{target.partition('.')[0]}.json"
    (tmp_path / golden.name).write_text(made)
    assert golden.read_text() == made, (
        f"look at the difference; if it is right: cp {tmp_path / golden.name} {golden}"
    )
    document = json.loads(to_json(plan))
    jsonschema.validate(document, json.loads(_SCHEMA.read_text()))
    assert from_json(to_json(plan), Plan, "plan.json") == plan


def test_the_same_project_gives_the_same_bytes(tmp_path: Path) -> None:
    one, other = (
        to_json(planned(_notebooks(tmp_path / name) / "sums.yaml")) for name in ("here", "there")
    )
    assert one == other


def test_only_code_and_parameters_change_the_parts_of_the_key(tmp_path: Path) -> None:
    cells: list[str | tuple[str, str]] = [("step:a", "x = 1"), ("step:b", "y = x")]
    before = plan_of(tmp_path, cells)
    again = plan_of(tmp_path, [("markdown", "Words"), ("step:a", "x = 1  # one"), cells[1]])
    changed = plan_of(tmp_path, [cells[0], ("step:b", "y = x + 1")])
    assert [key_of(step.parts) for step in before.steps] == [
        key_of(step.parts) for step in again.steps
    ]
    assert key_of(before.step("a").parts) == key_of(changed.step("a").parts)
    assert key_of(before.step("b").parts) != key_of(changed.step("b").parts)
    assert changes(before.step("b").parts, changed.step("b").parts) == ["cell 2 changed"]


def _edges(plan: Plan) -> dict[str, tuple[str, ...]]:
    return {step.name: step.after for step in plan.steps}


def test_steps_without_edges_run_in_notebook_order(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [("step:b", "x = 1"), ("step:a", "y = 1"), ("step:c", "z = 1")])
    assert _edges(plan) == {"b": (), "a": ("b",), "c": ("a",)}


def test_whoever_reads_a_file_comes_after_whoever_writes_it(tmp_path: Path) -> None:
    plan = plan_of(
        tmp_path,
        [
            ("step:page in:data in:models/svm.pkl", "pass"),
            ("step:split prev:load out:data/train.csv", "pass"),
            ("step:load", "pass"),
            ("step:fit prev:load out:models", "pass"),
        ],
    )
    assert {name: set(after) for name, after in _edges(plan).items()} == {
        "load": set(),
        "split": {"load"},
        "fit": {"load"},
        "page": {"split", "fit"},
    }


@pytest.mark.parametrize(
    "cells",
    [
        [("step:a prev:c", "x = 1"), ("step:b prev:a", "y = 1"), ("step:c prev:b", "z = 1")],
        [
            ("step:a in:c.txt", "x = 1"),
            ("step:b prev:a", "y = 1"),
            ("step:c prev:b out:c.txt", "z = 1"),
        ],
    ],
)
def test_a_cycle_is_printed(tmp_path: Path, cells: list[str | tuple[str, str]]) -> None:
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path, cells)
    shown = caught.value.message
    assert "cycle" in shown
    assert all(f" {name} " in f" {shown.partition(': ')[2]} " for name in "abc")
    assert shown.count("→") == 3


def test_a_statement_of_an_imports_cell_keeps_its_line(tmp_path: Path) -> None:
    """A failure names the line that the notebook's writer sees, though a step runs only some
    statements of the cell.
    """
    plan = plan_of(
        tmp_path,
        [("imports", "import os\n\n# numbers\nimport math\nimport json\n"), ("step:a", "os"),
         ("step:b", "math"),
         ("step:c", "json")],
    )  # fmt: skip
    sources = {step.name: step.cells[0].source.split("\n") for step in plan.steps}
    assert sources["a"].index("import os") == 0
    assert sources["b"].index("import math") == 3
    assert sources["c"].index("import json") == 4


@pytest.mark.parametrize(
    ("source", "nearest"),
    [("accuracy = score(modle)", "model"), ("def f():\n    return modle\naccuracy = f()", "model")],
)
def test_a_name_that_nobody_defines(tmp_path: Path, source: str, nearest: str) -> None:
    cells: list[str | tuple[str, str]] = [
        ("functions", "def score(x):\n    return 1"), ("step:fit", "model = 1"),
        ("step:score prev:fit", source)
    ]  # fmt: skip
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path, cells)
    assert "modle" in caught.value.message
    assert nearest in (caught.value.hint or "")
    assert "cell 3" in str(caught.value.where)


def test_a_syntax_error_names_cell_and_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        plan_of(tmp_path, ["fine = 1", "also = 2\nx = = 3"])
    assert "cell 2 ('also = 2')" in str(caught.value.where)
    assert "line 2" in str(caught.value.where)


@pytest.mark.parametrize(
    ("default", "other"),
    [
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{'a': [{'b': 1, 'c': 2}]}", "{'a': [{'c': 2, 'b': 1}]}"),
        ("[1, 0]", "[True, False]"),
        ("[0.0]", "[-0.0]"),
        ("{1: 'x'}", "{'1': 'x'}"),
        ("[(1, 2)]", "[[1, 2]]"),
    ],
)
def test_what_a_cell_can_tell_apart_are_two_values(
    tmp_path: Path, default: str, other: str
) -> None:
    keys = [
        key_of(plan_of(tmp_path, [("parameters", f"C = {value}"), "print(C)"]).steps[0].parts)
        for value in (default, default, other)
    ]
    assert keys[0] == keys[1] != keys[2]


def _parameters(plan: Plan, step: str) -> list[str]:
    return [part.label for part in plan.step(step).parts if part.kind == "parameter"]


@pytest.mark.parametrize(
    ("source", "counted"),
    [
        ("print(C)", ["C"]),
        ("eval(text)", ["C", "D"]),
        ("print('{D}'.format(**globals()))", ["C", "D"]),
        ("shown()", ["C", "D"]),
        ("fit('y ~ D + x')", ["D"]),
        ("x.query('y > @C')", ["C"]),
        ("print('C')", []),
    ],
)
def test_parameters_that_code_may_read_by_a_text_count(
    tmp_path: Path, source: str, counted: list[str]
) -> None:
    cells: list[str | tuple[str, str]] = [
        ("parameters", "C = 1\nD = 2"),
        ("functions", "def shown():\n    return eval('C')"),
        ("step:a", "x = fit = text = print"),
        ("step:b", source),
    ]
    assert _parameters(plan_of(tmp_path, cells), "b") == counted


def test_a_definition_that_nobody_uses_is_no_part_of_a_key(tmp_path: Path) -> None:
    def keys(functions: str, *steps: str) -> list[str]:
        cells = [(f"step:{name}", source) for name, source in zip("ab", steps, strict=False)]
        return [
            key_of(step.parts)
            for step in plan_of(tmp_path, [("functions", functions), *cells]).steps
        ]

    assert keys("def f(): return 1", "x = 1", "y = 2") == keys(
        "def f(): return 2", "x = 1", "y = 2"
    )
    assert keys("def f(): return 1", "x = 1") == keys("def f(): return 2", "x = 1")
    one, other = (keys(f"def f(): return {value}", "x = 1", "y = eval(name)") for value in (1, 2))
    assert (one[0] == other[0], one[1] == other[1]) == (True, False)


def test_a_notebook_that_is_one_step_runs_all_its_functions(tmp_path: Path) -> None:
    plan = plan_of(tmp_path, [("functions", "def f(): return 1"), "x = 1"])
    assert [cell.source for cell in plan.steps[0].cells] == ["def f(): return 1", "x = 1"]


def test_what_a_parameters_cell_uses_runs_in_every_step(tmp_path: Path) -> None:
    imports = "import os\ndef base(): return 1"
    plan = plan_of(
        tmp_path,
        [("imports", imports), ("parameters", "C = base()"), ("step:a", "1"), ("step:b", "os")],
    )
    assert [step.cells[0].source for step in plan.steps] == ["\ndef base(): return 1", imports]


def test_steps_of_one_text_have_keys_of_their_own(tmp_path: Path) -> None:
    cells = [
        ("imports", "import random"),
        *((f"step:{name}", "print(random.random())") for name in "abc"),
    ]
    parts = [step.parts for step in plan_of(tmp_path, cells).steps]
    assert len(set(map(key_of, parts))) == 3
    assert key_of(plan_of(tmp_path, cells[:2]).steps[0].parts) == key_of(parts[0])


@pytest.mark.parametrize(
    ("steps", "different"),
    [
        ("a: {notebook: n.ipynb}\n  b: {notebook: n.ipynb, after: [a]}", 2),
        (
            (
                "a: {notebook: n.ipynb}\n  b: {notebook: m.ipynb, after: [a]}\n"
                "  c: {notebook: n.ipynb, after: [b]}"
            ),
            3,
        ),
        ("a: {notebook: n.ipynb}\n  b: {notebook: n.ipynb}", 1),
        ("a: {notebook: n.ipynb, matrix: {x: [1, 2]}}", 1),
    ],
)
def test_a_notebook_that_runs_after_itself_is_another_step(
    tmp_path: Path, steps: str, different: int
) -> None:
    write_notebook(tmp_path / "n.ipynb", ["print(1)"])
    write_notebook(tmp_path / "m.ipynb", ["print(2)"])
    (tmp_path / "p.yaml").write_text(f"pipeline: p\nsteps:\n  {steps}\n")
    assert len({key_of(step.parts) for step in planned(tmp_path / "p.yaml").steps}) == different


@pytest.mark.parametrize(
    ("source", "counts"),
    [("pickle.load(open('m.pkl', 'rb'))", True), ("load('m.pkl')", True), ("print(1)", False)],
)
def test_who_loads_pickles_may_come_upon_any_definition(
    tmp_path: Path, source: str, counts: bool
) -> None:
    def key(value: int) -> str:
        cells = [
            ("imports", "import pickle\nfrom joblib import load"),
            ("functions", f"class Model:\n    x = {value}"),
        ]
        return key_of(
            plan_of(tmp_path, [*cells, ("step:a", source), ("step:b", "pickle, load")])
            .step("a")
            .parts
        )

    assert (key(1) != key(2)) == counts


def test_what_a_run_here_ignores_is_said_once(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", ["x = 1"])
    steps = "".join(f"  {name}: {{notebook: n.ipynb, container: 'python:3'}}\n" for name in "ab")
    (tmp_path / "p.yaml").write_text(
        f"pipeline: p\nsteps:\n{steps}  c: {{notebook: n.ipynb, environment: r.lock}}\n"
    )
    ignored = " is for agents: a run on this machine ignores it, and uses the kernel it finds"
    assert planned(tmp_path / "p.yaml").warnings == ("`container` of step a and 1 more" + ignored,)


def test_what_a_file_says_of_defaults_is_written_as_it_is_read(tmp_path: Path) -> None:
    write_notebook(tmp_path / "n.ipynb", [("metrics", "acc = 1.0\nprint(acc)")])
    gate = (
        "{metric: acc, baseline: champion, max_drop: 0.1, "
        "first_run: pass, severity: fail, missing: fail}"
    )
    (tmp_path / "p.yaml").write_text(
        "pipeline: p\nshell_errors: fail\nmetrics: {acc: {direction: up}}\n"
        "steps: {a: {notebook: n.ipynb}}\n"
        f"gates:\n  - {gate}\n"
    )
    text = to_json(planned(tmp_path / "p.yaml"))
    assert to_json(from_json(text, Plan, "plan.json")) == text
