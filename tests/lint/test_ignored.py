"""Comments and tags that ignore a rule."""

from __future__ import annotations

import pytest

from tests.lint.checking import PARTS, findings_of, notebook, pipeline_findings, places


@pytest.mark.parametrize(
    "source",
    ["x = y  # nbci: ignore[undefined-name]", "x = y  # why  # nbci: ignore[a, undefined-name]"],
)
def test_a_comment_on_the_line_silences_a_rule(source: str) -> None:
    assert findings_of(notebook(("step:a", source))) == []


def test_a_comment_silences_no_other_rule_and_no_other_line() -> None:
    wrong = notebook(
        ("step:a", "x = y  # nbci: ignore[absolute-path]\nz = w  # nbci: ignore[undefined-name]")
    )
    assert places(wrong, "undefined-name") == [(1, 1)]


def test_a_tag_silences_a_rule_in_its_cell() -> None:
    wrong = notebook(("step:a nbci-ignore:undefined-name", "x = y"), ("step:b", "z = w"))
    assert places(wrong, "undefined-name") == [(2, 1)]


def test_a_comment_silences_a_rule_in_a_pipeline_file() -> None:
    text = "params:\n  D: 2  # nbci: ignore[unused-parameter]\nsteps:\n  a: {notebook: a.ipynb}\n"
    assert pipeline_findings(text, PARTS) == []
