from __future__ import annotations

import contextlib
import json
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from nbci.errors import UsageError
from nbci.notebook.cells import Notebook
from nbci.notebook.read import parse_notebook
from tests.support.work import lines_run


def _json(cells: Any = None, **changes: Any) -> bytes:
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [] if cells is None else cells,
        **changes,
    }
    return json.dumps({key: value for key, value in document.items() if value is not ...}).encode()


def _code(source: str | list[str], **metadata: Any) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "metadata": metadata,
        "source": source,
        "outputs": [],
        "execution_count": None,
    }


def _refusal(data: bytes, path: str = "a.ipynb") -> UsageError:
    with pytest.raises(UsageError) as caught:
        parse_notebook(data, path)
    assert caught.value.where is not None
    assert str(caught.value).startswith(path)
    return caught.value


_CONFLICT = "<<<<<<< HEAD\n{ours}\n=======\n{theirs}\n>>>>>>> feature\n"


@pytest.mark.parametrize(
    ("path", "above"),
    [("a.ipynb", '{\n "cells": [\n'), ("a.py", "# %%\nx = 1\n"), ("a.md", "# Title\n\n")],
)
def test_what_git_left_half_merged_is_named_with_its_line(path: str, above: str) -> None:
    for newline in ("\n", "\r\n"):
        text = (above + _CONFLICT.format(ours="1", theirs="2")).replace("\n", newline)
        refused = _refusal(text.encode(), path)
        assert "merge-conflict markers" in refused.message
        assert refused.where is not None
        assert refused.where.line == above.count("\n") + 1
    drawn = b"# %%\nx = 1\n# text\n<<<<<<< a\n>>>>>>> b\n"
    assert len(parse_notebook(drawn, "a.py").cells) == 1


def test_jupytext_guesses_which_of_its_formats_a_script_is_in() -> None:
    light = '# # Title\n\n# + tags=["step:a"]\ny = 1\n\nz = 2\n# -\n\nprint(y)\n'
    assert [(cell.kind, cell.tags) for cell in parse_notebook(light.encode(), "a.py").cells] == [
        ("markdown", ()),
        ("code", ("step:a",)),
        ("code", ()),
    ]
    percent = '# %% tags=["step:a"]\n# + no marker here\ny = 1\n\nz = 2\n'
    assert [cell.tags for cell in parse_notebook(percent.encode(), "a.py").cells] == [("step:a",)]


def test_jupyters_own_kernel_has_two_names() -> None:
    named = {"kernelspec": {"name": "python", "language": "python", "display_name": "Python"}}
    assert parse_notebook(_json(metadata=named), "a.ipynb").kernel_name == "python3"


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"import os\n", "not JSON"),
        (_json([_code("x = 1")])[:-20], "cut off"),
        (b'{"nbformat": 4, "cells": [{"source": "x', "cut off"),
        (b"[" * 200_000, "nested too deeply"),
        (b"[]", "not a notebook"),
        (b"null", "not a notebook"),
        (b'{"a": 1}', "not a notebook"),
        (_json(nbformat=True), "not a notebook"),
        (_json(nbformat="4"), "not a notebook"),
        (_json(nbformat=5), "nbformat 5"),
        (_json(nbformat=0), "nbformat 0"),
        (_json(cells=...), "not a valid notebook"),
        (_json(cells={}), "not a valid notebook"),
        (_json(metadata=[]), "not a valid notebook"),
        (_json(["x"]), "not a valid notebook"),
        (_json([{**_code("x"), "cell_type": "heading"}]), "not a valid notebook"),
        (_json([{**_code("x"), "source": 3}]), "not a valid notebook"),
        (_json([{**_code("x"), "source": ["x", 3]}]), "not a valid notebook"),
        (_json([_code("x", tags="step:a")]), "not a valid notebook"),
        (_json([_code("x", tags=[1])]), "not a valid notebook"),
        ("x = 'ä'".encode("latin-1"), "not UTF-8"),
        (b"\xff\xfe" + "{}".encode("utf-16-le"), "not UTF-8"),
    ],
)
def test_what_is_no_notebook_is_refused_by_name(data: bytes, part: str) -> None:
    assert part in _refusal(data).message


def test_a_fault_in_a_cell_names_the_cell() -> None:
    error = _refusal(_json([_code("x"), {**_code("y"), "metadata": []}]))
    assert error.where is not None
    assert error.where.cell == 2


def test_a_truncated_file_says_where_it_ends() -> None:
    error = _refusal(json.dumps({"nbformat": 4, "cells": []}, indent=1).encode()[:-3])
    assert error.where is not None
    assert error.where.line == 3


def test_an_unknown_suffix_lists_what_is_read() -> None:
    error = _refusal(b"x", "a.R")
    assert error.hint is not None
    assert ".ipynb" in error.hint


def test_conflict_markers_of_git_are_an_error_with_a_line() -> None:
    text = json.dumps({"nbformat": 4, "metadata": {}, "cells": []}, indent=1)
    lines = text.splitlines()
    error = _refusal("\n".join([*lines[:2], "<<<<<<< HEAD", *lines[2:]]).encode())
    assert error.where is not None
    assert error.where.line == 3


