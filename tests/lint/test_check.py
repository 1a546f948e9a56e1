"""Whatever a notebook holds, checking it ends with findings, and never with a traceback."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from nbci.lint.check import check_notebook, check_pipeline
from nbci.lint.project import Checked
from nbci.lint.render import as_data, as_issues, as_text
from nbci.lint.rules import ALL_RULES
from nbci.lint.source_lines import lines_of_cells
from nbci.notebook.read import parse_notebook
from nbci.schema import load
from tests.support.work import lines_run

if TYPE_CHECKING:
    from collections.abc import Mapping

_TAG_PARTS = (
    "step: block: prev: after: a b C imports functions parameters metrics skip "
    "gpu timeout: stpe: out: ; ../x retries:2"
)
TAGS = st.lists(
    st.one_of(
        st.lists(st.sampled_from(_TAG_PARTS.split()), min_size=1, max_size=3).map("".join),
        st.text(st.characters(), max_size=6),
    ),
    max_size=3,
)
LINES = st.one_of(
    st.sampled_from(
        [
            "a = 1",
            "b = a",
            "del a",
            "def f():",
            "    return a",
            "import os, random",
            "from math import *",
            "x = (i for i in a)",
            "f = open('/x/y')",
            "%cd x",
            "!ls {a}",
            "%%bash",
            "os.environ['A'] = '1'",
            "random.seed(0)",
            "if a",
            "a: int = 'x'",
            "print(a)",
            "random.random()",
            "os.chdir(a)",
            "with open(a) as b: pass",
            "class A: pass",
            "a = yield",
            "await a",
            "# nbci: ignore[undefined-name]",
            "get_ipython().run_line_magic('cd', a)",
        ]
    ),
    st.text(st.characters(), max_size=12),
    st.sampled_from(["\0", "\ud800", "\udfff a", "x = '\ud83d'", "\r", "a\r\nb", "\f", "\u2028"]),
)
CELLS = st.fixed_dictionaries(
    {
        "cell_type": st.sampled_from(["code", "code", "code", "markdown", "raw"]),
        "metadata": st.fixed_dictionaries({"tags": TAGS}),
        "source": st.lists(LINES, max_size=4).map("\n".join),
        "execution_count": st.one_of(st.none(), st.integers(), st.text(max_size=1), st.booleans()),
        "outputs": st.one_of(
            st.none(),
            st.lists(st.dictionaries(st.text(max_size=2), st.text(max_size=4)), max_size=2),
        ),
    }
)
NOTEBOOKS = st.fixed_dictionaries(
    {
        "nbformat": st.just(4),
        "metadata": st.sampled_from(
            [{}, {"language_info": {"name": "bash"}}, {"kubeflow_notebook": {"steps_defaults": 3}}]
        ),
        "cells": st.lists(CELLS, max_size=6),
    }
)
VALIDATORS = {name: Draft202012Validator(load(name)) for name in ("lint", "issues")}


@given(
    document=NOTEBOOKS,
    by_dataflow=st.booleans(),
    name=st.sampled_from(["a.ipynb", "sub/___.ipynb"]),
)
def test_any_notebook_is_checked_without_a_traceback(
    document: dict[str, Any], by_dataflow: bool, name: str
) -> None:
    checked = check_notebook(json.dumps(document).encode(), name, by_dataflow=by_dataflow)
    shown = Checked(paths=(name,), findings=checked.findings)
    as_text(shown).encode("utf-8", errors="backslashreplace")
    assert not list(VALIDATORS["lint"].iter_errors(json.loads(json.dumps(as_data(shown)))))
    assert not list(VALIDATORS["issues"].iter_errors(json.loads(json.dumps(as_issues(shown)))))
    assert {finding.rule for finding in checked.findings} <= set(ALL_RULES)


@given(
    data=st.one_of(
        st.binary(max_size=40),
        st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")),
    )
)
def test_any_bytes_are_checked_without_a_traceback(data: bytes) -> None:
    assert [finding.severity for finding in check_notebook(data, "a.ipynb").findings] == ["error"]
    check_pipeline(data, "p.yaml", exists=lambda _: False, notebooks={})


PIPELINE = st.recursive(
    st.one_of(
        st.none(),
        st.integers(),
        st.sampled_from(["a.ipynb", "a", "${C}", "${", "${matrix.m}", "${a:b}", "../x", "1h"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(
                (
                    "steps params a b notebook after when matrix deps outs env metrics "
                    "gates metric order"
                ).split()
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@given(document=st.one_of(PIPELINE, st.fixed_dictionaries({"steps": PIPELINE, "params": PIPELINE})))
def test_any_pipeline_file_is_checked_without_a_traceback(document: Any) -> None:
    notebook = check_notebook(b'{"nbformat": 4, "metadata": {}, "cells": []}', "a.ipynb").tagged
    data = json.dumps(document).encode()
    for finding in check_pipeline(
        data, "p.yaml", exists=lambda name: name == "a.ipynb", notebooks={"a.ipynb": notebook}
    ):
        assert finding.rule in ALL_RULES


@given(document=NOTEBOOKS, indent=st.sampled_from([None, 1, 2]), as_list=st.booleans())
def test_a_line_of_a_cell_is_found_in_the_text_of_its_file(
    document: Mapping[str, Any], indent: int | None, as_list: bool
) -> None:
    cells = [
        {
            **cell,
            "source": re.findall("[^\n]*\n|[^\n]+", cell["source"]) if as_list else cell["source"],
        }
        for cell in document["cells"]
    ]
    text = json.dumps({**document, "cells": cells}, indent=indent)
    notebook = parse_notebook(text.encode(), "a.ipynb")
    lines = text.split("\n")
    for cell, numbers in zip(
        notebook.cells, lines_of_cells(text, notebook.cells, is_json=True), strict=True
    ):
        assert len(numbers) == cell.source.count("\n") + 1 or not as_list or not cell.source
        for number, line in zip(numbers, cell.source.split("\n"), strict=False):
            assert json.dumps(line)[1:-1] in lines[number - 1]


def test_the_lines_of_a_percent_notebook_are_those_of_its_file() -> None:
    text = '# %% tags=["step:a"]\nx = 1\n\n# %% tags=["step:b"]\ny = 2\nprint(z)\n'
    (finding,) = check_notebook(text.encode(), "a.py").findings
    assert (finding.rule, finding.cell, finding.line, finding.file_line) == (
        "undefined-name",
        2,
        2,
        6,
    )


def test_a_notebook_of_50_megabytes_is_checked() -> None:
    cell = {
        "cell_type": "code",
        "metadata": {},
        "source": "x = 1",
        "outputs": [{"text": "y" * 1_000_000}],
    }
    first = {**cell, "metadata": {"tags": ["step:a"]}}
    data = json.dumps({"nbformat": 4, "metadata": {}, "cells": [first, *[cell] * 49]}).encode()
    rules = {finding.rule for finding in check_notebook(data, "a.ipynb").findings}
    assert rules == {"large-output", "missing-count"}


def _chain(length: int) -> bytes:
    cells = [
        {
            "cell_type": "code",
            "metadata": {"tags": [f"step:s{at}"]},
            "source": f"x{at} = {f'x{at - 1}' if at else 0}",
        }
        for at in range(length)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": cells}).encode()


def test_a_long_chain_of_steps_costs_as_much_as_it_is_long() -> None:
    """Once it was the cube: each step looked through all behind it for each of them."""

    def lines(length: int) -> int:
        data = _chain(length)
        assert not check_notebook(
            data, "chain.ipynb"
        ).findings  # what it imports, it has imported then
        return lines_run(lambda: check_notebook(data, "chain.ipynb"))

    assert lines(400) < 6 * lines(100)  # linear: 4; quadratic: 16
