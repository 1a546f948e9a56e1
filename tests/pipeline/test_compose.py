from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.notebook.cells import Cell, Notebook
from nbci.params import assigned_on_command_line, bind
from nbci.pipeline.compose import compose, notebook_pipeline
from nbci.pipeline.document import notebook_paths, read_document
from nbci.pipeline.expressions import MetricTemplate
from nbci.pipeline.notebook_parameters import notebook_parameters
from nbci.pipeline.resolve import is_wanted, resolve, step_parameters
from nbci.pipeline.tagged import understand

if TYPE_CHECKING:
    from nbci.pipeline.model import Pipeline, TaggedNotebook


def tagged(path: str, *cells: tuple[str, str]) -> TaggedNotebook:
    made = tuple(
        Cell(number=number, kind="code", source=source, tags=tuple(tags.split()))
        for number, (tags, source) in enumerate(cells, start=1)
    )
    return understand(
        Notebook(path=path, cells=made, kernel_name="python3", language="python", document={})
    )


WHOLE = tagged(
    "nb/whole.ipynb", ("parameters", "C: float = 1.0\nseed = 7\nname = f'{seed}'"), ("", "print(C)")
)
CHAIN = tagged(
    "nb/chain.ipynb",
    ("parameters", "C = 1.0"),
    ("step:load in:raw.csv", "x = 1"),
    ("step:fit prev:load gpu timeout:30m", "y = x"),
    ("step:score prev:fit out:plots/score.png", "print(y)"),
)
FORK = tagged(
    "nb/fork.ipynb",
    ("step:load", "x = 1"),
    ("step:matrix prev:load out:m.png", "x"),
    ("step:roc prev:load", "x"),
)
NOTEBOOKS = {"nb/whole.ipynb": WHOLE, "nb/chain.ipynb": CHAIN, "nb/fork.ipynb": FORK}


def composed(text: str) -> Pipeline:
    return compose(read_document(text, "pipelines/p.yaml"), NOTEBOOKS)


def refused(text: str) -> UsageError:
    with pytest.raises(UsageError) as caught:
        composed(text)
    return caught.value


def after(pipeline: Pipeline) -> dict[str, tuple[str, ...]]:
    return {step.name: step.after for step in pipeline.steps}


def test_whole_notebooks_are_steps_named_after_their_nodes() -> None:
    pipeline = composed(
        "steps:\n  a: {notebook: nb/whole.ipynb, outs: [a.csv]}\n"
        "  b: {notebook: ./nb/whole.ipynb, after: [a], deps: [a.csv]}\n"
    )
    assert after(pipeline) == {"a": (), "b": ("a",)}
    assert pipeline.name == "p"
    assert pipeline.steps[1].notebook == "nb/whole.ipynb"
    assert pipeline.steps[1].deps == ("a.csv",)


def test_a_notebook_with_step_tags_expands_and_its_roots_and_leaves_are_bound() -> None:
    pipeline = composed(
        "steps:\n"
        "  first: {notebook: nb/whole.ipynb}\n"
        "  mid: {notebook: nb/chain.ipynb, after: [first], deps: [d.csv], outs: "
        "[model.pkl], timeout: 2h,\n"
        "        env: {OMP: 2}, agent: linux}\n"
        "  last: {notebook: nb/whole.ipynb, after: [mid]}\n"
        "  tap: {notebook: nb/whole.ipynb, after: [mid/fit]}\n"
    )
    assert after(pipeline) == {
        "first": (),
        "mid/load": ("first",),
        "mid/fit": ("mid/load",),
        "mid/score": ("mid/fit",),
        "last": ("mid/score",),
        "tap": ("mid/fit",),
    }
    load, fit, score = pipeline.steps[1:4]
    assert load.deps == ("nb/raw.csv", "d.csv")
    assert (load.outs, fit.outs, score.outs) == ((), (), ("nb/plots/score.png", "model.pkl"))
    assert {step.timeout_seconds for step in (load, fit, score)} == {7200}
    assert {step.agent for step in (load, fit, score)} == {"linux"}
    assert fit.env == {"OMP": "2"}


