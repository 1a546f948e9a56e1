from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from nbci.errors import UsageError
from nbci.notebook.cells import Cell, Notebook
from nbci.notebook.read import parse_notebook
from nbci.params import assigned_on_command_line, bind
from nbci.pipeline.compose import compose, notebook_pipeline
from nbci.pipeline.document import read_document
from nbci.pipeline.resolve import resolve
from nbci.pipeline.tagged import understand

if TYPE_CHECKING:
    from nbci.pipeline.model import Pipeline, TaggedNotebook

PARAMETERS = ("parameters", "C = 1.0\nmodel = 'svm'\ndeep = False\nfolder = ''")


def tagged(*cells: tuple[str, str], path: str = "nb/fit.ipynb") -> TaggedNotebook:
    made = tuple(
        Cell(number=number, kind="code", source=source, tags=tuple(tags.split()))
        for number, (tags, source) in enumerate(cells, start=1)
    )
    return understand(
        Notebook(path=path, cells=made, kernel_name="python3", language="python", document={})
    )


def fit(tags: str) -> TaggedNotebook:
    """A notebook of one step, whose second cell has the tags."""
    return tagged(PARAMETERS, ("step:fit", "x = 1"), (tags, "save(x)"))


def composed(text: str, notebook: TaggedNotebook) -> Pipeline:
    return compose(read_document(text, "p.yaml"), {"nb/fit.ipynb": notebook})


def outs(text: str, notebook: TaggedNotebook, *overrides: str) -> list[tuple[str, ...]]:
    pipeline = composed(text, notebook)
    bound = bind(pipeline.params, [assigned_on_command_line(overrides)])
    return [step.outs for step in resolve(pipeline, bound).steps]


def refusal(text: str, notebook: TaggedNotebook) -> UsageError:
    with pytest.raises(UsageError) as caught:
        outs(text, notebook)
    return caught.value


MATRIX = "steps:\n  fit: {notebook: nb/fit.ipynb, matrix: {model: [svm, forest]}}\n"


def test_a_tag_has_values_of_the_matrix() -> None:
    found = outs(MATRIX, fit("out:build/${matrix.model}.joblib"))
    assert found == [("nb/build/svm.joblib",), ("nb/build/forest.joblib",)]


def test_a_tag_has_the_notebooks_parameters_as_the_step_gets_them() -> None:
    text = (
        "params: {cost: 2.5, deep: true}\n"
        "steps:\n  fit: {notebook: nb/fit.ipynb, matrix: {m: [1, 2]},\n"
        "    params: {C: '${matrix.m}', model: 'm${cost}', deep: '${deep}'}}\n"
    )
    found = outs(text, fit("out:${C}/${model}-${deep}.bin"), "cost=3.5")
    # The notebook's C is a float, whatever the matrix says.
    assert found == [("nb/1.0/m3.5-true.bin",), ("nb/2.0/m3.5-true.bin",)]


def test_a_tag_has_the_notebooks_default_and_else_the_pipelines_parameter() -> None:
    text = "params: {C: 7.0, cost: 3}\nsteps: {fit: {notebook: nb/fit.ipynb}}\n"
    assert outs(text, fit("out:${C}-${cost}.bin")) == [("nb/1.0-3.bin",)]


def test_every_kind_of_path_has_values() -> None:
    notebook = fit("in:raw/${matrix.model}.csv predictions:${matrix.model}.csv")
    step = composed(MATRIX, notebook).steps[1]
    assert step.deps == ("nb/raw/forest.csv",)
    assert step.outs == ("nb/forest.csv",)
    assert step.predictions == "nb/forest.csv"


def test_an_escaped_reference_and_one_in_a_value_stay_as_they_are() -> None:
    text = "steps: {fit: {notebook: nb/fit.ipynb, params: {model: 'a$${b}'}}}"
    assert outs(text, fit("out:$${C}-${model}")) == [("nb/${C}-a${b}",)]


def test_the_out_of_a_node_binds_the_step_whose_tag_names_it_with_a_reference() -> None:
    text = MATRIX.replace("}}", "}, outs: ['nb/${matrix.model}.bin']}")
    notebook = tagged(("step:fit out:${matrix.model}.bin", "x = 1"), ("step:show", "print(x)"))
    assert outs(text, notebook) == [("nb/svm.bin",), (), ("nb/forest.bin",), ()]


