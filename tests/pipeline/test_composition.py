"""Notebooks that refer to others: their steps, who comes after whom, and what is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from nbci.errors import UsageError
from nbci.notebook.cells import Cell, Notebook
from nbci.pipeline.composition import references, unfold
from nbci.pipeline.tagged import understand

if TYPE_CHECKING:
    from nbci.pipeline.model import TaggedNotebook

Cells = list[tuple[str, str]]

MAKES: Cells = [("step:load", "raw = [1]"), ("step:clean prev:load", "data = raw * 2")]
USES: Cells = [("imports", "import math"), ("step:fit", "model = math.fsum(data)")]
CHANGES: Cells = [("step:grow", "data = data + [3]")]
WHOLE: Cells = [("", "data = [1]"), ("", "print(data)")]


def _tagged(cells: Cells, path: str, **metadata: Any) -> TaggedNotebook:
    made = [
        Cell(
            number=number,
            kind="code",
            source=source,
            tags=tuple(word for word in tags.split() if not word.startswith("->")),
            notebook_path=next((word[2:] for word in tags.split() if word.startswith("->")), None),
        )
        for number, (tags, source) in enumerate(cells, 1)
    ]
    document = {"metadata": metadata}
    return understand(
        Notebook(
            path=path, cells=tuple(made), kernel_name=None, language="python", document=document
        )
    )


def _unfolded(root: Cells, /, **others: Cells) -> TaggedNotebook:
    return _unfold(_tagged(root, "nb/root.ipynb"), others)


def _unfold(tagged: TaggedNotebook, others: dict[str, Cells]) -> TaggedNotebook:
    return unfold(
        tagged,
        {f"nb/{name}.ipynb": _tagged(cells, f"nb/{name}.ipynb") for name, cells in others.items()},
    )


def _ref(name: str, file: str | None = None) -> tuple[str, str]:
    return f"notebook:{name} ->./{file or name}.ipynb", "# stands for another notebook"


def _edges(tagged: TaggedNotebook) -> dict[str, tuple[str, ...]]:
    return {step.name: step.after for step in tagged.steps}


def test_steps_have_their_notebooks_name_before_their_own() -> None:
    tagged = _unfolded([_ref("first", "makes"), ("step:end", "1")], makes=MAKES)
    assert [(step.name, step.notebook, step.composition) for step in tagged.steps] == [
        ("first/load", "nb/makes.ipynb", "nb/root.ipynb"),
        ("first/clean", "nb/makes.ipynb", "nb/root.ipynb"),
        ("end", "nb/root.ipynb", "nb/root.ipynb"),
    ]
    assert _edges(tagged) == {
        "first/load": (),
        "first/clean": ("first/load",),
        "end": ("first/clean",),
    }
    assert [step.name for step in _unfolded([_ref("whole")], whole=WHOLE).steps] == ["whole"]


@pytest.mark.parametrize(
    ("root", "edges"),
    [
        ([_ref("uses"), _ref("makes")], {"uses/fit": ("makes/clean",), "makes/load": ()}),
        ([_ref("makes"), _ref("other")], {"makes/load": (), "other/one": ()}),
        (
            [("step:a", "1"), _ref("other"), ("step:b", "2")],
            {"a": (), "other/one": ("a",), "b": ("a", "other/one")},
        ),
        ([("step:a", "1"), ("step:b", "1"), _ref("other")], {"b": ("a",), "other/one": ("b",)}),
        ([_ref("makes"), _ref("grow"), _ref("uses")], {"grow/grow": ("makes/clean",)}),
        ([_ref("makes"), _ref("grow"), _ref("uses")], {"uses/fit": ("makes/clean", "grow/grow")}),
        ([_ref("makes"), _ref("uses"), _ref("grow")], {"uses/fit": ("makes/clean",)}),
        ([_ref("other"), ("step:b prev:other", "2")], {"b": ("other/one",)}),
    ],
)
def test_data_and_reading_order_decide(root: Cells, edges: dict[str, tuple[str, ...]]) -> None:
    known: dict[str, Cells] = {
        "makes": MAKES,
        "uses": USES,
        "grow": CHANGES,
        "other": [("step:one", "one = 1")],
    }
    used = {
        name: cells
        for name, cells in known.items()
        if any(f"/{name}.ipynb" in tags for tags, _ in root)
    }
    found = _edges(_unfolded(root, **used))
    assert {name: found[name] for name in edges} == edges


def test_an_untagged_cell_behind_a_reference_belongs_to_the_next_step() -> None:
    tagged = _unfolded(
        [
            ("step:a", "x = 1"),
            _ref("makes"),
            ("", "note = 1"),
            ("skip", "?"),
            ("step:b timeout:1m", "note"),
        ],
        makes=MAKES,
    )
    own = {
        step.name: (step.cells, step.timeout_seconds)
        for step in tagged.steps
        if not step.name.startswith("makes")
    }
    assert own == {"a": ((1,), None), "b": ((3, 5), 60.0)}


def test_the_compositions_defaults_hold_for_steps_that_say_nothing_else() -> None:
    kale = {
        "kubeflow_notebook": {
            "steps_defaults": ["image:python:3.12", "cache:disabled", "secret:s:k:V", "label:a:b"]
        }
    }
    child: Cells = [
        ("step:one cache:enabled label:a:c secret:W", "1"),
        ("step:two image:other", "2"),
    ]
    one, two = _unfold(_tagged([_ref("child")], "nb/root.ipynb", **kale), {"child": child}).steps
    assert (one.container, one.cache, one.secrets, one.labels) == (
        "python:3.12",
        True,
        ("W", "V"),
        {"a": "c"},
    )
    assert (two.container, two.cache, two.secrets, two.labels) == (
        "other",
        False,
        ("V",),
        {"a": "b"},
    )


@pytest.mark.parametrize(
    ("root", "others", "message"),
    [
        ([("notebook:makes ->./makes.ipynb", "x = 1")], {"makes": MAKES}, "holds code of its own"),
        ([("step:a notebook:makes ->./makes.ipynb", "")], {"makes": MAKES}, "is no step"),
        ([_ref("root")], {}, "refers to itself"),
        ([_ref("a", "makes"), _ref("b", "makes")], {"makes": MAKES}, "twice"),
        (
            [_ref("makes"), ("step:makes", "1")],
            {"makes": MAKES},
            "two steps or notebooks are named makes",
        ),
        ([_ref("makes"), ("", "y = 2")], {"makes": MAKES}, "no step below takes it"),
        (
            [("", "y = 2"), _ref("makes"), ("", "y"), _ref("o")],
            {"makes": MAKES, "o": WHOLE},
            "no step below takes it",
        ),
        ([_ref("nested")], {"nested": [_ref("makes")]}, "refers to notebooks, too"),
        (
            [_ref("makes"), _ref("whole"), _ref("uses")],
            {"makes": MAKES, "whole": WHOLE, "uses": USES},
            "is made by",
        ),
        ([("step:a", "print(data)"), _ref("makes")], {"makes": MAKES}, "cycle"),
        ([_ref("makes"), ("metrics", "print(data)")], {"makes": MAKES}, "no step of its own"),
    ],
)
def test_what_would_be_unclear_is_refused(
    root: Cells, others: dict[str, Cells], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        _unfolded(root, **others)


def test_a_reference_may_not_lead_out_of_the_project() -> None:
    with pytest.raises(UsageError, match="outside"):
        references(_tagged([("notebook:a ->../../a.ipynb", "")], "nb/root.ipynb"))