def test_tags_hold_where_the_file_says_nothing() -> None:
    fit = composed("steps: {mid: {notebook: nb/chain.ipynb}}").steps[1]
    assert (fit.agent, fit.timeout_seconds) == ("gpu", 1800)


def test_paths_of_tags_follow_cwd() -> None:
    load = composed("steps: {mid: {notebook: nb/chain.ipynb, cwd: project}}").steps[0]
    assert load.deps == ("raw.csv",)


def test_matrix_makes_a_step_for_each_combination_in_the_order_of_the_file() -> None:
    pipeline = composed(
        "params: {C: 1.0}\n"
        "steps:\n"
        "  train:\n"
        "    notebook: nb/whole.ipynb\n"
        "    matrix: {model: [svm, forest], lr: [0.1, 2]}\n"
        "    params: {C: '${matrix.lr}'}\n"
        "    outs: ['models/${matrix.model}-${matrix.lr}.onnx']\n"
        "    env: {KIND: '${matrix.model}', C: '${C}'}\n"
        "  one: {notebook: nb/whole.ipynb, after: [train/svm-2]}\n"
        "  all: {notebook: nb/whole.ipynb, after: [train]}\n"
    )
    names = [step.name for step in pipeline.steps]
    assert names == [
        "train/svm-0_1",
        "train/svm-2",
        "train/forest-0_1",
        "train/forest-2",
        "one",
        "all",
    ]
    assert after(pipeline)["one"] == ("train/svm-2",)
    assert after(pipeline)["all"] == tuple(names[:4])
    assert pipeline.steps[0].params == {"C": 0.1}
    assert pipeline.steps[2].outs == ("models/forest-0.1.onnx",)
    assert pipeline.steps[2].env == {"KIND": "forest", "C": "${C}"}
    bound = bind(pipeline.params, [assigned_on_command_line(["C=3"])])
    assert resolve(pipeline, bound).steps[2].env == {"KIND": "forest", "C": "3.0"}


def test_matrix_over_an_expanded_notebook_names_node_value_step() -> None:
    notebooks = {
        **NOTEBOOKS,
        "nb/two.ipynb": tagged("nb/two.ipynb", ("step:load", "x"), ("step:fit prev:load", "x")),
    }
    document = read_document(
        (
            "steps:\n  t: {notebook: nb/two.ipynb, matrix: {m: [a, b]}}\n"
            "  e: {notebook: nb/whole.ipynb, after: [t/b]}\n"
        ),
        "p",
    )
    assert after(compose(document, notebooks)) == {
        "t/a/load": (),
        "t/a/fit": ("t/a/load",),
        "t/b/load": (),
        "t/b/fit": ("t/b/load",),
        "e": ("t/b/fit",),
    }


def test_an_out_stays_with_the_step_whose_tags_name_it() -> None:
    pipeline = composed("steps: {f: {notebook: nb/fork.ipynb, outs: [nb/m.png]}}")
    assert [step.outs for step in pipeline.steps] == [(), ("nb/m.png",), ()]
    error = refused("steps: {f: {notebook: nb/fork.ipynb, outs: [other.png]}}")
    assert "f: matrix, roc" in error.message


def test_a_metric_of_another_step_is_an_edge() -> None:
    pipeline = composed(
        "steps:\n  a: {notebook: nb/whole.ipynb}\n  b: {notebook: nb/whole.ipynb, "
        "params: {C: '${a:best_C}'}}\n"
    )
    assert after(pipeline) == {"a": (), "b": ("a",)}
    found = step_parameters(pipeline, pipeline.steps[1], (), notebook_parameters(WHOLE))
    assert found[0].value == MetricTemplate(text="${a:best_C}")


