from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nbci.errors import UsageError
from nbci.notebook.cells import Cell, Notebook
from nbci.pipeline.model import Blocks
from nbci.pipeline.tagged import understand

if TYPE_CHECKING:
    from nbci.pipeline.model import Step, TaggedNotebook


def _tagged(
    *cells: tuple[str, str], path: str = "nb/My Notebook.ipynb", **metadata: Any
) -> TaggedNotebook:
    made = []
    for number, (tags, source) in enumerate(cells, start=1):
        kind = "markdown" if tags == "markdown" else "code"
        made.append(Cell(number=number, kind=kind, source=source, tags=tuple(tags.split())))  # type: ignore[arg-type]  # one of two
    document = {"metadata": metadata}
    return understand(
        Notebook(
            path=path, cells=tuple(made), kernel_name=None, language="python", document=document
        )
    )


def _cells(tagged: TaggedNotebook) -> dict[str, tuple[int, ...]]:
    return {step.name: step.cells for step in tagged.steps}


def _step(tagged: TaggedNotebook, name: str) -> Step:
    return next(step for step in tagged.steps if step.name == name)


def test_a_cell_without_a_tag_belongs_to_the_block_before_whatever_its_kind() -> None:
    tagged = _tagged(
        ("imports", "i"),
        ("", "i2"),
        ("functions", "f"),
        ("", "f2"),
        ("parameters", "p"),
        ("", "p2"),
        ("step:a", "a"),
        ("markdown", "words"),
        ("", "a2"),
        ("step:", "a3"),
        ("block:", "a4"),
        ("hide-input", "a5"),
        ("metrics", "m"),
        ("", "m2"),
    )
    assert tagged.blocks == Blocks(
        imports=(1, 2), functions=(3, 4), parameters=(5, 6), metrics=(13, 14)
    )
    assert _cells(tagged) == {"a": (7, 9, 10, 11, 12)}


def test_behind_a_metrics_cell_only_what_prints_names_metrics() -> None:
    """Kale gives it the untagged cells behind it, and refuses what is more than `print(NAME)`."""
    tagged = _tagged(
        ("step:a", "auc, err = 0.9, 0.1"),
        ("metrics", "print(auc)"),
        ("", "print(err)\nauc"),
        ("skip", "!"),
        ("", "figure = [auc]"),
        ("", "print(figure)"),
        ("step:b", "1"),
        ("", "print(auc)"),
    )
    assert tagged.blocks == Blocks(metrics=(2, 3, 6))
    assert _cells(tagged) == {"a": (1, 5), "b": (7, 8)}
    before = _tagged(("imports", "import os"), ("metrics", "a"), ("", "x = (\n"), ("step:a", "1"))
    assert (before.blocks, _cells(before)) == (Blocks(imports=(1, 3), metrics=(2,)), {"a": (4,)})
    first = _tagged(("metrics", "a"), ("", "x = 1"), ("step:a", "a = x"))
    assert (first.blocks.metrics, first.dropped, _cells(first)) == ((1,), (2,), {"a": (3,)})


def test_a_step_may_set_aside_what_holds_for_every_step() -> None:
    kale = {"steps_defaults": ["limit:nvidia.com/gpu:1", "secret:s:k:V", "cache:disabled"]}
    a, b = _tagged(
        ("step:a limit:nvidia.com/gpu:0 cache:enabled secret:W", "1"),
        ("step:b", "2"),
        kubeflow_notebook=kale,
    ).steps
    assert (a.agent, a.cache, a.secrets) == (None, True, ("V", "W"))
    assert (b.agent, b.cache, b.secrets) == ("gpu", False, ("V",))


def test_a_skipped_cell_changes_nothing_for_those_after_it() -> None:
    assert _cells(_tagged(("step:a", "1"), ("skip", "2"), ("", "3"), ("skip step:b", "4"))) == {
        "a": (1, 3)
    }


def test_a_step_may_come_back_and_cells_may_belong_to_two() -> None:
    tagged = _tagged(
        ("block:a", "1"), ("block:a;b", "2"), ("", "3"), ("block:c prev:a;b", "4"), ("block:a", "5")
    )
    assert _cells(tagged) == {"a": (1, 2, 3, 5), "b": (2, 3), "c": (4,)}
    assert _step(tagged, "c").after == ("a", "b")
    assert tagged.declares_edges


def test_cells_before_the_first_tag_are_dropped_and_named() -> None:
    tagged = _tagged(("", "lost = 1"), ("", "  \n"), ("step:a", "x"))
    assert _cells(tagged) == {"a": (3,)}
    assert len(tagged.warnings) == 1
    assert "cell 1 ('lost = 1')" in tagged.warnings[0]


def test_settings_count_on_the_first_cell_only_and_the_others_are_named() -> None:
    tagged = _tagged(
        ("step:z", "z"),
        ("step:a prev:z gpu timeout:1m retries:1 in:x out:y secret:S", "x = 1"),
        ("step:a prev:z timeout:2m out:w in:v secret:T", "x = 2"),
        ("gpu", "x = 3"),
    )
    step = _step(tagged, "a")
    assert (step.agent, step.timeout_seconds, step.retries, step.after) == ("gpu", 60.0, 1, ("z",))
    assert (step.deps, step.outs, step.secrets) == (("x", "v"), ("y", "w"), ("S", "T"))
    assert any("cell 3" in warning and "timeout" in warning for warning in tagged.warnings)


def test_repeating_the_same_setting_is_no_reason_to_warn() -> None:
    tagged = _tagged(
        ("step:a gpu timeout:1m", "x = 1"), ("gpu", "x = 2"), ("step:a gpu timeout:1m", "x = 3")
    )
    assert tagged.warnings == ()