def test_a_notebook_alone_has_its_own_parameters() -> None:
    pipeline = notebook_pipeline(fit("out:build/${C}-$${x}.bin"), "nb/fit.ipynb")
    bound = bind(pipeline.params, [assigned_on_command_line(["C=10"])])
    assert resolve(pipeline, bound).steps[0].outs == ("nb/build/10.0-${x}.bin",)


@pytest.mark.parametrize(
    ("tags", "message", "hint"),
    [
        (
            "out:${matrix.modle}.bin",
            "'matrix.modle', which is unknown (did you mean 'matrix.model'",
            "C",
        ),
        ("in:${nope}.bin", "the tag in:${nope}.bin names 'nope', which is unknown", "matrix.model"),
        ("out:${fit:auc}.bin", "measured during the run", "$${ for a plain ${"),
        ("out:${C.bin", "is not closed", "$${"),
        ("out:${C-}.bin", "'${C-}' names nothing", "${matrix.key}"),
    ],
)
def test_a_reference_that_names_nothing_is_refused_with_its_cell(
    tags: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        composed(MATRIX, fit(tags))
    assert message in str(caught.value)
    assert hint in (caught.value.hint or "")
    assert str(caught.value.where) == "nb/fit.ipynb, cell 3 ('save(x)')"


def test_a_path_cannot_wait_for_a_metric() -> None:
    text = (
        "steps:\n  first: {notebook: nb/fit.ipynb, params: {model: a}}\n"
        "  fit: {notebook: nb/fit.ipynb, params: {model: '${first:auc}'}}\n"
    )
    error = refusal(text, fit("out:${model}.bin"))
    assert "names 'model', which is ${first:auc} here" in error.message


def test_a_value_cannot_lead_a_tag_out_of_the_project() -> None:
    error = refusal(
        "steps: {fit: {notebook: nb/fit.ipynb, params: {folder: ../..}}}", fit("out:${folder}/x")
    )
    assert "lies outside the project" in error.message
    assert str(error.where).startswith("nb/fit.ipynb, cell 3")


@pytest.mark.parametrize(
    ("tag", "matrix", "wanted"),
    [
        (
            "out:build/model.joblib",
            "{model: [svm, forest]}",
            "out:build/model-${matrix.model}.joblib",
        ),
        ("out:models", "{model: [svm, forest]}", "out:models-${matrix.model}"),
        (
            "out:${matrix.model}.tar.gz",
            "{model: [svm], depth: [2, 4]}",
            "out:${matrix.model}-${matrix.depth}.tar.gz",
        ),
    ],
)
def test_an_out_of_all_combinations_is_refused_with_the_tag_to_write(
    tag: str, matrix: str, wanted: str
) -> None:
    error = refusal(f"steps: {{fit: {{notebook: nb/fit.ipynb, matrix: {matrix}}}}}", fit(tag))
    assert "both write nb/" in error.message
    assert f"the tag {tag} names the same file for all of the matrix" in error.message
    assert error.hint == f"tag the cell `{wanted}`, and let it write that file"
    assert str(error.where) == "nb/fit.ipynb, cell 3 ('save(x)')"


def test_a_parameter_with_the_value_of_the_matrix_is_enough() -> None:
    text = MATRIX.replace("}}", "}, params: {model: '${matrix.model}'}}")
    assert outs(text, fit("out:${model}")) == [("nb/svm",), ("nb/forest",)]


def test_an_out_of_the_file_that_all_combinations_write_is_refused_with_what_to_write() -> None:
    text = MATRIX.replace("}}", "},\n    outs: [build/model.bin]}")
    error = refusal(text, fit(""))
    assert '"build/model-${matrix.model}.bin"' in str(error.hint)
    assert "line 3" in str(error.where)


def test_a_notebook_alone_has_no_matrix() -> None:
    pipeline = notebook_pipeline(fit("out:${matrix.model}.bin"), "nb/fit.ipynb")
    with pytest.raises(UsageError) as caught:
        resolve(pipeline, bind(pipeline.params, []))
    assert "needs a `matrix`, which a notebook alone has not" in caught.value.message


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("fit.py", '# %% tags=["step:fit", "out:build/${matrix.model}.bin"]\nx = 1\n'),
        ("fit.md", '```python tags=["step:fit", "out:build/${matrix.model}.bin"]\nx = 1\n```\n'),
    ],
)
def test_notebooks_that_are_text_keep_such_tags(path: str, text: str) -> None:
    step = understand(parse_notebook(text.encode(), path)).steps[0]
    assert step.outs == ("build/${matrix.model}.bin",)