def test_values_handed_down_keep_their_source() -> None:
    pipeline = composed(
        "params: {C: 1, seed: {default: 7, help: why, choices: [7, 8]}}\n"
        "steps: {a: {notebook: nb/whole.ipynb, params: {C: '${C}'}}}"
    )
    bound = bind(pipeline.params, [assigned_on_command_line(["C=10"])])
    strength, seed = step_parameters(pipeline, pipeline.steps[0], bound, notebook_parameters(WHOLE))
    assert (strength.value, type(strength.value), strength.source, strength.overridden) == (
        10.0,
        float,
        "-p",
        True,
    )
    assert (seed.value, seed.source, seed.overridden) == (7, "nb/whole.ipynb", False)
    with pytest.raises(UsageError, match="takes one of 7, 8, not 9"):
        bind(pipeline.params, [assigned_on_command_line(["seed=9"])])


def test_when_is_decided_with_the_bound_parameters() -> None:
    pipeline = composed(
        "params: {mode: full}\n"
        "steps: {a: {notebook: nb/whole.ipynb, matrix: {model: [svm, none]},\n"
        "            when: \"model != 'none' and mode == 'full'\"}}"
    )
    full, fast = (
        bind(pipeline.params, [assigned_on_command_line([f"mode={mode}"])])
        for mode in ("full", "fast")
    )
    assert [is_wanted(step, full) for step in pipeline.steps] == [True, False]
    assert [is_wanted(step, fast) for step in pipeline.steps] == [False, False]


def test_dataflow_order_drops_edges_that_only_follow_the_notebook() -> None:
    plain = tagged("nb/plain.ipynb", ("step:a", "x = 1"), ("step:b", "y = 2"))
    document = read_document(
        "order: dataflow\nsteps: {n: {notebook: nb/plain.ipynb, outs: [o.txt]}}", "p.yaml"
    )
    pipeline = compose(document, {"nb/plain.ipynb": plain})
    assert after(pipeline) == {"n/a": (), "n/b": ()}
    assert pipeline.steps[1].outs == ("o.txt",)
    declared = compose(
        read_document("steps: {n: {notebook: nb/plain.ipynb}}", "p.yaml"), {"nb/plain.ipynb": plain}
    )
    assert after(declared) == {"n/a": (), "n/b": ("n/a",)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "steps:\n  a: {notebook: nb/whole.ipynb, after: [bb]}\n  b: {notebook: nb/whole.ipynb}",
            "p.yaml, line 2, column 41: unknown step 'bb' (did you mean 'b'?)",
        ),
        ("steps:\n  a: {notebook: nb/whole.ipynb, after: [a]}", "step a comes after itself"),
        (
            (
                "steps:\n  a: {notebook: nb/whole.ipynb, after: [c]}\n"
                "  b: {notebook: nb/whole.ipynb, after: [a]}\n"
                "  c: {notebook: nb/whole.ipynb, after: [b]}"
            ),
            "a → b → c → a",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, params: {D: 1}}}", "unknown parameter 'D'"),
        ("steps: {a: {notebook: nb/whole.ipynb, params: {C: abc}}}", "takes float, not 'abc'"),
        (
            "steps: {a: {notebook: nb/whole.ipynb, params: {name: x}}}",
            "`name` is not a literal (cell 1, line 3), so it cannot be overridden",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, params: {C: '${D}'}}}", "unknown parameter 'D'"),
        (
            "params: {text: abc}\nsteps: {a: {notebook: nb/whole.ipynb, params: {C: '${text}'}}}",
            "takes float, not 'abc'",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, outs: ['${matrix.x}']}}", "unknown matrix key 'x'"),
        ("steps: {a: {notebook: nb/whole.ipynb, outs: ['${x']}}", "is not closed"),
        (
            "steps: {a: {notebook: nb/whole.ipynb, env: {X: '${a:acc}'}}}",
            "can stand in `params` only",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, matrix: {m: [SVM]}}}", "makes no step name"),
        ("steps: {a: {notebook: nb/whole.ipynb, matrix: {m: [1, '1']}}}", "are named a/1"),
        (
            (
                "steps:\n  a: {notebook: nb/whole.ipynb, outs: [o]}\n"
                "  b: {notebook: nb/whole.ipynb, outs: [./o]}"
            ),
            "steps a and b both write o",
        ),
        (
            (
                "steps:\n  a: {notebook: nb/whole.ipynb, outs: [o]}\n"
                "  b: {notebook: nb/whole.ipynb, outs: [o/x]}"
            ),
            "into a folder that step a writes",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, outs: [o], deps: [o]}}", "reads and writes o"),
        ("steps: {a: {notebook: nb/whole.ipynb, outs: [../o]}}", "lies outside the project"),
        ("steps: {a: {notebook: nb/whole.ipynb, deps: [/etc/passwd]}}", "lies outside the project"),
        (
            "steps: {a: {notebook: nb/whole.ipynb, secrets: ['a b']}}",
            "no name of an environment variable",
        ),
        ("steps: {a: {notebook: nb/nowhere.ipynb}}", "there is no notebook nb/nowhere.ipynb"),
        (
            "steps: {a: {notebook: nb/whole.ipynb, when: 'modle == 1'}}\nparams: {model: 1}",
            "unknown name 'modle' (did you mean 'model'?)",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, when: '__import__(\"os\")'}}", "is not allowed"),
        (
            "steps: {a: {notebook: nb/whole.ipynb}}\nparams: {x: {default: 1, type: flot}}",
            "unknown type 'flot'",
        ),
        (
            "steps: {a: {notebook: nb/whole.ipynb}}\nparams: {x: {default: a, type: float}}",
            "takes float, not 'a'",
        ),
        ("steps: {a: {notebook: nb/whole.ipynb, timeout: '0'}}", "is no duration"),
    ],
)
def test_mistakes_are_named_with_their_place(text: str, message: str) -> None:
    error = refused(text)
    assert message in str(error)
    assert str(error).startswith("pipelines/p.yaml")
    assert error.where is not None
    assert error.where.line is not None