def test_byte_order_mark_and_line_ends() -> None:
    data = b"\xef\xbb\xbf" + _json([_code("a = 1\r\nb = 2\r\n"), _code(["c\r\n", "d"])])
    assert [cell.source for cell in parse_notebook(data, "a.ipynb").cells] == [
        "a = 1\nb = 2\n",
        "c\nd",
    ]


def test_nul_and_lone_surrogates_are_read_as_they_are() -> None:
    cells = parse_notebook(_json([_code("a\0b"), _code("x = '\ud800'")]), "a.ipynb").cells
    assert [cell.source for cell in cells] == ["a\0b", "x = '\ud800'"]


def test_version_3_is_upgraded() -> None:
    document = {
        "nbformat": 3,
        "nbformat_minor": 0,
        "metadata": {"name": "old"},
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 1, "metadata": {}, "source": "Old"},
                    {
                        "cell_type": "code",
                        "collapsed": False,
                        "input": "x = 1",
                        "language": "python",
                        "metadata": {},
                        "outputs": [],
                    },
                ],
                "metadata": {},
            }
        ],
    }
    notebook = parse_notebook(json.dumps(document).encode(), "old.ipynb")
    assert [(cell.kind, cell.source) for cell in notebook.cells] == [
        ("markdown", "# Old"),
        ("code", "x = 1"),
    ]
    assert notebook.language == "python"


def test_an_old_notebook_that_cannot_be_upgraded_is_refused() -> None:
    assert "upgraded" in _refusal(b'{"nbformat": 3, "worksheets": 7}').message


def test_minor_versions_and_unknown_fields_are_accepted() -> None:
    cell = {**_code("x", tags=["step:a", "  ", " out:b "]), "attachments": {}, "strange": 1}
    notebook = parse_notebook(_json([cell], nbformat_minor=99, extra=1, metadata=...), "a.ipynb")
    assert notebook.cells[0].tags == ("step:a", "out:b")


@pytest.mark.parametrize(
    ("metadata", "kernel", "language"),
    [
        ({}, None, "python"),
        ({"kernelspec": {"name": "ir", "language": "R"}}, "ir", "r"),
        ({"kernelspec": {"name": "bash"}, "language_info": {"name": "bash"}}, "bash", "bash"),
        ({"kernelspec": "python3", "language_info": None}, None, "python"),
        ({"kernelspec": {"name": ""}}, None, "python"),
    ],
)
def test_kernel_and_language(metadata: dict[str, Any], kernel: str | None, language: str) -> None:
    notebook = parse_notebook(_json(metadata=metadata), "a.ipynb")
    assert (notebook.kernel_name, notebook.language) == (kernel, language)


def test_percent_scripts() -> None:
    text = (
        '# %% [markdown]\n# # Title\n\n# %% tags=["step:load"]\nx = 1\n\n# %%\n%matplotlib inline\n'
    )
    notebook = parse_notebook(text.encode(), "a.py")
    assert [(cell.kind, cell.tags) for cell in notebook.cells] == [
        ("markdown", ()),
        ("code", ("step:load",)),
        ("code", ()),
    ]
    assert notebook.language == "python"


def test_markdown_notebooks() -> None:
    text = (
        '# Title\n\n```python tags=["step:load"]\nx = 1\n```\n\nWords.\n\n```python\ny = x\n```\n'
    )
    cells = parse_notebook(text.encode(), "a.md").cells
    assert [(cell.kind, cell.source, cell.tags) for cell in cells if cell.kind == "code"] == [
        ("code", "x = 1", ("step:load",)),
        ("code", "y = x", ()),
    ]


def test_a_notebook_of_50_megabytes_costs_no_more_python_than_a_small_one() -> None:
    def notebook(size: int) -> bytes:
        image = {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * size}}
        return _json([{**_code(f"x = {at}"), "outputs": [image]} for at in range(10)])

    small, large = notebook(5), notebook(5_000_000)
    assert len(parse_notebook(large, "a.ipynb").cells) == 10
    assert lines_run(lambda: parse_notebook(large, "a.ipynb")) == lines_run(
        lambda: parse_notebook(small, "a.ipynb")
    )


_ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 5) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "nbformat",
                    "cells",
                    "metadata",
                    "source",
                    "cell_type",
                    "tags",
                    "kernelspec",
                    "worksheets",
                    "name",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_ANY_JSON, st.sampled_from([3, 4, None]))
def test_any_json_is_a_notebook_or_a_usage_error(document: Any, version: int | None) -> None:
    if isinstance(document, dict) and version is not None:
        document["nbformat"] = version
    with contextlib.suppress(UsageError):
        assert isinstance(parse_notebook(json.dumps(document).encode(), "a.ipynb"), Notebook)


@given(st.binary(max_size=60), st.sampled_from(["a.ipynb", "a.md", "a.py"]))
def test_any_bytes_are_a_notebook_or_a_usage_error(data: bytes, path: str) -> None:
    with contextlib.suppress(UsageError):
        assert isinstance(parse_notebook(data, path), Notebook)
