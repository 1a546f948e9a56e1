"""Notebooks of which some cells are those of an earlier version."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbci.blame.mixed_notebook import changed_values, mix
from nbci.light_imports import lean_import
from nbci.notebook.read import parse_notebook

_WORDS = st.sampled_from(["load()", "fit(model)", "score = 1", "plot(score)", "import os", "x"])


def notebook(*sources: str, tags: str = "") -> bytes:
    cells = []
    for number, source in enumerate(sources):
        kind = "markdown" if source.startswith("#") else "code"
        cell: dict[str, Any] = {
            "id": f"c{number}",
            "cell_type": kind,
            "metadata": {},
            "source": source,
        }
        if kind == "code":
            cell |= {"outputs": [], "execution_count": None, "metadata": {"tags": tags.split()}}
        cells.append(cell)
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}
    return json.dumps(document).encode()


def sources(text: bytes) -> list[str]:
    return [cell.source for cell in parse_notebook(text, "n.ipynb").cells]


def test_each_changed_cell_is_old_or_new() -> None:
    old = notebook("# Title", "load()", "fit(1)", "plot()")
    new = notebook("# Other title", "load()", "fit(C=1)", "extra()", "plot(1)")

    mixed = mix("n.ipynb", old, new)

    assert mixed.changed == [2, 3, 4]
    assert mixed.text([]) == old
    assert mixed.text([2, 3, 4]) == new
    assert sources(mixed.text([3])) == ["# Other title", "load()", "fit(1)", "extra()", "plot()"]
    assert sources(mixed.text([2])) == ["# Other title", "load()", "fit(C=1)", "plot()"]


def test_tags_are_a_change_and_outputs_are_none() -> None:
    tagged = mix("n.ipynb", notebook("x = 1"), notebook("x = 1", tags="step:a"))
    document = json.loads(notebook("x = 1"))
    document["cells"][0]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    with_outputs = mix("n.ipynb", notebook("x = 1"), json.dumps(document).encode())

    assert tagged.changed == [0]
    assert with_outputs.changed == []


@given(st.lists(_WORDS, min_size=1, max_size=6), st.lists(_WORDS, min_size=1, max_size=6))
def test_both_ends_are_the_two_versions(old: list[str], new: list[str]) -> None:
    mixed = mix("n.ipynb", notebook(*old), notebook(*new))

    assert sources(mixed.text([])) == old
    assert sources(mixed.text(mixed.changed)) == new
    for kept in mixed.changed:
        text = mixed.text([pair for pair in mixed.changed if pair != kept])
        pair = mixed.pairs[kept]
        expected = list(new)
        if pair.new is not None:
            expected.remove(pair.new.source)
        if pair.old is not None:
            expected.append(pair.old.source)
        assert sorted(sources(text)) == sorted(expected)


@pytest.mark.parametrize("suffix", [".py", ".md"])
def test_text_notebooks_stay_what_they_are(suffix: str) -> None:
    nbformat, jupytext = lean_import("nbformat"), lean_import("jupytext")
    texts = []
    for value in (1, 2):
        document = nbformat.reads(
            notebook(f"x = {value}", "# text", f"y = {value}").decode(), as_version=4
        )
        document.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        texts.append(jupytext.writes(document, fmt=suffix[1:]).encode())
    path = f"n{suffix}"

    text = mix(path, *texts).text([0])

    cells = parse_notebook(text, path).cells
    assert [cell.source.strip() for cell in cells] == ["x = 2", "# text", "y = 1"]


@pytest.mark.parametrize(
    ("old", "new", "changed"),
    [
        ("C = 1  # cost", "C = 2", {"C"}),
        ("C: float = 1\nD = 2", "C: float = 3\nD = 4", {"C", "D"}),
        ("C = 1", "C = 1  # another comment", set()),
        ("C = 1", "E = 1", None),
        ("C: float = 1", "C: int = 1", None),
        ("C = 1", "C = 1\nprint(C)", None),
        ("C = 1\nprint(C)", "C = 1\nprint(C + 1)", None),
        ("%matplotlib inline", "C = 1", None),
    ],
)
def test_values_that_a_parameters_cell_changes(
    old: str, new: str, changed: set[str] | None
) -> None:
    assert changed_values(old, new, {"C", "D"}) == changed