def test_notebook_paths_are_normalised_and_named_once() -> None:
    document = read_document(
        "steps: {a: {notebook: ./nb/x.ipynb}, b: {notebook: nb/x.ipynb}}", "p.yaml"
    )
    assert [path for path, _ in notebook_paths(document)] == ["nb/x.ipynb"]
    with pytest.raises(UsageError, match="outside the project"):
        notebook_paths(read_document("steps: {a: {notebook: ../x.ipynb}}", "p.yaml"))


@pytest.mark.parametrize(
    ("log", "refused"),
    [
        ("/var/log/wine", None),
        ("${log}/wine", None),
        ("${lag}", "unknown parameter 'lag'"),
        ("../logs", "outside the project"),
    ],
)
def test_a_retraining_takes_rows_of_a_log_that_a_machine_may_have(
    log: str, refused: str | None
) -> None:
    text = (
        "params: {log: logs}\nsteps: {a: {notebook: nb/chain.ipynb, outs: [x]}}\n"
        f"retrain: {{data: {{table: rows.csv, label: y, log: '{log}'}}}}\n"
    )
    document = read_document(text, "p.yaml")
    if refused is None:
        retrain = compose(document, {"nb/chain.ipynb": CHAIN}).retrain
        assert retrain is not None
        assert retrain["data"]["log"] == log
        return
    with pytest.raises(UsageError, match=refused) as error:
        compose(document, {"nb/chain.ipynb": CHAIN})
    assert error.value.where is not None
    assert error.value.where.line == 3


def test_a_notebook_alone_is_a_pipeline() -> None:
    pipeline = notebook_pipeline(CHAIN, "nb/chain.ipynb")
    assert after(pipeline) == {"load": (), "fit": ("load",), "score": ("fit",)}
    assert pipeline.steps[0].deps == ("nb/raw.csv",)
    assert pipeline.steps[0].params is None
    assert [parameter.name for parameter in pipeline.params] == ["C"]


def test_a_cycle_of_tags_is_printed() -> None:
    cyclic = tagged("n.ipynb", ("step:a prev:b", "x = 1"), ("step:b prev:a", "y = 1"))
    with pytest.raises(UsageError, match="a → b → a"):
        notebook_pipeline(cyclic, "n.ipynb")
    with pytest.raises(UsageError, match="n/a → n/b → n/a"):
        compose(
            read_document("steps: {n: {notebook: n.ipynb, outs: [x]}}", "p.yaml"),
            {"n.ipynb": cyclic},
        )