def test_without_edges_steps_follow_one_another() -> None:
    tagged = _tagged(("step:b", "1"), ("step:a", "2"), ("step:c", "3"))
    assert not tagged.declares_edges
    assert [(step.name, step.after) for step in tagged.steps] == [
        ("b", ()),
        ("a", ("b",)),
        ("c", ("a",)),
    ]


def test_one_edge_is_enough_for_all_to_be_declared() -> None:
    tagged = _tagged(("step:a", "1"), ("step:b", "2"), ("step:c after:a", "3"))
    assert [step.after for step in tagged.steps] == [(), (), ("a",)]


def test_a_notebook_without_steps_is_one_step_in_its_own_order() -> None:
    tagged = _tagged(
        ("imports", "1"),
        ("", "2"),
        ("parameters", "3"),
        ("skip", "4"),
        ("functions", "5"),
        ("metrics", "6"),
        ("", "7"),
    )
    assert tagged.whole
    assert _cells(tagged) == {"my_notebook": (1, 2, 5, 7)}
    assert tagged.blocks == Blocks(parameters=(3,), metrics=(6,))
    assert tagged.name == "My Notebook"


@pytest.mark.parametrize("path", ["a/2024-01.ipynb", "Ä-Übung.ipynb", "--x--.py", "a.b.md"])
def test_any_usual_file_name_makes_a_step_name(path: str) -> None:
    name = _tagged(("", "x"), path=path).steps[0].name
    assert name
    assert name.strip("_-") == name


def test_a_file_name_without_a_letter_of_use_is_refused() -> None:
    with pytest.raises(UsageError, match="no step name"):
        _tagged(("", "x"), path="ÄÖ.ipynb")


def test_what_outs_and_settings_of_a_whole_notebook() -> None:
    step = _tagged(("parameters", "C = 1"), ("out:a retries:3", "x"), ("in:b", "y")).steps[0]
    assert (step.outs, step.deps, step.retries) == (("a",), ("b",), 3)


def test_kales_own_settings() -> None:
    kale = {
        "pipeline_name": "from-kale",
        "steps_defaults": ["label:a:b", "annotation:c:d:e", "limit:nvidia.com/gpu:1", 7, "skip"],
    }
    tagged = _tagged(
        ("step:a label:x:y", "1"), ("step:b agent:small label:a:z", "2"), kubeflow_notebook=kale
    )
    assert tagged.name == "from-kale"
    a, b = tagged.steps
    assert (a.labels, a.annotations, a.agent) == ({"a": "b", "x": "y"}, {"c": "d:e"}, "gpu")
    assert (b.labels, b.agent) == ({"a": "z"}, "small")
    assert [text.partition(" holds")[0] for text in tagged.warnings] == [
        "nb/My Notebook.ipynb: 7 in `steps_defaults`",
        "nb/My Notebook.ipynb: 'skip' in `steps_defaults`",
    ]
    assert _tagged(("step:a notebook:mine", "1"), kubeflow_notebook=kale).name == "mine"
    assert _tagged(("step:a", "1"), kubeflow_notebook="nonsense").name == "My Notebook"


@pytest.mark.parametrize(
    ("cells", "message", "hint"),
    [
        ([("step:a prev:b", "x")], "prev:b: there is no such step", "a"),
        ([("step:load", "x"), ("step:a prev:laod", "x")], "prev:laod", "'load'"),
        ([("step:a prev:a", "x")], "comes after itself", None),
    ],
)
def test_edges_to_nowhere(cells: list[tuple[str, str]], message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        _tagged(*cells)
    assert message in caught.value.message
    assert caught.value.where is not None
    assert caught.value.where.cell == len(cells)
    if hint:
        assert hint in (caught.value.hint or "")


_TAGS = st.lists(
    st.sampled_from(
        [
            "step:a",
            "step:b",
            "block:a;b",
            "block:",
            "prev:a",
            "prev:b",
            "skip",
            "imports",
            "functions",
            "parameters",
            "metrics",
            "gpu",
            "in:x",
            "out:x",
            "other-tool",
        ]
    ),
    max_size=3,
)


@given(st.lists(_TAGS, max_size=6))
def test_every_code_cell_has_its_place_or_a_word_about_it(tags: list[list[str]]) -> None:
    try:
        tagged = _tagged(*((" ".join(one), f"x{at} = 1") for at, one in enumerate(tags)))
    except UsageError:
        return
    blocks = tagged.blocks
    placed = {number for step in tagged.steps for number in step.cells}
    placed |= {*blocks.parameters, *blocks.imports, *blocks.functions, *blocks.metrics}
    special = {"skip", "imports", "functions", "parameters", "metrics"}
    skipped = {
        at
        for at, one in enumerate(tags, 1)
        if next((tag for tag in one if tag in special), None) == "skip"
    }
    named = {
        number
        for number in range(1, len(tags) + 1)
        if any(f"cell {number} " in text for text in tagged.warnings)
    }
    assert set(range(1, len(tags) + 1)) == placed | skipped | (named - placed)


def test_a_setting_on_a_later_cell_is_named_as_it_is_written() -> None:
    tagged = _tagged(("step:a", "1"), ("step:a limit:nvidia.com/gpu:1 timeout:30m", "2"))
    assert [warning.partition(": ")[2] for warning in tagged.warnings] == [
        "the tag limit:nvidia.com/gpu:1 counts only on the first cell of step a",
        "the tag timeout:30m counts only on the first cell of step a",
    ]
